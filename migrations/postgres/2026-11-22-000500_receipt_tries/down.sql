DROP TABLE receipt_tries;
