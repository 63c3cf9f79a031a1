SELECT kid, kty, crv, x, y, issuer FROM public.s2s_jwks_public_keys
WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())
ORDER BY created_at DESC, kid COLLATE "C"
