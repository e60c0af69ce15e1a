DROP TABLE housekeeping;
ALTER TABLE heads DROP COLUMN content_sha256;
ALTER TABLE bodies DROP COLUMN content_sha256;
ALTER TABLE data_keys DROP COLUMN destroyed_at;
DROP TABLE key_encryption_keys;
