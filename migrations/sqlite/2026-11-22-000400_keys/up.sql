-- Which key-encryption keys there were; the keys themselves are never here. Data keys are wrapped by the one that
-- became current last. A retired one wraps nothing any more: a row that names it was put back from before.
CREATE TABLE key_encryption_keys (
  id TEXT NOT NULL PRIMARY KEY,
  prepared_at INTEGER NOT NULL,
  current_at INTEGER,
  retired_at INTEGER,
  forgotten_at INTEGER
) STRICT;
INSERT INTO key_encryption_keys (id, prepared_at, current_at)
  SELECT kek_id, created_at, created_at FROM data_keys WHERE owner = 'roster';

-- A destroyed data key is an empty one: what it sealed is gone for good, and said to be so.
ALTER TABLE data_keys ADD COLUMN destroyed_at INTEGER;

-- What is kept in clear because it is ciphertext already still has to be what was written.
ALTER TABLE bodies ADD COLUMN content_sha256 BLOB;
ALTER TABLE heads ADD COLUMN content_sha256 BLOB;

-- The tick up to which a task that is repeated was done, by whichever replica.
CREATE TABLE housekeeping (
  task TEXT NOT NULL PRIMARY KEY,
  done_at INTEGER NOT NULL
) STRICT;
