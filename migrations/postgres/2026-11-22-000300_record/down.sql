DROP TABLE incarnations;
DROP TABLE checkpoints;
