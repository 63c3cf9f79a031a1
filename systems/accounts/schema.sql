CREATE TABLE public.account_alias_uses (
    client text NOT NULL,
    used_on date NOT NULL,
    uses bigint NOT NULL,
    last_used_at timestamp with time zone NOT NULL,
    CONSTRAINT account_alias_uses_uses_check CHECK ((uses > 0))
);

COMMENT ON TABLE public.account_alias_uses IS 'Requests that named an account by the old name, by client and day.';

COMMENT ON COLUMN public.account_alias_uses.client IS 'What the program calls itself: header `x-client-name`, else the first word of its user agent; `other` beyond a bound.';

COMMENT ON COLUMN public.account_alias_uses.used_on IS 'The day, in UTC.';

COMMENT ON COLUMN public.account_alias_uses.uses IS 'Requests on that day.';

COMMENT ON COLUMN public.account_alias_uses.last_used_at IS 'The newest of them, by the server''s clock.';

CREATE TABLE public.account_members (
    id text NOT NULL,
    account_id text NOT NULL,
    user_id text NOT NULL,
    role text NOT NULL,
    status text DEFAULT 'active'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.account_members IS 'One user in one account.';

COMMENT ON COLUMN public.account_members.id IS '`member_` and 32 hexadecimal digits.';

COMMENT ON COLUMN public.account_members.account_id IS 'The account.';

COMMENT ON COLUMN public.account_members.user_id IS 'The user.';

COMMENT ON COLUMN public.account_members.role IS '`owner`, `member`, or another word; what it allows is in the permissions.';

COMMENT ON COLUMN public.account_members.status IS '`active`, or `deleted` for a member that is gone; other words are old and mean neither.';

COMMENT ON COLUMN public.account_members.created_at IS 'When it was made, by the server''s clock.';

COMMENT ON COLUMN public.account_members.updated_at IS 'When it last changed, by the server''s clock.';

CREATE TABLE public.account_permissions (
    id text NOT NULL,
    member_id text NOT NULL,
    capability text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.account_permissions IS 'One thing that one member may do: what was a row of platform_permissions.';

COMMENT ON COLUMN public.account_permissions.id IS 'The id of the row in the first schema, where it is there.';

COMMENT ON COLUMN public.account_permissions.member_id IS 'The member.';

COMMENT ON COLUMN public.account_permissions.capability IS 'Such as `platform.account.manage`.';

COMMENT ON COLUMN public.account_permissions.created_at IS 'When it was made, by the server''s clock.';

CREATE TABLE public.account_verifications (
    id bigint NOT NULL,
    verified_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    ok boolean NOT NULL,
    checks integer NOT NULL,
    failed text[] DEFAULT '{}'::text[] NOT NULL,
    flag_epoch bigint,
    verified_by text NOT NULL,
    CONSTRAINT account_verifications_check CHECK ((ok = (cardinality(failed) = 0))),
    CONSTRAINT account_verifications_checks_check CHECK ((checks > 0))
);

COMMENT ON TABLE public.account_verifications IS 'One comparison of the two schemas.';

COMMENT ON COLUMN public.account_verifications.id IS 'In order of their ends.';

COMMENT ON COLUMN public.account_verifications.verified_at IS 'When it ended, by the server''s clock.';

COMMENT ON COLUMN public.account_verifications.ok IS 'Whether every check passed.';

COMMENT ON COLUMN public.account_verifications.checks IS 'How many checks there were.';

COMMENT ON COLUMN public.account_verifications.failed IS 'The names of those that did not pass.';

COMMENT ON COLUMN public.account_verifications.flag_epoch IS 'The epoch of the flag set `accounts` meanwhile. NULL: the flags are not in the database.';

COMMENT ON COLUMN public.account_verifications.verified_by IS 'Who asked.';

ALTER TABLE public.account_verifications ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.account_verifications_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.accounts (
    id text NOT NULL,
    name text NOT NULL,
    status text DEFAULT 'active'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.accounts IS 'One account: what was a workspace.';

COMMENT ON COLUMN public.accounts.id IS 'The workspace''s id.';

COMMENT ON COLUMN public.accounts.name IS 'What people see.';

COMMENT ON COLUMN public.accounts.status IS '`active`, or `deleted` for an account that is gone; other words are old and mean neither.';

COMMENT ON COLUMN public.accounts.created_at IS 'When it was made, by the server''s clock.';

COMMENT ON COLUMN public.accounts.updated_at IS 'When it last changed, by the server''s clock.';

CREATE TABLE public.audit_events (
    id text NOT NULL,
    account_id text,
    actor_user_id text,
    event_type text NOT NULL,
    payload jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.audit_events IS 'What happened in an account, for people who ask later.';

COMMENT ON COLUMN public.audit_events.id IS 'The id of the event in the first schema, where it is there.';

COMMENT ON COLUMN public.audit_events.account_id IS 'Where. NULL: the account is gone.';

COMMENT ON COLUMN public.audit_events.actor_user_id IS 'Who did it. NULL: that user is gone.';

COMMENT ON COLUMN public.audit_events.event_type IS 'Such as `workspace.created`.';

COMMENT ON COLUMN public.audit_events.payload IS 'What the event is about.';

COMMENT ON COLUMN public.audit_events.created_at IS 'When it was made, by the server''s clock.';

CREATE TABLE public.auth_credentials (
    user_id text NOT NULL,
    email text NOT NULL,
    name text,
    password_hash text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.auth_credentials IS 'One person who can sign in.';

COMMENT ON COLUMN public.auth_credentials.user_id IS 'The user; the same id as in auth_users.';

COMMENT ON COLUMN public.auth_credentials.email IS 'In lower case, without blanks around it.';

COMMENT ON COLUMN public.auth_credentials.name IS 'What the person wants to be called. NULL: not told.';

COMMENT ON COLUMN public.auth_credentials.password_hash IS 'argon2id, as a PHC string with its salt and parameters.';

COMMENT ON COLUMN public.auth_credentials.created_at IS 'When it was made, by the server''s clock.';

CREATE TABLE public.auth_sessions (
    token_hash bytea NOT NULL,
    user_id text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT auth_sessions_token_hash_check CHECK ((octet_length(token_hash) = 32))
);

COMMENT ON TABLE public.auth_sessions IS 'One signed-in browser or program.';

COMMENT ON COLUMN public.auth_sessions.token_hash IS 'SHA-256 of the secret''s hash and the token: the token itself is only in the cookie.';

COMMENT ON COLUMN public.auth_sessions.user_id IS 'Who signed in.';

COMMENT ON COLUMN public.auth_sessions.created_at IS 'When it was made, by the server''s clock.';

COMMENT ON COLUMN public.auth_sessions.expires_at IS 'From then on it is worth nothing, by the server''s clock.';

CREATE TABLE public.auth_users (
    id text NOT NULL,
    email text,
    name text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.auth_users IS 'The platform''s own row for each user of the authentication.';

COMMENT ON COLUMN public.auth_users.id IS 'The id that the authentication gave.';

COMMENT ON COLUMN public.auth_users.email IS 'The user''s address. NULL: not told, or it belongs to an earlier id.';

COMMENT ON COLUMN public.auth_users.name IS 'What the user wants to be called. NULL: not told.';

COMMENT ON COLUMN public.auth_users.created_at IS 'When it was made, by the server''s clock.';

COMMENT ON COLUMN public.auth_users.updated_at IS 'When it last changed, by the server''s clock.';

CREATE TABLE public.identities (
    id text NOT NULL,
    account_id text NOT NULL,
    display_name text NOT NULL,
    avatar_public_id text,
    user_key text NOT NULL,
    profile_id text,
    identity_public_key text,
    identity_key_fingerprint text,
    status text DEFAULT 'active'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.identities IS 'One person that an account looks after: what was a managed user.';

COMMENT ON COLUMN public.identities.id IS 'The managed user''s id.';

COMMENT ON COLUMN public.identities.account_id IS 'The account.';

COMMENT ON COLUMN public.identities.display_name IS 'What people see.';

COMMENT ON COLUMN public.identities.avatar_public_id IS 'The picture. NULL: none.';

COMMENT ON COLUMN public.identities.user_key IS 'What names the person within the account for ever, also when deleted.';

COMMENT ON COLUMN public.identities.profile_id IS 'The profile that it is bound to. NULL: none.';

COMMENT ON COLUMN public.identities.identity_public_key IS 'The public key that it is bound to, as given. NULL: none.';

COMMENT ON COLUMN public.identities.identity_key_fingerprint IS 'SHA-256 of that key without blanks, in hexadecimal. NULL: no key.';

COMMENT ON COLUMN public.identities.status IS '`active`, or `deleted` for an identity that is gone; other words are old and mean neither.';

COMMENT ON COLUMN public.identities.created_at IS 'When it was made, by the server''s clock.';

COMMENT ON COLUMN public.identities.updated_at IS 'When it last changed, by the server''s clock.';

CREATE TABLE public.pixbook_snapshots (
    id text NOT NULL,
    pixbook_id text NOT NULL,
    version bigint NOT NULL,
    cipher_object_key text NOT NULL,
    cipher_sha256 text NOT NULL,
    wrapped_dek text NOT NULL,
    ledger_head text,
    payload_json jsonb,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.pixbook_snapshots IS 'One saved state of a book.';

COMMENT ON COLUMN public.pixbook_snapshots.id IS 'The snapshot''s id.';

COMMENT ON COLUMN public.pixbook_snapshots.pixbook_id IS 'The book.';

COMMENT ON COLUMN public.pixbook_snapshots.version IS 'From 1, without gaps.';

COMMENT ON COLUMN public.pixbook_snapshots.cipher_object_key IS 'Where the content is; `db:` and the id where it is in this row.';

COMMENT ON COLUMN public.pixbook_snapshots.cipher_sha256 IS 'SHA-256 of the content, in hexadecimal.';

COMMENT ON COLUMN public.pixbook_snapshots.wrapped_dek IS 'The key of an encrypted content; empty where it is in this row.';

COMMENT ON COLUMN public.pixbook_snapshots.ledger_head IS 'The head of the book''s ledger that was saved. NULL: not told.';

COMMENT ON COLUMN public.pixbook_snapshots.payload_json IS 'The content. NULL: it is elsewhere, under cipher_object_key.';

COMMENT ON COLUMN public.pixbook_snapshots.created_at IS 'When it was made, by the server''s clock.';

CREATE TABLE public.pixbooks (
    id text NOT NULL,
    account_id text NOT NULL,
    identity_id text NOT NULL,
    collection_id text DEFAULT 'primary'::text NOT NULL,
    name text NOT NULL,
    status text DEFAULT 'active'::text NOT NULL,
    current_version bigint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.pixbooks IS 'One book of one identity.';

COMMENT ON COLUMN public.pixbooks.id IS 'The book''s id.';

COMMENT ON COLUMN public.pixbooks.account_id IS 'The account.';

COMMENT ON COLUMN public.pixbooks.identity_id IS 'Whose it is: an identity of the same account.';

COMMENT ON COLUMN public.pixbooks.collection_id IS 'Which collection of the identity the book is: `primary`, or another name.';

COMMENT ON COLUMN public.pixbooks.name IS 'What people see.';

COMMENT ON COLUMN public.pixbooks.status IS '`active`, or `deleted` for a book that is gone; other words are old and mean neither.';

COMMENT ON COLUMN public.pixbooks.current_version IS 'Version of the newest snapshot; 0: none yet.';

COMMENT ON COLUMN public.pixbooks.created_at IS 'When it was made, by the server''s clock.';

COMMENT ON COLUMN public.pixbooks.updated_at IS 'When it last changed, by the server''s clock.';

CREATE TABLE public.platform_audit_events (
    id text NOT NULL,
    workspace_id text,
    actor_user_id text,
    event_type text NOT NULL,
    payload jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.platform_audit_events IS 'What happened in a workspace, for people who ask later.';

COMMENT ON COLUMN public.platform_audit_events.id IS '`audit_` and 32 hexadecimal digits, chosen once for both schemas.';

COMMENT ON COLUMN public.platform_audit_events.workspace_id IS 'Where. NULL: the workspace is gone.';

COMMENT ON COLUMN public.platform_audit_events.actor_user_id IS 'Who did it. NULL: that user is gone.';

COMMENT ON COLUMN public.platform_audit_events.event_type IS 'Such as `workspace.created`.';

COMMENT ON COLUMN public.platform_audit_events.payload IS 'What the event is about.';

COMMENT ON COLUMN public.platform_audit_events.created_at IS 'When it was made, by the server''s clock.';

CREATE TABLE public.platform_book_snapshots (
    id text NOT NULL,
    book_id text NOT NULL,
    version bigint NOT NULL,
    cipher_object_key text NOT NULL,
    cipher_sha256 text NOT NULL,
    wrapped_dek text NOT NULL,
    ledger_head text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    payload_json jsonb
);

COMMENT ON TABLE public.platform_book_snapshots IS 'One saved state of a book.';

COMMENT ON COLUMN public.platform_book_snapshots.id IS '`snapshot_` and 32 hexadecimal digits.';

COMMENT ON COLUMN public.platform_book_snapshots.book_id IS 'The book.';

COMMENT ON COLUMN public.platform_book_snapshots.version IS 'From 1, without gaps.';

COMMENT ON COLUMN public.platform_book_snapshots.cipher_object_key IS 'Where the content is; `db:` and the id where it is in this row.';

COMMENT ON COLUMN public.platform_book_snapshots.cipher_sha256 IS 'SHA-256 of the content, in hexadecimal.';

COMMENT ON COLUMN public.platform_book_snapshots.wrapped_dek IS 'The key of an encrypted content; empty where it is in this row.';

COMMENT ON COLUMN public.platform_book_snapshots.ledger_head IS 'The head of the book''s ledger that was saved. NULL: not told.';

COMMENT ON COLUMN public.platform_book_snapshots.created_at IS 'When it was made, by the server''s clock.';

COMMENT ON COLUMN public.platform_book_snapshots.payload_json IS 'The content. NULL: it is elsewhere, under cipher_object_key.';

CREATE TABLE public.platform_books (
    id text NOT NULL,
    workspace_id text NOT NULL,
    managed_user_id text NOT NULL,
    name text NOT NULL,
    status text DEFAULT 'active'::text NOT NULL,
    current_version bigint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    collection_id text DEFAULT 'primary'::text NOT NULL
);

COMMENT ON TABLE public.platform_books IS 'One book of one managed user: what is later called a pixbook.';

COMMENT ON COLUMN public.platform_books.id IS '`book_` and 32 hexadecimal digits, or what the caller chose.';

COMMENT ON COLUMN public.platform_books.workspace_id IS 'The workspace.';

COMMENT ON COLUMN public.platform_books.managed_user_id IS 'Whose it is. That it is of the same workspace, nothing here makes sure.';

COMMENT ON COLUMN public.platform_books.name IS 'What people see.';

COMMENT ON COLUMN public.platform_books.status IS '`active`, or `deleted` for a book that is gone; other words are old and mean neither.';

COMMENT ON COLUMN public.platform_books.current_version IS 'Version of the newest snapshot; 0: none yet.';

COMMENT ON COLUMN public.platform_books.created_at IS 'When it was made, by the server''s clock.';

COMMENT ON COLUMN public.platform_books.updated_at IS 'When it last changed, by the server''s clock.';

COMMENT ON COLUMN public.platform_books.collection_id IS 'Which collection of the person the book is: `primary`, or another name.';

CREATE TABLE public.platform_managed_users (
    id text NOT NULL,
    workspace_id text NOT NULL,
    display_name text NOT NULL,
    avatar_public_id text,
    user_key text NOT NULL,
    status text DEFAULT 'active'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    profile_id text,
    identity_public_key text,
    identity_key_fingerprint text
);

COMMENT ON TABLE public.platform_managed_users IS 'One person that a workspace looks after: what is later called an identity.';

COMMENT ON COLUMN public.platform_managed_users.id IS '`managed-user_` and 32 hexadecimal digits, or what the caller chose.';

COMMENT ON COLUMN public.platform_managed_users.workspace_id IS 'The workspace.';

COMMENT ON COLUMN public.platform_managed_users.display_name IS 'What people see.';

COMMENT ON COLUMN public.platform_managed_users.avatar_public_id IS 'The picture. NULL: none.';

COMMENT ON COLUMN public.platform_managed_users.user_key IS 'What names the person within the workspace for ever, also when deleted.';

COMMENT ON COLUMN public.platform_managed_users.status IS '`active`, or `deleted` for a person that is gone; other words are old and mean neither.';

COMMENT ON COLUMN public.platform_managed_users.created_at IS 'When it was made, by the server''s clock.';

COMMENT ON COLUMN public.platform_managed_users.updated_at IS 'When it last changed, by the server''s clock.';

COMMENT ON COLUMN public.platform_managed_users.profile_id IS 'The profile that it is bound to. NULL: none.';

COMMENT ON COLUMN public.platform_managed_users.identity_public_key IS 'The public key that it is bound to, as given. NULL: none.';

COMMENT ON COLUMN public.platform_managed_users.identity_key_fingerprint IS 'SHA-256 of that key without blanks, in hexadecimal. NULL: no key.';

CREATE TABLE public.platform_permissions (
    id text NOT NULL,
    member_id text NOT NULL,
    capability text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.platform_permissions IS 'One thing that one member may do.';

COMMENT ON COLUMN public.platform_permissions.id IS '`perm_` and 32 hexadecimal digits.';

COMMENT ON COLUMN public.platform_permissions.member_id IS 'The member.';

COMMENT ON COLUMN public.platform_permissions.capability IS 'Such as `platform.account.manage`.';

COMMENT ON COLUMN public.platform_permissions.created_at IS 'When it was made, by the server''s clock.';

CREATE TABLE public.platform_workspace_members (
    id text NOT NULL,
    workspace_id text NOT NULL,
    user_id text NOT NULL,
    role text NOT NULL,
    status text DEFAULT 'active'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.platform_workspace_members IS 'One user in one workspace.';

COMMENT ON COLUMN public.platform_workspace_members.id IS '`member_` and 32 hexadecimal digits.';

COMMENT ON COLUMN public.platform_workspace_members.workspace_id IS 'The workspace.';

COMMENT ON COLUMN public.platform_workspace_members.user_id IS 'The user.';

COMMENT ON COLUMN public.platform_workspace_members.role IS '`owner`, `member`, or another word; what it allows is in the permissions.';

COMMENT ON COLUMN public.platform_workspace_members.status IS '`active`, or `deleted` for a member that is gone; other words are old and mean neither.';

COMMENT ON COLUMN public.platform_workspace_members.created_at IS 'When it was made, by the server''s clock.';

COMMENT ON COLUMN public.platform_workspace_members.updated_at IS 'When it last changed, by the server''s clock.';

CREATE TABLE public.platform_workspaces (
    id text NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.platform_workspaces IS 'One workspace: what is later called an account.';

COMMENT ON COLUMN public.platform_workspaces.id IS '`ws_` and 32 hexadecimal digits.';

COMMENT ON COLUMN public.platform_workspaces.name IS 'What people see.';

COMMENT ON COLUMN public.platform_workspaces.created_at IS 'When it was made, by the server''s clock.';

COMMENT ON COLUMN public.platform_workspaces.updated_at IS 'When it last changed, by the server''s clock.';

ALTER TABLE ONLY public.account_alias_uses
    ADD CONSTRAINT account_alias_uses_pkey PRIMARY KEY (client, used_on);

ALTER TABLE ONLY public.account_members
    ADD CONSTRAINT account_members_account_id_user_id_key UNIQUE (account_id, user_id);

ALTER TABLE ONLY public.account_members
    ADD CONSTRAINT account_members_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.account_permissions
    ADD CONSTRAINT account_permissions_member_id_capability_key UNIQUE (member_id, capability);

ALTER TABLE ONLY public.account_permissions
    ADD CONSTRAINT account_permissions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.account_verifications
    ADD CONSTRAINT account_verifications_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.audit_events
    ADD CONSTRAINT audit_events_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.auth_credentials
    ADD CONSTRAINT auth_credentials_email_key UNIQUE (email);

ALTER TABLE ONLY public.auth_credentials
    ADD CONSTRAINT auth_credentials_pkey PRIMARY KEY (user_id);

ALTER TABLE ONLY public.auth_sessions
    ADD CONSTRAINT auth_sessions_pkey PRIMARY KEY (token_hash);

ALTER TABLE ONLY public.auth_users
    ADD CONSTRAINT auth_users_email_key UNIQUE (email);

ALTER TABLE ONLY public.auth_users
    ADD CONSTRAINT auth_users_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.identities
    ADD CONSTRAINT identities_account_id_id_key UNIQUE (account_id, id);

ALTER TABLE ONLY public.identities
    ADD CONSTRAINT identities_account_id_user_key_key UNIQUE (account_id, user_key);

ALTER TABLE ONLY public.identities
    ADD CONSTRAINT identities_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.pixbook_snapshots
    ADD CONSTRAINT pixbook_snapshots_pixbook_id_version_key UNIQUE (pixbook_id, version);

ALTER TABLE ONLY public.pixbook_snapshots
    ADD CONSTRAINT pixbook_snapshots_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.pixbooks
    ADD CONSTRAINT pixbooks_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.platform_audit_events
    ADD CONSTRAINT platform_audit_events_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.platform_book_snapshots
    ADD CONSTRAINT platform_book_snapshots_book_id_version_key UNIQUE (book_id, version);

ALTER TABLE ONLY public.platform_book_snapshots
    ADD CONSTRAINT platform_book_snapshots_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.platform_books
    ADD CONSTRAINT platform_books_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.platform_managed_users
    ADD CONSTRAINT platform_managed_users_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.platform_managed_users
    ADD CONSTRAINT platform_managed_users_workspace_id_user_key_key UNIQUE (workspace_id, user_key);

ALTER TABLE ONLY public.platform_permissions
    ADD CONSTRAINT platform_permissions_member_id_capability_key UNIQUE (member_id, capability);

ALTER TABLE ONLY public.platform_permissions
    ADD CONSTRAINT platform_permissions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.platform_workspace_members
    ADD CONSTRAINT platform_workspace_members_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.platform_workspace_members
    ADD CONSTRAINT platform_workspace_members_workspace_id_user_id_key UNIQUE (workspace_id, user_id);

ALTER TABLE ONLY public.platform_workspaces
    ADD CONSTRAINT platform_workspaces_pkey PRIMARY KEY (id);

CREATE INDEX account_alias_uses_last_idx ON public.account_alias_uses USING btree (last_used_at);

CREATE INDEX account_members_user_idx ON public.account_members USING btree (user_id, status);

CREATE INDEX account_permissions_capability_idx ON public.account_permissions USING btree (capability);

CREATE INDEX audit_events_account_idx ON public.audit_events USING btree (account_id, created_at DESC);

CREATE INDEX auth_sessions_expires_idx ON public.auth_sessions USING btree (expires_at);

CREATE INDEX auth_sessions_user_idx ON public.auth_sessions USING btree (user_id);

CREATE UNIQUE INDEX identities_fingerprint_active_uq ON public.identities USING btree (account_id, identity_key_fingerprint) WHERE ((identity_key_fingerprint IS NOT NULL) AND (status <> 'deleted'::text));

CREATE INDEX pixbooks_account_idx ON public.pixbooks USING btree (account_id, identity_id);

CREATE UNIQUE INDEX pixbooks_identity_collection_active_uq ON public.pixbooks USING btree (identity_id, collection_id) WHERE (status <> 'deleted'::text);

CREATE INDEX platform_audit_events_workspace_idx ON public.platform_audit_events USING btree (workspace_id, created_at DESC);

CREATE UNIQUE INDEX platform_books_collection_uq ON public.platform_books USING btree (workspace_id, managed_user_id, collection_id) WHERE (status <> 'deleted'::text);

CREATE INDEX platform_managed_users_identity_idx ON public.platform_managed_users USING btree (workspace_id, identity_key_fingerprint);

CREATE UNIQUE INDEX platform_managed_users_identity_uq ON public.platform_managed_users USING btree (workspace_id, profile_id, identity_key_fingerprint) WHERE ((profile_id IS NOT NULL) AND (identity_key_fingerprint IS NOT NULL));

CREATE INDEX platform_permissions_capability_idx ON public.platform_permissions USING btree (capability);

CREATE INDEX platform_workspace_members_user_idx ON public.platform_workspace_members USING btree (user_id, status);

ALTER TABLE ONLY public.account_members
    ADD CONSTRAINT account_members_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.account_members
    ADD CONSTRAINT account_members_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.auth_users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.account_permissions
    ADD CONSTRAINT account_permissions_member_id_fkey FOREIGN KEY (member_id) REFERENCES public.account_members(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.audit_events
    ADD CONSTRAINT audit_events_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.audit_events
    ADD CONSTRAINT audit_events_actor_user_id_fkey FOREIGN KEY (actor_user_id) REFERENCES public.auth_users(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.auth_sessions
    ADD CONSTRAINT auth_sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.auth_credentials(user_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.identities
    ADD CONSTRAINT identities_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.pixbook_snapshots
    ADD CONSTRAINT pixbook_snapshots_pixbook_id_fkey FOREIGN KEY (pixbook_id) REFERENCES public.pixbooks(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.pixbooks
    ADD CONSTRAINT pixbooks_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.pixbooks
    ADD CONSTRAINT pixbooks_account_id_identity_id_fkey FOREIGN KEY (account_id, identity_id) REFERENCES public.identities(account_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY public.pixbooks
    ADD CONSTRAINT pixbooks_identity_id_fkey FOREIGN KEY (identity_id) REFERENCES public.identities(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.platform_audit_events
    ADD CONSTRAINT platform_audit_events_actor_user_id_fkey FOREIGN KEY (actor_user_id) REFERENCES public.auth_users(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.platform_audit_events
    ADD CONSTRAINT platform_audit_events_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES public.platform_workspaces(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.platform_book_snapshots
    ADD CONSTRAINT platform_book_snapshots_book_id_fkey FOREIGN KEY (book_id) REFERENCES public.platform_books(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.platform_books
    ADD CONSTRAINT platform_books_managed_user_id_fkey FOREIGN KEY (managed_user_id) REFERENCES public.platform_managed_users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.platform_books
    ADD CONSTRAINT platform_books_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES public.platform_workspaces(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.platform_managed_users
    ADD CONSTRAINT platform_managed_users_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES public.platform_workspaces(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.platform_permissions
    ADD CONSTRAINT platform_permissions_member_id_fkey FOREIGN KEY (member_id) REFERENCES public.platform_workspace_members(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.platform_workspace_members
    ADD CONSTRAINT platform_workspace_members_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.auth_users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.platform_workspace_members
    ADD CONSTRAINT platform_workspace_members_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES public.platform_workspaces(id) ON DELETE CASCADE;
