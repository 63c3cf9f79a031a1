-- 0006: what each member may do stands in the second schema as it does in the first.
--
-- A grant or a revocation that somebody made by hand is a row, there as here; a role alone allows nothing.
--
-- Needs: 0005. Run in one transaction.

CREATE TABLE account_permissions (
  id         text PRIMARY KEY,
  member_id  text NOT NULL REFERENCES account_members ON DELETE CASCADE,
  capability text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (member_id, capability)
);
COMMENT ON TABLE account_permissions IS 'One thing that one member may do: what was a row of platform_permissions.';
COMMENT ON COLUMN account_permissions.id IS 'The id of the row in the first schema, where it is there.';
COMMENT ON COLUMN account_permissions.member_id IS 'The member.';
COMMENT ON COLUMN account_permissions.capability IS 'Such as `platform.account.manage`.';
COMMENT ON COLUMN account_permissions.created_at IS 'When it was made, by the server''s clock.';
CREATE INDEX account_permissions_capability_idx ON account_permissions (capability);
