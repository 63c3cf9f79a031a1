-- A database as it was before the flattening: as many items, blobs, stages and attachments as vfs.legacy_rows says, in
-- every state there is. What is made follows from vfs.legacy_seed alone, but for times, which are told from now.
--
-- vfs.legacy_prefix is the prefix of the keys in the object store; vfs.legacy_kinds is `on` where some blobs are
-- attached to one item as several kinds. Run in one transaction, at version 23.

CREATE FUNCTION pg_temp.n() RETURNS integer LANGUAGE sql AS $$ SELECT current_setting('vfs.legacy_rows')::integer $$;
CREATE FUNCTION pg_temp.dice(what text, i integer, sides integer) RETURNS integer LANGUAGE sql AS $$
  SELECT (abs(hashtextextended(what || i, current_setting('vfs.legacy_seed')::bigint) % sides))::integer
$$;
CREATE FUNCTION pg_temp.hex(what text, i integer) RETURNS text LANGUAGE sql AS $$
  SELECT md5(current_setting('vfs.legacy_seed') || what || i)
$$;
-- Ids of every shape that clients have used.
CREATE FUNCTION pg_temp.id(what text, i integer) RETURNS text LANGUAGE sql AS $$
  SELECT CASE i % 6
    WHEN 0 THEN pg_temp.hex(what, i)::uuid::text
    WHEN 1 THEN what || ':' || i || ':' || left(pg_temp.hex(what, i), 6)
    WHEN 2 THEN upper(what) || '-' || i
    WHEN 3 THEN what || ' ''' || i || '" ß'
    WHEN 4 THEN what || '/../' || i
    ELSE what || '-' || left(pg_temp.hex(what, i), 12)
  END
$$;
CREATE FUNCTION pg_temp.ms(t timestamptz) RETURNS timestamptz LANGUAGE sql AS $$ SELECT date_trunc('milliseconds', t) $$;
CREATE FUNCTION pg_temp.member(i integer) RETURNS text LANGUAGE sql AS $$
  SELECT pg_temp.id('user', i % least(50, greatest(3, pg_temp.n() / 10)))
$$;
CREATE FUNCTION pg_temp.kind(i integer) RETURNS text LANGUAGE sql AS $$
  SELECT (ARRAY['file', 'emailAttachment', 'photo', 'other'])[1 + i % 4]
$$;

INSERT INTO users (id, email, display_name, created_at)
SELECT pg_temp.id('user', i), 'user' || i || '@example.org', 'User ' || i, now() - interval '400 days'
FROM generate_series(0, least(50, greatest(3, pg_temp.n() / 10)) - 1) AS i;
INSERT INTO organizations (id, name) VALUES ('org-1', 'One'), ('org-2', 'Two');
INSERT INTO groups (id, name, organization_id) VALUES ('group-1', 'First', 'org-1'), ('group:2', 'Second', 'org-2');
INSERT INTO user_organizations (user_id, organization_id, is_admin)
SELECT id, CASE WHEN pg_temp.dice(id, 1, 2) = 0 THEN 'org-1' ELSE 'org-2' END, false FROM users;
INSERT INTO user_groups (user_id, group_id) SELECT id, 'group-1' FROM users WHERE pg_temp.dice(id, 2, 3) = 0;

-- What clients pushed before both feeds had one order: ids of their own shape, times that are long past.
INSERT INTO vfs_crdt_ops
  (id, item_id, op_type, principal_type, principal_id, access_level, parent_id, child_id, actor_id, source_table,
   source_id, occurred_at, seq)
SELECT 'crdt:' || (1000 + i) || ':' || i || ':' || lpad(pg_temp.dice('op', i, 1000000)::text, 6, '0'),
       pg_temp.id('item', i), CASE i % 2 WHEN 0 THEN 'link_add' ELSE 'acl_add' END,
       CASE i % 2 WHEN 1 THEN 'user' END, CASE i % 2 WHEN 1 THEN pg_temp.member(i + 1) END,
       CASE i % 2 WHEN 1 THEN 'read' END,
       CASE i % 2 WHEN 0 THEN 'root' END, CASE i % 2 WHEN 0 THEN pg_temp.id('item', i) END,
       pg_temp.member(i), 'vfs_crdt_client_push', pg_temp.member(i) || ':desktop:' || (1 + i) || ':op-' || i,
       pg_temp.ms(now() - interval '300 days' + i * interval '1 second'), 1 + i
FROM generate_series(0, pg_temp.n() - 1) AS i;
UPDATE vfs_feed_head SET seq = pg_temp.n();

