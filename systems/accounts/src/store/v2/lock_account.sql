-- One writer at a time in one account.
SELECT id FROM accounts WHERE id = $1 FOR UPDATE
