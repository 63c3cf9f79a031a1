-- Objects that hang on the given ones and are neither among them nor parts of them.
WITH given AS (
    SELECT o.class::oid AS classid, o.object::oid AS objid, o.sub
    FROM unnest($1::int8[], $2::int8[], $3::int4[]) AS o (class, object, sub)
), hanging AS (
    SELECT d.classid, d.objid, d.refclassid, d.refobjid, d.deptype
    FROM pg_catalog.pg_depend d JOIN given g ON g.classid = d.refclassid AND g.objid = d.refobjid
        -- Of a table all that hangs on it, of a column only what hangs on that column.
        AND (g.sub = 0 OR g.sub = d.refobjsubid)
), owners AS (
    -- A rule belongs to its view, a default to its table, a row type to its relation, an index or a TOAST table to its table.
    SELECT h.classid, h.objid, h.deptype,
        (SELECT a.adnum FROM pg_catalog.pg_attrdef a WHERE h.classid = 'pg_attrdef'::regclass AND a.oid = h.objid) AS ownersub,
        CASE h.classid
            WHEN 'pg_rewrite'::regclass THEN 'pg_class'::regclass::oid
            WHEN 'pg_attrdef'::regclass THEN 'pg_class'::regclass::oid
            WHEN 'pg_type'::regclass THEN coalesce(
                (SELECT 'pg_class'::regclass::oid FROM pg_catalog.pg_type t WHERE t.oid = h.objid AND t.typrelid <> 0), h.classid)
            ELSE h.classid END AS ownerclass,
        CASE h.classid
            WHEN 'pg_rewrite'::regclass THEN (SELECT r.ev_class FROM pg_catalog.pg_rewrite r WHERE r.oid = h.objid)
            WHEN 'pg_attrdef'::regclass THEN (SELECT a.adrelid FROM pg_catalog.pg_attrdef a WHERE a.oid = h.objid)
            WHEN 'pg_type'::regclass THEN coalesce(
                (SELECT nullif(t.typrelid, 0) FROM pg_catalog.pg_type t WHERE t.oid = h.objid), h.objid)
            ELSE h.objid END AS ownerid
    FROM hanging h
)
SELECT DISTINCT i.type AS kind, i.identity
FROM owners o, LATERAL pg_catalog.pg_identify_object(o.ownerclass, o.ownerid, 0) AS i
WHERE o.deptype NOT IN ('i', 'P', 'S')
  AND NOT EXISTS (SELECT 1 FROM given g WHERE g.classid = o.ownerclass AND g.objid = o.ownerid AND g.sub IN (0, o.ownersub))
  AND i.identity IS NOT NULL AND i.type <> 'default acl'
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_class c WHERE o.ownerclass = 'pg_class'::regclass AND c.oid = o.ownerid AND c.relkind = 't')
ORDER BY 1, 2
