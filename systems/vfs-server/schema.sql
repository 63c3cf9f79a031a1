SET check_function_bodies = false;

CREATE TYPE public.vfs_feed_entry AS (
	feed text,
	item_id text,
	kind text,
	by_id text,
	root_id text,
	principal_type text,
	principal_id text,
	access_level text,
	parent_id text,
	child_id text,
	source_table text,
	source_id text
);

COMMENT ON TYPE public.vfs_feed_entry IS 'A row for one of the feeds, `op` or `change`, that has no position yet.';

CREATE FUNCTION public.org_shares_emit() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION public.org_shares_emit() IS 'Legacy: a share between organizations was made, changed or deleted.';

CREATE FUNCTION public.vfs_acl_entries_emit_delete() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  PERFORM vfs_feed_append(ARRAY(
    SELECT told FROM vfs_acl_removals(ARRAY(SELECT ROW(was.*)::vfs_acl_entries FROM was WHERE was.revoked_at IS NULL)) AS told));
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.vfs_acl_entries_emit_delete() IS 'Access was taken away, unless it had been already.';

CREATE FUNCTION public.vfs_acl_entries_emit_insert() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  PERFORM vfs_feed_append(ARRAY(
    SELECT told FROM vfs_acl_grants(ARRAY(
      SELECT ROW(made.*)::vfs_acl_entries FROM made
      WHERE vfs_acl_is_active(made.revoked_at, made.expires_at)), true) AS told));
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.vfs_acl_entries_emit_insert() IS 'Access was granted, if the entry is active.';

CREATE FUNCTION public.vfs_acl_entries_emit_update() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION public.vfs_acl_entries_emit_update() IS 'Access was taken away, granted again, changed, or had ended by itself and is told of now.';

CREATE FUNCTION public.vfs_acl_entries_note_end() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF NEW.revoked_at IS NULL AND NEW.expires_at <= now()
     AND (TG_OP = 'INSERT' OR vfs_acl_is_active(OLD.revoked_at, OLD.expires_at)) THEN
    NEW.end_told_of := NEW.expires_at;
  END IF;
  RETURN NEW;
END
$$;

COMMENT ON FUNCTION public.vfs_acl_entries_note_end() IS 'An entry that is made or changed to have expired is told of with that, or was never told: not once more when somebody looks for what has ended.';

CREATE FUNCTION public.vfs_acl_told(item text) RETURNS TABLE(principal_type text, principal_id text, op_type text, access_level text)
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
  RETURN QUERY
    SELECT DISTINCT ON (op.principal_type, op.principal_id)
           op.principal_type, op.principal_id, op.op_type, op.access_level
    FROM vfs_crdt_ops AS op
    WHERE op.item_id COLLATE "C" = item AND op.op_type IN ('acl_add', 'acl_remove')
    ORDER BY op.principal_type, op.principal_id, op.seq DESC;
END
$$;

COMMENT ON FUNCTION public.vfs_acl_told(item text) IS 'The last word of the feed about each principal that ever had access to an item.';

CREATE FUNCTION public.vfs_links_told(item text) RETURNS TABLE(parent text, op_type text)
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
  RETURN QUERY
    SELECT DISTINCT ON (op.parent_id) op.parent_id, op.op_type
    FROM vfs_crdt_ops AS op
    WHERE op.item_id COLLATE "C" = item AND op.op_type IN ('link_add', 'link_remove')
    ORDER BY op.parent_id, op.seq DESC;
END
$$;

COMMENT ON FUNCTION public.vfs_links_told(item text) IS 'The last word of the feed about each parent that an item ever lay in, from the table of links or from clients.';

CREATE TABLE public.vfs_acl_entries (
    id text NOT NULL,
    item_id text NOT NULL,
    principal_type text NOT NULL,
    principal_id text NOT NULL,
    access_level text NOT NULL,
    wrapped_session_key text,
    wrapped_hierarchical_key text,
    granted_by text,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    end_told_of timestamp with time zone,
    CONSTRAINT vfs_acl_entries_access_level_check CHECK ((access_level = ANY (ARRAY['read'::text, 'write'::text, 'admin'::text]))),
    CONSTRAINT vfs_acl_entries_principal_type_check CHECK ((principal_type = ANY (ARRAY['user'::text, 'group'::text, 'organization'::text])))
);

COMMENT ON TABLE public.vfs_acl_entries IS 'Who may do what with an item, besides its owner.';

COMMENT ON COLUMN public.vfs_acl_entries.id IS 'Any text; shares begin with `share:`, those of organizations with `org-share:`.';

COMMENT ON COLUMN public.vfs_acl_entries.item_id IS 'The item.';

COMMENT ON COLUMN public.vfs_acl_entries.principal_type IS 'What principal_id is an id of.';

COMMENT ON COLUMN public.vfs_acl_entries.principal_id IS 'Who may.';

COMMENT ON COLUMN public.vfs_acl_entries.access_level IS '`read`, `write` (and read), or `admin` (and write).';

COMMENT ON COLUMN public.vfs_acl_entries.wrapped_session_key IS 'The item''s key, wrapped for the principal. NULL: not yet.';

COMMENT ON COLUMN public.vfs_acl_entries.wrapped_hierarchical_key IS 'The item''s own key pair''s private part, wrapped. NULL: it has none.';

COMMENT ON COLUMN public.vfs_acl_entries.granted_by IS 'Who granted it. NULL: not known.';

COMMENT ON COLUMN public.vfs_acl_entries.created_at IS 'When it was made.';

COMMENT ON COLUMN public.vfs_acl_entries.updated_at IS 'When it last changed.';

COMMENT ON COLUMN public.vfs_acl_entries.expires_at IS 'From this time on it grants nothing. NULL: it does not end by itself.';

COMMENT ON COLUMN public.vfs_acl_entries.revoked_at IS 'When it was taken back. NULL: it was not.';

COMMENT ON COLUMN public.vfs_acl_entries.end_told_of IS 'The expires_at that the feeds have told of, once it had come. NULL: none.';

