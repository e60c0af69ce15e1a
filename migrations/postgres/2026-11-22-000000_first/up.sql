-- Instants are microseconds since the epoch, columns end in _at. *_sealed holds AEAD ciphertext bound to
-- table, column and row. *_lookup holds a keyed HMAC. Everything else may be read by who steals the file.

CREATE TABLE settings (
  name TEXT NOT NULL PRIMARY KEY,
  value BYTEA NOT NULL
);

-- One data key per embargo and one for the roster, wrapped by a key-encryption key kept outside.
CREATE TABLE data_keys (
  owner TEXT NOT NULL PRIMARY KEY,
  kek_id TEXT NOT NULL,
  wrapped BYTEA NOT NULL,
  created_at BIGINT NOT NULL
);

CREATE TABLE projects (
  id TEXT NOT NULL PRIMARY KEY,
  slug TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  policy TEXT NOT NULL,
  created_at BIGINT NOT NULL
);

CREATE TABLE certificates (
  id TEXT NOT NULL PRIMARY KEY,
  fingerprint_lookup BYTEA NOT NULL UNIQUE,
  content_sealed BYTEA NOT NULL,
  version BIGINT NOT NULL,
  sha1_until_at BIGINT,
  seipdv1_only BOOLEAN NOT NULL DEFAULT FALSE,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  revoked_at BIGINT
);

CREATE TABLE maintainers (
  id TEXT NOT NULL PRIMARY KEY,
  certificate_id TEXT NOT NULL UNIQUE REFERENCES certificates (id),
  person_sealed BYTEA NOT NULL,
  created_at BIGINT NOT NULL,
  removed_at BIGINT
);

CREATE TABLE project_maintainers (
  project_id TEXT NOT NULL REFERENCES projects (id),
  maintainer_id TEXT NOT NULL REFERENCES maintainers (id),
  created_at BIGINT NOT NULL,
  removed_at BIGINT,
  PRIMARY KEY (project_id, maintainer_id)
);

CREATE TABLE packagers (
  id TEXT NOT NULL PRIMARY KEY,
  slug_lookup BYTEA NOT NULL UNIQUE,
  organisation_sealed BYTEA NOT NULL,
  created_at BIGINT NOT NULL,
  removed_at BIGINT
);

CREATE TABLE contacts (
  id TEXT NOT NULL PRIMARY KEY,
  packager_id TEXT NOT NULL REFERENCES packagers (id),
  certificate_id TEXT NOT NULL UNIQUE REFERENCES certificates (id),
  address_sealed BYTEA NOT NULL,
  created_at BIGINT NOT NULL,
  removed_at BIGINT
);

CREATE TABLE memberships (
  project_id TEXT NOT NULL REFERENCES projects (id),
  packager_id TEXT NOT NULL REFERENCES packagers (id),
  approved_at BIGINT NOT NULL,
  removed_at BIGINT,
  PRIMARY KEY (project_id, packager_id)
);

CREATE TABLE embargoes (
  id TEXT NOT NULL PRIMARY KEY,
  project_id TEXT NOT NULL REFERENCES projects (id),
  stage TEXT NOT NULL,
  version BIGINT NOT NULL,
  opened_at BIGINT NOT NULL,
  lifts_at BIGINT,
  lift_zone TEXT,
  lift_local TEXT,
  notice_at BIGINT,
  agreed_at BIGINT,
  revision INTEGER,
  early BOOLEAN NOT NULL,
  announced_at BIGINT,
  ended_at BIGINT,
  case_sealed BYTEA NOT NULL
);
CREATE INDEX embargoes_due ON embargoes (stage, lifts_at);

