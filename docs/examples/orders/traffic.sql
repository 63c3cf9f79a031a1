-- One order, twenty times a second: a new one, or a change of an old one.
SELECT save_order((random() * 60000)::bigint, 'somebody', ' Paid', (random() * 900)::numeric(10, 2))
\watch 0.05
