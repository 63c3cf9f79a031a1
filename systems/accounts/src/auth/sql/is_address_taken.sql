SELECT EXISTS (SELECT FROM auth_credentials WHERE email = $1)
    OR EXISTS (SELECT FROM auth_users WHERE email = $1)
