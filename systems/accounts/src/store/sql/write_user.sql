-- A user's row in both schemas' shared table; a blank keeps what is there, and so does an address that is another's.
INSERT INTO auth_users AS known (id, email, name)
SELECT $1,
       CASE WHEN $2 = '' OR EXISTS (SELECT FROM auth_users o WHERE o.email = $2 AND o.id <> $1) THEN NULL ELSE $2 END,
       nullif($3, '')
ON CONFLICT (id) DO UPDATE SET
  email = coalesce(excluded.email, known.email),
  name = coalesce(excluded.name, known.name),
  updated_at = CASE WHEN (coalesce(excluded.email, known.email), coalesce(excluded.name, known.name))
                         IS DISTINCT FROM (known.email, known.name)
                    THEN clock_timestamp() ELSE known.updated_at END
