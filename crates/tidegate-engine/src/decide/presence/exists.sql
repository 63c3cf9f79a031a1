-- Whether an object of kind $1 is there: schema $2 (NULL: by search path), name $3, part $4 of it, qualified name $5.
SELECT CASE
    WHEN $1 = 'schema' THEN EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname = $3)
    WHEN $1 = 'extension' THEN EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE e.extname = $3)
    WHEN $1 = 'function' THEN EXISTS (
        SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
        WHERE p.proname = $3 AND CASE WHEN $2::text IS NULL THEN pg_catalog.pg_function_is_visible(p.oid) ELSE n.nspname = $2 END)
    WHEN $1 = 'type' THEN to_regtype($5) IS NOT NULL
    WHEN $1 = 'trigger' THEN EXISTS (
        SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = to_regclass($5) AND t.tgname = $4 AND NOT t.tgisinternal)
    WHEN $1 = 'policy' THEN EXISTS (
        SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid = to_regclass($5) AND p.polname = $4)
    WHEN $1 = 'rule' THEN EXISTS (
        SELECT FROM pg_catalog.pg_rewrite r WHERE r.ev_class = to_regclass($5) AND r.rulename = $4)
    ELSE to_regclass($5) IS NOT NULL
END
