-- 0007: who still says workspaceId instead of accountId.
--
-- The alias is taken away when nobody used it for long enough; this is where that is looked up.
--
-- Needs: nothing. Run in one transaction.

CREATE TABLE account_alias_uses (
  client       text NOT NULL,
  used_on      date NOT NULL,
  uses         bigint NOT NULL,
  last_used_at timestamptz NOT NULL,
  PRIMARY KEY (client, used_on),
  CHECK (uses > 0)
);
COMMENT ON TABLE account_alias_uses IS 'Requests that named an account by the old name, by client and day.';
COMMENT ON COLUMN account_alias_uses.client IS 'What the program calls itself: header `x-client-name`, else the first word of its user agent; `other` beyond a bound.';
COMMENT ON COLUMN account_alias_uses.used_on IS 'The day, in UTC.';
COMMENT ON COLUMN account_alias_uses.uses IS 'Requests on that day.';
COMMENT ON COLUMN account_alias_uses.last_used_at IS 'The newest of them, by the server''s clock.';
CREATE INDEX account_alias_uses_last_idx ON account_alias_uses (last_used_at);
