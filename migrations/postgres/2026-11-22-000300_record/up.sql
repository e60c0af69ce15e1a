-- What the audit log is measured against: a line that names an entry and its hash, signed with the server's key.
CREATE TABLE checkpoints (
  sequence BIGINT NOT NULL PRIMARY KEY,
  line TEXT NOT NULL,
  signature TEXT NOT NULL,
  made_at BIGINT NOT NULL
);

-- The lives of this database: a restore, and the operator's word to go on after one, begin a new one.
CREATE TABLE incarnations (
  number INTEGER NOT NULL PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  began_at BIGINT NOT NULL
);
