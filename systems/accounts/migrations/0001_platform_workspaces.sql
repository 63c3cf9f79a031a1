-- 0001: who uses the platform, and what belongs to them, by workspaces.
--
-- auth_users is shared by everything that comes later. The other seven tables are the first schema of the accounts.
--
-- Run in one transaction.

CREATE TABLE auth_users (
  id         text PRIMARY KEY,
  email      text UNIQUE,
  name       text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE auth_users IS 'The platform''s own row for each user of the authentication.';
COMMENT ON COLUMN auth_users.id IS 'The id that the authentication gave.';
COMMENT ON COLUMN auth_users.email IS 'The user''s address. NULL: not told, or it belongs to an earlier id.';
COMMENT ON COLUMN auth_users.name IS 'What the user wants to be called. NULL: not told.';
COMMENT ON COLUMN auth_users.created_at IS 'When it was made, by the server''s clock.';
COMMENT ON COLUMN auth_users.updated_at IS 'When it last changed, by the server''s clock.';

CREATE TABLE platform_workspaces (
  id         text PRIMARY KEY,
  name       text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE platform_workspaces IS 'One workspace: what is later called an account.';
COMMENT ON COLUMN platform_workspaces.id IS '`ws_` and 32 hexadecimal digits.';
COMMENT ON COLUMN platform_workspaces.name IS 'What people see.';
COMMENT ON COLUMN platform_workspaces.created_at IS 'When it was made, by the server''s clock.';
COMMENT ON COLUMN platform_workspaces.updated_at IS 'When it last changed, by the server''s clock.';

CREATE TABLE platform_workspace_members (
  id           text PRIMARY KEY,
  workspace_id text NOT NULL REFERENCES platform_workspaces ON DELETE CASCADE,
  user_id      text NOT NULL REFERENCES auth_users ON DELETE CASCADE,
  role         text NOT NULL,
  status       text NOT NULL DEFAULT 'active',
  created_at   timestamptz NOT NULL DEFAULT now(),
  updated_at   timestamptz NOT NULL DEFAULT now(),
  UNIQUE (workspace_id, user_id)
);
COMMENT ON TABLE platform_workspace_members IS 'One user in one workspace.';
COMMENT ON COLUMN platform_workspace_members.id IS '`member_` and 32 hexadecimal digits.';
COMMENT ON COLUMN platform_workspace_members.workspace_id IS 'The workspace.';
COMMENT ON COLUMN platform_workspace_members.user_id IS 'The user.';
COMMENT ON COLUMN platform_workspace_members.role IS '`owner`, `member`, or another word; what it allows is in the permissions.';
COMMENT ON COLUMN platform_workspace_members.status IS '`active`, or `deleted` for a member that is gone; other words are old and mean neither.';
COMMENT ON COLUMN platform_workspace_members.created_at IS 'When it was made, by the server''s clock.';
COMMENT ON COLUMN platform_workspace_members.updated_at IS 'When it last changed, by the server''s clock.';
CREATE INDEX platform_workspace_members_user_idx ON platform_workspace_members (user_id, status);

CREATE TABLE platform_permissions (
  id         text PRIMARY KEY,
  member_id  text NOT NULL REFERENCES platform_workspace_members ON DELETE CASCADE,
  capability text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (member_id, capability)
);
COMMENT ON TABLE platform_permissions IS 'One thing that one member may do.';
COMMENT ON COLUMN platform_permissions.id IS '`perm_` and 32 hexadecimal digits.';
COMMENT ON COLUMN platform_permissions.member_id IS 'The member.';
COMMENT ON COLUMN platform_permissions.capability IS 'Such as `platform.account.manage`.';
COMMENT ON COLUMN platform_permissions.created_at IS 'When it was made, by the server''s clock.';
CREATE INDEX platform_permissions_capability_idx ON platform_permissions (capability);

CREATE TABLE platform_audit_events (
  id            text PRIMARY KEY,
  workspace_id  text REFERENCES platform_workspaces ON DELETE SET NULL,
  actor_user_id text REFERENCES auth_users ON DELETE SET NULL,
  event_type    text NOT NULL,
  payload       jsonb NOT NULL DEFAULT '{}',
  created_at    timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE platform_audit_events IS 'What happened in a workspace, for people who ask later.';
COMMENT ON COLUMN platform_audit_events.id IS '`audit_` and 32 hexadecimal digits, chosen once for both schemas.';
COMMENT ON COLUMN platform_audit_events.workspace_id IS 'Where. NULL: the workspace is gone.';
COMMENT ON COLUMN platform_audit_events.actor_user_id IS 'Who did it. NULL: that user is gone.';
COMMENT ON COLUMN platform_audit_events.event_type IS 'Such as `workspace.created`.';
COMMENT ON COLUMN platform_audit_events.payload IS 'What the event is about.';
COMMENT ON COLUMN platform_audit_events.created_at IS 'When it was made, by the server''s clock.';
CREATE INDEX platform_audit_events_workspace_idx ON platform_audit_events (workspace_id, created_at DESC);

CREATE TABLE platform_managed_users (
  id               text PRIMARY KEY,
  workspace_id     text NOT NULL REFERENCES platform_workspaces ON DELETE CASCADE,
  display_name     text NOT NULL,
  avatar_public_id text,
  user_key         text NOT NULL,
  status           text NOT NULL DEFAULT 'active',
  created_at       timestamptz NOT NULL DEFAULT now(),
  updated_at       timestamptz NOT NULL DEFAULT now(),
  UNIQUE (workspace_id, user_key)
);
COMMENT ON TABLE platform_managed_users IS 'One person that a workspace looks after: what is later called an identity.';
COMMENT ON COLUMN platform_managed_users.id IS '`managed-user_` and 32 hexadecimal digits, or what the caller chose.';
COMMENT ON COLUMN platform_managed_users.workspace_id IS 'The workspace.';
COMMENT ON COLUMN platform_managed_users.display_name IS 'What people see.';
COMMENT ON COLUMN platform_managed_users.avatar_public_id IS 'The picture. NULL: none.';
COMMENT ON COLUMN platform_managed_users.user_key IS 'What names the person within the workspace for ever, also when deleted.';
COMMENT ON COLUMN platform_managed_users.status IS '`active`, or `deleted` for a person that is gone; other words are old and mean neither.';
COMMENT ON COLUMN platform_managed_users.created_at IS 'When it was made, by the server''s clock.';
COMMENT ON COLUMN platform_managed_users.updated_at IS 'When it last changed, by the server''s clock.';

CREATE TABLE platform_books (
  id              text PRIMARY KEY,
  workspace_id    text NOT NULL REFERENCES platform_workspaces ON DELETE CASCADE,
  managed_user_id text NOT NULL REFERENCES platform_managed_users ON DELETE CASCADE,
  name            text NOT NULL,
  status          text NOT NULL DEFAULT 'active',
  current_version bigint NOT NULL DEFAULT 0,
  created_at      timestamptz NOT NULL DEFAULT now(),
  updated_at      timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE platform_books IS 'One book of one managed user: what is later called a pixbook.';
COMMENT ON COLUMN platform_books.id IS '`book_` and 32 hexadecimal digits, or what the caller chose.';
COMMENT ON COLUMN platform_books.workspace_id IS 'The workspace.';
COMMENT ON COLUMN platform_books.managed_user_id IS 'Whose it is. That it is of the same workspace, nothing here makes sure.';
COMMENT ON COLUMN platform_books.name IS 'What people see.';
COMMENT ON COLUMN platform_books.status IS '`active`, or `deleted` for a book that is gone; other words are old and mean neither.';
COMMENT ON COLUMN platform_books.current_version IS 'Version of the newest snapshot; 0: none yet.';
COMMENT ON COLUMN platform_books.created_at IS 'When it was made, by the server''s clock.';
COMMENT ON COLUMN platform_books.updated_at IS 'When it last changed, by the server''s clock.';

CREATE TABLE platform_book_snapshots (
  id                text PRIMARY KEY,
  book_id           text NOT NULL REFERENCES platform_books ON DELETE CASCADE,
  version           bigint NOT NULL,
  cipher_object_key text NOT NULL,
  cipher_sha256     text NOT NULL,
  wrapped_dek       text NOT NULL,
  ledger_head       text,
  created_at        timestamptz NOT NULL DEFAULT now(),
  UNIQUE (book_id, version)
);
COMMENT ON TABLE platform_book_snapshots IS 'One saved state of a book.';
COMMENT ON COLUMN platform_book_snapshots.id IS '`snapshot_` and 32 hexadecimal digits.';
COMMENT ON COLUMN platform_book_snapshots.book_id IS 'The book.';
COMMENT ON COLUMN platform_book_snapshots.version IS 'From 1, without gaps.';
COMMENT ON COLUMN platform_book_snapshots.cipher_object_key IS 'Where the content is; `db:` and the id where it is in this row.';
COMMENT ON COLUMN platform_book_snapshots.cipher_sha256 IS 'SHA-256 of the content, in hexadecimal.';
COMMENT ON COLUMN platform_book_snapshots.wrapped_dek IS 'The key of an encrypted content; empty where it is in this row.';
COMMENT ON COLUMN platform_book_snapshots.ledger_head IS 'The head of the book''s ledger that was saved. NULL: not told.';
COMMENT ON COLUMN platform_book_snapshots.created_at IS 'When it was made, by the server''s clock.';
