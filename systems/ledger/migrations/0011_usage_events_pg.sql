-- 0011: usage events, the public keys of the services that sign for them, and the cursor of reconciliation.
--
-- Needs: 0009, role arrakis_app. Run in one transaction.

CREATE TABLE public.usage_events (
  event_id                      uuid        PRIMARY KEY,
  community_id                  uuid        NOT NULL,
  nft_id                        text        NOT NULL,
  pool_id                       text        NOT NULL,
  tokens_input                  integer     NOT NULL DEFAULT 0 CHECK (tokens_input >= 0),
  tokens_output                 integer     NOT NULL DEFAULT 0 CHECK (tokens_output >= 0),
  amount_micro                  bigint      NOT NULL DEFAULT 0 CHECK (amount_micro >= 0),
  reservation_id                text,
  finalization_id               text        UNIQUE,
  fence_token                   bigint,
  conservation_guard_result     boolean,
  conservation_guard_violations jsonb,
  created_at                    timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE public.usage_events IS 'One row per use that was paid for. Append-only.';
COMMENT ON COLUMN public.usage_events.event_id IS 'Identity, chosen by the writer, so that a repeat is seen. Never null.';
COMMENT ON COLUMN public.usage_events.community_id IS 'The tenant that used. Never null.';
COMMENT ON COLUMN public.usage_events.nft_id IS 'The member''s token. Never null.';
COMMENT ON COLUMN public.usage_events.pool_id IS 'The pool that served. Never null.';
COMMENT ON COLUMN public.usage_events.tokens_input IS 'Tokens read, 0 or more. Never null.';
COMMENT ON COLUMN public.usage_events.tokens_output IS 'Tokens written, 0 or more. Never null.';
COMMENT ON COLUMN public.usage_events.amount_micro IS 'Cost in micro-dollars, 0 or more. Never null.';
COMMENT ON COLUMN public.usage_events.reservation_id IS 'The reservation that was settled. Null: used without one.';
COMMENT ON COLUMN public.usage_events.finalization_id IS
  'Identity of the settlement, unique over all tenants. Null: not settled through one.';
COMMENT ON COLUMN public.usage_events.fence_token IS 'Fence under which it was written. Null: written without a fence.';
COMMENT ON COLUMN public.usage_events.conservation_guard_result IS 'Whether the conservation guard held. Null: not evaluated.';
COMMENT ON COLUMN public.usage_events.conservation_guard_violations IS 'What the guard found. Null: nothing or not evaluated.';
COMMENT ON COLUMN public.usage_events.created_at IS
  'Server time at the start of the writing transaction; no commit order. Never null.';

CREATE INDEX idx_usage_events_community ON public.usage_events (community_id, created_at);
CREATE INDEX idx_usage_events_nft ON public.usage_events (nft_id, created_at);
CREATE INDEX idx_usage_events_pool ON public.usage_events (pool_id, created_at);
CREATE INDEX idx_usage_events_guard_failed ON public.usage_events (created_at) WHERE conservation_guard_result = false;

ALTER TABLE public.usage_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.usage_events FORCE ROW LEVEL SECURITY;
CREATE POLICY usage_events_tenant_select ON public.usage_events FOR SELECT
  USING (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid));
CREATE POLICY usage_events_tenant_insert ON public.usage_events FOR INSERT
  WITH CHECK (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid));
GRANT SELECT, INSERT ON public.usage_events TO arrakis_app;

CREATE TRIGGER usage_events_no_update BEFORE UPDATE ON public.usage_events
  FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_mutation();
CREATE TRIGGER usage_events_no_delete BEFORE DELETE ON public.usage_events
  FOR EACH STATEMENT EXECUTE FUNCTION public.prevent_mutation();

CREATE TABLE public.s2s_jwks_public_keys (
  kid        text        PRIMARY KEY CHECK (kid <> ''),
  kty        text        NOT NULL DEFAULT 'EC' CHECK (kty = 'EC'),
  crv        text        NOT NULL DEFAULT 'P-256' CHECK (crv = 'P-256'),
  x          text        NOT NULL CHECK (x ~ '^[A-Za-z0-9_-]{43}$'),
  y          text        NOT NULL CHECK (y ~ '^[A-Za-z0-9_-]{43}$'),
  issuer     text        NOT NULL CHECK (issuer IN ('freeside', 'finn')),
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  revoked_at timestamptz
);
COMMENT ON TABLE public.s2s_jwks_public_keys IS
  'Public keys with which services verify each other. Public, so under no row security. Rows stay after revocation.';
