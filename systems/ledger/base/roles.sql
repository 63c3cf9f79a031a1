-- The roles that the ledger's migrations grant to. Run once per cluster by a superuser, in the database that holds the
-- ledger; running it again changes nothing. No role gets a password here: how they log in is the server's own business.
--
--   arrakis_app    the application: always under row security
--   arrakis_admin  the system: webhooks, sweeps, reconciliation. Sees every tenant, inherits nothing, and writes a
--                  tenant's rows only after SET LOCAL ROLE arrakis_app

DO $$
BEGIN
  CREATE ROLE arrakis_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
  NULL; -- there already, or being made by another session at this moment
END
$$;

DO $$
BEGIN
  CREATE ROLE arrakis_admin LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT BYPASSRLS;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
  NULL;
END
$$;

DO $$
DECLARE
  database_owner name := (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database());
BEGIN
  IF NOT pg_has_role('arrakis_admin', 'arrakis_app', 'MEMBER') THEN
    GRANT arrakis_app TO arrakis_admin;
  END IF;
  -- The runbook's checks speak as the application. A plain owner that migrates must be allowed to become it.
  IF NOT pg_has_role(database_owner, 'arrakis_app', 'MEMBER') THEN
    EXECUTE format('GRANT arrakis_app TO %I', database_owner);
  END IF;
  -- It must also see what other sessions do, or it would take a busy server for a quiet one, and be able to end them.
  IF NOT pg_has_role(database_owner, 'pg_read_all_stats', 'MEMBER') THEN
    EXECUTE format('GRANT pg_read_all_stats, pg_signal_backend TO %I', database_owner);
  END IF;
EXCEPTION WHEN unique_violation THEN
  NULL; -- granted by another session at this moment
END
$$;
