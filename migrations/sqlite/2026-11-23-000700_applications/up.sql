-- Who asked to be told ahead, and was not answered yet: one for each certificate, the newest.
CREATE TABLE applications (
  id TEXT NOT NULL PRIMARY KEY,
  fingerprint_lookup BLOB NOT NULL UNIQUE,
  content_sealed BLOB NOT NULL,
  received_at INTEGER NOT NULL
) STRICT;
