-- 0000: what the authentication keeps for itself: passwords and sessions.
--
-- These tables belong to neither schema of the accounts and no later migration moves them. They name a user by id
-- alone: the row in auth_users is only its shadow, written when that user first comes.
--
-- Run in one transaction.

CREATE TABLE auth_credentials (
  user_id       text PRIMARY KEY,
  email         text NOT NULL UNIQUE,
  name          text,
  password_hash text NOT NULL,
  created_at    timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE auth_credentials IS 'One person who can sign in.';
COMMENT ON COLUMN auth_credentials.user_id IS 'The user; the same id as in auth_users.';
COMMENT ON COLUMN auth_credentials.email IS 'In lower case, without blanks around it.';
COMMENT ON COLUMN auth_credentials.name IS 'What the person wants to be called. NULL: not told.';
COMMENT ON COLUMN auth_credentials.password_hash IS 'argon2id, as a PHC string with its salt and parameters.';
COMMENT ON COLUMN auth_credentials.created_at IS 'When it was made, by the server''s clock.';

CREATE TABLE auth_sessions (
  token_hash bytea PRIMARY KEY,
  user_id    text NOT NULL REFERENCES auth_credentials ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  CHECK (octet_length(token_hash) = 32)
);
COMMENT ON TABLE auth_sessions IS 'One signed-in browser or program.';
COMMENT ON COLUMN auth_sessions.token_hash IS 'SHA-256 of the secret''s hash and the token: the token itself is only in the cookie.';
COMMENT ON COLUMN auth_sessions.user_id IS 'Who signed in.';
COMMENT ON COLUMN auth_sessions.created_at IS 'When it was made, by the server''s clock.';
COMMENT ON COLUMN auth_sessions.expires_at IS 'From then on it is worth nothing, by the server''s clock.';
CREATE INDEX auth_sessions_user_idx ON auth_sessions (user_id);
CREATE INDEX auth_sessions_expires_idx ON auth_sessions (expires_at);
