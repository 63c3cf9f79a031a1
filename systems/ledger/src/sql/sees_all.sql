SELECT current_user::text,
       login.rolsuper OR login.rolbypassrls
       OR EXISTS (SELECT FROM pg_roles AS system WHERE system.rolname = 'arrakis_admin' AND pg_has_role(system.oid, 'USAGE'))
FROM pg_roles AS login WHERE login.rolname = current_user
