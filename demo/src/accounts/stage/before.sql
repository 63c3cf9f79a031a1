GRANT CREATE, USAGE ON SCHEMA public TO accounts_owner
