-- Instants are microseconds since the epoch, columns end in _at. *_sealed holds AEAD ciphertext bound to
-- table, column and row. *_lookup holds a keyed HMAC. Everything else may be read by who steals the file.

CREATE TABLE settings (
  name TEXT NOT NULL PRIMARY KEY,
  value BLOB NOT NULL
) STRICT;

-- One data key per embargo and one for the roster, wrapped by a key-encryption key kept outside.
CREATE TABLE data_keys (
  owner TEXT NOT NULL PRIMARY KEY,
  kek_id TEXT NOT NULL,
  wrapped BLOB NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE projects (
  id TEXT NOT NULL PRIMARY KEY,
  slug TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  policy TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE certificates (
  id TEXT NOT NULL PRIMARY KEY,
  fingerprint_lookup BLOB NOT NULL UNIQUE,
  content_sealed BLOB NOT NULL,
  version INTEGER NOT NULL,
  sha1_until_at INTEGER,
  seipdv1_only INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  revoked_at INTEGER
) STRICT;

CREATE TABLE maintainers (
  id TEXT NOT NULL PRIMARY KEY,
  certificate_id TEXT NOT NULL UNIQUE REFERENCES certificates (id),
  person_sealed BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  removed_at INTEGER
) STRICT;

CREATE TABLE project_maintainers (
  project_id TEXT NOT NULL REFERENCES projects (id),
  maintainer_id TEXT NOT NULL REFERENCES maintainers (id),
  created_at INTEGER NOT NULL,
  removed_at INTEGER,
  PRIMARY KEY (project_id, maintainer_id)
) STRICT;

CREATE TABLE packagers (
  id TEXT NOT NULL PRIMARY KEY,
  slug_lookup BLOB NOT NULL UNIQUE,
  organisation_sealed BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  removed_at INTEGER
) STRICT;

CREATE TABLE contacts (
  id TEXT NOT NULL PRIMARY KEY,
  packager_id TEXT NOT NULL REFERENCES packagers (id),
  certificate_id TEXT NOT NULL UNIQUE REFERENCES certificates (id),
  address_sealed BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  removed_at INTEGER
) STRICT;

CREATE TABLE memberships (
  project_id TEXT NOT NULL REFERENCES projects (id),
  packager_id TEXT NOT NULL REFERENCES packagers (id),
  approved_at INTEGER NOT NULL,
  removed_at INTEGER,
  PRIMARY KEY (project_id, packager_id)
) STRICT;

CREATE TABLE embargoes (
  id TEXT NOT NULL PRIMARY KEY,
  project_id TEXT NOT NULL REFERENCES projects (id),
  stage TEXT NOT NULL,
  version INTEGER NOT NULL,
  opened_at INTEGER NOT NULL,
  lifts_at INTEGER,
  lift_zone TEXT,
  lift_local TEXT,
  notice_at INTEGER,
  agreed_at INTEGER,
  revision INTEGER,
  early INTEGER NOT NULL,
  announced_at INTEGER,
  ended_at INTEGER,
  case_sealed BLOB NOT NULL
) STRICT;
CREATE INDEX embargoes_due ON embargoes (stage, lifts_at);

-- A fix is one immutable upload; the working set is the rows that stand in it.
CREATE TABLE fixes (
  id TEXT NOT NULL PRIMARY KEY,
  embargo_id TEXT NOT NULL REFERENCES embargoes (id),
  facts_sealed BLOB NOT NULL,
  content_sealed BLOB NOT NULL,
  size INTEGER NOT NULL,
  in_working_set INTEGER NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX fixes_of ON fixes (embargo_id);

CREATE TABLE revisions (
  embargo_id TEXT NOT NULL REFERENCES embargoes (id),
  number INTEGER NOT NULL,
  content_sealed BLOB NOT NULL,
  receipt_hash BLOB NOT NULL,
  frozen_at INTEGER NOT NULL,
  PRIMARY KEY (embargo_id, number)
) STRICT;

CREATE TABLE revision_fixes (
  embargo_id TEXT NOT NULL,
  number INTEGER NOT NULL,
  fix_id TEXT NOT NULL REFERENCES fixes (id),
  PRIMARY KEY (embargo_id, number, fix_id),
  FOREIGN KEY (embargo_id, number) REFERENCES revisions (embargo_id, number)
) STRICT;

CREATE TABLE audience (
  embargo_id TEXT NOT NULL REFERENCES embargoes (id),
  packager_id TEXT NOT NULL REFERENCES packagers (id),
  added_at INTEGER NOT NULL,
  removed_at INTEGER,
  PRIMARY KEY (embargo_id, packager_id)
) STRICT;

CREATE TABLE notices (
  id TEXT NOT NULL PRIMARY KEY,
  embargo_id TEXT NOT NULL REFERENCES embargoes (id),
  kind TEXT NOT NULL,
  serial INTEGER NOT NULL,
  revision INTEGER,
  content_sealed BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  superseded_at INTEGER,
  UNIQUE (embargo_id, kind, serial)
) STRICT;
CREATE INDEX notices_current ON notices (superseded_at, embargo_id);

-- The OpenPGP ciphertext that all recipients of a notice or fix share.
CREATE TABLE bodies (
  id TEXT NOT NULL PRIMARY KEY,
  embargo_id TEXT NOT NULL REFERENCES embargoes (id),
  subject_kind TEXT NOT NULL,
  subject_id TEXT NOT NULL,
  container TEXT NOT NULL,
  session_key_sealed BLOB NOT NULL,
  content BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  UNIQUE (subject_kind, subject_id, container)
) STRICT;

-- What is a recipient's own of such a message; kept so that every copy has the same bytes.
CREATE TABLE heads (
  body_id TEXT NOT NULL REFERENCES bodies (id),
  certificate_id TEXT NOT NULL REFERENCES certificates (id),
  certificate_version INTEGER NOT NULL,
  content BLOB NOT NULL,
  made_at INTEGER NOT NULL,
  PRIMARY KEY (body_id, certificate_id, certificate_version)
) STRICT;

CREATE TABLE deliveries (
  id TEXT NOT NULL PRIMARY KEY,
  notice_id TEXT NOT NULL REFERENCES notices (id),
  embargo_id TEXT NOT NULL REFERENCES embargoes (id),
  recipient_kind TEXT NOT NULL,
  recipient_id TEXT NOT NULL,
  packager_id TEXT,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  uncertain INTEGER NOT NULL,
  not_before_at INTEGER NOT NULL,
  lease_owner TEXT,
  lease_until_at INTEGER,
  fence INTEGER NOT NULL,
  frozen_sealed BLOB,
  message_sha256 BLOB,
  last_reply_sealed BLOB,
  created_at INTEGER NOT NULL,
  accepted_at INTEGER,
  UNIQUE (notice_id, recipient_kind, recipient_id)
) STRICT;
CREATE INDEX deliveries_due ON deliveries (state, not_before_at);
CREATE INDEX deliveries_of ON deliveries (embargo_id);

CREATE TABLE answers (
  embargo_id TEXT NOT NULL REFERENCES embargoes (id),
  packager_id TEXT NOT NULL REFERENCES packagers (id),
  receipt_revision INTEGER,
  receipt_at INTEGER,
  impact TEXT NOT NULL,
  impact_reason_sealed BLOB,
  progress TEXT NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (embargo_id, packager_id)
) STRICT;

CREATE TABLE tokens (
  id TEXT NOT NULL PRIMARY KEY,
  hash BLOB NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  maintainer_id TEXT REFERENCES maintainers (id),
  contact_id TEXT REFERENCES contacts (id),
  scopes TEXT NOT NULL,
  last_four TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  revoked_at INTEGER
) STRICT;

CREATE TABLE challenges (
  nonce_hash BLOB NOT NULL PRIMARY KEY,
  fingerprint_lookup BLOB NOT NULL,
  certificate_sealed BLOB NOT NULL,
  expires_at INTEGER NOT NULL,
  used_at INTEGER
) STRICT;

CREATE TABLE commands (
  maintainer_id TEXT NOT NULL REFERENCES maintainers (id),
  idempotency_key TEXT NOT NULL,
  request_sha256 BLOB NOT NULL,
  status INTEGER NOT NULL,
  headers TEXT NOT NULL,
  answer BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (maintainer_id, idempotency_key)
) STRICT;

-- Append-only, chained by hash. The single row of audit_head is the last lock a transaction takes.
CREATE TABLE audit (
  sequence INTEGER NOT NULL PRIMARY KEY,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  embargo_id TEXT NOT NULL,
  object TEXT NOT NULL,
  detail_sealed BLOB NOT NULL,
  previous_hash BLOB NOT NULL,
  hash BLOB NOT NULL
) STRICT;
CREATE INDEX audit_of ON audit (embargo_id);

CREATE TABLE audit_head (
  id INTEGER NOT NULL PRIMARY KEY,
  sequence INTEGER NOT NULL,
  hash BLOB NOT NULL
) STRICT;
INSERT INTO audit_head (id, sequence, hash) VALUES (1, 0, x'');

CREATE TABLE clock_marks (
  id INTEGER NOT NULL PRIMARY KEY,
  highest_at INTEGER NOT NULL
) STRICT;
INSERT INTO clock_marks (id, highest_at) VALUES (1, 0);

CREATE TABLE advisory_numbers (
  year INTEGER NOT NULL PRIMARY KEY,
  last INTEGER NOT NULL
) STRICT;

-- From here on: public. The public side reads these tables and no others.
CREATE TABLE advisories (
  id TEXT NOT NULL PRIMARY KEY,
  embargo_id TEXT NOT NULL UNIQUE REFERENCES embargoes (id),
  project TEXT NOT NULL,
  published_at INTEGER NOT NULL
) STRICT;

CREATE TABLE advisory_revisions (
  advisory_id TEXT NOT NULL REFERENCES advisories (id),
  number INTEGER NOT NULL,
  content TEXT NOT NULL,
  published_at INTEGER NOT NULL,
  PRIMARY KEY (advisory_id, number)
) STRICT;

CREATE TABLE published_files (
  path TEXT NOT NULL PRIMARY KEY,
  advisory_id TEXT NOT NULL REFERENCES advisories (id),
  media_type TEXT NOT NULL,
  content BLOB NOT NULL,
  sha256 TEXT NOT NULL,
  published_at INTEGER NOT NULL
) STRICT;
