-- The way back from 0009: the first schema returns as it was put away.
--
-- It is as old as its archive. What was written to the second schema since is not in it: the flags stay where they are
-- until the reverse catch-up has brought it over. A second run changes nothing.
--
-- SQLSTATE: AC002.

DO $restore$
DECLARE
  names   CONSTANT text[] := ARRAY[
    'platform_workspaces', 'platform_workspace_members', 'platform_permissions', 'platform_managed_users',
    'platform_books', 'platform_book_snapshots', 'platform_audit_events'];
  present text[];
  name    text;
BEGIN
  PERFORM set_config('lock_timeout', '5s', true);
  SELECT coalesce(array_agg(n), '{}') INTO present
  FROM unnest(names) AS wanted (n) WHERE to_regclass('legacy.' || n || '_legacy') IS NOT NULL;
  IF present = '{}' THEN
    RAISE NOTICE 'nothing is archived';
    RETURN;
  END IF;
  FOREACH name IN ARRAY present LOOP
    IF to_regclass('public.' || name) IS NOT NULL THEN
      RAISE EXCEPTION 'Return refused: public.% is there again', name
        USING ERRCODE = 'AC002', HINT = 'Find out who made it; two tables of one name cannot stand side by side.';
    END IF;
    EXECUTE format('ALTER TABLE legacy.%I RENAME TO %I', name || '_legacy', name);
    EXECUTE format('ALTER TABLE legacy.%I SET SCHEMA public', name);
  END LOOP;
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_class WHERE relnamespace = 'legacy'::regnamespace) THEN
    DROP SCHEMA legacy;
  END IF;
END
$restore$;
