SELECT DISTINCT r.rolname::text,
       CASE d.defaclobjtype
           WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS'
           WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' END,
       g.rolname::text
FROM pg_catalog.pg_default_acl d
JOIN pg_catalog.pg_roles r ON r.oid = d.defaclrole
LEFT JOIN LATERAL pg_catalog.aclexplode(d.defaclacl) AS a ON true
LEFT JOIN pg_catalog.pg_roles g ON g.oid = a.grantee
WHERE d.defaclnamespace = 0
ORDER BY 1, 2, 3