-- A fix is one immutable upload; the working set is the rows that stand in it.
CREATE TABLE fixes (
  id TEXT NOT NULL PRIMARY KEY,
  embargo_id TEXT NOT NULL REFERENCES embargoes (id),
  facts_sealed BYTEA NOT NULL,
  content_sealed BYTEA NOT NULL,
  size BIGINT NOT NULL,
  in_working_set BOOLEAN NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX fixes_of ON fixes (embargo_id);

CREATE TABLE revisions (
  embargo_id TEXT NOT NULL REFERENCES embargoes (id),
  number INTEGER NOT NULL,
  content_sealed BYTEA NOT NULL,
  receipt_hash BYTEA NOT NULL,
  frozen_at BIGINT NOT NULL,
  PRIMARY KEY (embargo_id, number)
);

CREATE TABLE revision_fixes (
  embargo_id TEXT NOT NULL,
  number INTEGER NOT NULL,
  fix_id TEXT NOT NULL REFERENCES fixes (id),
  PRIMARY KEY (embargo_id, number, fix_id),
  FOREIGN KEY (embargo_id, number) REFERENCES revisions (embargo_id, number)
);

CREATE TABLE audience (
  embargo_id TEXT NOT NULL REFERENCES embargoes (id),
  packager_id TEXT NOT NULL REFERENCES packagers (id),
  added_at BIGINT NOT NULL,
  removed_at BIGINT,
  PRIMARY KEY (embargo_id, packager_id)
);

CREATE TABLE notices (
  id TEXT NOT NULL PRIMARY KEY,
  embargo_id TEXT NOT NULL REFERENCES embargoes (id),
  kind TEXT NOT NULL,
  serial INTEGER NOT NULL,
  revision INTEGER,
  content_sealed BYTEA NOT NULL,
  created_at BIGINT NOT NULL,
  superseded_at BIGINT,
  UNIQUE (embargo_id, kind, serial)
);
CREATE INDEX notices_current ON notices (superseded_at, embargo_id);

-- The OpenPGP ciphertext that all recipients of a notice or fix share.
CREATE TABLE bodies (
  id TEXT NOT NULL PRIMARY KEY,
  embargo_id TEXT NOT NULL REFERENCES embargoes (id),
  subject_kind TEXT NOT NULL,
  subject_id TEXT NOT NULL,
  container TEXT NOT NULL,
  session_key_sealed BYTEA NOT NULL,
  content BYTEA NOT NULL,
  created_at BIGINT NOT NULL,
  UNIQUE (subject_kind, subject_id, container)
);

-- What is a recipient's own of such a message; kept so that every copy has the same bytes.
CREATE TABLE heads (
  body_id TEXT NOT NULL REFERENCES bodies (id),
  certificate_id TEXT NOT NULL REFERENCES certificates (id),
  certificate_version BIGINT NOT NULL,
  content BYTEA NOT NULL,
  made_at BIGINT NOT NULL,
  PRIMARY KEY (body_id, certificate_id, certificate_version)
);

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
  not_before_at BIGINT NOT NULL,
  lease_owner TEXT,
  lease_until_at BIGINT,
  fence BIGINT NOT NULL,
  frozen_sealed BYTEA,
  message_sha256 BYTEA,
  last_reply_sealed BYTEA,
  created_at BIGINT NOT NULL,
  accepted_at BIGINT,
  UNIQUE (notice_id, recipient_kind, recipient_id)
);
CREATE INDEX deliveries_due ON deliveries (state, not_before_at);
CREATE INDEX deliveries_of ON deliveries (embargo_id);

CREATE TABLE answers (
  embargo_id TEXT NOT NULL REFERENCES embargoes (id),
  packager_id TEXT NOT NULL REFERENCES packagers (id),
  receipt_revision INTEGER,
  receipt_at BIGINT,
  impact TEXT NOT NULL,
  impact_reason_sealed BYTEA,
  progress TEXT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (embargo_id, packager_id)
);

CREATE TABLE tokens (
  id TEXT NOT NULL PRIMARY KEY,
  hash BYTEA NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  maintainer_id TEXT REFERENCES maintainers (id),
  contact_id TEXT REFERENCES contacts (id),
  scopes TEXT NOT NULL,
  last_four TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  revoked_at BIGINT
);

CREATE TABLE challenges (
  nonce_hash BYTEA NOT NULL PRIMARY KEY,
  fingerprint_lookup BYTEA NOT NULL,
  certificate_sealed BYTEA NOT NULL,
  expires_at BIGINT NOT NULL,
  used_at BIGINT
);

CREATE TABLE commands (
  maintainer_id TEXT NOT NULL REFERENCES maintainers (id),
  idempotency_key TEXT NOT NULL,
  request_sha256 BYTEA NOT NULL,
  status INTEGER NOT NULL,
  headers TEXT NOT NULL,
  answer BYTEA NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (maintainer_id, idempotency_key)
);

-- Append-only, chained by hash. The single row of audit_head is the last lock a transaction takes.
CREATE TABLE audit (
  sequence BIGINT NOT NULL PRIMARY KEY,
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  embargo_id TEXT NOT NULL,
  object TEXT NOT NULL,
  detail_sealed BYTEA NOT NULL,
  previous_hash BYTEA NOT NULL,
  hash BYTEA NOT NULL
);
CREATE INDEX audit_of ON audit (embargo_id);

CREATE TABLE audit_head (
  id INTEGER NOT NULL PRIMARY KEY,
  sequence BIGINT NOT NULL,
  hash BYTEA NOT NULL
);
INSERT INTO audit_head (id, sequence, hash) VALUES (1, 0, '');

CREATE TABLE clock_marks (
  id INTEGER NOT NULL PRIMARY KEY,
  highest_at BIGINT NOT NULL
);
INSERT INTO clock_marks (id, highest_at) VALUES (1, 0);

CREATE TABLE advisory_numbers (
  year INTEGER NOT NULL PRIMARY KEY,
  last INTEGER NOT NULL
);

-- From here on: public. The public side reads these tables and no others.
CREATE TABLE advisories (
  id TEXT NOT NULL PRIMARY KEY,
  embargo_id TEXT NOT NULL UNIQUE REFERENCES embargoes (id),
  project TEXT NOT NULL,
  published_at BIGINT NOT NULL
);

CREATE TABLE advisory_revisions (
  advisory_id TEXT NOT NULL REFERENCES advisories (id),
  number INTEGER NOT NULL,
  content TEXT NOT NULL,
  published_at BIGINT NOT NULL,
  PRIMARY KEY (advisory_id, number)
);

CREATE TABLE published_files (
  path TEXT NOT NULL PRIMARY KEY,
  advisory_id TEXT NOT NULL REFERENCES advisories (id),
  media_type TEXT NOT NULL,
  content BYTEA NOT NULL,
  sha256 TEXT NOT NULL,
  published_at BIGINT NOT NULL
);
