-- 0015: a lot's row changes in one way only, whoever changes it: active becomes expired or depleted, all else stays.
--
-- The trigger per statement of 0009 lets app.update_lot_status through; this one looks at what it does.
--
-- SQLSTATE: LG002. Needs: 0009. Run in one transaction.

CREATE FUNCTION public.enforce_lot_status() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  expected public.credit_lots := OLD;
BEGIN
  expected.status := NEW.status;
  IF OLD.status <> 'active' OR NEW.status NOT IN ('expired', 'depleted') OR NEW IS DISTINCT FROM expected THEN
    RAISE EXCEPTION 'Invalid lot status transition: % → %', OLD.status, NEW.status
      USING ERRCODE = 'LG002', HINT = 'Only the status of an active lot changes, by app.update_lot_status.';
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION public.enforce_lot_status() IS 'Trigger: lets a lot leave active and refuses every other change (LG002).';
REVOKE ALL ON FUNCTION public.enforce_lot_status() FROM PUBLIC;

CREATE TRIGGER credit_lots_status_only BEFORE UPDATE ON public.credit_lots
  FOR EACH ROW EXECUTE FUNCTION public.enforce_lot_status();
