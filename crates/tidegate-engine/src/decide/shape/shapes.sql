-- Every object that is not the system's, an extension's or ours: kind, name, definition, and the relation that it is a part of
-- (NULL: none). No row numbers, no storage.
WITH outside AS (
    SELECT oid FROM pg_catalog.pg_namespace
    WHERE nspname ~ '^pg_' OR nspname IN ('information_schema', 'tidegate')
), of_extension AS (
    SELECT classid, objid FROM pg_catalog.pg_depend WHERE deptype = 'e'
), relations AS (
    SELECT c.*, pg_catalog.format('%I.%I', n.nspname, c.relname) AS name
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid >= 16384 AND c.relnamespace NOT IN (TABLE outside)
      AND NOT EXISTS (SELECT FROM of_extension e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid)
)
SELECT CASE r.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table'
           WHEN 'c' THEN 'composite type' WHEN 'S' THEN 'sequence' ELSE 'table' END AS kind, r.name,
    concat_ws(' ', r.relkind, r.relpersistence, 'owner', r.relowner::regrole, 'row security', r.relrowsecurity, r.relforcerowsecurity,
        'identity', r.relreplident, 'grants', (SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(r.relacl) a),
        'options', r.reloptions::text, CASE WHEN r.relkind = 'p' THEN pg_catalog.pg_get_partkeydef(r.oid) END,
        CASE WHEN r.relispartition THEN pg_catalog.pg_get_expr(r.relpartbound, r.oid) END,
        (SELECT 'under ' || string_agg(i.inhparent::regclass::text, ',' ORDER BY i.inhseqno)
         FROM pg_catalog.pg_inherits i WHERE i.inhrelid = r.oid),
        CASE WHEN r.relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(r.oid) END,
        (SELECT concat_ws(' ', s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcycle)
         FROM pg_catalog.pg_sequence s WHERE s.seqrelid = r.oid)) AS definition,
    NULL::text AS part_of
FROM relations r WHERE r.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
UNION ALL
SELECT 'column', r.name || '.' || pg_catalog.quote_ident(a.attname),
    concat_ws(' ', pg_catalog.format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'not null' END,
        'default ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid), 'identity ' || nullif(a.attidentity::text, ''),
        'generated ' || nullif(a.attgenerated::text, ''),
        (SELECT 'collate ' || l.collname FROM pg_catalog.pg_collation l WHERE l.oid = a.attcollation AND l.collname <> 'default'),
        'grants ' || (SELECT string_agg(g::text, ',' ORDER BY g::text) FROM unnest(a.attacl) g)), r.name
FROM relations r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid
LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE r.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'column order', r.name, string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum), r.name
FROM relations r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid
WHERE r.relkind IN ('r', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped GROUP BY r.name
UNION ALL
SELECT 'index', r.name, pg_catalog.pg_get_indexdef(r.oid) || CASE WHEN i.indisvalid THEN '' ELSE ' (invalid)' END,
    (SELECT t.name FROM relations t WHERE t.oid = i.indrelid)
FROM relations r JOIN pg_catalog.pg_index i ON i.indexrelid = r.oid
UNION ALL
SELECT 'constraint', coalesce(r.name, k.contypid::regtype::text) || '.' || pg_catalog.quote_ident(k.conname),
    pg_catalog.pg_get_constraintdef(k.oid) || CASE WHEN k.convalidated THEN '' ELSE ' (not validated)' END, r.name
FROM pg_catalog.pg_constraint k LEFT JOIN relations r ON r.oid = k.conrelid
WHERE k.oid >= 16384 AND k.connamespace NOT IN (TABLE outside)
UNION ALL
SELECT 'trigger', r.name || '.' || pg_catalog.quote_ident(t.tgname), pg_catalog.pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text, r.name
FROM pg_catalog.pg_trigger t JOIN relations r ON r.oid = t.tgrelid
WHERE NOT t.tgisinternal AND t.tgname NOT LIKE 'tidegate\_seal%'
UNION ALL
SELECT 'policy', r.name || '.' || pg_catalog.quote_ident(p.polname),
    concat_ws(' ', p.polcmd, p.polpermissive,
        (SELECT string_agg(CASE WHEN o = 0 THEN 'public' ELSE o::regrole::text END, ',' ORDER BY o::regrole::text) FROM unnest(p.polroles) o),
        'using ' || pg_catalog.pg_get_expr(p.polqual, p.polrelid), 'check ' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)), r.name
