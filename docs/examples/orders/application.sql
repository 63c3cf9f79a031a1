-- The application's one write of an order. In another language these are the same statements, in one transaction of
-- READ COMMITTED.
CREATE FUNCTION save_order(wanted bigint, who text, what text, cost numeric) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    flags record;
    to_new boolean := false;
    to_both boolean := false;
BEGIN
    IF EXISTS (SELECT FROM pg_proc WHERE proname = 'flag_enter' AND pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'tidegate')) THEN
        SELECT * INTO flags FROM tidegate.flag_enter('orders');
        to_new := coalesce(flags.row_values[2], false);
        to_both := coalesce(flags.row_values[3], false);
    END IF;
    IF to_both THEN PERFORM FROM orders WHERE id = wanted FOR UPDATE; END IF;
    IF to_new THEN
        INSERT INTO purchases (id, customer, state, cents) VALUES (wanted, who, lower(btrim(what)), cost * 100)
        ON CONFLICT (id) DO UPDATE SET (customer, state, cents) = ROW (excluded.customer, excluded.state, excluded.cents);
    ELSE
        INSERT INTO orders (id, customer, status, amount) VALUES (wanted, who, what, cost)
        ON CONFLICT (id) DO UPDATE SET (customer, status, amount) = ROW (excluded.customer, excluded.status, excluded.amount);
    END IF;
    IF to_both AND to_new THEN
        INSERT INTO orders SELECT id, customer, state, cents / 100.0, placed_at FROM purchases WHERE id = wanted
        ON CONFLICT (id) DO UPDATE SET (customer, status, amount, placed_at) = ROW (excluded.customer, excluded.status, excluded.amount, excluded.placed_at);
    ELSIF to_both THEN
        INSERT INTO purchases SELECT id, customer, lower(btrim(status)), amount * 100, placed_at FROM orders WHERE id = wanted
        ON CONFLICT (id) DO UPDATE SET (customer, state, cents, placed_at) = ROW (excluded.customer, excluded.state, excluded.cents, excluded.placed_at);
    END IF;
END
$$;
