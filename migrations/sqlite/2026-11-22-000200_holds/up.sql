-- While a row without released_at stands here, nothing lifts, nothing is announced and nothing is sent.
CREATE TABLE holds (
  id TEXT NOT NULL PRIMARY KEY,
  kind TEXT NOT NULL,
  reason_sealed BLOB,
  placed_at INTEGER NOT NULL,
  placed_by TEXT NOT NULL,
  released_at INTEGER,
  released_by TEXT
) STRICT;
CREATE INDEX holds_open ON holds (released_at);