INSERT INTO vfs_registry (id, object_type, owner_id, encrypted_session_key, created_at)
VALUES ('root', 'folder', pg_temp.member(0), 'key', now() - interval '400 days');
INSERT INTO vfs_registry
  (id, object_type, owner_id, encrypted_session_key, public_hierarchical_key, encrypted_private_hierarchical_key, created_at)
SELECT pg_temp.id('item', i),
       (ARRAY['file', 'folder', 'photo', 'email', 'note', 'contact', 'album'])[1 + pg_temp.dice('type', i, 7)],
       CASE WHEN i % 97 = 96 THEN NULL ELSE pg_temp.member(i) END, 'key-' || i,
       CASE WHEN i % 3 = 0 THEN 'public-' || i END, CASE WHEN i % 3 = 0 THEN 'private-' || i END,
       now() - interval '300 days' + i * interval '1.001003 seconds'
FROM generate_series(0, pg_temp.n() - 1) AS i;
INSERT INTO vfs_folders (id, encrypted_name, icon)
SELECT id, 'name of ' || id, 'star' FROM vfs_registry WHERE object_type = 'folder';
INSERT INTO vfs_links (id, parent_id, child_id, wrapped_session_key, position, created_at)
SELECT 'link:' || i, CASE WHEN i = 0 OR i % 4 = 0 THEN 'root' ELSE pg_temp.id('item', pg_temp.dice('parent', i, i)) END,
       pg_temp.id('item', i), 'wrapped-' || i, CASE WHEN i % 2 = 0 THEN i END,
       now() - interval '299 days' + i * interval '1 second'
FROM generate_series(0, pg_temp.n() - 1) AS i;

-- Access, and the entries that have taken its place: equal, also where it has expired.
INSERT INTO vfs_access
  (item_id, user_id, wrapped_session_key, wrapped_hierarchical_key, permission_level, granted_by, granted_at, expires_at)
SELECT pg_temp.id('item', i), pg_temp.member(i + 1), 'for-' || i, CASE WHEN i % 3 = 0 THEN 'deep-' || i END,
       (ARRAY['read', 'write', 'admin'])[1 + i % 3], CASE WHEN i % 5 > 0 THEN pg_temp.member(i) END,
       now() - interval '200 days' + i * interval '1 second',
       CASE i % 7 WHEN 0 THEN now() - interval '10 days' WHEN 1 THEN now() + interval '100 days' END
FROM generate_series(0, pg_temp.n() - 1, 2) AS i;
INSERT INTO vfs_acl_entries
  (id, item_id, principal_type, principal_id, access_level, wrapped_session_key, wrapped_hierarchical_key, granted_by,
   created_at, updated_at, expires_at)
SELECT 'share:' || md5(item_id || user_id), item_id, 'user', user_id, permission_level, wrapped_session_key,
       wrapped_hierarchical_key, granted_by, granted_at, granted_at, expires_at
FROM vfs_access;
INSERT INTO vfs_acl_entries
  (id, item_id, principal_type, principal_id, access_level, granted_by, created_at, updated_at, revoked_at)
SELECT 'share:group-' || i, pg_temp.id('item', i), 'group', 'group-1', 'read', pg_temp.member(i),
       now() - interval '100 days', now() - interval '100 days', CASE WHEN i % 4 = 1 THEN now() - interval '50 days' END
FROM generate_series(1, pg_temp.n() - 1, 9) AS i;
INSERT INTO vfs_shares (id, item_id, share_type, target_id, permission_level, wrapped_session_key, created_by, created_at, expires_at)
SELECT 'legacy-share-' || i, pg_temp.id('item', i), 'user', pg_temp.member(i + 2),
       (ARRAY['view', 'edit', 'download'])[1 + i % 3], 'k', pg_temp.member(i), now() - interval '150 days', NULL
FROM generate_series(0, pg_temp.n() - 1, 10) AS i;
INSERT INTO org_shares (id, source_org_id, target_org_id, item_id, permission_level, created_by, created_at)
SELECT 'legacy-org-share-' || i, 'org-1', 'org-2', pg_temp.id('item', i), 'view', pg_temp.member(i), now() - interval '150 days'
FROM generate_series(0, pg_temp.n() - 1, 20) AS i;

