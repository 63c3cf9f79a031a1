-- The result, for whoever must not go on after a failed one.
INSERT INTO account_verifications (ok, checks, failed, flag_epoch, verified_by) VALUES ($1, $2, $3, $4, $5)