CREATE FUNCTION public.vfs_acl_grants(entries public.vfs_acl_entries[], is_new boolean) RETURNS SETOF public.vfs_feed_entry
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT (told.entry).feed AS feed,
     (told.entry).item_id AS item_id,
     (told.entry).kind AS kind,
     (told.entry).by_id AS by_id,
     (told.entry).root_id AS root_id,
     (told.entry).principal_type AS principal_type,
     (told.entry).principal_id AS principal_id,
     (told.entry).access_level AS access_level,
     (told.entry).parent_id AS parent_id,
     (told.entry).child_id AS child_id,
     (told.entry).source_table AS source_table,
     (told.entry).source_id AS source_id
    FROM ( SELECT granted.id,
             1 AS n,
             NULL::text AS link,
             ROW('op'::text, granted.item_id, 'acl_add'::text, granted.granted_by, NULL::text, granted.principal_type, granted.principal_id, granted.access_level, NULL::text, NULL::text, 'vfs_acl_entries'::text, granted.id)::public.vfs_feed_entry AS entry
            FROM unnest(vfs_acl_grants.entries) granted(id, item_id, principal_type, principal_id, access_level, wrapped_session_key, wrapped_hierarchical_key, granted_by, created_at, updated_at, expires_at, revoked_at, end_told_of)
         UNION ALL
          SELECT granted.id,
             2,
             link.parent,
             ROW('op'::text, granted.item_id, link.op_type, NULL::text, NULL::text, NULL::text, NULL::text, NULL::text, link.parent, granted.item_id, 'vfs_acl_entries'::text, granted.id)::public.vfs_feed_entry AS "row"
            FROM (unnest(vfs_acl_grants.entries) granted(id, item_id, principal_type, principal_id, access_level, wrapped_session_key, wrapped_hierarchical_key, granted_by, created_at, updated_at, expires_at, revoked_at, end_told_of)
              CROSS JOIN LATERAL public.vfs_links_told(granted.item_id) link(parent, op_type))
           WHERE vfs_acl_grants.is_new
         UNION ALL
          SELECT granted.id,
             3,
             ((other.principal_type || ' '::text) || other.principal_id),
             ROW('op'::text, granted.item_id, other.op_type, NULL::text, NULL::text, other.principal_type, other.principal_id, other.access_level, NULL::text, NULL::text, 'vfs_acl_entries_again'::text, granted.id)::public.vfs_feed_entry AS "row"
            FROM (unnest(vfs_acl_grants.entries) granted(id, item_id, principal_type, principal_id, access_level, wrapped_session_key, wrapped_hierarchical_key, granted_by, created_at, updated_at, expires_at, revoked_at, end_told_of)
              CROSS JOIN LATERAL public.vfs_acl_told(granted.item_id) other(principal_type, principal_id, op_type, access_level))
           WHERE (vfs_acl_grants.is_new AND (NOT (EXISTS ( SELECT
                    FROM unnest(vfs_acl_grants.entries) same(id, item_id, principal_type, principal_id, access_level, wrapped_session_key, wrapped_hierarchical_key, granted_by, created_at, updated_at, expires_at, revoked_at, end_told_of)
                   WHERE ((same.item_id = granted.item_id) AND (same.principal_type = other.principal_type) AND (same.principal_id = other.principal_id))))))
         UNION ALL
          SELECT granted.id,
             4,
             NULL::text AS text,
             ROW('change'::text, granted.item_id, 'acl'::text, granted.granted_by, NULL::text, NULL::text, NULL::text, NULL::text, NULL::text, NULL::text, NULL::text, NULL::text)::public.vfs_feed_entry AS "row"
            FROM unnest(vfs_acl_grants.entries) granted(id, item_id, principal_type, principal_id, access_level, wrapped_session_key, wrapped_hierarchical_key, granted_by, created_at, updated_at, expires_at, revoked_at, end_told_of)) told
   ORDER BY (told.id COLLATE "C"), told.n, (told.link COLLATE "C");
END;

COMMENT ON FUNCTION public.vfs_acl_grants(entries public.vfs_acl_entries[], is_new boolean) IS 'What is told when access is granted: that; if it is new, where the item lies and where no more, and who else has access and who no more, which may have been told before or while nobody told the principal; and that it changed.';

CREATE FUNCTION public.vfs_acl_is_active(revoked_at timestamp with time zone, expires_at timestamp with time zone) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN ((revoked_at IS NULL) AND ((expires_at IS NULL) OR (expires_at > now())));

COMMENT ON FUNCTION public.vfs_acl_is_active(revoked_at timestamp with time zone, expires_at timestamp with time zone) IS 'Whether an entry grants something now.';

