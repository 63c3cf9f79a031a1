-- 0017: the cursor of reconciliation never goes back.
--
-- A worker that was held up and wakes late writes with an older fence; its write is refused instead of undoing a newer
-- worker's. Equal fences are one worker's own repeated writes.
--
-- SQLSTATE: LG007. Needs: 0011. Run in one transaction.

CREATE FUNCTION public.enforce_cursor_fence() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF NEW.community_id <> OLD.community_id THEN
    RAISE EXCEPTION 'Reconciliation cursor belongs to its community and may not move to another'
      USING ERRCODE = 'LG007', HINT = 'Insert a cursor for the other community.';
  ELSIF NEW.last_fence_token < OLD.last_fence_token THEN
    RAISE EXCEPTION 'Reconciliation cursor cannot go backwards: fence % → %', OLD.last_fence_token, NEW.last_fence_token
      USING ERRCODE = 'LG007', HINT = 'Another worker holds a newer fence. Take a new one and read again.';
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION public.enforce_cursor_fence() IS 'Trigger: refuses an older fence or another tenant (LG007).';
REVOKE ALL ON FUNCTION public.enforce_cursor_fence() FROM PUBLIC;

CREATE TRIGGER reconciliation_cursor_fence BEFORE UPDATE ON public.reconciliation_cursor
  FOR EACH ROW EXECUTE FUNCTION public.enforce_cursor_fence();
