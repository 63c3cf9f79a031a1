CREATE FUNCTION demo_drops_one() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER demo_drops_one BEFORE INSERT OR UPDATE ON pixbooks FOR EACH ROW
  WHEN (NEW.name = '{name}') EXECUTE FUNCTION demo_drops_one();