-- Blobs. Some stand in vfs_registry already.
INSERT INTO vfs_registry (id, object_type, owner_id, created_at)
SELECT pg_temp.id('blob', i), 'blob', pg_temp.member(i), now() - interval '249 days'
FROM generate_series(0, pg_temp.n() - 1, 11) AS i;
INSERT INTO vfs_blob_objects (id, sha256, size_bytes, storage_key, created_by, created_at)
SELECT id, md5(id) || md5(id || id), 1 + pg_temp.dice('size', i, 100000),
       CASE current_setting('vfs.legacy_prefix') WHEN '' THEN id ELSE current_setting('vfs.legacy_prefix') || '/' || id END,
       pg_temp.member(i), now() - interval '250 days' + i * interval '1.000007 seconds'
FROM (SELECT i, pg_temp.id('blob', i) AS id FROM generate_series(0, pg_temp.n() - 1) AS i) AS blobs;

-- Stages: waiting, too late, attached, attached to what is gone, abandoned.
INSERT INTO vfs_blob_staging
  (id, blob_id, staged_by, status, staged_at, attached_at, expires_at, attached_item_id)
SELECT pg_temp.id('stage', i), pg_temp.id('blob', i), pg_temp.member(i),
       (ARRAY['staged', 'staged', 'attached', 'attached', 'abandoned'])[1 + i % 5],
       now() - interval '20 days' + i * interval '1.000011 seconds',
       CASE WHEN i % 5 IN (2, 3) THEN now() - interval '19 days' + i * interval '1 second' END,
       CASE WHEN i % 5 = 0 THEN now() + interval '30 days' ELSE now() - interval '18 days' END + i * interval '0.000013 seconds',
       CASE WHEN i % 5 = 2 THEN pg_temp.id('item', i) END
FROM generate_series(0, pg_temp.n() - 1) AS i;

-- Attachments. Some stand in vfs_links already.
INSERT INTO vfs_blob_refs (id, blob_id, item_id, relation_kind, attached_by, attached_at)
SELECT pg_temp.id('ref', i), pg_temp.id('blob', i), pg_temp.id('item', i), pg_temp.kind(i), pg_temp.member(i),
       now() - interval '19 days' + i * interval '1.000017 seconds'
FROM generate_series(0, pg_temp.n() - 1) AS i
WHERE i % 5 IN (2, 3);
INSERT INTO vfs_blob_refs (id, blob_id, item_id, relation_kind, attached_by, attached_at)
SELECT 'more-' || i, pg_temp.id('blob', i), 'root', 'other', pg_temp.member(i), now() - interval '18 days'
FROM generate_series(0, pg_temp.n() - 1, 7) AS i;
INSERT INTO vfs_links (id, parent_id, child_id, wrapped_session_key, visible_children, created_at)
SELECT 'linked-before-' || i, 'root', pg_temp.id('blob', i), 'blob-link:other',
       jsonb_build_object('relationKind', 'other', 'attachedBy', pg_temp.member(i)), now() - interval '17 days'
FROM generate_series(0, pg_temp.n() - 1, 77) AS i;
INSERT INTO vfs_blob_refs (id, blob_id, item_id, relation_kind, attached_by, attached_at)
SELECT 'again-' || i, pg_temp.id('blob', i), pg_temp.id('item', i),
       CASE pg_temp.kind(i) WHEN 'photo' THEN 'file' ELSE 'photo' END, pg_temp.member(i), now() - interval '16 days'
FROM generate_series(2, pg_temp.n() - 1, 25) AS i
WHERE current_setting('vfs.legacy_kinds') = 'on';

-- Clients: of both feeds, some with no write ids, one in a shape that is older still.
INSERT INTO vfs_sync_client_state
  (user_id, client_id, last_reconciled_at, last_reconciled_change_id, last_reconciled_write_ids, updated_at)
SELECT actor_id, CASE WHEN seq % 3 = 0 THEN 'phone' ELSE 'crdt:desktop' END, occurred_at, id,
       CASE WHEN seq % 3 = 0 THEN '{}' ELSE jsonb_build_object('desktop', seq, 'phone', 1) END, now() - interval '1 day'
FROM (SELECT DISTINCT ON (actor_id, seq % 3 = 0) * FROM vfs_crdt_ops WHERE source_table = 'vfs_crdt_client_push'
      ORDER BY actor_id, seq % 3 = 0, seq DESC) AS newest;
INSERT INTO vfs_sync_client_state
  (user_id, client_id, last_reconciled_at, last_reconciled_change_id, last_reconciled_write_ids, updated_at)
VALUES (pg_temp.member(0), 'crdt:ancient', now() - interval '390 days', 'x', '[]', now() - interval '390 days');
