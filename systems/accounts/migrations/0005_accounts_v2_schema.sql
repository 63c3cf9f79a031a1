-- 0005: the second schema of the accounts, beside the first one and empty.
--
-- An id says the same thing in both schemas. accounts is what platform_workspaces was, account_members
-- platform_workspace_members, identities platform_managed_users, pixbooks platform_books, pixbook_snapshots
-- platform_book_snapshots, audit_events platform_audit_events.
--
-- Needs: 0004. Run in one transaction.

CREATE TABLE accounts (
  id         text PRIMARY KEY,
  name       text NOT NULL,
  status     text NOT NULL DEFAULT 'active',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE accounts IS 'One account: what was a workspace.';
COMMENT ON COLUMN accounts.id IS 'The workspace''s id.';
COMMENT ON COLUMN accounts.name IS 'What people see.';
COMMENT ON COLUMN accounts.status IS '`active`, or `deleted` for an account that is gone; other words are old and mean neither.';
COMMENT ON COLUMN accounts.created_at IS 'When it was made, by the server''s clock.';
COMMENT ON COLUMN accounts.updated_at IS 'When it last changed, by the server''s clock.';

CREATE TABLE account_members (
  id         text PRIMARY KEY,
  account_id text NOT NULL REFERENCES accounts ON DELETE CASCADE,
  user_id    text NOT NULL REFERENCES auth_users ON DELETE CASCADE,
  role       text NOT NULL,
  status     text NOT NULL DEFAULT 'active',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (account_id, user_id)
);
COMMENT ON TABLE account_members IS 'One user in one account.';
COMMENT ON COLUMN account_members.id IS '`member_` and 32 hexadecimal digits.';
COMMENT ON COLUMN account_members.account_id IS 'The account.';
COMMENT ON COLUMN account_members.user_id IS 'The user.';
COMMENT ON COLUMN account_members.role IS '`owner`, `member`, or another word; what it allows is in the permissions.';
COMMENT ON COLUMN account_members.status IS '`active`, or `deleted` for a member that is gone; other words are old and mean neither.';
COMMENT ON COLUMN account_members.created_at IS 'When it was made, by the server''s clock.';
COMMENT ON COLUMN account_members.updated_at IS 'When it last changed, by the server''s clock.';
CREATE INDEX account_members_user_idx ON account_members (user_id, status);

CREATE TABLE identities (
  id                       text PRIMARY KEY,
  account_id               text NOT NULL REFERENCES accounts ON DELETE CASCADE,
  display_name             text NOT NULL,
  avatar_public_id         text,
  user_key                 text NOT NULL,
  profile_id               text,
  identity_public_key      text,
  identity_key_fingerprint text,
  status                   text NOT NULL DEFAULT 'active',
  created_at               timestamptz NOT NULL DEFAULT now(),
  updated_at               timestamptz NOT NULL DEFAULT now(),
  UNIQUE (account_id, user_key),
  UNIQUE (account_id, id)
);
COMMENT ON TABLE identities IS 'One person that an account looks after: what was a managed user.';
COMMENT ON COLUMN identities.id IS 'The managed user''s id.';
COMMENT ON COLUMN identities.account_id IS 'The account.';
COMMENT ON COLUMN identities.display_name IS 'What people see.';
COMMENT ON COLUMN identities.avatar_public_id IS 'The picture. NULL: none.';
COMMENT ON COLUMN identities.user_key IS 'What names the person within the account for ever, also when deleted.';
COMMENT ON COLUMN identities.profile_id IS 'The profile that it is bound to. NULL: none.';
COMMENT ON COLUMN identities.identity_public_key IS 'The public key that it is bound to, as given. NULL: none.';
COMMENT ON COLUMN identities.identity_key_fingerprint IS 'SHA-256 of that key without blanks, in hexadecimal. NULL: no key.';
COMMENT ON COLUMN identities.status IS '`active`, or `deleted` for an identity that is gone; other words are old and mean neither.';
COMMENT ON COLUMN identities.created_at IS 'When it was made, by the server''s clock.';
COMMENT ON COLUMN identities.updated_at IS 'When it last changed, by the server''s clock.';
CREATE UNIQUE INDEX identities_fingerprint_active_uq
  ON identities (account_id, identity_key_fingerprint)
  WHERE identity_key_fingerprint IS NOT NULL AND status <> 'deleted';

CREATE TABLE pixbooks (
  id              text PRIMARY KEY,
  account_id      text NOT NULL REFERENCES accounts ON DELETE CASCADE,
  identity_id     text NOT NULL REFERENCES identities ON DELETE CASCADE,
  collection_id   text NOT NULL DEFAULT 'primary',
  name            text NOT NULL,
  status          text NOT NULL DEFAULT 'active',
  current_version bigint NOT NULL DEFAULT 0,
  created_at      timestamptz NOT NULL DEFAULT now(),
  updated_at      timestamptz NOT NULL DEFAULT now(),
  FOREIGN KEY (account_id, identity_id) REFERENCES identities (account_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE pixbooks IS 'One book of one identity.';
COMMENT ON COLUMN pixbooks.id IS 'The book''s id.';
COMMENT ON COLUMN pixbooks.account_id IS 'The account.';
COMMENT ON COLUMN pixbooks.identity_id IS 'Whose it is: an identity of the same account.';
COMMENT ON COLUMN pixbooks.collection_id IS 'Which collection of the identity the book is: `primary`, or another name.';
COMMENT ON COLUMN pixbooks.name IS 'What people see.';
COMMENT ON COLUMN pixbooks.status IS '`active`, or `deleted` for a book that is gone; other words are old and mean neither.';
COMMENT ON COLUMN pixbooks.current_version IS 'Version of the newest snapshot; 0: none yet.';
COMMENT ON COLUMN pixbooks.created_at IS 'When it was made, by the server''s clock.';
COMMENT ON COLUMN pixbooks.updated_at IS 'When it last changed, by the server''s clock.';
CREATE UNIQUE INDEX pixbooks_identity_collection_active_uq
  ON pixbooks (identity_id, collection_id) WHERE status <> 'deleted';
CREATE INDEX pixbooks_account_idx ON pixbooks (account_id, identity_id);

CREATE TABLE pixbook_snapshots (
  id                text PRIMARY KEY,
  pixbook_id        text NOT NULL REFERENCES pixbooks ON DELETE CASCADE,
  version           bigint NOT NULL,
  cipher_object_key text NOT NULL,
  cipher_sha256     text NOT NULL,
  wrapped_dek       text NOT NULL,
  ledger_head       text,
  payload_json      jsonb,
  created_at        timestamptz NOT NULL DEFAULT now(),
  UNIQUE (pixbook_id, version)
);
COMMENT ON TABLE pixbook_snapshots IS 'One saved state of a book.';
COMMENT ON COLUMN pixbook_snapshots.id IS 'The snapshot''s id.';
COMMENT ON COLUMN pixbook_snapshots.pixbook_id IS 'The book.';
COMMENT ON COLUMN pixbook_snapshots.version IS 'From 1, without gaps.';
COMMENT ON COLUMN pixbook_snapshots.cipher_object_key IS 'Where the content is; `db:` and the id where it is in this row.';
COMMENT ON COLUMN pixbook_snapshots.cipher_sha256 IS 'SHA-256 of the content, in hexadecimal.';
COMMENT ON COLUMN pixbook_snapshots.wrapped_dek IS 'The key of an encrypted content; empty where it is in this row.';
COMMENT ON COLUMN pixbook_snapshots.ledger_head IS 'The head of the book''s ledger that was saved. NULL: not told.';
COMMENT ON COLUMN pixbook_snapshots.payload_json IS 'The content. NULL: it is elsewhere, under cipher_object_key.';
COMMENT ON COLUMN pixbook_snapshots.created_at IS 'When it was made, by the server''s clock.';

CREATE TABLE audit_events (
  id            text PRIMARY KEY,
  account_id    text REFERENCES accounts ON DELETE SET NULL,
  actor_user_id text REFERENCES auth_users ON DELETE SET NULL,
  event_type    text NOT NULL,
  payload       jsonb NOT NULL DEFAULT '{}',
  created_at    timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE audit_events IS 'What happened in an account, for people who ask later.';
COMMENT ON COLUMN audit_events.id IS 'The id of the event in the first schema, where it is there.';
COMMENT ON COLUMN audit_events.account_id IS 'Where. NULL: the account is gone.';
COMMENT ON COLUMN audit_events.actor_user_id IS 'Who did it. NULL: that user is gone.';
COMMENT ON COLUMN audit_events.event_type IS 'Such as `workspace.created`.';
COMMENT ON COLUMN audit_events.payload IS 'What the event is about.';
COMMENT ON COLUMN audit_events.created_at IS 'When it was made, by the server''s clock.';
CREATE INDEX audit_events_account_idx ON audit_events (account_id, created_at DESC);