FROM pg_catalog.pg_policy p JOIN relations r ON r.oid = p.polrelid
UNION ALL
SELECT 'rule', r.name || '.' || pg_catalog.quote_ident(w.rulename), pg_catalog.pg_get_ruledef(w.oid) || ' ' || w.ev_enabled::text, r.name
FROM pg_catalog.pg_rewrite w JOIN relations r ON r.oid = w.ev_class WHERE w.rulename <> '_RETURN'
UNION ALL
SELECT 'function', p.oid::regprocedure::text,
    concat_ws(' ', CASE WHEN p.prokind = 'a' THEN 'aggregate' ELSE pg_catalog.pg_get_functiondef(p.oid) END, 'owner', p.proowner::regrole,
        'grants', (SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(p.proacl) a)), NULL
FROM pg_catalog.pg_proc p
WHERE p.oid >= 16384 AND p.pronamespace NOT IN (TABLE outside)
  AND NOT EXISTS (SELECT FROM of_extension e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid)
UNION ALL
SELECT 'type', t.oid::regtype::text,
    concat_ws(' ', t.typtype, 'owner', t.typowner::regrole, CASE WHEN t.typbasetype <> 0 THEN pg_catalog.format_type(t.typbasetype, t.typtypmod) END,
        CASE WHEN t.typnotnull THEN 'not null' END, 'default ' || t.typdefault,
        (SELECT string_agg(pg_catalog.quote_literal(l.enumlabel), ',' ORDER BY l.enumsortorder) FROM pg_catalog.pg_enum l WHERE l.enumtypid = t.oid),
        (SELECT g.rngsubtype::regtype::text FROM pg_catalog.pg_range g WHERE g.rngtypid = t.oid),
        'grants', (SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(t.typacl) a)), NULL
FROM pg_catalog.pg_type t
WHERE t.oid >= 16384 AND t.typnamespace NOT IN (TABLE outside) AND t.typtype IN ('d', 'e', 'r')
  AND NOT EXISTS (SELECT FROM of_extension e WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid)
UNION ALL
SELECT 'schema', pg_catalog.quote_ident(n.nspname),
    concat_ws(' ', 'owner', n.nspowner::regrole, 'grants', (SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(n.nspacl) a)), NULL
FROM pg_catalog.pg_namespace n WHERE n.oid NOT IN (TABLE outside)
UNION ALL
SELECT 'default grants', concat_ws(' ', d.defaclrole::regrole, d.defaclnamespace::regnamespace, d.defaclobjtype),
    (SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(d.defaclacl) a), NULL
FROM pg_catalog.pg_default_acl d
UNION ALL
SELECT 'extension', pg_catalog.quote_ident(e.extname), e.extversion || ' in ' || e.extnamespace::regnamespace, NULL
FROM pg_catalog.pg_extension e WHERE e.oid >= 16384
UNION ALL
SELECT 'statistics', pg_catalog.format('%I.%I', n.nspname, s.stxname), pg_catalog.pg_get_statisticsobjdef(s.oid), s.stxrelid::regclass::text
FROM pg_catalog.pg_statistic_ext s JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace WHERE s.stxnamespace NOT IN (TABLE outside)
UNION ALL
SELECT 'event trigger', pg_catalog.quote_ident(e.evtname), concat_ws(' ', e.evtevent, e.evtenabled, e.evtfoid::regprocedure, e.evttags::text), NULL
FROM pg_catalog.pg_event_trigger e WHERE e.oid >= 16384
