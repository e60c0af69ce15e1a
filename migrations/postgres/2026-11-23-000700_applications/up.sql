-- Who asked to be told ahead, and was not answered yet: one for each certificate, the newest.
CREATE TABLE applications (
  id TEXT NOT NULL PRIMARY KEY,
  fingerprint_lookup BYTEA NOT NULL UNIQUE,
  content_sealed BYTEA NOT NULL,
  received_at BIGINT NOT NULL
);
