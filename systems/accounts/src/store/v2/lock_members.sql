-- The rows that are about to be copied, always in the same order.
SELECT id FROM account_members WHERE id = ANY ($1) ORDER BY id FOR UPDATE
