-- 0008: the tenant context guard. Everything after it stands on it.
--
-- A transaction of the application names its tenant once, through app.set_community_context. Row security of the later
-- tables reads the same setting: without it a SELECT finds no row and an INSERT is refused (42501). Functions that need
-- a tenant ask app.current_community_id, which raises.
--
-- Needs: role arrakis_app. Run in one transaction.

CREATE SCHEMA app;
COMMENT ON SCHEMA app IS 'Tenant context of the economic ledger and the functions that depend on it.';
GRANT USAGE ON SCHEMA app TO arrakis_app;

CREATE FUNCTION app.current_community_id() RETURNS uuid
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  -- A session that once had the setting keeps it as the empty text: both mean that there is none.
  setting text := nullif(current_setting('app.community_id', true), '');
BEGIN
  IF setting IS NULL THEN
    RAISE EXCEPTION 'app.community_id is not set'
      USING ERRCODE = 'P0001',
            HINT = 'Call app.set_community_context(community) first, in the same transaction.';
  END IF;
  RETURN setting::uuid;
END
$$;
COMMENT ON FUNCTION app.current_community_id() IS
  'The tenant of this transaction. Raises P0001 when none is set and 22P02 when the setting is no uuid; never null.';
REVOKE ALL ON FUNCTION app.current_community_id() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.current_community_id() TO arrakis_app;

CREATE FUNCTION app.set_community_context(community uuid) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF community IS NULL THEN
    RAISE EXCEPTION 'app.set_community_context needs a community, not NULL'
      USING ERRCODE = '22004',
            HINT = 'Pass the id of the tenant that this transaction works for.';
  END IF;
  -- Transaction-local, so that a pooler that hands this connection on hands no tenant on with it.
  PERFORM set_config('app.community_id', community::text, true);
END
$$;
COMMENT ON FUNCTION app.set_community_context(uuid) IS
  'Names the tenant of this transaction; gone at its end. Outside a transaction block it has no effect.';
REVOKE ALL ON FUNCTION app.set_community_context(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.set_community_context(uuid) TO arrakis_app;
