CREATE OR REPLACE TRIGGER tidegate_seal BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON :table
    FOR EACH STATEMENT WHEN (pg_catalog.pg_trigger_depth() = 0) EXECUTE FUNCTION tidegate.refuse_sealed();
CREATE OR REPLACE TRIGGER tidegate_seal_stray AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON :table
    FOR EACH STATEMENT WHEN (pg_catalog.pg_trigger_depth() > 0) EXECUTE FUNCTION tidegate.count_stray()
