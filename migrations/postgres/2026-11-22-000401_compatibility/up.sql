-- The last migration that a program must know to run on this database. Migrations that only add leave it as it is; one
-- that takes something away sets it to its own version, when no older program runs any more.
INSERT INTO settings (name, value) VALUES ('oldest-compatible', convert_to('20261122000000', 'UTF8'));

-- What is shown in lists and feeds still has to be what was published.
ALTER TABLE advisory_revisions ADD COLUMN content_sha256 BYTEA;
