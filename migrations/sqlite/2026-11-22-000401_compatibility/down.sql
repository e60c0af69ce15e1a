ALTER TABLE advisory_revisions DROP COLUMN content_sha256;
DELETE FROM settings WHERE name = 'oldest-compatible';
