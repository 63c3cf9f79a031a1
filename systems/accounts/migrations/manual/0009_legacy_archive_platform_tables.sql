-- 0009: the first schema is put away, out of every program's sight. Never applied by itself.
--
-- The seven platform_* tables move to the schema `legacy` and get the ending `_legacy`. No row goes; the file of the
-- same name under undo/ brings them back.
--
-- It looks for itself, whoever runs it and however: the flags must stand on the second schema alone and cannot move
-- meanwhile, the newest verification must have passed, no way back may be open. All of it is one statement, so that
-- plain psql cannot leave half of it behind. A second run changes nothing.
--
-- SQLSTATE: AC001. Needs: 0006, 0008, the flag tables.

DO $archive$
DECLARE
  names    CONSTANT text[] := ARRAY[
    'platform_workspaces', 'platform_workspace_members', 'platform_permissions', 'platform_managed_users',
    'platform_books', 'platform_book_snapshots', 'platform_audit_events'];
  present  text[];
  flags    record;
  verified record;
  open_run text;
  name     text;
BEGIN
  PERFORM set_config('lock_timeout', '5s', true);
  SELECT coalesce(array_agg(n ORDER BY o), '{}') INTO present
  FROM unnest(names) WITH ORDINALITY AS wanted (n, o) WHERE to_regclass('public.' || n) IS NOT NULL;
  IF present = '{}' AND to_regclass('legacy.platform_workspaces_legacy') IS NOT NULL THEN
    RAISE NOTICE 'the platform_* tables are archived already';
    RETURN;
  END IF;
  IF present <> names THEN
    RAISE EXCEPTION 'Archive refused: only % of the seven platform_* tables are in schema public', cardinality(present)
      USING ERRCODE = 'AC001', HINT = 'Find out who moved or dropped the others before anything else is moved.';
  END IF;

  IF to_regclass('tidegate.flag_set') IS NULL THEN
    RAISE EXCEPTION 'Archive refused: the flags are not in the database'
      USING ERRCODE = 'AC001', HINT = 'What instances read in their environment cannot be held still. Run the runbook.';
  END IF;
  -- From here to the end of the transaction nobody moves the flags.
  EXECUTE 'SELECT row_name, row_values, columns FROM tidegate.flag_enter($1)' INTO flags USING 'accounts';
  IF flags.row_name IS NULL OR flags.columns <> ARRAY['reads', 'writes', 'dual'] OR flags.row_values <> ARRAY[true, true, false] THEN
    RAISE EXCEPTION 'Archive refused: flag set accounts is at row %, not at (1,1,0)', coalesce(flags.row_name, 'none')
      USING ERRCODE = 'AC001', HINT = 'Move the flags to the row that reads and writes the second schema alone.';
  END IF;
  EXECUTE 'SELECT name FROM tidegate.flag_instance WHERE flag_set = $1 AND override IS NOT NULL ORDER BY name LIMIT 1'
    INTO name USING 'accounts';
  IF name IS NOT NULL THEN
    RAISE EXCEPTION 'Archive refused: the environment of instance % contradicts the flags', name
      USING ERRCODE = 'AC001', HINT = 'Correct its variables and start it again.';
  END IF;

  IF to_regclass('public.account_verifications') IS NULL THEN
    RAISE EXCEPTION 'Archive refused: no verification was ever kept'
      USING ERRCODE = 'AC001', HINT = 'Apply 0008 and verify.';
  END IF;
  EXECUTE 'SELECT ok, verified_at, failed FROM public.account_verifications ORDER BY id DESC LIMIT 1' INTO verified;
  IF verified.ok IS NOT TRUE THEN
    RAISE EXCEPTION 'Archive refused: the last verification %',
        CASE WHEN verified.ok IS NULL THEN 'is missing' ELSE 'failed: ' || array_to_string(verified.failed, ', ') END
      USING ERRCODE = 'AC001', HINT = 'Verify until every check passes.';
  END IF;

  IF to_regclass('tidegate.event') IS NOT NULL THEN
    EXECUTE $open$
      SELECT run::text FROM (
        SELECT DISTINCT ON (run) run, body::jsonb #>> '{event,kind}' AS kind
        FROM tidegate.event
        WHERE body::jsonb #>> '{event,kind}' IN ('rollback_started', 'rollback_ended', 'finished', 'abandoned')
        ORDER BY run, seq DESC
      ) newest WHERE kind = 'rollback_started' LIMIT 1
    $open$ INTO open_run;
    IF open_run IS NOT NULL THEN
      RAISE EXCEPTION 'Archive refused: run % is on its way back', open_run
        USING ERRCODE = 'AC001', HINT = 'End that way back, or give the run up, first.';
    END IF;
  END IF;

  CREATE SCHEMA IF NOT EXISTS legacy;
  COMMENT ON SCHEMA legacy IS 'Tables that nothing uses any more, kept until somebody decides to drop them.';
  FOREACH name IN ARRAY names LOOP
    EXECUTE format('LOCK TABLE public.%I IN ACCESS EXCLUSIVE MODE', name);
  END LOOP;
  FOREACH name IN ARRAY names LOOP
    EXECUTE format('ALTER TABLE public.%I SET SCHEMA legacy', name);
    EXECUTE format('ALTER TABLE legacy.%I RENAME TO %I', name, name || '_legacy');
  END LOOP;
END
$archive$;
