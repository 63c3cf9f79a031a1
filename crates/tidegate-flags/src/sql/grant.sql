DO $do$
DECLARE
    grantee CONSTANT text := pg_catalog.current_setting('tidegate.flag_grantee');
    routine regprocedure;
BEGIN
    EXECUTE pg_catalog.format('GRANT USAGE ON SCHEMA tidegate TO %I', grantee);
    FOR routine IN
        SELECT p.oid FROM pg_catalog.pg_proc AS p
        WHERE p.pronamespace = 'tidegate'::pg_catalog.regnamespace
          AND p.proname IN ('flag_enter', 'flag_enter_json', 'flag_beat', 'flag_leave', 'flag_outbox_put',
                            'flag_outbox_take', 'flag_outbox_done', 'flag_outbox_refused', 'flag_outbox_open', 'flag_outbox_apply')
    LOOP
        EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO %I', routine, grantee);
    END LOOP;
END
$do$
