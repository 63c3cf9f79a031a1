-- 0023: everything that stands before blob stages and access are flattened.
--
-- The legacy shape (blob objects, staging, references, access, folders, shares), the tables that survive, and the order
-- of the two feeds. 0024 to 0027 flatten it; nothing else has those numbers.
--
-- Run in one transaction, on an empty database.

CREATE TABLE IF NOT EXISTS schema_migrations (
  version    integer PRIMARY KEY,
  applied_at timestamptz NOT NULL
);
COMMENT ON TABLE schema_migrations IS 'The migrations that were applied. Each file writes its own row.';
COMMENT ON COLUMN schema_migrations.version IS 'The number that the file''s name begins with.';
COMMENT ON COLUMN schema_migrations.applied_at IS 'When it was applied, by the server''s clock.';

-- Who uses the service.

CREATE TABLE users (
  id           text PRIMARY KEY,
  email        text UNIQUE,
  display_name text,
  created_at   timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE users IS 'Everybody who may sign in.';
COMMENT ON COLUMN users.id IS 'Any text; may hold colons.';
COMMENT ON COLUMN users.email IS 'The user''s address. NULL: not told.';
COMMENT ON COLUMN users.display_name IS 'What the user wants to be called. NULL: not told.';
COMMENT ON COLUMN users.created_at IS 'When it was made, by the server''s clock.';

CREATE TABLE organizations (
  id         text PRIMARY KEY,
  name       text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE organizations IS 'Who users belong to.';
COMMENT ON COLUMN organizations.id IS 'Any text.';
COMMENT ON COLUMN organizations.name IS 'What people see.';
COMMENT ON COLUMN organizations.created_at IS 'When it was made, by the server''s clock.';

CREATE TABLE groups (
  id              text PRIMARY KEY,
  name            text NOT NULL,
  organization_id text NOT NULL REFERENCES organizations ON DELETE CASCADE,
  created_at      timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE groups IS 'Some users of one organization.';
COMMENT ON COLUMN groups.id IS 'Any text.';
COMMENT ON COLUMN groups.name IS 'What people see.';
COMMENT ON COLUMN groups.organization_id IS 'The organization.';
COMMENT ON COLUMN groups.created_at IS 'When it was made, by the server''s clock.';
CREATE INDEX groups_organization_idx ON groups (organization_id);

CREATE TABLE user_groups (
  user_id  text NOT NULL REFERENCES users ON DELETE CASCADE,
  group_id text NOT NULL REFERENCES groups ON DELETE CASCADE,
  PRIMARY KEY (user_id, group_id)
);
COMMENT ON TABLE user_groups IS 'One user in one group.';
COMMENT ON COLUMN user_groups.user_id IS 'The user.';
COMMENT ON COLUMN user_groups.group_id IS 'The group.';
CREATE INDEX user_groups_group_idx ON user_groups (group_id);

CREATE TABLE user_organizations (
  user_id         text NOT NULL REFERENCES users ON DELETE CASCADE,
  organization_id text NOT NULL REFERENCES organizations ON DELETE CASCADE,
  is_admin        boolean NOT NULL DEFAULT false,
  PRIMARY KEY (user_id, organization_id)
);
COMMENT ON TABLE user_organizations IS 'One user in one organization.';
COMMENT ON COLUMN user_organizations.user_id IS 'The user.';
COMMENT ON COLUMN user_organizations.organization_id IS 'The organization.';
COMMENT ON COLUMN user_organizations.is_admin IS 'Whether the user administers it.';
CREATE INDEX user_organizations_organization_idx ON user_organizations (organization_id);

CREATE TABLE user_keys (
  user_id    text PRIMARY KEY REFERENCES users ON DELETE CASCADE,
  public_key text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE user_keys IS 'The public key with which others wrap keys for a user.';
COMMENT ON COLUMN user_keys.user_id IS 'Whose key it is.';
COMMENT ON COLUMN user_keys.public_key IS 'As the user''s program wrote it; nothing here reads it.';
COMMENT ON COLUMN user_keys.created_at IS 'When it was stored, by the server''s clock.';

CREATE TABLE sessions (
  id         text PRIMARY KEY,
  user_id    text NOT NULL REFERENCES users ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  revoked_at timestamptz
);
COMMENT ON TABLE sessions IS 'Where a user is signed in.';
COMMENT ON COLUMN sessions.id IS 'The `jti` of the tokens.';
COMMENT ON COLUMN sessions.user_id IS 'Who is signed in; the `sub` of the tokens.';
COMMENT ON COLUMN sessions.created_at IS 'When it was made, by the server''s clock.';
COMMENT ON COLUMN sessions.expires_at IS 'From this time on it is none.';
COMMENT ON COLUMN sessions.revoked_at IS 'When it was ended. NULL: it was not.';
CREATE INDEX sessions_user_idx ON sessions (user_id);

-- What survives the flattening.

CREATE TABLE vfs_registry (
  id                                  text PRIMARY KEY,
  object_type                         text NOT NULL,
  owner_id                            text,
  encrypted_session_key               text,
  public_hierarchical_key             text,
  encrypted_private_hierarchical_key  text,
  metadata                            text,
  created_at                          timestamptz NOT NULL
);
COMMENT ON TABLE vfs_registry IS 'Every item: files, folders, blobs, and stages of blobs.';
COMMENT ON COLUMN vfs_registry.id IS 'Any text; of a stage, the staging id.';
COMMENT ON COLUMN vfs_registry.object_type IS 'Such as `file` or `folder`; `blob` for content, `blobStage` for a stage.';
COMMENT ON COLUMN vfs_registry.owner_id IS 'Whose it is; may name a user that is not in users. NULL: nobody''s.';
COMMENT ON COLUMN vfs_registry.encrypted_session_key IS 'The item''s key, encrypted. NULL: it has none.';
COMMENT ON COLUMN vfs_registry.public_hierarchical_key IS 'Public part of the item''s own key pair. NULL: it has none.';
COMMENT ON COLUMN vfs_registry.encrypted_private_hierarchical_key IS 'Private part, encrypted. NULL: it has none.';
COMMENT ON COLUMN vfs_registry.metadata IS 'What clients know of the item, such as its name; nothing here reads it. NULL: nothing.';
COMMENT ON COLUMN vfs_registry.created_at IS 'When it was made.';
CREATE INDEX vfs_registry_owner_idx ON vfs_registry (owner_id);
-- Whose an item is, which is asked for each row of a page: compared bytewise, since by a language's rules it takes longer.
CREATE INDEX vfs_registry_bytes_idx ON vfs_registry (id COLLATE "C") INCLUDE (owner_id);
CREATE INDEX vfs_registry_object_type_idx ON vfs_registry (object_type);

CREATE TABLE vfs_links (
  id                       text PRIMARY KEY,
  parent_id                text NOT NULL REFERENCES vfs_registry ON DELETE CASCADE,
  child_id                 text NOT NULL REFERENCES vfs_registry ON DELETE CASCADE,
  wrapped_session_key      text NOT NULL,
  wrapped_hierarchical_key text,
  visible_children         jsonb,
  position                 integer,
  created_at               timestamptz NOT NULL,
  UNIQUE (parent_id, child_id)
);
COMMENT ON TABLE vfs_links IS 'What lies in what, which blobs are attached to which items, and the state of stages (`id = parent_id`).';
COMMENT ON COLUMN vfs_links.id IS 'Any text; of a stage, the staging id.';
COMMENT ON COLUMN vfs_links.parent_id IS 'What the child lies in; of a stage, the staging id.';
COMMENT ON COLUMN vfs_links.child_id IS 'What lies there; of a stage, the blob.';
COMMENT ON COLUMN vfs_links.wrapped_session_key IS 'The child''s key, wrapped; or `blob-stage:staged`, `blob-stage:attached`, `blob-stage:abandoned`; or `blob-link:` and a relation kind.';
COMMENT ON COLUMN vfs_links.wrapped_hierarchical_key IS 'The child''s own key pair''s private part, wrapped. NULL: it has none.';
COMMENT ON COLUMN vfs_links.visible_children IS 'What is known of a stage or an attachment. NULL: nothing.';
COMMENT ON COLUMN vfs_links.position IS 'Place among the parent''s children, from 0. NULL: none.';
COMMENT ON COLUMN vfs_links.created_at IS 'When it was made.';
CREATE INDEX vfs_links_parent_idx ON vfs_links (parent_id);
CREATE INDEX vfs_links_child_idx ON vfs_links (child_id);

CREATE TABLE vfs_acl_entries (
  id                       text PRIMARY KEY,
  item_id                  text NOT NULL REFERENCES vfs_registry ON DELETE CASCADE,
  principal_type           text NOT NULL CHECK (principal_type IN ('user', 'group', 'organization')),
  principal_id             text NOT NULL,
  access_level             text NOT NULL CHECK (access_level IN ('read', 'write', 'admin')),
  wrapped_session_key      text,
  wrapped_hierarchical_key text,
  granted_by               text REFERENCES users ON DELETE RESTRICT,
  created_at               timestamptz NOT NULL,
  updated_at               timestamptz NOT NULL,
  expires_at               timestamptz,
  revoked_at               timestamptz,
  end_told_of              timestamptz,
  UNIQUE (item_id, principal_type, principal_id)
);
COMMENT ON TABLE vfs_acl_entries IS 'Who may do what with an item, besides its owner.';
COMMENT ON COLUMN vfs_acl_entries.id IS 'Any text; shares begin with `share:`, those of organizations with `org-share:`.';
COMMENT ON COLUMN vfs_acl_entries.item_id IS 'The item.';
COMMENT ON COLUMN vfs_acl_entries.principal_type IS 'What principal_id is an id of.';
COMMENT ON COLUMN vfs_acl_entries.principal_id IS 'Who may.';
COMMENT ON COLUMN vfs_acl_entries.access_level IS '`read`, `write` (and read), or `admin` (and write).';
COMMENT ON COLUMN vfs_acl_entries.wrapped_session_key IS 'The item''s key, wrapped for the principal. NULL: not yet.';
COMMENT ON COLUMN vfs_acl_entries.wrapped_hierarchical_key IS 'The item''s own key pair''s private part, wrapped. NULL: it has none.';
COMMENT ON COLUMN vfs_acl_entries.granted_by IS 'Who granted it. NULL: not known.';
COMMENT ON COLUMN vfs_acl_entries.created_at IS 'When it was made.';
COMMENT ON COLUMN vfs_acl_entries.updated_at IS 'When it last changed.';
COMMENT ON COLUMN vfs_acl_entries.expires_at IS 'From this time on it grants nothing. NULL: it does not end by itself.';
COMMENT ON COLUMN vfs_acl_entries.revoked_at IS 'When it was taken back. NULL: it was not.';
COMMENT ON COLUMN vfs_acl_entries.end_told_of IS 'The expires_at that the feeds have told of, once it had come. NULL: none.';
CREATE INDEX vfs_acl_entries_item_idx ON vfs_acl_entries (item_id);
CREATE INDEX vfs_acl_entries_principal_idx ON vfs_acl_entries (principal_type, principal_id);
CREATE INDEX vfs_acl_entries_active_idx ON vfs_acl_entries (principal_type, principal_id, revoked_at, expires_at);
CREATE INDEX vfs_acl_entries_ending_idx ON vfs_acl_entries (expires_at)
  WHERE revoked_at IS NULL AND end_told_of IS DISTINCT FROM expires_at;

-- The two feeds, and their one order. Neither feed refers to what it tells of: rows outlive the items and users.

CREATE TABLE vfs_sync_changes (
  id          text PRIMARY KEY,
  item_id     text NOT NULL,
  change_type text NOT NULL CHECK (change_type IN ('upsert', 'delete', 'acl')),
  changed_at  timestamptz NOT NULL,
  changed_by  text,
  root_id     text,
  seq         bigint NOT NULL UNIQUE
);
COMMENT ON TABLE vfs_sync_changes IS 'The feed of objects: that something about an item changed.';
COMMENT ON COLUMN vfs_sync_changes.id IS 'The second half of the row''s position; ordered bytewise.';
COMMENT ON COLUMN vfs_sync_changes.item_id IS 'The item; it may be gone.';
COMMENT ON COLUMN vfs_sync_changes.change_type IS '`upsert`, `delete`, or `acl` for who may see it.';
COMMENT ON COLUMN vfs_sync_changes.changed_at IS 'The first half of the row''s position: whole milliseconds; never falls from one row to the next.';
COMMENT ON COLUMN vfs_sync_changes.changed_by IS 'Who changed it; may be gone. NULL: not known.';
COMMENT ON COLUMN vfs_sync_changes.root_id IS 'Where the item lies. NULL: not told.';
COMMENT ON COLUMN vfs_sync_changes.seq IS 'Number of the row in the one order of both feeds.';
CREATE INDEX vfs_sync_changes_item_idx ON vfs_sync_changes (item_id);
CREATE INDEX vfs_sync_changes_root_idx ON vfs_sync_changes (root_id);
CREATE INDEX vfs_sync_changes_position_idx ON vfs_sync_changes (changed_at, id COLLATE "C");
-- What a user deleted, where it is looked for by the user: its item is gone.
CREATE INDEX vfs_sync_changes_deletion_idx ON vfs_sync_changes (changed_by COLLATE "C", changed_at, id COLLATE "C")
  WHERE change_type = 'delete';
CREATE INDEX vfs_sync_changes_item_position_idx ON vfs_sync_changes (item_id COLLATE "C", changed_at, id COLLATE "C");

CREATE TABLE vfs_crdt_ops (
  id             text PRIMARY KEY,
  item_id        text NOT NULL,
  op_type        text NOT NULL CHECK (op_type IN ('acl_add', 'acl_remove', 'link_add', 'link_remove')),
  principal_type text CHECK (principal_type IN ('user', 'group', 'organization')),
  principal_id   text,
  access_level   text CHECK (access_level IN ('read', 'write', 'admin')),
  parent_id      text,
  child_id       text,
  actor_id       text,
  source_table   text NOT NULL,
  source_id      text NOT NULL,
  occurred_at    timestamptz NOT NULL,
  seq            bigint NOT NULL UNIQUE,
  client_op_id   text,
  replica_id     text,
  write_id       bigint
);
COMMENT ON TABLE vfs_crdt_ops IS 'The feed of operations; rows are only ever added, and taken away up to the horizon.';
COMMENT ON COLUMN vfs_crdt_ops.id IS 'The second half of the row''s position; ordered bytewise. Not the id that the client gave.';
COMMENT ON COLUMN vfs_crdt_ops.item_id IS 'The item; it may be gone.';
COMMENT ON COLUMN vfs_crdt_ops.op_type IS 'What was done.';
COMMENT ON COLUMN vfs_crdt_ops.principal_type IS 'Of an operation on access. NULL: it is one on links.';
COMMENT ON COLUMN vfs_crdt_ops.principal_id IS 'Of an operation on access. NULL: it is one on links.';
COMMENT ON COLUMN vfs_crdt_ops.access_level IS 'Of an acl_add. NULL: it is none.';
COMMENT ON COLUMN vfs_crdt_ops.parent_id IS 'Of an operation on links. NULL: it is one on access.';
COMMENT ON COLUMN vfs_crdt_ops.child_id IS 'Of an operation on links, the item. NULL: it is one on access.';
COMMENT ON COLUMN vfs_crdt_ops.actor_id IS 'Who did it; may be gone. NULL: no client did.';
COMMENT ON COLUMN vfs_crdt_ops.source_table IS 'Where it comes from: `vfs_crdt_client_push`, or the table that changed.';
COMMENT ON COLUMN vfs_crdt_ops.source_id IS 'Of a push, `user:replica:write id:client''s id`; else the id of the row that changed.';
COMMENT ON COLUMN vfs_crdt_ops.occurred_at IS 'The first half of the row''s position: whole milliseconds; never falls from one row to the next.';
COMMENT ON COLUMN vfs_crdt_ops.seq IS 'Number of the row in the one order of both feeds.';
COMMENT ON COLUMN vfs_crdt_ops.client_op_id IS 'The id that the client gave. NULL: no client did it, or it is older than this column.';
COMMENT ON COLUMN vfs_crdt_ops.replica_id IS 'The client''s replica. NULL: no client did it, or it is older than this column.';
COMMENT ON COLUMN vfs_crdt_ops.write_id IS 'The replica''s number of the write, from 1. NULL: no client did it, or it is older than this column.';
CREATE INDEX vfs_crdt_ops_position_idx ON vfs_crdt_ops (occurred_at, id COLLATE "C");
CREATE INDEX vfs_crdt_ops_item_position_idx ON vfs_crdt_ops (item_id COLLATE "C", occurred_at, id COLLATE "C");
-- What a user hears of an item that was lost, where it is looked for by the user.
CREATE INDEX vfs_crdt_ops_loss_idx ON vfs_crdt_ops (principal_id COLLATE "C", occurred_at, id COLLATE "C")
  WHERE op_type = 'acl_remove' AND source_table NOT IN ('vfs_crdt_client_push', 'vfs_acl_entries_again');
CREATE UNIQUE INDEX vfs_crdt_ops_client_op_idx ON vfs_crdt_ops (actor_id COLLATE "C", client_op_id COLLATE "C") WHERE client_op_id IS NOT NULL;

CREATE TABLE vfs_crdt_replica_heads (
  actor_id     text NOT NULL,
  replica_id   text NOT NULL,
  max_write_id bigint NOT NULL CHECK (max_write_id > 0),
  updated_at   timestamptz NOT NULL,
  PRIMARY KEY (actor_id, replica_id)
);
COMMENT ON TABLE vfs_crdt_replica_heads IS 'The newest write of each replica.';
COMMENT ON COLUMN vfs_crdt_replica_heads.actor_id IS 'The user.';
COMMENT ON COLUMN vfs_crdt_replica_heads.replica_id IS 'The replica.';
COMMENT ON COLUMN vfs_crdt_replica_heads.max_write_id IS 'The highest number that was applied.';
COMMENT ON COLUMN vfs_crdt_replica_heads.updated_at IS 'When it last rose, by the server''s clock.';

CREATE TABLE vfs_sync_client_state (
  user_id                   text NOT NULL REFERENCES users ON DELETE CASCADE,
  client_id                 text NOT NULL,
  last_reconciled_at        timestamptz NOT NULL,
  last_reconciled_change_id text NOT NULL,
  last_reconciled_write_ids jsonb NOT NULL DEFAULT '{}',
  updated_at                timestamptz NOT NULL,
  PRIMARY KEY (user_id, client_id)
);
COMMENT ON TABLE vfs_sync_client_state IS 'How far each client says that it has come.';
COMMENT ON COLUMN vfs_sync_client_state.user_id IS 'The user.';
COMMENT ON COLUMN vfs_sync_client_state.client_id IS 'The client in the feed of objects; with `crdt:` in front, in the feed of operations.';
COMMENT ON COLUMN vfs_sync_client_state.last_reconciled_at IS 'First half of the position that it has come to; never falls.';
COMMENT ON COLUMN vfs_sync_client_state.last_reconciled_change_id IS 'Second half of that position.';
COMMENT ON COLUMN vfs_sync_client_state.last_reconciled_write_ids IS 'Newest write of each replica that it has seen: an object of positive whole numbers.';
COMMENT ON COLUMN vfs_sync_client_state.updated_at IS 'When it last said so, by the server''s clock.';
CREATE INDEX vfs_sync_client_state_user_idx ON vfs_sync_client_state (user_id);

CREATE TABLE vfs_feed_head (
  single  boolean PRIMARY KEY DEFAULT true CHECK (single),
  epoch integer NOT NULL CHECK (epoch BETWEEN 1 AND 9999),
  seq   bigint NOT NULL CHECK (seq BETWEEN 0 AND 9999999999999999),
  at    timestamptz NOT NULL
);
COMMENT ON TABLE vfs_feed_head IS 'The newest position of both feeds. One row; who writes a feed holds its lock until the commit.';
COMMENT ON COLUMN vfs_feed_head.single IS 'Always true: there is one row.';
COMMENT ON COLUMN vfs_feed_head.epoch IS 'Rises with every restore, so that no position is given twice.';
COMMENT ON COLUMN vfs_feed_head.seq IS 'Number of the newest row; 0: none yet.';
COMMENT ON COLUMN vfs_feed_head.at IS 'Time of the newest row: whole milliseconds; never falls.';

CREATE TABLE vfs_feed_epochs (
  epoch           integer PRIMARY KEY,
  began_after_seq bigint NOT NULL,
  started_at      timestamptz NOT NULL,
  reason          text NOT NULL
);
COMMENT ON TABLE vfs_feed_epochs IS 'Every epoch of the feeds.';
COMMENT ON COLUMN vfs_feed_epochs.epoch IS 'The epoch.';
COMMENT ON COLUMN vfs_feed_epochs.began_after_seq IS 'The newest number when it began; what clients have seen of earlier epochs beyond it is gone.';
COMMENT ON COLUMN vfs_feed_epochs.started_at IS 'When it began, by the server''s clock.';
COMMENT ON COLUMN vfs_feed_epochs.reason IS 'Why it began.';

CREATE TABLE vfs_crdt_horizon (
  single boolean PRIMARY KEY DEFAULT true CHECK (single),
  seq  bigint NOT NULL CHECK (seq >= 0),
  at   timestamptz NOT NULL
);
COMMENT ON TABLE vfs_crdt_horizon IS 'Up to where operations may have been compacted away. One row.';
COMMENT ON COLUMN vfs_crdt_horizon.single IS 'Always true: there is one row.';
COMMENT ON COLUMN vfs_crdt_horizon.seq IS 'Operations up to this number may be gone; 0: none are.';
COMMENT ON COLUMN vfs_crdt_horizon.at IS 'When it last moved, by the server''s clock.';

-- What the instances share.

CREATE TABLE vfs_freeze (
  single         boolean PRIMARY KEY DEFAULT true CHECK (single),
  epoch        bigint NOT NULL,
  frozen_until timestamptz,
  reason       text,
  actor        text
);
COMMENT ON TABLE vfs_freeze IS 'Whether writes are refused. One row; who writes holds advisory lock 7337001 shared, who changes this row exclusively.';
COMMENT ON COLUMN vfs_freeze.single IS 'Always true: there is one row.';
COMMENT ON COLUMN vfs_freeze.epoch IS 'Rises with every change of this row.';
COMMENT ON COLUMN vfs_freeze.frozen_until IS 'Until when writes are refused. NULL: they are not.';
COMMENT ON COLUMN vfs_freeze.reason IS 'Why. NULL: they are not refused, or nobody said.';
COMMENT ON COLUMN vfs_freeze.actor IS 'Who froze or thawed. NULL: nobody yet.';

CREATE TABLE vfs_instances (
  instance                text PRIMARY KEY,
  version                 text NOT NULL,
  highest_migration_known integer NOT NULL,
  freeze_epoch_seen       bigint NOT NULL,
  feed_epoch_seen         integer NOT NULL,
  seen_at                 timestamptz NOT NULL,
  missing_table_errors    bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE vfs_instances IS 'The running servers.';
COMMENT ON COLUMN vfs_instances.instance IS 'What the instance calls itself; another one for every start.';
COMMENT ON COLUMN vfs_instances.version IS 'Version of the program.';
COMMENT ON COLUMN vfs_instances.highest_migration_known IS 'The highest schema version that this program works with.';
COMMENT ON COLUMN vfs_instances.freeze_epoch_seen IS 'The epoch of vfs_freeze that it works by.';
COMMENT ON COLUMN vfs_instances.feed_epoch_seen IS 'The epoch of the feeds that it works by.';
COMMENT ON COLUMN vfs_instances.seen_at IS 'When it last said so, by the server''s clock.';
COMMENT ON COLUMN vfs_instances.missing_table_errors IS 'Requests since its start that failed because its SQL named a table that is not there.';

-- What is flattened, and what is retired later.

CREATE TABLE vfs_blob_objects (
  id          text PRIMARY KEY,
  sha256      text NOT NULL,
  size_bytes  integer NOT NULL,
  storage_key text NOT NULL UNIQUE,
  created_by  text NOT NULL REFERENCES users ON DELETE RESTRICT,
  created_at  timestamptz NOT NULL
);
COMMENT ON TABLE vfs_blob_objects IS 'Legacy: content in the object store. Becomes items of type `blob`.';
COMMENT ON COLUMN vfs_blob_objects.id IS 'The blob''s id.';
COMMENT ON COLUMN vfs_blob_objects.sha256 IS 'SHA-256 of the content, in hexadecimal.';
COMMENT ON COLUMN vfs_blob_objects.size_bytes IS 'Length of the content in bytes.';
COMMENT ON COLUMN vfs_blob_objects.storage_key IS 'Where it lies in the object store.';
COMMENT ON COLUMN vfs_blob_objects.created_by IS 'Who made it.';
COMMENT ON COLUMN vfs_blob_objects.created_at IS 'When it was made.';
CREATE INDEX vfs_blob_objects_sha256_idx ON vfs_blob_objects (sha256);

CREATE TABLE vfs_blob_staging (
  id               text PRIMARY KEY,
  blob_id          text NOT NULL REFERENCES vfs_blob_objects ON DELETE CASCADE,
  staged_by        text NOT NULL REFERENCES users ON DELETE CASCADE,
  status           text NOT NULL CHECK (status IN ('staged', 'attached', 'abandoned')),
  staged_at        timestamptz NOT NULL,
  attached_at      timestamptz,
  expires_at       timestamptz NOT NULL,
  attached_item_id text REFERENCES vfs_registry ON DELETE SET NULL
);
COMMENT ON TABLE vfs_blob_staging IS 'Legacy: blobs on their way to an item. Becomes items of type `blobStage` with a link to the blob.';
COMMENT ON COLUMN vfs_blob_staging.id IS 'The staging id.';
COMMENT ON COLUMN vfs_blob_staging.blob_id IS 'The blob.';
COMMENT ON COLUMN vfs_blob_staging.staged_by IS 'Whose stage it is.';
COMMENT ON COLUMN vfs_blob_staging.status IS '`staged`, or for ever `attached` or `abandoned`.';
COMMENT ON COLUMN vfs_blob_staging.staged_at IS 'When it was made.';
COMMENT ON COLUMN vfs_blob_staging.attached_at IS 'When it was attached. NULL: it was not.';
COMMENT ON COLUMN vfs_blob_staging.expires_at IS 'From this time on it cannot be attached.';
COMMENT ON COLUMN vfs_blob_staging.attached_item_id IS 'What it was attached to. NULL: nothing, or that is gone.';
CREATE INDEX vfs_blob_staging_status_idx ON vfs_blob_staging (status);
CREATE INDEX vfs_blob_staging_expires_idx ON vfs_blob_staging (expires_at);
CREATE INDEX vfs_blob_staging_staged_by_idx ON vfs_blob_staging (staged_by);
CREATE INDEX vfs_blob_staging_attached_item_idx ON vfs_blob_staging (attached_item_id);

CREATE TABLE vfs_blob_refs (
  id            text PRIMARY KEY,
  blob_id       text NOT NULL REFERENCES vfs_blob_objects ON DELETE CASCADE,
  item_id       text NOT NULL REFERENCES vfs_registry ON DELETE CASCADE,
  relation_kind text NOT NULL CHECK (relation_kind IN ('file', 'emailAttachment', 'photo', 'other')),
  attached_by   text NOT NULL REFERENCES users ON DELETE RESTRICT,
  attached_at   timestamptz NOT NULL,
  UNIQUE (blob_id, item_id, relation_kind)
);
COMMENT ON TABLE vfs_blob_refs IS 'Legacy: blobs that are attached to items. Becomes links tagged `blob-link:` and the kind, one for each item and blob.';
COMMENT ON COLUMN vfs_blob_refs.id IS 'Any text; becomes the link''s id.';
COMMENT ON COLUMN vfs_blob_refs.blob_id IS 'The blob.';
COMMENT ON COLUMN vfs_blob_refs.item_id IS 'The item.';
COMMENT ON COLUMN vfs_blob_refs.relation_kind IS 'What the blob is to the item.';
COMMENT ON COLUMN vfs_blob_refs.attached_by IS 'Who attached it.';
COMMENT ON COLUMN vfs_blob_refs.attached_at IS 'When it was attached.';
CREATE INDEX vfs_blob_refs_item_idx ON vfs_blob_refs (item_id);
CREATE INDEX vfs_blob_refs_blob_idx ON vfs_blob_refs (blob_id);

CREATE TABLE vfs_access (
  item_id                  text NOT NULL REFERENCES vfs_registry ON DELETE CASCADE,
  user_id                  text NOT NULL REFERENCES users ON DELETE CASCADE,
  wrapped_session_key      text NOT NULL,
  wrapped_hierarchical_key text,
  permission_level         text NOT NULL CHECK (permission_level IN ('read', 'write', 'admin')),
  granted_by               text REFERENCES users ON DELETE RESTRICT,
  granted_at               timestamptz NOT NULL,
  expires_at               timestamptz,
  PRIMARY KEY (item_id, user_id)
);
COMMENT ON TABLE vfs_access IS 'Legacy: what a user may do with an item. The entries of vfs_acl_entries have taken its place.';
COMMENT ON COLUMN vfs_access.item_id IS 'The item.';
COMMENT ON COLUMN vfs_access.user_id IS 'The user.';
COMMENT ON COLUMN vfs_access.wrapped_session_key IS 'The item''s key, wrapped for the user.';
COMMENT ON COLUMN vfs_access.wrapped_hierarchical_key IS 'The item''s own key pair''s private part, wrapped. NULL: it has none.';
COMMENT ON COLUMN vfs_access.permission_level IS '`read`, `write` (and read), or `admin` (and write).';
COMMENT ON COLUMN vfs_access.granted_by IS 'Who granted it. NULL: not known.';
COMMENT ON COLUMN vfs_access.granted_at IS 'When it was granted.';
COMMENT ON COLUMN vfs_access.expires_at IS 'From this time on it grants nothing. NULL: it does not end by itself.';
CREATE INDEX vfs_access_user_idx ON vfs_access (user_id);
CREATE INDEX vfs_access_item_idx ON vfs_access (item_id);

CREATE TABLE vfs_folders (
  id             text PRIMARY KEY REFERENCES vfs_registry ON DELETE CASCADE,
  encrypted_name text,
  icon           text,
  view_mode      text,
  default_sort   text,
  sort_direction text
);
COMMENT ON TABLE vfs_folders IS 'Legacy, and not touched by 0024 to 0027: how folders look.';
COMMENT ON COLUMN vfs_folders.id IS 'The item.';
COMMENT ON COLUMN vfs_folders.encrypted_name IS 'Its name, encrypted. NULL: none.';
COMMENT ON COLUMN vfs_folders.icon IS 'Its picture. NULL: the usual one.';
COMMENT ON COLUMN vfs_folders.view_mode IS 'How its children are shown. NULL: as usual.';
COMMENT ON COLUMN vfs_folders.default_sort IS 'What they are sorted by. NULL: as usual.';
COMMENT ON COLUMN vfs_folders.sort_direction IS '`asc` or `desc`. NULL: as usual.';

CREATE TABLE vfs_shares (
  id                  text PRIMARY KEY,
  item_id             text NOT NULL REFERENCES vfs_registry ON DELETE CASCADE,
  share_type          text NOT NULL CHECK (share_type IN ('user', 'group', 'organization')),
  target_id           text NOT NULL,
  permission_level    text NOT NULL CHECK (permission_level IN ('view', 'edit', 'download')),
  wrapped_session_key text,
  created_by          text NOT NULL REFERENCES users ON DELETE RESTRICT,
  created_at          timestamptz NOT NULL,
  expires_at          timestamptz
);
COMMENT ON TABLE vfs_shares IS 'Legacy, and not touched by 0024 to 0027: items that are shared.';
COMMENT ON COLUMN vfs_shares.id IS 'Any text.';
COMMENT ON COLUMN vfs_shares.item_id IS 'The item.';
COMMENT ON COLUMN vfs_shares.share_type IS 'What target_id is an id of.';
COMMENT ON COLUMN vfs_shares.target_id IS 'Whom it is shared with.';
COMMENT ON COLUMN vfs_shares.permission_level IS '`edit` allows writing; `view` and `download` allow reading.';
COMMENT ON COLUMN vfs_shares.wrapped_session_key IS 'The item''s key, wrapped for them. NULL: not yet.';
COMMENT ON COLUMN vfs_shares.created_by IS 'Who shared it.';
COMMENT ON COLUMN vfs_shares.created_at IS 'When it was shared.';
COMMENT ON COLUMN vfs_shares.expires_at IS 'From this time on it grants nothing. NULL: it does not end by itself.';
CREATE INDEX vfs_shares_item_idx ON vfs_shares (item_id);
CREATE INDEX vfs_shares_target_idx ON vfs_shares (target_id);

CREATE TABLE org_shares (
  id                  text PRIMARY KEY,
  source_org_id       text NOT NULL REFERENCES organizations ON DELETE CASCADE,
  target_org_id       text NOT NULL REFERENCES organizations ON DELETE CASCADE,
  item_id             text NOT NULL REFERENCES vfs_registry ON DELETE CASCADE,
  permission_level    text NOT NULL CHECK (permission_level IN ('view', 'edit', 'download')),
  wrapped_session_key text,
  created_by          text NOT NULL REFERENCES users ON DELETE RESTRICT,
  created_at          timestamptz NOT NULL,
  expires_at          timestamptz
);
COMMENT ON TABLE org_shares IS 'Legacy, and not touched by 0024 to 0027: items that one organization shares with another.';
COMMENT ON COLUMN org_shares.id IS 'Any text.';
COMMENT ON COLUMN org_shares.source_org_id IS 'Which organization shares it.';
COMMENT ON COLUMN org_shares.target_org_id IS 'With which.';
COMMENT ON COLUMN org_shares.item_id IS 'The item.';
COMMENT ON COLUMN org_shares.permission_level IS '`edit` allows writing; `view` and `download` allow reading.';
COMMENT ON COLUMN org_shares.wrapped_session_key IS 'The item''s key, wrapped for them. NULL: not yet.';
COMMENT ON COLUMN org_shares.created_by IS 'Who shared it.';
COMMENT ON COLUMN org_shares.created_at IS 'When it was shared.';
COMMENT ON COLUMN org_shares.expires_at IS 'From this time on it grants nothing. NULL: it does not end by itself.';
CREATE INDEX org_shares_item_idx ON org_shares (item_id);

-- What the flattening keeps in mind.

CREATE TABLE vfs_blob_ref_choices (
  blob_id       text NOT NULL,
  item_id       text NOT NULL,
  relation_kind text NOT NULL CHECK (relation_kind IN ('file', 'emailAttachment', 'photo', 'other')),
  chosen_by     text NOT NULL,
  reason        text NOT NULL,
  chosen_at     timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (blob_id, item_id)
);
COMMENT ON TABLE vfs_blob_ref_choices IS 'Which kind stays where a blob was attached to an item as several kinds: a link has one.';
COMMENT ON COLUMN vfs_blob_ref_choices.blob_id IS 'The blob.';
COMMENT ON COLUMN vfs_blob_ref_choices.item_id IS 'The item.';
COMMENT ON COLUMN vfs_blob_ref_choices.relation_kind IS 'The kind that stays.';
COMMENT ON COLUMN vfs_blob_ref_choices.chosen_by IS 'The person who chose.';
COMMENT ON COLUMN vfs_blob_ref_choices.reason IS 'Why.';
COMMENT ON COLUMN vfs_blob_ref_choices.chosen_at IS 'When, by the server''s clock.';

CREATE TABLE vfs_legacy_writes (
  table_name text PRIMARY KEY,
  since      timestamptz NOT NULL,
  writes     bigint NOT NULL,
  newest_at  timestamptz
);
COMMENT ON TABLE vfs_legacy_writes IS 'Writes to the legacy tables since 0024 read them; any stops 0025 to 0027. No row before 0024.';
COMMENT ON COLUMN vfs_legacy_writes.table_name IS 'The legacy table.';
COMMENT ON COLUMN vfs_legacy_writes.since IS 'When 0024 read it, by the server''s clock.';
COMMENT ON COLUMN vfs_legacy_writes.writes IS 'Rows that were written or deleted since, but for those that went with their item, blob or user.';
COMMENT ON COLUMN vfs_legacy_writes.newest_at IS 'When the newest of them was. NULL: there is none.';

CREATE FUNCTION vfs_legacy_note_write() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  -- Deeper, it is a foreign key at work: the row goes with what it hangs on.
  IF pg_trigger_depth() = 1 THEN
    UPDATE vfs_legacy_writes SET writes = writes + 1, newest_at = clock_timestamp() WHERE table_name = TG_TABLE_NAME;
  END IF;
  IF TG_OP = 'DELETE' THEN
    RETURN OLD;
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION vfs_legacy_note_write() IS 'Counts a write to a legacy table; 0024 puts it on them.';

CREATE TABLE vfs_client_guardrails (
  user_id          text NOT NULL REFERENCES users ON DELETE CASCADE,
  signature        text NOT NULL,
  violations       bigint NOT NULL CHECK (violations > 0),
  newest_client_id text NOT NULL,
  newest_at        timestamptz NOT NULL,
  PRIMARY KEY (user_id, signature)
);
COMMENT ON TABLE vfs_client_guardrails IS 'Guardrails that clients say were broken: what a server told them was not to be believed.';
COMMENT ON COLUMN vfs_client_guardrails.user_id IS 'Whose clients.';
COMMENT ON COLUMN vfs_client_guardrails.signature IS 'Stage and code, such as `pull:pullCursorRegression`.';
COMMENT ON COLUMN vfs_client_guardrails.violations IS 'How often, over all clients of the user and all time.';
COMMENT ON COLUMN vfs_client_guardrails.newest_client_id IS 'The client that said so last.';
COMMENT ON COLUMN vfs_client_guardrails.newest_at IS 'When it did, by the server''s clock.';

CREATE TABLE vfs_client_state_marks (
  user_id                   text NOT NULL,
  client_id                 text NOT NULL,
  last_reconciled_at        timestamptz NOT NULL,
  last_reconciled_change_id text NOT NULL,
  last_reconciled_write_ids jsonb NOT NULL,
  PRIMARY KEY (user_id, client_id)
);
COMMENT ON TABLE vfs_client_state_marks IS 'How far each client had come right before the flattening: nobody may ever be behind that.';
COMMENT ON COLUMN vfs_client_state_marks.user_id IS 'The user.';
COMMENT ON COLUMN vfs_client_state_marks.client_id IS 'As in vfs_sync_client_state.';
COMMENT ON COLUMN vfs_client_state_marks.last_reconciled_at IS 'First half of the position.';
COMMENT ON COLUMN vfs_client_state_marks.last_reconciled_change_id IS 'Second half of the position.';
COMMENT ON COLUMN vfs_client_state_marks.last_reconciled_write_ids IS 'Newest write of each replica.';

CREATE FUNCTION vfs_client_state_regressions()
RETURNS TABLE (user_id text, client_id text, what text, was text, became text)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT mark.user_id, mark.client_id, 'cursor' AS text,
         mark.last_reconciled_at || ' ' || mark.last_reconciled_change_id,
         state.last_reconciled_at || ' ' || state.last_reconciled_change_id
  FROM vfs_client_state_marks AS mark
  JOIN vfs_sync_client_state AS state USING (user_id, client_id)
  WHERE (state.last_reconciled_at, state.last_reconciled_change_id COLLATE "C")
        < (mark.last_reconciled_at, mark.last_reconciled_change_id COLLATE "C")
  UNION ALL
  SELECT mark.user_id, mark.client_id, 'write id of ' || old.key, old.value, state.last_reconciled_write_ids ->> old.key
  FROM vfs_client_state_marks AS mark
  JOIN vfs_sync_client_state AS state USING (user_id, client_id)
  CROSS JOIN LATERAL jsonb_each_text(
    CASE jsonb_typeof(mark.last_reconciled_write_ids) WHEN 'object' THEN mark.last_reconciled_write_ids ELSE '{}' END
  ) AS old
  WHERE old.value ~ '^[0-9]{1,18}$'
    AND (jsonb_typeof(state.last_reconciled_write_ids) <> 'object'
         OR coalesce(state.last_reconciled_write_ids ->> old.key, '') !~ '^[0-9]{1,18}$'
         OR (state.last_reconciled_write_ids ->> old.key)::bigint < old.value::bigint)
  UNION ALL
  SELECT mark.user_id, mark.client_id, 'state' AS text, 'there' AS text, NULL AS text
  FROM vfs_client_state_marks AS mark
  LEFT JOIN vfs_sync_client_state AS state USING (user_id, client_id)
  WHERE state.user_id IS NULL AND EXISTS (SELECT FROM users WHERE users.id = mark.user_id);
END;
COMMENT ON FUNCTION vfs_client_state_regressions() IS 'Clients that are behind their mark, or have lost a write that they had seen.';

CREATE FUNCTION vfs_instances_too_old(needed integer) RETURNS SETOF vfs_instances
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT * FROM vfs_instances
  WHERE highest_migration_known < needed AND seen_at > clock_timestamp() - interval '1 minute';
END;
COMMENT ON FUNCTION vfs_instances_too_old(integer) IS 'Running servers that do not know a migration; who was silent for a minute is gone.';

-- What is under way between the registry and the object store, which no transaction covers both of.

CREATE TABLE vfs_blob_marks (
  blob_id   text PRIMARY KEY,
  mark      text NOT NULL CHECK (mark IN ('storing', 'deleting', 'deleted')),
  owner_id  text,
  marked_at timestamptz NOT NULL
);
COMMENT ON TABLE vfs_blob_marks IS 'Blobs whose object is being written or deleted, and those that were deleted, so that a repeated request is told the same.';
COMMENT ON COLUMN vfs_blob_marks.blob_id IS 'The blob; its row in the registry may not exist yet, or no longer.';
COMMENT ON COLUMN vfs_blob_marks.mark IS '`storing`: the object is being written and the row is not there yet. `deleting`: the object goes, then the row. `deleted`: both are gone.';
COMMENT ON COLUMN vfs_blob_marks.owner_id IS 'For whom. NULL: for an operator.';
COMMENT ON COLUMN vfs_blob_marks.marked_at IS 'When, by the server''s clock.';
CREATE INDEX vfs_blob_marks_mark_idx ON vfs_blob_marks (mark, marked_at);

CREATE TABLE vfs_blob_removals (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  blob_id    text NOT NULL,
  kind       text NOT NULL CHECK (kind IN ('metadata', 'object', 'deleting')),
  actor      text NOT NULL,
  reason     text NOT NULL,
  removed_at timestamptz NOT NULL
);
COMMENT ON TABLE vfs_blob_removals IS 'Orphans that an operator removed. Rows are only ever added.';
COMMENT ON COLUMN vfs_blob_removals.id IS 'In the order of removal.';
COMMENT ON COLUMN vfs_blob_removals.blob_id IS 'The blob.';
COMMENT ON COLUMN vfs_blob_removals.kind IS '`metadata` without an object, `object` without metadata, or the rest of a `deleting` that was interrupted.';
COMMENT ON COLUMN vfs_blob_removals.actor IS 'Who removed it, as they named themselves.';
COMMENT ON COLUMN vfs_blob_removals.reason IS 'Why, as they put it.';
COMMENT ON COLUMN vfs_blob_removals.removed_at IS 'When, by the server''s clock.';

-- What stands in the legacy tables only is nobody else's to take.

CREATE FUNCTION vfs_legacy_guard() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
  wanted CONSTANT text := to_jsonb(NEW) ->> TG_ARGV[0];
BEGIN
  -- From 24 on every one of them stands in the registry, and the legacy tables may be gone.
  IF EXISTS (SELECT FROM schema_migrations WHERE version > 23)
     OR coalesce(current_setting('vfs.flattening', true), '') = 'on' THEN
    RETURN NEW;
  END IF;
  IF (EXISTS (SELECT FROM vfs_blob_objects WHERE id = wanted) OR EXISTS (SELECT FROM vfs_blob_staging WHERE id = wanted))
     AND NOT EXISTS (SELECT FROM vfs_registry WHERE id = wanted) THEN
    RAISE EXCEPTION 'id % belongs to a blob or a stage that is not flattened yet', wanted USING ERRCODE = 'VF023';
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION vfs_legacy_guard() IS 'Before 24, refuses ids that stand in the legacy tables and not in the registry, but for 24 itself.';
CREATE TRIGGER vfs_legacy_guard BEFORE INSERT ON vfs_registry
  FOR EACH ROW EXECUTE FUNCTION vfs_legacy_guard('id');
CREATE TRIGGER vfs_legacy_guard BEFORE INSERT ON vfs_blob_marks
  FOR EACH ROW EXECUTE FUNCTION vfs_legacy_guard('blob_id');

-- The order of the feeds.

CREATE FUNCTION vfs_position_id(epoch integer, seq bigint) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN lpad(epoch::text, 4, '0') || '-' || lpad(seq::text, 16, '0');
COMMENT ON FUNCTION vfs_position_id(integer, bigint) IS 'The id of a row of a feed: of fixed width, so that its bytes are in the order of epoch and number.';

CREATE FUNCTION vfs_feed_advance(n integer) RETURNS TABLE (epoch integer, first_seq bigint, at timestamptz)
LANGUAGE plpgsql AS $$
BEGIN
  IF n IS NULL OR n < 1 THEN
    RAISE EXCEPTION 'vfs_feed_advance needs at least one row, not %', n USING ERRCODE = '22023';
  END IF;
  RETURN QUERY
    UPDATE vfs_feed_head AS head
    SET seq = head.seq + n,
        at = greatest(head.at, date_trunc('milliseconds', clock_timestamp()))
    RETURNING head.epoch, head.seq - n + 1, head.at;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'vfs_feed_head is empty';
  END IF;
  -- The same words each time, so that a transaction tells once, when it is committed.
  PERFORM pg_notify('vfs_feed', '');
END
$$;
COMMENT ON FUNCTION vfs_feed_advance(integer) IS 'Takes the next n numbers, and locks the head until the commit: rows become visible in the order of their numbers.';

CREATE TYPE vfs_feed_entry AS (
  feed           text,
  item_id        text,
  kind           text,
  by_id          text,
  root_id        text,
  principal_type text,
  principal_id   text,
  access_level   text,
  parent_id      text,
  child_id       text,
  source_table   text,
  source_id      text
);
COMMENT ON TYPE vfs_feed_entry IS 'A row for one of the feeds, `op` or `change`, that has no position yet.';

CREATE FUNCTION vfs_feed_append(entries vfs_feed_entry[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  head record;
BEGIN
  IF entries IS NULL OR cardinality(entries) = 0 THEN
    RETURN;
  END IF;
  SELECT * INTO head FROM vfs_feed_advance(cardinality(entries));
  INSERT INTO vfs_crdt_ops
    (id, item_id, op_type, principal_type, principal_id, access_level, parent_id, child_id, actor_id, source_table,
     source_id, occurred_at, seq)
  SELECT vfs_position_id(head.epoch, head.first_seq + n - 1), item_id, kind, principal_type, principal_id, access_level,
         parent_id, child_id, by_id, source_table, source_id, head.at, head.first_seq + n - 1
  FROM unnest(entries) WITH ORDINALITY AS entry
    (feed, item_id, kind, by_id, root_id, principal_type, principal_id, access_level, parent_id, child_id,
     source_table, source_id, n)
  WHERE feed = 'op';
  INSERT INTO vfs_sync_changes (id, item_id, change_type, changed_at, changed_by, root_id, seq)
  SELECT vfs_position_id(head.epoch, head.first_seq + n - 1), item_id, kind, head.at, by_id, root_id,
         head.first_seq + n - 1
  FROM unnest(entries) WITH ORDINALITY AS entry
    (feed, item_id, kind, by_id, root_id, principal_type, principal_id, access_level, parent_id, child_id,
     source_table, source_id, n)
  WHERE feed = 'change';
END
$$;
COMMENT ON FUNCTION vfs_feed_append(vfs_feed_entry[]) IS 'Writes rows to the feeds, in the order of the array, at the next positions.';

CREATE FUNCTION vfs_emit_sync_change(item text, type text, by text, root text) RETURNS void
LANGUAGE sql
RETURN vfs_feed_append(ARRAY[ROW('change', item, type, by, root, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::vfs_feed_entry]);
COMMENT ON FUNCTION vfs_emit_sync_change(text, text, text, text) IS 'Writes one row to the feed of objects, at the next position.';

CREATE FUNCTION vfs_merge_reconciled_write_ids(base jsonb, incoming jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
  SELECT coalesce(jsonb_object_agg(replica, newest), '{}')
  FROM (
    SELECT key AS replica, max(value::numeric) AS newest
    FROM (SELECT * FROM jsonb_each_text(coalesce(base, '{}'))
          UNION ALL SELECT * FROM jsonb_each_text(coalesce(incoming, '{}'))) AS both_sides
    WHERE value ~ '^0*[1-9][0-9]{0,15}$'
    GROUP BY key
  ) AS merged
);
COMMENT ON FUNCTION vfs_merge_reconciled_write_ids(jsonb, jsonb) IS 'The newest write of each replica of either side; what is no positive whole number is left out. Refuses what is no object.';

-- What changes in the tables reaches the feeds. By statement, so that the head moves once for many rows.

CREATE FUNCTION vfs_registry_emit() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM vfs_feed_append((
    SELECT array_agg(
      ROW('change', id, CASE TG_OP WHEN 'DELETE' THEN 'delete' ELSE 'upsert' END, owner_id,
          NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::vfs_feed_entry
      ORDER BY id COLLATE "C")
    FROM changed WHERE object_type <> 'blobStage'));
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION vfs_registry_emit() IS 'An item was made, changed or deleted. A stage is nobody''s tree, and tells nothing.';
CREATE TRIGGER vfs_registry_emit_insert AFTER INSERT ON vfs_registry
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION vfs_registry_emit();
CREATE TRIGGER vfs_registry_emit_update AFTER UPDATE ON vfs_registry
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION vfs_registry_emit();
CREATE TRIGGER vfs_registry_emit_delete AFTER DELETE ON vfs_registry
  REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION vfs_registry_emit();

CREATE FUNCTION vfs_links_emit() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM vfs_feed_append((
    SELECT array_agg(entry ORDER BY changed.id COLLATE "C", n)
    FROM changed, LATERAL (VALUES
      (1, ROW('op', child_id, CASE TG_OP WHEN 'DELETE' THEN 'link_remove' ELSE 'link_add' END, NULL, NULL, NULL, NULL,
              NULL, parent_id, child_id, 'vfs_links', changed.id)::vfs_feed_entry),
      (2, ROW('change', child_id, 'upsert', NULL, parent_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::vfs_feed_entry)
    ) AS entries (n, entry)
    WHERE changed.id <> changed.parent_id
      AND (n = 1 OR EXISTS (SELECT FROM vfs_registry AS child WHERE child.id = child_id))));
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION vfs_links_emit() IS 'A link was made or deleted. The link of a stage tells nothing; an item that goes with its links is not told to have changed.';
CREATE TRIGGER vfs_links_emit_insert AFTER INSERT ON vfs_links
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION vfs_links_emit();
CREATE TRIGGER vfs_links_emit_delete AFTER DELETE ON vfs_links
  REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION vfs_links_emit();

CREATE FUNCTION vfs_links_told(item text) RETURNS TABLE (parent text, op_type text)
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN QUERY
    SELECT DISTINCT ON (op.parent_id) op.parent_id, op.op_type
    FROM vfs_crdt_ops AS op
    WHERE op.item_id COLLATE "C" = item AND op.op_type IN ('link_add', 'link_remove')
    ORDER BY op.parent_id, op.seq DESC;
END
$$;
COMMENT ON FUNCTION vfs_links_told(text) IS 'The last word of the feed about each parent that an item ever lay in, from the table of links or from clients.';

CREATE FUNCTION vfs_acl_told(item text)
RETURNS TABLE (principal_type text, principal_id text, op_type text, access_level text)
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN QUERY
    SELECT DISTINCT ON (op.principal_type, op.principal_id)
           op.principal_type, op.principal_id, op.op_type, op.access_level
    FROM vfs_crdt_ops AS op
    WHERE op.item_id COLLATE "C" = item AND op.op_type IN ('acl_add', 'acl_remove')
    ORDER BY op.principal_type, op.principal_id, op.seq DESC;
END
$$;
COMMENT ON FUNCTION vfs_acl_told(text) IS 'The last word of the feed about each principal that ever had access to an item.';

CREATE FUNCTION vfs_acl_grants(entries vfs_acl_entries[], is_new boolean) RETURNS SETOF vfs_feed_entry
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT (told.entry).*
  FROM (
    SELECT granted.id, 1 AS n, NULL::text AS link,
           ROW('op', granted.item_id, 'acl_add', granted.granted_by, NULL, granted.principal_type, granted.principal_id,
               granted.access_level, NULL, NULL, 'vfs_acl_entries', granted.id)::vfs_feed_entry AS entry
    FROM unnest(entries) AS granted
    UNION ALL
    SELECT granted.id, 2, link.parent,
           ROW('op', granted.item_id, link.op_type, NULL, NULL, NULL, NULL, NULL, link.parent, granted.item_id,
               'vfs_acl_entries', granted.id)::vfs_feed_entry
    FROM unnest(entries) AS granted CROSS JOIN LATERAL vfs_links_told(granted.item_id) AS link
    WHERE is_new
    UNION ALL
    SELECT granted.id, 3, other.principal_type || ' ' || other.principal_id,
           ROW('op', granted.item_id, other.op_type, NULL, NULL, other.principal_type, other.principal_id,
               other.access_level, NULL, NULL, 'vfs_acl_entries_again', granted.id)::vfs_feed_entry
    FROM unnest(entries) AS granted CROSS JOIN LATERAL vfs_acl_told(granted.item_id) AS other
    WHERE is_new AND NOT EXISTS (
      SELECT FROM unnest(entries) AS same
      WHERE (same.item_id, same.principal_type, same.principal_id)
            = (granted.item_id, other.principal_type, other.principal_id))
    UNION ALL
    SELECT granted.id, 4, NULL AS text,
           ROW('change', granted.item_id, 'acl', granted.granted_by, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
               NULL)::vfs_feed_entry
    FROM unnest(entries) AS granted
  ) AS told
  ORDER BY told.id COLLATE "C", told.n, told.link COLLATE "C";
END;
COMMENT ON FUNCTION vfs_acl_grants(vfs_acl_entries[], boolean) IS 'What is told when access is granted: that; if it is new, where the item lies and where no more, and who else has access and who no more, which may have been told before or while nobody told the principal; and that it changed.';

CREATE FUNCTION vfs_acl_removals(entries vfs_acl_entries[]) RETURNS SETOF vfs_feed_entry
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT (told.entry).*
  FROM (
    SELECT lost.id, 1 AS n,
           ROW('op', lost.item_id, 'acl_remove', lost.granted_by, NULL, lost.principal_type, lost.principal_id, NULL,
               NULL, NULL, 'vfs_acl_entries', lost.id)::vfs_feed_entry AS entry
    FROM unnest(entries) AS lost
    UNION ALL
    SELECT lost.id, 2,
           ROW('change', lost.item_id, 'acl', lost.granted_by, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
               NULL)::vfs_feed_entry
    FROM unnest(entries) AS lost
    JOIN vfs_registry AS item ON item.id = lost.item_id
  ) AS told
  ORDER BY told.id COLLATE "C", told.n;
END;
COMMENT ON FUNCTION vfs_acl_removals(vfs_acl_entries[]) IS 'What is told when access is taken away: that, to who loses it, and that the item changed, if it is still there.';

CREATE FUNCTION vfs_acl_is_active(revoked_at timestamptz, expires_at timestamptz) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now());
COMMENT ON FUNCTION vfs_acl_is_active(timestamptz, timestamptz) IS 'Whether an entry grants something now.';

CREATE FUNCTION vfs_acl_entries_note_end() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.revoked_at IS NULL AND NEW.expires_at <= now()
     AND (TG_OP = 'INSERT' OR vfs_acl_is_active(OLD.revoked_at, OLD.expires_at)) THEN
    NEW.end_told_of := NEW.expires_at;
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION vfs_acl_entries_note_end() IS 'An entry that is made or changed to have expired is told of with that, or was never told: not once more when somebody looks for what has ended.';
CREATE TRIGGER vfs_acl_entries_note_end BEFORE INSERT OR UPDATE OF expires_at ON vfs_acl_entries
  FOR EACH ROW EXECUTE FUNCTION vfs_acl_entries_note_end();

CREATE FUNCTION vfs_acl_entries_emit_insert() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM vfs_feed_append(ARRAY(
    SELECT told FROM vfs_acl_grants(ARRAY(
      SELECT ROW(made.*)::vfs_acl_entries FROM made
      WHERE vfs_acl_is_active(made.revoked_at, made.expires_at)), true) AS told));
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION vfs_acl_entries_emit_insert() IS 'Access was granted, if the entry is active.';
CREATE TRIGGER vfs_acl_entries_emit_insert AFTER INSERT ON vfs_acl_entries
  REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION vfs_acl_entries_emit_insert();

CREATE FUNCTION vfs_acl_entries_emit_update() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
  removed vfs_acl_entries[];
  granted vfs_acl_entries[];
  edited  vfs_acl_entries[];
BEGIN
  SELECT array_agg(ROW(was.*)::vfs_acl_entries) FILTER (
           WHERE was.revoked_at IS NULL AND (made.revoked_at IS NOT NULL OR was_active AND NOT is_active OR is_other
                                             OR NOT was_active AND NOT is_active AND is_end_told)),
         array_agg(ROW(made.*)::vfs_acl_entries) FILTER (WHERE is_active AND (NOT was_active OR is_other)),
         array_agg(ROW(made.*)::vfs_acl_entries) FILTER (
           WHERE is_active AND was_active AND NOT is_other
             AND (made.access_level, made.granted_by, made.expires_at)
                 IS DISTINCT FROM (was.access_level, was.granted_by, was.expires_at))
  INTO removed, granted, edited
  FROM was
  JOIN made ON made.id = was.id
  CROSS JOIN LATERAL (
    SELECT vfs_acl_is_active(was.revoked_at, was.expires_at) AS was_active,
           vfs_acl_is_active(made.revoked_at, made.expires_at) AS is_active,
           (made.item_id, made.principal_type, made.principal_id)
             <> (was.item_id, was.principal_type, was.principal_id) AS is_other,
           made.end_told_of = made.expires_at AND was.end_told_of IS DISTINCT FROM made.end_told_of AS is_end_told
  ) AS states;
  -- By itself: a grant tells again what was told before it.
  PERFORM vfs_feed_append(ARRAY(SELECT told FROM vfs_acl_removals(removed) AS told));
  PERFORM vfs_feed_append(
    ARRAY(SELECT told FROM vfs_acl_grants(granted, true) AS told)
    || ARRAY(SELECT told FROM vfs_acl_grants(edited, false) AS told));
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION vfs_acl_entries_emit_update() IS 'Access was taken away, granted again, changed, or had ended by itself and is told of now.';
CREATE TRIGGER vfs_acl_entries_emit_update AFTER UPDATE ON vfs_acl_entries
  REFERENCING OLD TABLE AS was NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION vfs_acl_entries_emit_update();

CREATE FUNCTION vfs_acl_entries_emit_delete() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM vfs_feed_append(ARRAY(
    SELECT told FROM vfs_acl_removals(ARRAY(SELECT ROW(was.*)::vfs_acl_entries FROM was WHERE was.revoked_at IS NULL)) AS told));
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION vfs_acl_entries_emit_delete() IS 'Access was taken away, unless it had been already.';
CREATE TRIGGER vfs_acl_entries_emit_delete AFTER DELETE ON vfs_acl_entries
  REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION vfs_acl_entries_emit_delete();

-- Who joins a group or an organization is told what is shared with it; who leaves hears of what is lost with that.

CREATE FUNCTION vfs_members_emit_insert() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM vfs_feed_append(ARRAY(
    SELECT told FROM vfs_acl_grants(ARRAY(
      SELECT ROW(entry.*)::vfs_acl_entries FROM vfs_acl_entries AS entry
      WHERE entry.principal_type = TG_ARGV[0] AND vfs_acl_is_active(entry.revoked_at, entry.expires_at)
        AND entry.principal_id IN (SELECT to_jsonb(joined) ->> TG_ARGV[1] FROM joined)), true) AS told));
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION vfs_members_emit_insert() IS 'Users came into a group or an organization: what it was granted is told again.';
CREATE TRIGGER vfs_members_emit_insert AFTER INSERT ON user_groups
  REFERENCING NEW TABLE AS joined FOR EACH STATEMENT EXECUTE FUNCTION vfs_members_emit_insert('group', 'group_id');
CREATE TRIGGER vfs_members_emit_insert AFTER INSERT ON user_organizations
  REFERENCING NEW TABLE AS joined FOR EACH STATEMENT
  EXECUTE FUNCTION vfs_members_emit_insert('organization', 'organization_id');

CREATE FUNCTION vfs_members_emit_delete() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM vfs_feed_append((
    SELECT array_agg(entry ORDER BY lost.item_id COLLATE "C", lost.user_id COLLATE "C", n)
    FROM (
      SELECT entry.item_id, gone.user_id, min(entry.id COLLATE "C") AS entry_id
      FROM gone
      JOIN users ON users.id = gone.user_id
      JOIN vfs_acl_entries AS entry
        ON entry.principal_type = TG_ARGV[0] AND entry.principal_id = to_jsonb(gone) ->> TG_ARGV[1]
      JOIN vfs_registry AS item ON item.id = entry.item_id
      WHERE vfs_acl_is_active(entry.revoked_at, entry.expires_at)
        AND item.owner_id IS DISTINCT FROM gone.user_id
        AND NOT EXISTS (
          SELECT FROM vfs_acl_entries AS other
          WHERE other.item_id = entry.item_id AND vfs_acl_is_active(other.revoked_at, other.expires_at)
            AND CASE other.principal_type
                  WHEN 'user' THEN other.principal_id = gone.user_id
                  WHEN 'group' THEN EXISTS (
                    SELECT FROM user_groups AS still
                    WHERE still.user_id = gone.user_id AND still.group_id = other.principal_id)
                  ELSE EXISTS (
                    SELECT FROM user_organizations AS still
                    WHERE still.user_id = gone.user_id AND still.organization_id = other.principal_id)
                END)
      GROUP BY entry.item_id, gone.user_id
    ) AS lost, LATERAL (VALUES
      (1, ROW('op', lost.item_id, 'acl_remove', NULL, NULL, 'user', lost.user_id, NULL, NULL, NULL,
              'vfs_acl_entries', lost.entry_id)::vfs_feed_entry),
      (2, ROW('change', lost.item_id, 'acl', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::vfs_feed_entry)
    ) AS entries (n, entry)));
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION vfs_members_emit_delete() IS 'Users left a group or an organization: each hears, as a user, of every item that cannot be seen any more.';
CREATE TRIGGER vfs_members_emit_delete AFTER DELETE ON user_groups
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION vfs_members_emit_delete('group', 'group_id');
CREATE TRIGGER vfs_members_emit_delete AFTER DELETE ON user_organizations
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT
  EXECUTE FUNCTION vfs_members_emit_delete('organization', 'organization_id');

CREATE FUNCTION vfs_shares_emit() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM vfs_feed_append((
    SELECT array_agg(entry ORDER BY changed.id COLLATE "C", n)
    FROM changed, LATERAL (VALUES
      (1, ROW('op', item_id, CASE TG_OP WHEN 'DELETE' THEN 'acl_remove' ELSE 'acl_add' END, created_by, NULL,
              share_type, target_id,
              CASE WHEN TG_OP = 'DELETE' THEN NULL WHEN permission_level = 'edit' THEN 'write' ELSE 'read' END,
              NULL, NULL, 'vfs_shares', changed.id)::vfs_feed_entry),
      (2, ROW('change', item_id, 'acl', created_by, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::vfs_feed_entry)
    ) AS entries (n, entry)
    WHERE n = 1 OR EXISTS (SELECT FROM vfs_registry AS item WHERE item.id = item_id)));
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION vfs_shares_emit() IS 'Legacy: a share was made, changed or deleted.';
CREATE TRIGGER vfs_shares_emit_insert AFTER INSERT ON vfs_shares
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION vfs_shares_emit();
CREATE TRIGGER vfs_shares_emit_update AFTER UPDATE ON vfs_shares
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION vfs_shares_emit();
CREATE TRIGGER vfs_shares_emit_delete AFTER DELETE ON vfs_shares
  REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION vfs_shares_emit();

CREATE FUNCTION org_shares_emit() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM vfs_feed_append((
    SELECT array_agg(entry ORDER BY changed.id COLLATE "C", n)
    FROM changed, LATERAL (VALUES
      (1, ROW('op', item_id, CASE TG_OP WHEN 'DELETE' THEN 'acl_remove' ELSE 'acl_add' END, created_by, NULL,
              'organization', target_org_id,
              CASE WHEN TG_OP = 'DELETE' THEN NULL WHEN permission_level = 'edit' THEN 'write' ELSE 'read' END,
              NULL, NULL, 'org_shares', changed.id)::vfs_feed_entry),
      (2, ROW('change', item_id, 'acl', created_by, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::vfs_feed_entry)
    ) AS entries (n, entry)
    WHERE n = 1 OR EXISTS (SELECT FROM vfs_registry AS item WHERE item.id = item_id)));
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION org_shares_emit() IS 'Legacy: a share between organizations was made, changed or deleted.';
CREATE TRIGGER org_shares_emit_insert AFTER INSERT ON org_shares
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION org_shares_emit();
CREATE TRIGGER org_shares_emit_update AFTER UPDATE ON org_shares
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION org_shares_emit();
CREATE TRIGGER org_shares_emit_delete AFTER DELETE ON org_shares
  REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION org_shares_emit();

-- Operations that compaction took away, so that a client that pushes one again is told so.

CREATE TABLE vfs_crdt_forgotten_ops (
  actor_id     text NOT NULL,
  client_op_id text NOT NULL,
  seq          bigint NOT NULL,
  PRIMARY KEY (actor_id, client_op_id)
);
COMMENT ON TABLE vfs_crdt_forgotten_ops IS 'Pushed operations that were compacted away. Rows are only ever added.';
COMMENT ON COLUMN vfs_crdt_forgotten_ops.actor_id IS 'Who pushed it; may be gone.';
COMMENT ON COLUMN vfs_crdt_forgotten_ops.client_op_id IS 'The id that the client gave.';
COMMENT ON COLUMN vfs_crdt_forgotten_ops.seq IS 'The number that it had in the feed: what a restore takes is known by it.';

-- What is there from the beginning.

INSERT INTO vfs_feed_head (epoch, seq, at) VALUES (1, 0, date_trunc('milliseconds', now()));
INSERT INTO vfs_feed_epochs (epoch, began_after_seq, started_at, reason) VALUES (1, 0, now(), 'the first');
INSERT INTO vfs_crdt_horizon (seq, at) VALUES (0, now());
INSERT INTO vfs_freeze (epoch) VALUES (1);
INSERT INTO schema_migrations (version, applied_at) VALUES (23, now());
