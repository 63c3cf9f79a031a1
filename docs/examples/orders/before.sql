-- What is there: a table, 50,000 rows, and the role of an application that reads and writes it.
CREATE TABLE orders (
    id        bigint PRIMARY KEY,
    customer  text NOT NULL,
    status    text NOT NULL,
    amount    numeric(10, 2) NOT NULL,
    placed_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO orders (id, customer, status, amount, placed_at)
SELECT n, 'customer ' || n % 700, (ARRAY['open', 'paid', 'sent', ' Sent'])[n % 4 + 1], n % 9000 / 7.0,
       now() - n * interval '1 minute'
FROM generate_series(1, 50000) AS n;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'shop_app') THEN
        CREATE ROLE shop_app LOGIN;
    END IF;
END
$$;
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO shop_app;
