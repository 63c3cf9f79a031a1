CREATE TABLE raw_balances (lot int PRIMARY KEY, remaining bigint NOT NULL CHECK (remaining >= 0));
CREATE TABLE raw_journal (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, lot int NOT NULL, amount bigint NOT NULL,
                          at timestamptz NOT NULL DEFAULT now());
INSERT INTO raw_balances SELECT n, 1000000000000000 FROM generate_series(1, 1000) n;
CREATE FUNCTION raw_debit(which int, amount bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  UPDATE raw_balances SET remaining = remaining - amount WHERE lot = which AND remaining >= amount;
  IF NOT FOUND THEN RETURN false; END IF;
  INSERT INTO raw_journal (lot, amount) VALUES (which, amount);
  RETURN true;
END $$;
GRANT ALL ON raw_balances, raw_journal TO arrakis_app;

-- The same on a journal with the columns and indexes of the ledger's own.
CREATE TABLE raw_entries (LIKE public.lot_entries INCLUDING DEFAULTS INCLUDING INDEXES);
CREATE FUNCTION raw_entry(which int, amount bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  lot uuid := lpad(to_hex(which), 32, '0')::uuid;
BEGIN
  UPDATE raw_balances SET remaining = remaining - amount WHERE raw_balances.lot = which AND remaining >= amount;
  IF NOT FOUND THEN RETURN false; END IF;
  INSERT INTO raw_entries (lot_id, community_id, entry_type, amount_micro, reservation_id)
  VALUES (lot, lot, 'debit', amount, gen_random_uuid()::text);
  RETURN true;
END $$;
