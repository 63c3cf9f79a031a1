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
