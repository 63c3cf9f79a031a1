CREATE SCHEMA app;
COMMENT ON SCHEMA app IS 'of the application';
CREATE SCHEMA "Odd schema";
CREATE TYPE app.mood AS ENUM ('calm', 'rough');
CREATE DOMAIN app.amount AS bigint CHECK (VALUE >= 0);
CREATE TABLE public.items (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    note text,
    doubled text GENERATED ALWAYS AS (note || note) STORED,
    feeling app.mood DEFAULT 'calm',
    worth app.amount,
    at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE public.items IS 'things; with "quotes" and ''more''';
COMMENT ON COLUMN public.items.note IS 'may be NULL';
INSERT INTO public.items (note, worth) SELECT E'a\tb\\.\n\\.' || n, n FROM generate_series(1, 300) n;
INSERT INTO public.items (note) VALUES (NULL), (''), ('\N'), (E'\\.');
CREATE INDEX items_note ON public.items (note) WHERE note <> '';
CREATE SEQUENCE app.counter START 7 INCREMENT 3;
SELECT nextval('app.counter'), nextval('app.counter');
CREATE SEQUENCE "Odd schema"."say ""hi""";
CREATE TABLE "Odd schema"."Odd; ""name
FROM stdin;" ("c;
d" text, "select" int DEFAULT nextval('"Odd schema"."say ""hi"""'));
INSERT INTO "Odd schema"."Odd; ""name
FROM stdin;" VALUES ('COPY public.items FROM stdin;'), (E'\\.\n\\.\n'), (NULL);
CREATE TABLE "Odd schema"."no columns" ();
INSERT INTO "Odd schema"."no columns" DEFAULT VALUES;
CREATE FUNCTION app.copies() RETURNS text LANGUAGE plpgsql AS $f$
BEGIN
    -- The next lines look like a script of rows.
    RETURN $x$
COPY public.items FROM stdin;
1	a
\.
SET default_tablespace = '';
\restrict x
\unrestrict x
$x$;
END $f$;
CREATE FUNCTION app.modern() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM public.items; SELECT 2; END;
CREATE PROCEDURE app.nothing() LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION app.no_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'append-only'; END $$;
CREATE TABLE app.log (item bigint REFERENCES public.items (id) ON DELETE CASCADE, said text);
INSERT INTO app.log SELECT id, 'x' FROM public.items WHERE id < 50;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON app.log
    FOR EACH STATEMENT EXECUTE FUNCTION app.no_change();
ALTER TABLE app.log ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.log FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON app.log USING (said = current_setting('app.who', true));
CREATE TABLE public.parts (id int, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE public.parts_2026 PARTITION OF public.parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE app.parts_rest PARTITION OF public.parts DEFAULT;
INSERT INTO public.parts VALUES (1, '2026-05-05'), (2, '2030-01-01');
CREATE TABLE public.mother (a int);
CREATE TABLE public.child (b int) INHERITS (public.mother);
INSERT INTO public.mother VALUES (1);
INSERT INTO public.child VALUES (2, 3);
CREATE VIEW app.seen WITH (security_invoker = true) AS SELECT id, doubled FROM public.items;
CREATE MATERIALIZED VIEW app.counted AS SELECT count(*) AS items FROM public.items;
CREATE UNIQUE INDEX ON app.counted (items);
CREATE RULE no_child AS ON DELETE TO public.child DO INSTEAD NOTHING;
CREATE STATISTICS app.stats (dependencies) ON id, at FROM public.items;
CREATE PUBLICATION words FOR TABLE public.items;
CREATE EXTENSION IF NOT EXISTS pgcrypto SCHEMA app;
GRANT USAGE ON SCHEMA app TO app_user;
GRANT SELECT, INSERT ON public.items TO app_user;
GRANT UPDATE (note) ON public.items TO app_user;
GRANT SELECT ON app.seen TO PUBLIC;
REVOKE EXECUTE ON FUNCTION app.copies() FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO app_user;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