CREATE TABLE public.vfs_registry (
    id text NOT NULL,
    object_type text NOT NULL,
    owner_id text,
    encrypted_session_key text,
    public_hierarchical_key text,
    encrypted_private_hierarchical_key text,
    metadata text,
    created_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE public.vfs_registry IS 'Every item: files, folders, blobs, and stages of blobs.';

COMMENT ON COLUMN public.vfs_registry.id IS 'Any text; of a stage, the staging id.';

COMMENT ON COLUMN public.vfs_registry.object_type IS 'Such as `file` or `folder`; `blob` for content, `blobStage` for a stage.';

COMMENT ON COLUMN public.vfs_registry.owner_id IS 'Whose it is; may name a user that is not in users. NULL: nobody''s.';

COMMENT ON COLUMN public.vfs_registry.encrypted_session_key IS 'The item''s key, encrypted. NULL: it has none.';

COMMENT ON COLUMN public.vfs_registry.public_hierarchical_key IS 'Public part of the item''s own key pair. NULL: it has none.';

COMMENT ON COLUMN public.vfs_registry.encrypted_private_hierarchical_key IS 'Private part, encrypted. NULL: it has none.';

COMMENT ON COLUMN public.vfs_registry.metadata IS 'What clients know of the item, such as its name; nothing here reads it. NULL: nothing.';

COMMENT ON COLUMN public.vfs_registry.created_at IS 'When it was made.';

CREATE FUNCTION public.vfs_acl_removals(entries public.vfs_acl_entries[]) RETURNS SETOF public.vfs_feed_entry
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT (told.entry).feed AS feed,
     (told.entry).item_id AS item_id,
     (told.entry).kind AS kind,
     (told.entry).by_id AS by_id,
     (told.entry).root_id AS root_id,
     (told.entry).principal_type AS principal_type,
     (told.entry).principal_id AS principal_id,
     (told.entry).access_level AS access_level,
     (told.entry).parent_id AS parent_id,
     (told.entry).child_id AS child_id,
     (told.entry).source_table AS source_table,
     (told.entry).source_id AS source_id
    FROM ( SELECT lost.id,
             1 AS n,
             ROW('op'::text, lost.item_id, 'acl_remove'::text, lost.granted_by, NULL::text, lost.principal_type, lost.principal_id, NULL::text, NULL::text, NULL::text, 'vfs_acl_entries'::text, lost.id)::public.vfs_feed_entry AS entry
            FROM unnest(vfs_acl_removals.entries) lost(id, item_id, principal_type, principal_id, access_level, wrapped_session_key, wrapped_hierarchical_key, granted_by, created_at, updated_at, expires_at, revoked_at, end_told_of)
         UNION ALL
          SELECT lost.id,
             2,
             ROW('change'::text, lost.item_id, 'acl'::text, lost.granted_by, NULL::text, NULL::text, NULL::text, NULL::text, NULL::text, NULL::text, NULL::text, NULL::text)::public.vfs_feed_entry AS "row"
            FROM (unnest(vfs_acl_removals.entries) lost(id, item_id, principal_type, principal_id, access_level, wrapped_session_key, wrapped_hierarchical_key, granted_by, created_at, updated_at, expires_at, revoked_at, end_told_of)
              JOIN public.vfs_registry item ON ((item.id = lost.item_id)))) told
   ORDER BY (told.id COLLATE "C"), told.n;
END;

COMMENT ON FUNCTION public.vfs_acl_removals(entries public.vfs_acl_entries[]) IS 'What is told when access is taken away: that, to who loses it, and that the item changed, if it is still there.';

CREATE TABLE public.users (
    id text NOT NULL,
    email text,
    display_name text,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.users IS 'Everybody who may sign in.';

COMMENT ON COLUMN public.users.id IS 'Any text; may hold colons.';

COMMENT ON COLUMN public.users.email IS 'The user''s address. NULL: not told.';

COMMENT ON COLUMN public.users.display_name IS 'What the user wants to be called. NULL: not told.';

COMMENT ON COLUMN public.users.created_at IS 'When it was made, by the server''s clock.';

CREATE TABLE public.vfs_client_state_marks (
    user_id text NOT NULL,
    client_id text NOT NULL,
    last_reconciled_at timestamp with time zone NOT NULL,
    last_reconciled_change_id text NOT NULL,
    last_reconciled_write_ids jsonb NOT NULL
);

COMMENT ON TABLE public.vfs_client_state_marks IS 'How far each client had come right before the flattening: nobody may ever be behind that.';

COMMENT ON COLUMN public.vfs_client_state_marks.user_id IS 'The user.';

COMMENT ON COLUMN public.vfs_client_state_marks.client_id IS 'As in vfs_sync_client_state.';

COMMENT ON COLUMN public.vfs_client_state_marks.last_reconciled_at IS 'First half of the position.';

COMMENT ON COLUMN public.vfs_client_state_marks.last_reconciled_change_id IS 'Second half of the position.';

COMMENT ON COLUMN public.vfs_client_state_marks.last_reconciled_write_ids IS 'Newest write of each replica.';

CREATE TABLE public.vfs_sync_client_state (
    user_id text NOT NULL,
    client_id text NOT NULL,
    last_reconciled_at timestamp with time zone NOT NULL,
    last_reconciled_change_id text NOT NULL,
    last_reconciled_write_ids jsonb DEFAULT '{}'::jsonb NOT NULL,
    updated_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE public.vfs_sync_client_state IS 'How far each client says that it has come.';

COMMENT ON COLUMN public.vfs_sync_client_state.user_id IS 'The user.';

COMMENT ON COLUMN public.vfs_sync_client_state.client_id IS 'The client in the feed of objects; with `crdt:` in front, in the feed of operations.';

COMMENT ON COLUMN public.vfs_sync_client_state.last_reconciled_at IS 'First half of the position that it has come to; never falls.';

COMMENT ON COLUMN public.vfs_sync_client_state.last_reconciled_change_id IS 'Second half of that position.';

COMMENT ON COLUMN public.vfs_sync_client_state.last_reconciled_write_ids IS 'Newest write of each replica that it has seen: an object of positive whole numbers.';

COMMENT ON COLUMN public.vfs_sync_client_state.updated_at IS 'When it last said so, by the server''s clock.';

CREATE FUNCTION public.vfs_client_state_regressions() RETURNS TABLE(user_id text, client_id text, what text, was text, became text)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT mark.user_id,
     mark.client_id,
     'cursor'::text AS text,
     ((mark.last_reconciled_at || ' '::text) || mark.last_reconciled_change_id),
     ((state.last_reconciled_at || ' '::text) || state.last_reconciled_change_id)
    FROM (public.vfs_client_state_marks mark
      JOIN public.vfs_sync_client_state state USING (user_id, client_id))
   WHERE (ROW(state.last_reconciled_at, (state.last_reconciled_change_id COLLATE "C")) < ROW(mark.last_reconciled_at, (mark.last_reconciled_change_id COLLATE "C")))
 UNION ALL
  SELECT mark.user_id,
     mark.client_id,
     ('write id of '::text || old.key),
     old.value,
     (state.last_reconciled_write_ids ->> old.key)
    FROM ((public.vfs_client_state_marks mark
      JOIN public.vfs_sync_client_state state USING (user_id, client_id))
      CROSS JOIN LATERAL jsonb_each_text(
         CASE jsonb_typeof(mark.last_reconciled_write_ids)
             WHEN 'object'::text THEN mark.last_reconciled_write_ids
             ELSE '{}'::jsonb
         END) old(key, value))
   WHERE ((old.value ~ '^[0-9]{1,18}$'::text) AND ((jsonb_typeof(state.last_reconciled_write_ids) <> 'object'::text) OR (COALESCE((state.last_reconciled_write_ids ->> old.key), ''::text) !~ '^[0-9]{1,18}$'::text) OR (((state.last_reconciled_write_ids ->> old.key))::bigint < (old.value)::bigint)))
 UNION ALL
  SELECT mark.user_id,
     mark.client_id,
     'state'::text AS text,
     'there'::text AS text,
     NULL::text AS text
    FROM (public.vfs_client_state_marks mark
      LEFT JOIN public.vfs_sync_client_state state USING (user_id, client_id))
   WHERE ((state.user_id IS NULL) AND (EXISTS ( SELECT
            FROM public.users
           WHERE (users.id = mark.user_id))));
END;

COMMENT ON FUNCTION public.vfs_client_state_regressions() IS 'Clients that are behind their mark, or have lost a write that they had seen.';

CREATE FUNCTION public.vfs_feed_append(entries public.vfs_feed_entry[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION public.vfs_feed_append(entries public.vfs_feed_entry[]) IS 'Writes rows to the feeds, in the order of the array, at the next positions.';

CREATE FUNCTION public.vfs_emit_sync_change(item text, type text, by text, root text) RETURNS void
    LANGUAGE sql
    RETURN public.vfs_feed_append(ARRAY[ROW('change'::text, item, type, by, root, NULL::text, NULL::text, NULL::text, NULL::text, NULL::text, NULL::text, NULL::text)::public.vfs_feed_entry]);

COMMENT ON FUNCTION public.vfs_emit_sync_change(item text, type text, by text, root text) IS 'Writes one row to the feed of objects, at the next position.';

CREATE FUNCTION public.vfs_feed_advance(n integer) RETURNS TABLE(epoch integer, first_seq bigint, at timestamp with time zone)
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION public.vfs_feed_advance(n integer) IS 'Takes the next n numbers, and locks the head until the commit: rows become visible in the order of their numbers.';

CREATE TABLE public.vfs_instances (
    instance text NOT NULL,
    version text NOT NULL,
    highest_migration_known integer NOT NULL,
    freeze_epoch_seen bigint NOT NULL,
    feed_epoch_seen integer NOT NULL,
    seen_at timestamp with time zone NOT NULL,
    missing_table_errors bigint DEFAULT 0 NOT NULL
);

COMMENT ON TABLE public.vfs_instances IS 'The running servers.';

COMMENT ON COLUMN public.vfs_instances.instance IS 'What the instance calls itself; another one for every start.';

COMMENT ON COLUMN public.vfs_instances.version IS 'Version of the program.';

COMMENT ON COLUMN public.vfs_instances.highest_migration_known IS 'The highest schema version that this program works with.';

COMMENT ON COLUMN public.vfs_instances.freeze_epoch_seen IS 'The epoch of vfs_freeze that it works by.';

COMMENT ON COLUMN public.vfs_instances.feed_epoch_seen IS 'The epoch of the feeds that it works by.';

COMMENT ON COLUMN public.vfs_instances.seen_at IS 'When it last said so, by the server''s clock.';

COMMENT ON COLUMN public.vfs_instances.missing_table_errors IS 'Requests since its start that failed because its SQL named a table that is not there.';

CREATE FUNCTION public.vfs_instances_too_old(needed integer) RETURNS SETOF public.vfs_instances
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT vfs_instances.instance,
     vfs_instances.version,
     vfs_instances.highest_migration_known,
     vfs_instances.freeze_epoch_seen,
     vfs_instances.feed_epoch_seen,
     vfs_instances.seen_at,
     vfs_instances.missing_table_errors
    FROM public.vfs_instances
   WHERE ((vfs_instances.highest_migration_known < vfs_instances_too_old.needed) AND (vfs_instances.seen_at > (clock_timestamp() - '00:01:00'::interval)));
END;

COMMENT ON FUNCTION public.vfs_instances_too_old(needed integer) IS 'Running servers that do not know a migration; who was silent for a minute is gone.';

CREATE FUNCTION public.vfs_legacy_guard() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION public.vfs_legacy_guard() IS 'Before 24, refuses ids that stand in the legacy tables and not in the registry, but for 24 itself.';

CREATE FUNCTION public.vfs_legacy_note_write() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION public.vfs_legacy_note_write() IS 'Counts a write to a legacy table; 0024 puts it on them.';

CREATE FUNCTION public.vfs_links_emit() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION public.vfs_links_emit() IS 'A link was made or deleted. The link of a stage tells nothing; an item that goes with its links is not told to have changed.';

CREATE FUNCTION public.vfs_members_emit_delete() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION public.vfs_members_emit_delete() IS 'Users left a group or an organization: each hears, as a user, of every item that cannot be seen any more.';

CREATE FUNCTION public.vfs_members_emit_insert() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  PERFORM vfs_feed_append(ARRAY(
    SELECT told FROM vfs_acl_grants(ARRAY(
      SELECT ROW(entry.*)::vfs_acl_entries FROM vfs_acl_entries AS entry
      WHERE entry.principal_type = TG_ARGV[0] AND vfs_acl_is_active(entry.revoked_at, entry.expires_at)
        AND entry.principal_id IN (SELECT to_jsonb(joined) ->> TG_ARGV[1] FROM joined)), true) AS told));
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.vfs_members_emit_insert() IS 'Users came into a group or an organization: what it was granted is told again.';

CREATE FUNCTION public.vfs_merge_reconciled_write_ids(base jsonb, incoming jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT COALESCE(jsonb_object_agg(merged.replica, merged.newest), '{}'::jsonb) AS "coalesce" FROM (SELECT both_sides.key AS replica, max((both_sides.value)::numeric) AS newest FROM (SELECT jsonb_each_text.key, jsonb_each_text.value FROM jsonb_each_text(COALESCE(vfs_merge_reconciled_write_ids.base, '{}'::jsonb)) jsonb_each_text(key, value) UNION ALL SELECT jsonb_each_text.key, jsonb_each_text.value FROM jsonb_each_text(COALESCE(vfs_merge_reconciled_write_ids.incoming, '{}'::jsonb)) jsonb_each_text(key, value)) both_sides WHERE (both_sides.value ~ '^0*[1-9][0-9]{0,15}$'::text) GROUP BY both_sides.key) merged);

COMMENT ON FUNCTION public.vfs_merge_reconciled_write_ids(base jsonb, incoming jsonb) IS 'The newest write of each replica of either side; what is no positive whole number is left out. Refuses what is no object.';

CREATE FUNCTION public.vfs_position_id(epoch integer, seq bigint) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN ((lpad((epoch)::text, 4, '0'::text) || '-'::text) || lpad((seq)::text, 16, '0'::text));

COMMENT ON FUNCTION public.vfs_position_id(epoch integer, seq bigint) IS 'The id of a row of a feed: of fixed width, so that its bytes are in the order of epoch and number.';

CREATE FUNCTION public.vfs_registry_emit() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION public.vfs_registry_emit() IS 'An item was made, changed or deleted. A stage is nobody''s tree, and tells nothing.';

CREATE FUNCTION public.vfs_shares_emit() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION public.vfs_shares_emit() IS 'Legacy: a share was made, changed or deleted.';

CREATE TABLE public.groups (
    id text NOT NULL,
    name text NOT NULL,
    organization_id text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.groups IS 'Some users of one organization.';

COMMENT ON COLUMN public.groups.id IS 'Any text.';

COMMENT ON COLUMN public.groups.name IS 'What people see.';

COMMENT ON COLUMN public.groups.organization_id IS 'The organization.';

COMMENT ON COLUMN public.groups.created_at IS 'When it was made, by the server''s clock.';

CREATE TABLE public.org_shares (
    id text NOT NULL,
    source_org_id text NOT NULL,
    target_org_id text NOT NULL,
    item_id text NOT NULL,
    permission_level text NOT NULL,
    wrapped_session_key text,
    created_by text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    CONSTRAINT org_shares_permission_level_check CHECK ((permission_level = ANY (ARRAY['view'::text, 'edit'::text, 'download'::text])))
);

COMMENT ON TABLE public.org_shares IS 'Legacy, and not touched by 0024 to 0027: items that one organization shares with another.';

COMMENT ON COLUMN public.org_shares.id IS 'Any text.';

COMMENT ON COLUMN public.org_shares.source_org_id IS 'Which organization shares it.';

COMMENT ON COLUMN public.org_shares.target_org_id IS 'With which.';

COMMENT ON COLUMN public.org_shares.item_id IS 'The item.';

COMMENT ON COLUMN public.org_shares.permission_level IS '`edit` allows writing; `view` and `download` allow reading.';

COMMENT ON COLUMN public.org_shares.wrapped_session_key IS 'The item''s key, wrapped for them. NULL: not yet.';

COMMENT ON COLUMN public.org_shares.created_by IS 'Who shared it.';

COMMENT ON COLUMN public.org_shares.created_at IS 'When it was shared.';

COMMENT ON COLUMN public.org_shares.expires_at IS 'From this time on it grants nothing. NULL: it does not end by itself.';

CREATE TABLE public.organizations (
    id text NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.organizations IS 'Who users belong to.';

COMMENT ON COLUMN public.organizations.id IS 'Any text.';

COMMENT ON COLUMN public.organizations.name IS 'What people see.';

COMMENT ON COLUMN public.organizations.created_at IS 'When it was made, by the server''s clock.';

CREATE TABLE public.schema_migrations (
    version integer NOT NULL,
    applied_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE public.schema_migrations IS 'The migrations that were applied. Each file writes its own row.';

COMMENT ON COLUMN public.schema_migrations.version IS 'The number that the file''s name begins with.';

COMMENT ON COLUMN public.schema_migrations.applied_at IS 'When it was applied, by the server''s clock.';

CREATE TABLE public.sessions (
    id text NOT NULL,
    user_id text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone
);

COMMENT ON TABLE public.sessions IS 'Where a user is signed in.';

COMMENT ON COLUMN public.sessions.id IS 'The `jti` of the tokens.';

COMMENT ON COLUMN public.sessions.user_id IS 'Who is signed in; the `sub` of the tokens.';

COMMENT ON COLUMN public.sessions.created_at IS 'When it was made, by the server''s clock.';

COMMENT ON COLUMN public.sessions.expires_at IS 'From this time on it is none.';

COMMENT ON COLUMN public.sessions.revoked_at IS 'When it was ended. NULL: it was not.';

CREATE TABLE public.user_groups (
    user_id text NOT NULL,
    group_id text NOT NULL
);

COMMENT ON TABLE public.user_groups IS 'One user in one group.';

COMMENT ON COLUMN public.user_groups.user_id IS 'The user.';

COMMENT ON COLUMN public.user_groups.group_id IS 'The group.';

CREATE TABLE public.user_keys (
    user_id text NOT NULL,
    public_key text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.user_keys IS 'The public key with which others wrap keys for a user.';

COMMENT ON COLUMN public.user_keys.user_id IS 'Whose key it is.';

COMMENT ON COLUMN public.user_keys.public_key IS 'As the user''s program wrote it; nothing here reads it.';

COMMENT ON COLUMN public.user_keys.created_at IS 'When it was stored, by the server''s clock.';

CREATE TABLE public.user_organizations (
    user_id text NOT NULL,
    organization_id text NOT NULL,
    is_admin boolean DEFAULT false NOT NULL
);

COMMENT ON TABLE public.user_organizations IS 'One user in one organization.';

COMMENT ON COLUMN public.user_organizations.user_id IS 'The user.';

COMMENT ON COLUMN public.user_organizations.organization_id IS 'The organization.';

COMMENT ON COLUMN public.user_organizations.is_admin IS 'Whether the user administers it.';

CREATE TABLE public.vfs_blob_marks (
    blob_id text NOT NULL,
    mark text NOT NULL,
    owner_id text,
    marked_at timestamp with time zone NOT NULL,
    CONSTRAINT vfs_blob_marks_mark_check CHECK ((mark = ANY (ARRAY['storing'::text, 'deleting'::text, 'deleted'::text])))
);

COMMENT ON TABLE public.vfs_blob_marks IS 'Blobs whose object is being written or deleted, and those that were deleted, so that a repeated request is told the same.';

COMMENT ON COLUMN public.vfs_blob_marks.blob_id IS 'The blob; its row in the registry may not exist yet, or no longer.';

COMMENT ON COLUMN public.vfs_blob_marks.mark IS '`storing`: the object is being written and the row is not there yet. `deleting`: the object goes, then the row. `deleted`: both are gone.';

COMMENT ON COLUMN public.vfs_blob_marks.owner_id IS 'For whom. NULL: for an operator.';

COMMENT ON COLUMN public.vfs_blob_marks.marked_at IS 'When, by the server''s clock.';

CREATE TABLE public.vfs_blob_ref_choices (
    blob_id text NOT NULL,
    item_id text NOT NULL,
    relation_kind text NOT NULL,
    chosen_by text NOT NULL,
    reason text NOT NULL,
    chosen_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT vfs_blob_ref_choices_relation_kind_check CHECK ((relation_kind = ANY (ARRAY['file'::text, 'emailAttachment'::text, 'photo'::text, 'other'::text])))
);

COMMENT ON TABLE public.vfs_blob_ref_choices IS 'Which kind stays where a blob was attached to an item as several kinds: a link has one.';

COMMENT ON COLUMN public.vfs_blob_ref_choices.blob_id IS 'The blob.';

COMMENT ON COLUMN public.vfs_blob_ref_choices.item_id IS 'The item.';

COMMENT ON COLUMN public.vfs_blob_ref_choices.relation_kind IS 'The kind that stays.';

COMMENT ON COLUMN public.vfs_blob_ref_choices.chosen_by IS 'The person who chose.';

COMMENT ON COLUMN public.vfs_blob_ref_choices.reason IS 'Why.';

COMMENT ON COLUMN public.vfs_blob_ref_choices.chosen_at IS 'When, by the server''s clock.';

CREATE TABLE public.vfs_blob_removals (
    id bigint NOT NULL,
    blob_id text NOT NULL,
    kind text NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    removed_at timestamp with time zone NOT NULL,
    CONSTRAINT vfs_blob_removals_kind_check CHECK ((kind = ANY (ARRAY['metadata'::text, 'object'::text, 'deleting'::text])))
);

COMMENT ON TABLE public.vfs_blob_removals IS 'Orphans that an operator removed. Rows are only ever added.';

COMMENT ON COLUMN public.vfs_blob_removals.id IS 'In the order of removal.';

COMMENT ON COLUMN public.vfs_blob_removals.blob_id IS 'The blob.';

COMMENT ON COLUMN public.vfs_blob_removals.kind IS '`metadata` without an object, `object` without metadata, or the rest of a `deleting` that was interrupted.';

COMMENT ON COLUMN public.vfs_blob_removals.actor IS 'Who removed it, as they named themselves.';

COMMENT ON COLUMN public.vfs_blob_removals.reason IS 'Why, as they put it.';

COMMENT ON COLUMN public.vfs_blob_removals.removed_at IS 'When, by the server''s clock.';

ALTER TABLE public.vfs_blob_removals ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.vfs_blob_removals_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.vfs_client_guardrails (
    user_id text NOT NULL,
    signature text NOT NULL,
    violations bigint NOT NULL,
    newest_client_id text NOT NULL,
    newest_at timestamp with time zone NOT NULL,
    CONSTRAINT vfs_client_guardrails_violations_check CHECK ((violations > 0))
);

COMMENT ON TABLE public.vfs_client_guardrails IS 'Guardrails that clients say were broken: what a server told them was not to be believed.';

COMMENT ON COLUMN public.vfs_client_guardrails.user_id IS 'Whose clients.';

COMMENT ON COLUMN public.vfs_client_guardrails.signature IS 'Stage and code, such as `pull:pullCursorRegression`.';

COMMENT ON COLUMN public.vfs_client_guardrails.violations IS 'How often, over all clients of the user and all time.';

COMMENT ON COLUMN public.vfs_client_guardrails.newest_client_id IS 'The client that said so last.';

COMMENT ON COLUMN public.vfs_client_guardrails.newest_at IS 'When it did, by the server''s clock.';

CREATE TABLE public.vfs_crdt_forgotten_ops (
    actor_id text NOT NULL,
    client_op_id text NOT NULL,
    seq bigint NOT NULL
);

COMMENT ON TABLE public.vfs_crdt_forgotten_ops IS 'Pushed operations that were compacted away. Rows are only ever added.';

COMMENT ON COLUMN public.vfs_crdt_forgotten_ops.actor_id IS 'Who pushed it; may be gone.';

COMMENT ON COLUMN public.vfs_crdt_forgotten_ops.client_op_id IS 'The id that the client gave.';

COMMENT ON COLUMN public.vfs_crdt_forgotten_ops.seq IS 'The number that it had in the feed: what a restore takes is known by it.';

CREATE TABLE public.vfs_crdt_horizon (
    single boolean DEFAULT true NOT NULL,
    seq bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    CONSTRAINT vfs_crdt_horizon_seq_check CHECK ((seq >= 0)),
    CONSTRAINT vfs_crdt_horizon_single_check CHECK (single)
);

COMMENT ON TABLE public.vfs_crdt_horizon IS 'Up to where operations may have been compacted away. One row.';

COMMENT ON COLUMN public.vfs_crdt_horizon.single IS 'Always true: there is one row.';

COMMENT ON COLUMN public.vfs_crdt_horizon.seq IS 'Operations up to this number may be gone; 0: none are.';

COMMENT ON COLUMN public.vfs_crdt_horizon.at IS 'When it last moved, by the server''s clock.';

CREATE TABLE public.vfs_crdt_ops (
    id text NOT NULL,
    item_id text NOT NULL,
    op_type text NOT NULL,
    principal_type text,
    principal_id text,
    access_level text,
    parent_id text,
    child_id text,
    actor_id text,
    source_table text NOT NULL,
    source_id text NOT NULL,
    occurred_at timestamp with time zone NOT NULL,
    seq bigint NOT NULL,
    client_op_id text,
    replica_id text,
    write_id bigint,
    CONSTRAINT vfs_crdt_ops_access_level_check CHECK ((access_level = ANY (ARRAY['read'::text, 'write'::text, 'admin'::text]))),
    CONSTRAINT vfs_crdt_ops_op_type_check CHECK ((op_type = ANY (ARRAY['acl_add'::text, 'acl_remove'::text, 'link_add'::text, 'link_remove'::text]))),
    CONSTRAINT vfs_crdt_ops_principal_type_check CHECK ((principal_type = ANY (ARRAY['user'::text, 'group'::text, 'organization'::text])))
);

COMMENT ON TABLE public.vfs_crdt_ops IS 'The feed of operations; rows are only ever added, and taken away up to the horizon.';

COMMENT ON COLUMN public.vfs_crdt_ops.id IS 'The second half of the row''s position; ordered bytewise. Not the id that the client gave.';

COMMENT ON COLUMN public.vfs_crdt_ops.item_id IS 'The item; it may be gone.';

COMMENT ON COLUMN public.vfs_crdt_ops.op_type IS 'What was done.';

COMMENT ON COLUMN public.vfs_crdt_ops.principal_type IS 'Of an operation on access. NULL: it is one on links.';

COMMENT ON COLUMN public.vfs_crdt_ops.principal_id IS 'Of an operation on access. NULL: it is one on links.';

COMMENT ON COLUMN public.vfs_crdt_ops.access_level IS 'Of an acl_add. NULL: it is none.';

COMMENT ON COLUMN public.vfs_crdt_ops.parent_id IS 'Of an operation on links. NULL: it is one on access.';

COMMENT ON COLUMN public.vfs_crdt_ops.child_id IS 'Of an operation on links, the item. NULL: it is one on access.';

COMMENT ON COLUMN public.vfs_crdt_ops.actor_id IS 'Who did it; may be gone. NULL: no client did.';

COMMENT ON COLUMN public.vfs_crdt_ops.source_table IS 'Where it comes from: `vfs_crdt_client_push`, or the table that changed.';

COMMENT ON COLUMN public.vfs_crdt_ops.source_id IS 'Of a push, `user:replica:write id:client''s id`; else the id of the row that changed.';

COMMENT ON COLUMN public.vfs_crdt_ops.occurred_at IS 'The first half of the row''s position: whole milliseconds; never falls from one row to the next.';

COMMENT ON COLUMN public.vfs_crdt_ops.seq IS 'Number of the row in the one order of both feeds.';

COMMENT ON COLUMN public.vfs_crdt_ops.client_op_id IS 'The id that the client gave. NULL: no client did it, or it is older than this column.';

COMMENT ON COLUMN public.vfs_crdt_ops.replica_id IS 'The client''s replica. NULL: no client did it, or it is older than this column.';

COMMENT ON COLUMN public.vfs_crdt_ops.write_id IS 'The replica''s number of the write, from 1. NULL: no client did it, or it is older than this column.';

CREATE TABLE public.vfs_crdt_replica_heads (
    actor_id text NOT NULL,
    replica_id text NOT NULL,
    max_write_id bigint NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT vfs_crdt_replica_heads_max_write_id_check CHECK ((max_write_id > 0))
);

COMMENT ON TABLE public.vfs_crdt_replica_heads IS 'The newest write of each replica.';

COMMENT ON COLUMN public.vfs_crdt_replica_heads.actor_id IS 'The user.';

COMMENT ON COLUMN public.vfs_crdt_replica_heads.replica_id IS 'The replica.';

COMMENT ON COLUMN public.vfs_crdt_replica_heads.max_write_id IS 'The highest number that was applied.';

COMMENT ON COLUMN public.vfs_crdt_replica_heads.updated_at IS 'When it last rose, by the server''s clock.';

CREATE TABLE public.vfs_feed_epochs (
    epoch integer NOT NULL,
    began_after_seq bigint NOT NULL,
    started_at timestamp with time zone NOT NULL,
    reason text NOT NULL
);

COMMENT ON TABLE public.vfs_feed_epochs IS 'Every epoch of the feeds.';

COMMENT ON COLUMN public.vfs_feed_epochs.epoch IS 'The epoch.';

COMMENT ON COLUMN public.vfs_feed_epochs.began_after_seq IS 'The newest number when it began; what clients have seen of earlier epochs beyond it is gone.';

COMMENT ON COLUMN public.vfs_feed_epochs.started_at IS 'When it began, by the server''s clock.';

COMMENT ON COLUMN public.vfs_feed_epochs.reason IS 'Why it began.';

CREATE TABLE public.vfs_feed_head (
    single boolean DEFAULT true NOT NULL,
    epoch integer NOT NULL,
    seq bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    CONSTRAINT vfs_feed_head_epoch_check CHECK (((epoch >= 1) AND (epoch <= 9999))),
    CONSTRAINT vfs_feed_head_seq_check CHECK (((seq >= 0) AND (seq <= '9999999999999999'::bigint))),
    CONSTRAINT vfs_feed_head_single_check CHECK (single)
);

COMMENT ON TABLE public.vfs_feed_head IS 'The newest position of both feeds. One row; who writes a feed holds its lock until the commit.';

COMMENT ON COLUMN public.vfs_feed_head.single IS 'Always true: there is one row.';

COMMENT ON COLUMN public.vfs_feed_head.epoch IS 'Rises with every restore, so that no position is given twice.';

COMMENT ON COLUMN public.vfs_feed_head.seq IS 'Number of the newest row; 0: none yet.';

COMMENT ON COLUMN public.vfs_feed_head.at IS 'Time of the newest row: whole milliseconds; never falls.';

CREATE TABLE public.vfs_folders (
    id text NOT NULL,
    encrypted_name text,
    icon text,
    view_mode text,
    default_sort text,
    sort_direction text
);

COMMENT ON TABLE public.vfs_folders IS 'Legacy, and not touched by 0024 to 0027: how folders look.';

COMMENT ON COLUMN public.vfs_folders.id IS 'The item.';

COMMENT ON COLUMN public.vfs_folders.encrypted_name IS 'Its name, encrypted. NULL: none.';

COMMENT ON COLUMN public.vfs_folders.icon IS 'Its picture. NULL: the usual one.';

COMMENT ON COLUMN public.vfs_folders.view_mode IS 'How its children are shown. NULL: as usual.';

COMMENT ON COLUMN public.vfs_folders.default_sort IS 'What they are sorted by. NULL: as usual.';

COMMENT ON COLUMN public.vfs_folders.sort_direction IS '`asc` or `desc`. NULL: as usual.';

CREATE TABLE public.vfs_freeze (
    single boolean DEFAULT true NOT NULL,
    epoch bigint NOT NULL,
    frozen_until timestamp with time zone,
    reason text,
    actor text,
    CONSTRAINT vfs_freeze_single_check CHECK (single)
);

COMMENT ON TABLE public.vfs_freeze IS 'Whether writes are refused. One row; who writes holds advisory lock 7337001 shared, who changes this row exclusively.';

COMMENT ON COLUMN public.vfs_freeze.single IS 'Always true: there is one row.';

COMMENT ON COLUMN public.vfs_freeze.epoch IS 'Rises with every change of this row.';

COMMENT ON COLUMN public.vfs_freeze.frozen_until IS 'Until when writes are refused. NULL: they are not.';

COMMENT ON COLUMN public.vfs_freeze.reason IS 'Why. NULL: they are not refused, or nobody said.';

COMMENT ON COLUMN public.vfs_freeze.actor IS 'Who froze or thawed. NULL: nobody yet.';

CREATE TABLE public.vfs_legacy_writes (
    table_name text NOT NULL,
    since timestamp with time zone NOT NULL,
    writes bigint NOT NULL,
    newest_at timestamp with time zone
);

COMMENT ON TABLE public.vfs_legacy_writes IS 'Writes to the legacy tables since 0024 read them; any stops 0025 to 0027. No row before 0024.';

COMMENT ON COLUMN public.vfs_legacy_writes.table_name IS 'The legacy table.';

COMMENT ON COLUMN public.vfs_legacy_writes.since IS 'When 0024 read it, by the server''s clock.';

COMMENT ON COLUMN public.vfs_legacy_writes.writes IS 'Rows that were written or deleted since, but for those that went with their item, blob or user.';

COMMENT ON COLUMN public.vfs_legacy_writes.newest_at IS 'When the newest of them was. NULL: there is none.';

CREATE TABLE public.vfs_links (
    id text NOT NULL,
    parent_id text NOT NULL,
    child_id text NOT NULL,
    wrapped_session_key text NOT NULL,
    wrapped_hierarchical_key text,
    visible_children jsonb,
    "position" integer,
    created_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE public.vfs_links IS 'What lies in what, which blobs are attached to which items, and the state of stages (`id = parent_id`).';

COMMENT ON COLUMN public.vfs_links.id IS 'Any text; of a stage, the staging id.';

COMMENT ON COLUMN public.vfs_links.parent_id IS 'What the child lies in; of a stage, the staging id.';

COMMENT ON COLUMN public.vfs_links.child_id IS 'What lies there; of a stage, the blob.';

COMMENT ON COLUMN public.vfs_links.wrapped_session_key IS 'The child''s key, wrapped; or `blob-stage:staged`, `blob-stage:attached`, `blob-stage:abandoned`; or `blob-link:` and a relation kind.';

COMMENT ON COLUMN public.vfs_links.wrapped_hierarchical_key IS 'The child''s own key pair''s private part, wrapped. NULL: it has none.';

COMMENT ON COLUMN public.vfs_links.visible_children IS 'What is known of a stage or an attachment. NULL: nothing.';

COMMENT ON COLUMN public.vfs_links."position" IS 'Place among the parent''s children, from 0. NULL: none.';

COMMENT ON COLUMN public.vfs_links.created_at IS 'When it was made.';

CREATE TABLE public.vfs_shares (
    id text NOT NULL,
    item_id text NOT NULL,
    share_type text NOT NULL,
    target_id text NOT NULL,
    permission_level text NOT NULL,
    wrapped_session_key text,
    created_by text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    CONSTRAINT vfs_shares_permission_level_check CHECK ((permission_level = ANY (ARRAY['view'::text, 'edit'::text, 'download'::text]))),
    CONSTRAINT vfs_shares_share_type_check CHECK ((share_type = ANY (ARRAY['user'::text, 'group'::text, 'organization'::text])))
);

COMMENT ON TABLE public.vfs_shares IS 'Legacy, and not touched by 0024 to 0027: items that are shared.';

COMMENT ON COLUMN public.vfs_shares.id IS 'Any text.';

COMMENT ON COLUMN public.vfs_shares.item_id IS 'The item.';

COMMENT ON COLUMN public.vfs_shares.share_type IS 'What target_id is an id of.';

COMMENT ON COLUMN public.vfs_shares.target_id IS 'Whom it is shared with.';

COMMENT ON COLUMN public.vfs_shares.permission_level IS '`edit` allows writing; `view` and `download` allow reading.';

COMMENT ON COLUMN public.vfs_shares.wrapped_session_key IS 'The item''s key, wrapped for them. NULL: not yet.';

COMMENT ON COLUMN public.vfs_shares.created_by IS 'Who shared it.';

COMMENT ON COLUMN public.vfs_shares.created_at IS 'When it was shared.';

COMMENT ON COLUMN public.vfs_shares.expires_at IS 'From this time on it grants nothing. NULL: it does not end by itself.';

CREATE TABLE public.vfs_sync_changes (
    id text NOT NULL,
    item_id text NOT NULL,
    change_type text NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    changed_by text,
    root_id text,
    seq bigint NOT NULL,
    CONSTRAINT vfs_sync_changes_change_type_check CHECK ((change_type = ANY (ARRAY['upsert'::text, 'delete'::text, 'acl'::text])))
);

COMMENT ON TABLE public.vfs_sync_changes IS 'The feed of objects: that something about an item changed.';

COMMENT ON COLUMN public.vfs_sync_changes.id IS 'The second half of the row''s position; ordered bytewise.';

COMMENT ON COLUMN public.vfs_sync_changes.item_id IS 'The item; it may be gone.';

COMMENT ON COLUMN public.vfs_sync_changes.change_type IS '`upsert`, `delete`, or `acl` for who may see it.';

COMMENT ON COLUMN public.vfs_sync_changes.changed_at IS 'The first half of the row''s position: whole milliseconds; never falls from one row to the next.';

COMMENT ON COLUMN public.vfs_sync_changes.changed_by IS 'Who changed it; may be gone. NULL: not known.';

COMMENT ON COLUMN public.vfs_sync_changes.root_id IS 'Where the item lies. NULL: not told.';

COMMENT ON COLUMN public.vfs_sync_changes.seq IS 'Number of the row in the one order of both feeds.';

ALTER TABLE ONLY public.groups
    ADD CONSTRAINT groups_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.org_shares
    ADD CONSTRAINT org_shares_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.organizations
    ADD CONSTRAINT organizations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (version);

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.user_groups
    ADD CONSTRAINT user_groups_pkey PRIMARY KEY (user_id, group_id);

ALTER TABLE ONLY public.user_keys
    ADD CONSTRAINT user_keys_pkey PRIMARY KEY (user_id);

ALTER TABLE ONLY public.user_organizations
    ADD CONSTRAINT user_organizations_pkey PRIMARY KEY (user_id, organization_id);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_email_key UNIQUE (email);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.vfs_acl_entries
    ADD CONSTRAINT vfs_acl_entries_item_id_principal_type_principal_id_key UNIQUE (item_id, principal_type, principal_id);

ALTER TABLE ONLY public.vfs_acl_entries
    ADD CONSTRAINT vfs_acl_entries_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.vfs_blob_marks
    ADD CONSTRAINT vfs_blob_marks_pkey PRIMARY KEY (blob_id);

ALTER TABLE ONLY public.vfs_blob_ref_choices
    ADD CONSTRAINT vfs_blob_ref_choices_pkey PRIMARY KEY (blob_id, item_id);

ALTER TABLE ONLY public.vfs_blob_removals
    ADD CONSTRAINT vfs_blob_removals_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.vfs_client_guardrails
    ADD CONSTRAINT vfs_client_guardrails_pkey PRIMARY KEY (user_id, signature);

ALTER TABLE ONLY public.vfs_client_state_marks
    ADD CONSTRAINT vfs_client_state_marks_pkey PRIMARY KEY (user_id, client_id);

ALTER TABLE ONLY public.vfs_crdt_forgotten_ops
    ADD CONSTRAINT vfs_crdt_forgotten_ops_pkey PRIMARY KEY (actor_id, client_op_id);

ALTER TABLE ONLY public.vfs_crdt_horizon
    ADD CONSTRAINT vfs_crdt_horizon_pkey PRIMARY KEY (single);

ALTER TABLE ONLY public.vfs_crdt_ops
    ADD CONSTRAINT vfs_crdt_ops_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.vfs_crdt_ops
    ADD CONSTRAINT vfs_crdt_ops_seq_key UNIQUE (seq);

ALTER TABLE ONLY public.vfs_crdt_replica_heads
    ADD CONSTRAINT vfs_crdt_replica_heads_pkey PRIMARY KEY (actor_id, replica_id);

ALTER TABLE ONLY public.vfs_feed_epochs
    ADD CONSTRAINT vfs_feed_epochs_pkey PRIMARY KEY (epoch);

ALTER TABLE ONLY public.vfs_feed_head
    ADD CONSTRAINT vfs_feed_head_pkey PRIMARY KEY (single);

ALTER TABLE ONLY public.vfs_folders
    ADD CONSTRAINT vfs_folders_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.vfs_freeze
    ADD CONSTRAINT vfs_freeze_pkey PRIMARY KEY (single);

ALTER TABLE ONLY public.vfs_instances
    ADD CONSTRAINT vfs_instances_pkey PRIMARY KEY (instance);

ALTER TABLE ONLY public.vfs_legacy_writes
    ADD CONSTRAINT vfs_legacy_writes_pkey PRIMARY KEY (table_name);

ALTER TABLE ONLY public.vfs_links
    ADD CONSTRAINT vfs_links_parent_id_child_id_key UNIQUE (parent_id, child_id);

ALTER TABLE ONLY public.vfs_links
    ADD CONSTRAINT vfs_links_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.vfs_registry
    ADD CONSTRAINT vfs_registry_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.vfs_shares
    ADD CONSTRAINT vfs_shares_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.vfs_sync_changes
    ADD CONSTRAINT vfs_sync_changes_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.vfs_sync_changes
    ADD CONSTRAINT vfs_sync_changes_seq_key UNIQUE (seq);

ALTER TABLE ONLY public.vfs_sync_client_state
    ADD CONSTRAINT vfs_sync_client_state_pkey PRIMARY KEY (user_id, client_id);

CREATE INDEX groups_organization_idx ON public.groups USING btree (organization_id);

CREATE INDEX org_shares_item_idx ON public.org_shares USING btree (item_id);

CREATE INDEX sessions_user_idx ON public.sessions USING btree (user_id);

CREATE INDEX user_groups_group_idx ON public.user_groups USING btree (group_id);

CREATE INDEX user_organizations_organization_idx ON public.user_organizations USING btree (organization_id);

CREATE INDEX vfs_acl_entries_active_idx ON public.vfs_acl_entries USING btree (principal_type, principal_id, revoked_at, expires_at);

CREATE INDEX vfs_acl_entries_ending_idx ON public.vfs_acl_entries USING btree (expires_at) WHERE ((revoked_at IS NULL) AND (end_told_of IS DISTINCT FROM expires_at));

CREATE INDEX vfs_acl_entries_item_idx ON public.vfs_acl_entries USING btree (item_id);

CREATE INDEX vfs_acl_entries_principal_idx ON public.vfs_acl_entries USING btree (principal_type, principal_id);

CREATE INDEX vfs_blob_marks_mark_idx ON public.vfs_blob_marks USING btree (mark, marked_at);

CREATE UNIQUE INDEX vfs_crdt_ops_client_op_idx ON public.vfs_crdt_ops USING btree (actor_id COLLATE "C", client_op_id COLLATE "C") WHERE (client_op_id IS NOT NULL);

CREATE INDEX vfs_crdt_ops_item_position_idx ON public.vfs_crdt_ops USING btree (item_id COLLATE "C", occurred_at, id COLLATE "C");

CREATE INDEX vfs_crdt_ops_loss_idx ON public.vfs_crdt_ops USING btree (principal_id COLLATE "C", occurred_at, id COLLATE "C") WHERE ((op_type = 'acl_remove'::text) AND (source_table <> ALL (ARRAY['vfs_crdt_client_push'::text, 'vfs_acl_entries_again'::text])));

CREATE INDEX vfs_crdt_ops_position_idx ON public.vfs_crdt_ops USING btree (occurred_at, id COLLATE "C");

CREATE INDEX vfs_links_child_idx ON public.vfs_links USING btree (child_id);

CREATE INDEX vfs_links_parent_idx ON public.vfs_links USING btree (parent_id);

CREATE INDEX vfs_registry_bytes_idx ON public.vfs_registry USING btree (id COLLATE "C") INCLUDE (owner_id);

CREATE INDEX vfs_registry_object_type_idx ON public.vfs_registry USING btree (object_type);

CREATE INDEX vfs_registry_owner_idx ON public.vfs_registry USING btree (owner_id);

CREATE INDEX vfs_shares_item_idx ON public.vfs_shares USING btree (item_id);

CREATE INDEX vfs_shares_target_idx ON public.vfs_shares USING btree (target_id);

CREATE INDEX vfs_sync_changes_deletion_idx ON public.vfs_sync_changes USING btree (changed_by COLLATE "C", changed_at, id COLLATE "C") WHERE (change_type = 'delete'::text);

CREATE INDEX vfs_sync_changes_item_idx ON public.vfs_sync_changes USING btree (item_id);

CREATE INDEX vfs_sync_changes_item_position_idx ON public.vfs_sync_changes USING btree (item_id COLLATE "C", changed_at, id COLLATE "C");

CREATE INDEX vfs_sync_changes_position_idx ON public.vfs_sync_changes USING btree (changed_at, id COLLATE "C");

CREATE INDEX vfs_sync_changes_root_idx ON public.vfs_sync_changes USING btree (root_id);

CREATE INDEX vfs_sync_client_state_user_idx ON public.vfs_sync_client_state USING btree (user_id);

CREATE TRIGGER org_shares_emit_delete AFTER DELETE ON public.org_shares REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.org_shares_emit();

CREATE TRIGGER org_shares_emit_insert AFTER INSERT ON public.org_shares REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.org_shares_emit();

CREATE TRIGGER org_shares_emit_update AFTER UPDATE ON public.org_shares REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.org_shares_emit();

CREATE TRIGGER vfs_acl_entries_emit_delete AFTER DELETE ON public.vfs_acl_entries REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION public.vfs_acl_entries_emit_delete();

CREATE TRIGGER vfs_acl_entries_emit_insert AFTER INSERT ON public.vfs_acl_entries REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION public.vfs_acl_entries_emit_insert();

CREATE TRIGGER vfs_acl_entries_emit_update AFTER UPDATE ON public.vfs_acl_entries REFERENCING OLD TABLE AS was NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION public.vfs_acl_entries_emit_update();

CREATE TRIGGER vfs_acl_entries_note_end BEFORE INSERT OR UPDATE OF expires_at ON public.vfs_acl_entries FOR EACH ROW EXECUTE FUNCTION public.vfs_acl_entries_note_end();

CREATE TRIGGER vfs_legacy_guard BEFORE INSERT ON public.vfs_blob_marks FOR EACH ROW EXECUTE FUNCTION public.vfs_legacy_guard('blob_id');

CREATE TRIGGER vfs_legacy_guard BEFORE INSERT ON public.vfs_registry FOR EACH ROW EXECUTE FUNCTION public.vfs_legacy_guard('id');

CREATE TRIGGER vfs_links_emit_delete AFTER DELETE ON public.vfs_links REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.vfs_links_emit();

CREATE TRIGGER vfs_links_emit_insert AFTER INSERT ON public.vfs_links REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.vfs_links_emit();

CREATE TRIGGER vfs_members_emit_delete AFTER DELETE ON public.user_groups REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION public.vfs_members_emit_delete('group', 'group_id');

CREATE TRIGGER vfs_members_emit_delete AFTER DELETE ON public.user_organizations REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION public.vfs_members_emit_delete('organization', 'organization_id');

CREATE TRIGGER vfs_members_emit_insert AFTER INSERT ON public.user_groups REFERENCING NEW TABLE AS joined FOR EACH STATEMENT EXECUTE FUNCTION public.vfs_members_emit_insert('group', 'group_id');

CREATE TRIGGER vfs_members_emit_insert AFTER INSERT ON public.user_organizations REFERENCING NEW TABLE AS joined FOR EACH STATEMENT EXECUTE FUNCTION public.vfs_members_emit_insert('organization', 'organization_id');

CREATE TRIGGER vfs_registry_emit_delete AFTER DELETE ON public.vfs_registry REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.vfs_registry_emit();

CREATE TRIGGER vfs_registry_emit_insert AFTER INSERT ON public.vfs_registry REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.vfs_registry_emit();

CREATE TRIGGER vfs_registry_emit_update AFTER UPDATE ON public.vfs_registry REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.vfs_registry_emit();

CREATE TRIGGER vfs_shares_emit_delete AFTER DELETE ON public.vfs_shares REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.vfs_shares_emit();

CREATE TRIGGER vfs_shares_emit_insert AFTER INSERT ON public.vfs_shares REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.vfs_shares_emit();

CREATE TRIGGER vfs_shares_emit_update AFTER UPDATE ON public.vfs_shares REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.vfs_shares_emit();

ALTER TABLE ONLY public.groups
    ADD CONSTRAINT groups_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.org_shares
    ADD CONSTRAINT org_shares_created_by_fkey FOREIGN KEY (created_by) REFERENCES public.users(id) ON DELETE RESTRICT;

ALTER TABLE ONLY public.org_shares
    ADD CONSTRAINT org_shares_item_id_fkey FOREIGN KEY (item_id) REFERENCES public.vfs_registry(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.org_shares
    ADD CONSTRAINT org_shares_source_org_id_fkey FOREIGN KEY (source_org_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.org_shares
    ADD CONSTRAINT org_shares_target_org_id_fkey FOREIGN KEY (target_org_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.user_groups
    ADD CONSTRAINT user_groups_group_id_fkey FOREIGN KEY (group_id) REFERENCES public.groups(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.user_groups
    ADD CONSTRAINT user_groups_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.user_keys
    ADD CONSTRAINT user_keys_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.user_organizations
    ADD CONSTRAINT user_organizations_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.user_organizations
    ADD CONSTRAINT user_organizations_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.vfs_acl_entries
    ADD CONSTRAINT vfs_acl_entries_granted_by_fkey FOREIGN KEY (granted_by) REFERENCES public.users(id) ON DELETE RESTRICT;

ALTER TABLE ONLY public.vfs_acl_entries
    ADD CONSTRAINT vfs_acl_entries_item_id_fkey FOREIGN KEY (item_id) REFERENCES public.vfs_registry(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.vfs_client_guardrails
    ADD CONSTRAINT vfs_client_guardrails_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.vfs_folders
    ADD CONSTRAINT vfs_folders_id_fkey FOREIGN KEY (id) REFERENCES public.vfs_registry(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.vfs_links
    ADD CONSTRAINT vfs_links_child_id_fkey FOREIGN KEY (child_id) REFERENCES public.vfs_registry(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.vfs_links
    ADD CONSTRAINT vfs_links_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES public.vfs_registry(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.vfs_shares
    ADD CONSTRAINT vfs_shares_created_by_fkey FOREIGN KEY (created_by) REFERENCES public.users(id) ON DELETE RESTRICT;

ALTER TABLE ONLY public.vfs_shares
    ADD CONSTRAINT vfs_shares_item_id_fkey FOREIGN KEY (item_id) REFERENCES public.vfs_registry(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.vfs_sync_client_state
    ADD CONSTRAINT vfs_sync_client_state_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;
