BEGIN;
UPDATE raw_balances SET remaining = remaining - 1 WHERE lot = :lot AND remaining >= 1;
INSERT INTO raw_journal (lot, amount) VALUES (:lot, 1);
COMMIT;
