-- 0003: a managed user is bound to a profile and to a public key.
--
-- Needs: 0001. Run in one transaction.

ALTER TABLE platform_managed_users
  ADD COLUMN profile_id               text,
  ADD COLUMN identity_public_key      text,
  ADD COLUMN identity_key_fingerprint text;
COMMENT ON COLUMN platform_managed_users.profile_id IS 'The profile that it is bound to. NULL: none.';
COMMENT ON COLUMN platform_managed_users.identity_public_key IS 'The public key that it is bound to, as given. NULL: none.';
COMMENT ON COLUMN platform_managed_users.identity_key_fingerprint IS 'SHA-256 of that key without blanks, in hexadecimal. NULL: no key.';
CREATE INDEX platform_managed_users_identity_idx ON platform_managed_users (workspace_id, identity_key_fingerprint);
CREATE UNIQUE INDEX platform_managed_users_identity_uq
  ON platform_managed_users (workspace_id, profile_id, identity_key_fingerprint)
  WHERE profile_id IS NOT NULL AND identity_key_fingerprint IS NOT NULL;
