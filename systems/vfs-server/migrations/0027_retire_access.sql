-- 0027: vfs_access goes, if every row of it stands in vfs_acl_entries, active and equal.
--
-- Nothing is carried over here: whoever moved the application to vfs_acl_entries did that.
--
-- Every refusal leaves everything untouched; once applied, applying it again does nothing.
--
-- Run in one transaction.

DO $v027$
DECLARE
  listing text;
BEGIN
  IF NOT EXISTS (SELECT FROM schema_migrations WHERE version = 26) THEN
    RAISE EXCEPTION 'v027 abort: migration 26 is not applied';
  END IF;
  -- The servers' writes hold this lock shared: while it is held here none is open, and none begins.
  PERFORM pg_advisory_xact_lock(7337001);

  IF to_regclass('public.vfs_access') IS NOT NULL THEN
    IF to_regclass('public.vfs_acl_entries') IS NULL THEN
      RAISE EXCEPTION 'v027 abort: vfs_acl_entries missing while vfs_access still exists';
    END IF;
    LOCK TABLE public.vfs_access IN ACCESS EXCLUSIVE MODE;
    IF EXISTS (
      SELECT FROM public.vfs_access AS legacy
      WHERE NOT EXISTS (
        SELECT FROM vfs_acl_entries AS entry
        WHERE entry.item_id = legacy.item_id AND entry.principal_type = 'user' AND entry.principal_id = legacy.user_id
          AND entry.revoked_at IS NULL
          AND entry.access_level = legacy.permission_level
          AND entry.wrapped_session_key IS NOT DISTINCT FROM legacy.wrapped_session_key
          AND entry.wrapped_hierarchical_key IS NOT DISTINCT FROM legacy.wrapped_hierarchical_key
          AND entry.granted_by IS NOT DISTINCT FROM legacy.granted_by
          AND entry.expires_at IS NOT DISTINCT FROM legacy.expires_at)
    ) THEN
      RAISE EXCEPTION 'v027 abort: legacy vfs_access rows missing canonical active user ACL parity';
    END IF;
  END IF;

  IF EXISTS (SELECT FROM vfs_legacy_writes WHERE table_name = 'vfs_access' AND writes > 0) THEN
    RAISE EXCEPTION 'v027 abort: legacy tables were written since v024';
  END IF;
  SELECT string_agg(instance || ' (' || version || ')', ', ' ORDER BY instance) INTO listing
  FROM vfs_instances_too_old(27);
  IF listing IS NOT NULL THEN
    RAISE EXCEPTION 'v027 abort: instances that may use the legacy tables are running: %', listing;
  END IF;

  IF to_regclass('public.vfs_access') IS NOT NULL THEN
    DROP TABLE public.vfs_access;
  END IF;
  INSERT INTO schema_migrations (version, applied_at) VALUES (27, now()) ON CONFLICT (version) DO NOTHING;
END
$v027$;
