-- 0008: each comparison of the two schemas leaves its result, so that what must not follow a failed one can look.
--
-- Needs: nothing. Run in one transaction.

CREATE TABLE account_verifications (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  verified_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  ok          boolean NOT NULL,
  checks      integer NOT NULL,
  failed      text[] NOT NULL DEFAULT '{}',
  flag_epoch  bigint,
  verified_by text NOT NULL,
  CHECK (checks > 0),
  CHECK (ok = (cardinality(failed) = 0))
);
COMMENT ON TABLE account_verifications IS 'One comparison of the two schemas.';
COMMENT ON COLUMN account_verifications.id IS 'In order of their ends.';
COMMENT ON COLUMN account_verifications.verified_at IS 'When it ended, by the server''s clock.';
COMMENT ON COLUMN account_verifications.ok IS 'Whether every check passed.';
COMMENT ON COLUMN account_verifications.checks IS 'How many checks there were.';
COMMENT ON COLUMN account_verifications.failed IS 'The names of those that did not pass.';
COMMENT ON COLUMN account_verifications.flag_epoch IS 'The epoch of the flag set `accounts` meanwhile. NULL: the flags are not in the database.';
COMMENT ON COLUMN account_verifications.verified_by IS 'Who asked.';
