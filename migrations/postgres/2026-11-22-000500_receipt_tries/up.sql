-- How many wrong receipt codes a packager sent for an embargo, since when.
CREATE TABLE receipt_tries (
  embargo_id TEXT NOT NULL REFERENCES embargoes (id),
  packager_id TEXT NOT NULL REFERENCES packagers (id),
  since_at BIGINT NOT NULL,
  tries INTEGER NOT NULL,
  PRIMARY KEY (embargo_id, packager_id)
);
