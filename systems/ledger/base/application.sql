-- The application as it stands before the ledger: communities and the profiles of their members, with sample rows.
-- Used by the demonstration and by tests; an installation that is migrated brings its own.

CREATE TABLE public.communities (
  id         uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
  name       text        NOT NULL UNIQUE CHECK (name <> ''),
  created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE public.communities IS 'One row per community: the tenant that lots, payments and usage belong to.';
COMMENT ON COLUMN public.communities.id IS 'Identity; the ledger names it community_id. Never null.';
COMMENT ON COLUMN public.communities.name IS 'Shown to people; unique. Never null, never empty.';
COMMENT ON COLUMN public.communities.created_at IS 'Server time of the first insert. Never null.';

CREATE TABLE public.profiles (
  id           uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
  community_id uuid        NOT NULL REFERENCES public.communities (id),
  handle       text        NOT NULL CHECK (handle <> ''),
  nft_id       text,
  created_at   timestamptz NOT NULL DEFAULT now(),
  UNIQUE (community_id, handle)
);
COMMENT ON TABLE public.profiles IS 'One row per member of a community.';
COMMENT ON COLUMN public.profiles.id IS 'Identity. Never null.';
COMMENT ON COLUMN public.profiles.community_id IS 'The community that the member belongs to. Never null.';
COMMENT ON COLUMN public.profiles.handle IS 'Name within the community, unique there. Never null.';
COMMENT ON COLUMN public.profiles.nft_id IS 'Token that the member holds. Null: none yet.';
COMMENT ON COLUMN public.profiles.created_at IS 'Server time of the first insert. Never null.';

GRANT SELECT, INSERT, UPDATE ON public.communities, public.profiles TO arrakis_app;

-- Deterministic ids, so that two databases built from this file are equal: 11111111-1111-4111-8111-0000000000nn.
INSERT INTO public.communities (id, name, created_at)
SELECT format('11111111-1111-4111-8111-%s', lpad(to_hex(n), 12, '0'))::uuid,
       'community ' || n,
       timestamptz '2025-01-01 00:00:00+00' + n * interval '1 hour'
FROM generate_series(1, 20) AS n;

INSERT INTO public.profiles (id, community_id, handle, nft_id, created_at)
SELECT format('22222222-2222-4222-8222-%s', lpad(to_hex(n), 12, '0'))::uuid,
       format('11111111-1111-4111-8111-%s', lpad(to_hex(1 + n % 20), 12, '0'))::uuid,
       'member ' || n,
       CASE WHEN n % 3 = 0 THEN 'nft-' || n END,
       timestamptz '2025-02-01 00:00:00+00' + n * interval '1 minute'
FROM generate_series(1, 500) AS n;