COMMENT ON COLUMN public.s2s_jwks_public_keys.kid IS 'Key id that a token names. Never null, never empty.';
COMMENT ON COLUMN public.s2s_jwks_public_keys.kty IS 'EC. Never null.';
COMMENT ON COLUMN public.s2s_jwks_public_keys.crv IS 'P-256. Never null.';
COMMENT ON COLUMN public.s2s_jwks_public_keys.x IS 'First coordinate: 32 bytes as base64url without padding, 43 characters. Never null.';
COMMENT ON COLUMN public.s2s_jwks_public_keys.y IS 'Second coordinate: 32 bytes as base64url without padding, 43 characters. Never null.';
COMMENT ON COLUMN public.s2s_jwks_public_keys.issuer IS 'The service that signs with the key: freeside or finn. Never null.';
COMMENT ON COLUMN public.s2s_jwks_public_keys.created_at IS 'Server time at the start of the writing transaction. Never null.';
COMMENT ON COLUMN public.s2s_jwks_public_keys.expires_at IS 'From this instant on the key is not served. Null: does not expire.';
COMMENT ON COLUMN public.s2s_jwks_public_keys.revoked_at IS 'When the key was withdrawn. Null: not withdrawn.';

-- An index predicate cannot ask the clock: whoever reads filters by expires_at.
CREATE INDEX idx_s2s_jwks_pg_issuer_active ON public.s2s_jwks_public_keys (issuer, created_at) WHERE revoked_at IS NULL;

GRANT SELECT, INSERT ON public.s2s_jwks_public_keys TO arrakis_app;
-- Only the life of a key changes, never the key.
GRANT UPDATE (expires_at, revoked_at) ON public.s2s_jwks_public_keys TO arrakis_app;

CREATE TABLE public.reconciliation_cursor (
  community_id            uuid        PRIMARY KEY,
  last_processed_event_id uuid,
  last_fence_token        bigint      NOT NULL DEFAULT 0 CHECK (last_fence_token >= 0),
  last_reconciled_at      timestamptz,
  drift_micro             bigint      NOT NULL DEFAULT 0,
  updated_at              timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE public.reconciliation_cursor IS 'How far reconciliation got, one row per tenant.';
COMMENT ON COLUMN public.reconciliation_cursor.community_id IS 'The tenant. Never null.';
COMMENT ON COLUMN public.reconciliation_cursor.last_processed_event_id IS 'Last usage event taken in. Null: none yet.';
COMMENT ON COLUMN public.reconciliation_cursor.last_fence_token IS 'Highest fence that wrote for the tenant, 0 or more. Never null.';
COMMENT ON COLUMN public.reconciliation_cursor.last_reconciled_at IS 'When reconciliation last ended. Null: never.';
COMMENT ON COLUMN public.reconciliation_cursor.drift_micro IS 'Difference found last, in micro-dollars, signed. Never null.';
COMMENT ON COLUMN public.reconciliation_cursor.updated_at IS 'Server time of the last change, by the writer. Never null.';

ALTER TABLE public.reconciliation_cursor ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.reconciliation_cursor FORCE ROW LEVEL SECURITY;
CREATE POLICY reconciliation_cursor_tenant_select ON public.reconciliation_cursor FOR SELECT
  USING (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid));
CREATE POLICY reconciliation_cursor_tenant_insert ON public.reconciliation_cursor FOR INSERT
  WITH CHECK (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid));
CREATE POLICY reconciliation_cursor_tenant_update ON public.reconciliation_cursor FOR UPDATE
  USING (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid))
  WITH CHECK (community_id = (SELECT nullif(current_setting('app.community_id', true), '')::uuid));
GRANT SELECT, INSERT, UPDATE ON public.reconciliation_cursor TO arrakis_app;
