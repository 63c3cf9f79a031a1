//! What a transaction of one tenant can reach of another tenant's rows, asked of the catalog and tried.
//!
//! The role of the application can name any tenant; here it has named one and is given everything else that it can say.
//! What the catalog has and nobody judged fails: a relation, a policy, a function, a key, a sequence.

use std::collections::BTreeSet;

use tokio_postgres::Client;

use crate::ground::{
    A, B, Deployment, Ground, LOT, become_tenant, begin_as, in_both_deployments, number, plant_lot,
    refusal_inside, text,
};

in_both_deployments!(
    every_relation_is_the_tenants_own_or_judged,
    no_way_of_asking_shows_another_tenants_rows,
    nothing_that_a_tenant_writes_changes_another_tenants_rows,
    every_function_answers_as_if_the_other_tenant_were_not_there,
    every_key_is_the_tenants_own_or_judged,
    the_role_has_no_way_around,
    a_tenant_in_the_middle_of_everything_holds_nobody_up,
);

const NOBODY: &str = "eeeeeeee-0000-4000-8000-00000000000e";

/// Relations that are not each tenant's own, and why.
const SHARED: [(&str, &str); 4] = [
    ("communities", "the application's own, from before the ledger"),
    ("profiles", "the application's own, from before the ledger"),
    ("s2s_jwks_public_keys", "public keys, which are published"),
    ("webhook_events", "the system's; the application sees no row and writes none (webhooks.rs)"),
];

/// The one condition of every policy that is for the application.
const OWN: &str = "(community_id = ( SELECT (NULLIF(current_setting('app.community_id'::text, true), ''::text))::uuid AS \"nullif\"))";

/// What somebody learns who asks a function for something that another tenant has, and not for what nobody has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Learns {
    Nothing,
    /// That it is taken: the provider's ids are of one namespace, and no tenant sends one (decision record 28).
    ThatItIsTaken,
}
use Learns::{Nothing, ThatItIsTaken};

/// Each function that the application may call: a call of it, what A has in place of `{}`, what nobody has.
const FUNCTIONS: [(&str, &str, &str, &str, Learns); 19] = [
    ("app.set_community_context(uuid)", "app.set_community_context('{}')", B, NOBODY, Nothing),
    ("app.enter_tenant(uuid)", "(app.enter_tenant('{}') IS NULL)", B, NOBODY, Nothing),
    ("app.current_community_id()", "app.current_community_id()", "", "", Nothing),
    ("app.is_amount(bigint)", "app.is_amount(5)", "", "", Nothing),
    (
        "app.repeated(uuid,text,jsonb)",
        "app.repeated('{}', 'debit:its-debit', '{\"amountMicro\": 10}')",
        A,
        NOBODY,
        Nothing,
    ),
    (
        "app.done(uuid,text,jsonb,jsonb)",
        "app.done('{}', 'debit:its-debit', 'null', 'null')",
        A,
        NOBODY,
        Nothing,
    ),
    ("app.spendable_micro(uuid)", "app.spendable_micro('{}')", A, NOBODY, Nothing),
    ("app.is_open(uuid)", "app.is_open('{}')", A, NOBODY, Nothing),
    (
        "app.take_from_lots(uuid,bigint,text)",
        "app.take_from_lots('{}', 1, 'debit:its-debit')",
        A,
        NOBODY,
        Nothing,
    ),
    (
        "app.give_back(uuid,jsonb,bigint,bigint,text)",
        "app.give_back(app.current_community_id(), '[{\"lot\": \"{}\", \"micro\": 1}]', 1, 0, 'debit:its-debit')",
        LOT,
        NOBODY,
        Nothing,
    ),
    ("app.update_lot_status(uuid,text)", "app.update_lot_status('{}', 'expired')", LOT, NOBODY, Nothing),
    (
        "app.mint(uuid,text,text,bigint,timestamp with time zone,text)",
        "app.mint(app.current_community_id(), 'l', 'purchase', 5, NULL, '{}')",
        "pay-1",
        "pay-9",
        ThatItIsTaken,
    ),
    (
        "app.debit(uuid,text,bigint)",
        "app.debit(app.current_community_id(), '{}', 7)",
        "its-debit",
        "nobodys",
        Nothing,
    ),
    (
        "app.debit_many(uuid,text[],bigint[])",
        "app.debit_many(app.current_community_id(), '{\"{}\", other}', '{7, 8}')",
        "its-debit",
        "nobodys",
        Nothing,
    ),
    (
        "app.credit_back(uuid,text,text,bigint)",
        "app.credit_back(app.current_community_id(), 'c', '{}', 1)",
        "its-debit",
        "nobodys",
        Nothing,
    ),
    (
        "app.reserve(uuid,text,bigint,integer)",
        "app.reserve(app.current_community_id(), '{}', 3, 60)",
        "its-use",
        "nobodys",
        Nothing,
    ),
    (
        "app.finalize(uuid,text,text,bigint,text,bigint,text,text,integer,integer)",
        "app.finalize(app.current_community_id(), 'f', '{}', 1, 'live', 1, 'n', 'p', 0, 0)",
        "its-use",
        "nobodys",
        Nothing,
    ),
    (
        "app.release(uuid,text,text)",
        "app.release(app.current_community_id(), '{}', 'released')",
        "its-hold",
        "nobodys",
        Nothing,
    ),
    ("app.sweep(uuid,integer)", "app.sweep(app.current_community_id(), 10)", "", "", Nothing),
];

/// The one that is left of them, whose answer counts what the tenant used itself.
const RECONCILE: (&str, &str, &str, &str, Learns) =
    ("app.reconcile(uuid,integer)", "app.reconcile(app.current_community_id(), 10)", "", "", Nothing);

/// Unique keys of tenants' relations that do not hold the tenant, and why two tenants do not meet in them.
const KEYS: [(&str, &str); 9] = [
    ("credit_lots_pkey", "made by the server"),
    ("lot_entries_pkey", "made by the server"),
    ("lot_totals_pkey", "the lot's, written by its trigger"),
    ("crypto_payments_pkey", "made by the server"),
    ("usage_events_pkey", "made by the server"),
    ("idx_lot_entries_reservation_lot", "the lot is the tenant's, by lot_entries_lot_of_tenant"),
    ("usage_events_finalization_id_key", "app.finalize puts the tenant before it"),
    ("credit_lots_payment_id_uq", "the provider's id, which no tenant sends"),
    ("crypto_payments_payment_id_key", "the provider's id, which no tenant sends"),
];

/// Foreign keys that do not hold the tenant, and what ties the rows beside them: none. One that asks for a lot alone tells
/// by its refusal whether another tenant has it.
const REFERENCES: [(&str, &str); 0] = [];

/// Everything that a tenant's rows can come from, with `{}` for the tenant.
const EVERYTHING: [&str; 15] = [
    "SELECT app.mint('{}', 'l', 'grant', 1000, NULL, NULL)",
    "SELECT app.mint('{}', 'over', 'grant', 10, clock_timestamp() + interval '1 hour', 'minted for {}')",
    "SELECT app.debit('{}', 'its-debit', 10)",
    "SELECT app.debit_many('{}', '{m, n}', '{1, 2}')",
    "SELECT app.credit_back('{}', 'c', 'its-debit', 1)",
    "SELECT app.reserve('{}', 'its-use', 9, 60)",
    "SELECT app.reserve('{}', 'its-hold', 9, 60)",
    "SELECT app.reserve('{}', 'given', 9, 60)",
    "SELECT app.finalize('{}', 'f', 'its-use', 5, 'soft', 3, 'n', 'p', 0, 0)",
    "SELECT app.release('{}', 'given', 'released')",
    "SELECT app.sweep('{}', 10)",
    "SELECT app.reconcile('{}', 10)",
    "INSERT INTO crypto_payments (community_id, payment_id, amount_usd) VALUES ('{}', 'paid by {}', 5)",
    "UPDATE crypto_payments SET status = 'confirming'",
    "INSERT INTO circuit_breakers (community_id, drift_micro, limit_micro) VALUES ('{}', 5, 5)",
];

/// Does everything for a tenant in the open transaction.
async fn do_everything(app: &Client, tenant: &str) {
    for sql in EVERYTHING {
        let sql = sql.replace("{}", tenant);
        app.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }
}

/// Tenant A with rows in everything that a tenant can have rows in; B with a lot; the application's connection.
async fn neighbours(deployment: Deployment) -> (Ground, Client) {
    let ground = Ground::migrated(deployment).await;
    let app = ground.app().await;
    plant_lot(&app).await;
    begin_as(&app, A).await;
    app.batch_execute(&format!("SELECT app.mint('{A}', 'paid', 'purchase', 5, NULL, 'pay-1')"))
        .await
        .unwrap();
    do_everything(&app, A).await;
    app.batch_execute("COMMIT").await.unwrap();
    app.batch_execute(&format!("SELECT app.mint('{B}', 'own', 'grant', 100, NULL, NULL)")).await.unwrap();
    (ground, app)
}

/// The relations of tenants that the application has any right on, by the catalog.
async fn relations(ground: &Ground) -> Vec<String> {
    let sql = "SELECT format('%I', relname) FROM pg_class
               WHERE relnamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname ~ '^pg_|^information_schema$')
                 AND relkind IN ('r', 'v', 'm', 'p', 'f')
                 AND (has_any_column_privilege('arrakis_app', oid, 'SELECT, INSERT, UPDATE, REFERENCES')
                      OR has_table_privilege('arrakis_app', oid, 'DELETE, TRUNCATE, TRIGGER'))
               ORDER BY 1";
    let rows = ground.database.client().await.query(sql, &[]).await.unwrap();
    let all: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    for (shared, _) in SHARED {
        assert!(all.iter().any(|name| name == shared), "{shared} is judged and not there");
    }
    all.into_iter().filter(|name| SHARED.iter().all(|(shared, _)| shared != name)).collect()
}

/// The first column of every row.
async fn column(client: &Client, sql: &str) -> Vec<String> {
    let rows = client.query(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    rows.iter().map(|row| row.get(0)).collect()
}

async fn every_relation_is_the_tenants_own_or_judged(deployment: Deployment) {
    let (ground, _app) = neighbours(deployment).await;
    let root = ground.database.client().await;
    let relations = relations(&ground).await;
    assert!(relations.len() >= 12, "{relations:?}");
    for relation in &relations {
        let has_tenant = format!(
            "SELECT count(*) FROM pg_attribute WHERE attrelid = '{relation}'::regclass AND attname = 'community_id'
             AND NOT attisdropped"
        );
        assert_eq!(number(&root, &has_tenant).await, 1, "{relation} names no tenant: judge it");
        let rows = format!("SELECT count(*) FROM {relation} WHERE community_id = '{A}'");
        assert!(number(&root, &rows).await > 0, "{relation} has no row of A: nothing is tried on it");
        let guarded = format!(
            "SELECT count(*) FROM pg_class WHERE oid = '{relation}'::regclass
             AND (relkind = 'v' AND 'security_invoker=true' = ANY (reloptions)
                  OR relkind = 'r' AND relrowsecurity AND relforcerowsecurity)"
        );
        assert_eq!(number(&root, &guarded).await, 1, "{relation} is under no row security of its caller");
        let rights = format!(
            "SELECT has_table_privilege('arrakis_app', '{relation}', 'DELETE, TRUNCATE, TRIGGER')::text"
        );
        assert_eq!(text(&root, &rights).await, "false", "{relation}");
    }
    let open = format!(
        "SELECT polname::text FROM pg_policy
         WHERE ('{{0}}'::oid[] && polroles OR 'arrakis_app'::regrole = ANY (polroles))
           AND (coalesce(pg_get_expr(polqual, polrelid), $text${OWN}$text$) <> $text${OWN}$text$
                OR coalesce(pg_get_expr(polwithcheck, polrelid), $text${OWN}$text$) <> $text${OWN}$text$
                OR polqual IS NULL AND polwithcheck IS NULL)"
    );
    assert_eq!(
        column(&root, &open).await,
        Vec::<String>::new(),
        "policies that ask for another tenant than one's own"
    );
    let rules = "SELECT rulename::text FROM pg_rewrite JOIN pg_class ON pg_class.oid = ev_class
                 WHERE relnamespace IN ('public'::regnamespace, 'app'::regnamespace) AND rulename <> '_RETURN'";
    assert_eq!(
        column(&root, rules).await,
        Vec::<String>::new(),
        "rules, which row security does not look behind"
    );
}

async fn no_way_of_asking_shows_another_tenants_rows(deployment: Deployment) {
    let (ground, app) = neighbours(deployment).await;
    // A condition of the asker's own that tells of every row that it is shown, and costs less than any other.
    app.batch_execute(&format!(
        "CREATE FUNCTION pg_temp.spies(community uuid) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$
         BEGIN
           IF community = '{A}' THEN RAISE EXCEPTION 'seen'; END IF;
           RETURN true;
         END $$"
    ))
    .await
    .unwrap();
    let root = ground.database.client().await;
    root.batch_execute("ANALYZE").await.unwrap();
    assert!(number(&root, "SELECT count(*) FROM pg_stats WHERE tablename = 'credit_lots'").await > 0);
    begin_as(&app, A).await;
    let (_, seen) = refusal_inside(&app, "SELECT FROM credit_lots WHERE pg_temp.spies(community_id)").await;
    assert_eq!(seen, "seen", "A's own rows are shown to the condition");
    app.batch_execute("ROLLBACK").await.unwrap();
    for tenant in [Some(B), None] {
        app.batch_execute("BEGIN").await.unwrap();
        if let Some(tenant) = tenant {
            become_tenant(&app, tenant).await;
        }
        for relation in relations(&ground).await {
            for sql in [
                format!("SELECT count(*) FROM {relation} WHERE community_id = '{A}'"),
                format!(
                    "SELECT count(*) FROM {relation} WHERE pg_temp.spies(community_id) AND community_id = '{A}'"
                ),
                format!(
                    "SELECT count(*) FROM (SELECT pg_temp.spies(community_id) FROM {relation} OFFSET 0) AS seen WHERE spies IS NULL"
                ),
                format!(
                    "SELECT count(*) FROM {relation} AS one JOIN {relation} AS other USING (community_id) WHERE pg_temp.spies(one.community_id) AND community_id = '{A}'"
                ),
            ] {
                assert_eq!(number(&app, &sql).await, 0, "{sql}");
            }
            app.batch_execute("SAVEPOINT off; SET LOCAL row_security = off").await.unwrap();
            let error = app.query(&format!("SELECT * FROM {relation}"), &[]).await.unwrap_err();
            assert_eq!(error.code().unwrap().code(), "42501", "{relation}");
            app.batch_execute("ROLLBACK TO SAVEPOINT off").await.unwrap();
            // What the planner knows of the values: nothing of them is shown where row security stands.
            let known = format!("SELECT count(*) FROM pg_stats WHERE format('%I', tablename) = '{relation}'");
            assert_eq!(number(&app, &known).await, 0, "{relation}");
        }
        app.batch_execute("ROLLBACK").await.unwrap();
    }
}

/// Every row of a tenant, by relation.
async fn rows_of(ground: &Ground, tenant: &str) -> Vec<String> {
    let root = ground.database.client().await;
    let mut rows = Vec::new();
    for relation in relations(ground).await {
        let sql = format!(
            "SELECT '{relation} ' || one::text FROM {relation} AS one WHERE community_id = '{tenant}' ORDER BY 1"
        );
        rows.extend(column(&root, &sql).await);
    }
    rows
}

async fn nothing_that_a_tenant_writes_changes_another_tenants_rows(deployment: Deployment) {
    let (ground, app) = neighbours(deployment).await;
    let before = rows_of(&ground, A).await;
    let root = ground.database.client().await;
    for relation in relations(&ground).await {
        begin_as(&app, B).await;
        let columns = format!(
            "SELECT string_agg(format('%I', attname), ', ' ORDER BY attnum) FROM pg_attribute
             WHERE attrelid = '{relation}'::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''"
        );
        let columns = text(&root, &columns).await;
        let row =
            format!("SELECT to_jsonb(one)::text FROM {relation} AS one WHERE community_id = '{A}' LIMIT 1");
        let row = text(&root, &row).await.replace('\'', "''");
        // A's own row, made by B: refused for its tenant before any key is looked at, also where a conflict is passed over.
        for on_conflict in ["", "ON CONFLICT DO NOTHING"] {
            let sql = format!(
                "INSERT INTO {relation} ({columns}) SELECT {columns}
                 FROM jsonb_populate_record(NULL::{relation}, '{row}') {on_conflict}"
            );
            let (code, message) = refusal_inside(&app, &sql).await;
            let is_view = message.contains("cannot insert into view");
            assert!(code == "42501" || is_view, "{code} {message}: {sql}");
        }
        app.batch_execute("ROLLBACK").await.unwrap();
        for sql in [
            format!("UPDATE {relation} SET community_id = community_id"),
            format!("UPDATE {relation} SET community_id = '{B}' WHERE community_id = '{A}'"),
            format!("DELETE FROM {relation}"),
            format!("TRUNCATE {relation}"),
        ] {
            begin_as(&app, B).await;
            // Whatever B may do to rows of its own: none of A's is among them.
            let end = if app.batch_execute(&sql).await.is_ok() { "COMMIT" } else { "ROLLBACK" };
            app.batch_execute(end).await.unwrap();
        }
    }
    // Rows of B's own that point at A's.
    begin_as(&app, B).await;
    let mut refused = Vec::new();
    for lot in [LOT, NOBODY] {
        let entry = format!(
            "INSERT INTO lot_entries (lot_id, community_id, entry_type, amount_micro) VALUES ('{lot}', '{B}', 'debit', 1)"
        );
        refused.push(refusal_inside(&app, &entry).await);
    }
    assert_eq!(refused[0].0, "23503");
    assert_eq!(refused[0], refused[1], "a lot of another tenant is none, as one that nobody has");
    let payment = format!(
        "INSERT INTO crypto_payments (community_id, amount_usd, credits_mint_lot_id) VALUES ('{B}', 1, '{LOT}')"
    );
    assert_eq!(refusal_inside(&app, &payment).await.0, "23503");
    app.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(rows_of(&ground, A).await, before);
}

/// What a call answers, without ids, times, and the value that was sent; or how it was refused.
async fn answered(app: &Client, call: &str, value: &str) -> (String, String) {
    let sql = format!(
        "SELECT coalesce(regexp_replace(({})::text, '[0-9a-f]{{8}}-[0-9a-f-]{{27}}|\\d{{4}}-\\d\\d-\\d\\dT[^\"]*', '…', 'g'), 'null')",
        call.replace("{}", value)
    );
    app.batch_execute("SAVEPOINT asked").await.unwrap();
    let answer = match app.query_one(&sql, &[]).await {
        Ok(row) => ("done".to_owned(), row.get::<_, String>(0)),
        Err(error) => {
            let refused = error.as_db_error().unwrap_or_else(|| panic!("{sql}: {error}"));
            let said = [Some(refused.message()), refused.detail(), refused.hint()];
            (refused.code().code().to_owned(), said.map(Option::unwrap_or_default).join(" | "))
        }
    };
    app.batch_execute("ROLLBACK TO SAVEPOINT asked").await.unwrap();
    let (state, said) = answer;
    (state, if value.is_empty() { said } else { said.replace(value, "…") })
}

async fn every_function_answers_as_if_the_other_tenant_were_not_there(deployment: Deployment) {
    let (ground, app) = neighbours(deployment).await;
    let root = ground.database.client().await;
    let callable = "SELECT oid::regprocedure::text FROM pg_proc
                    WHERE pronamespace IN (SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_|^information_schema$')
                      AND has_function_privilege('arrakis_app', oid, 'EXECUTE')";
    let callable: BTreeSet<String> = column(&root, callable).await.into_iter().collect();
    let all = FUNCTIONS.iter().chain([&RECONCILE]);
    let judged: BTreeSet<String> = all.clone().map(|one| one.0.to_owned()).collect();
    assert_eq!(callable, judged, "what the application may call is judged, and what is judged is there");
    let owners = "SELECT oid::regprocedure::text FROM pg_proc
                  WHERE prosecdef AND pronamespace IN ('public'::regnamespace, 'app'::regnamespace)
                    AND NOT coalesce(proconfig, '{}') @> ARRAY['search_path=pg_catalog, pg_temp']";
    assert_eq!(
        column(&root, owners).await,
        Vec::<String>::new(),
        "they run as their owner and look anywhere"
    );
    let before = rows_of(&ground, A).await;
    for (function, call, theirs, nobodys, learns) in all {
        begin_as(&app, B).await;
        let (of_theirs, of_nobodys) =
            (answered(&app, call, theirs).await, answered(&app, call, nobodys).await);
        app.batch_execute("ROLLBACK").await.unwrap();
        match learns {
            Nothing => assert_eq!(of_theirs, of_nobodys, "{function}"),
            ThatItIsTaken => {
                assert_eq!(of_theirs.1, "{\"reason\": \"ALREADY_MINTED\"}", "{function}");
                assert_eq!(of_nobodys.0, "done", "{function}");
            }
        }
    }
    // Once more, to stay: A notices nothing of it.
    for (_, call, theirs, ..) in FUNCTIONS.iter().chain([&RECONCILE]) {
        begin_as(&app, B).await;
        let is_done = app.batch_execute(&format!("SELECT {}", call.replace("{}", theirs))).await.is_ok();
        app.batch_execute(if is_done { "COMMIT" } else { "ROLLBACK" }).await.unwrap();
    }
    assert_eq!(rows_of(&ground, A).await, before);
}

async fn every_key_is_the_tenants_own_or_judged(deployment: Deployment) {
    let (ground, _app) = neighbours(deployment).await;
    let root = ground.database.client().await;
    let is_shared: Vec<String> = SHARED.iter().map(|(name, _)| format!("'{name}'")).collect();
    let keys = format!(
        "SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
         WHERE (indisunique OR indisexclusion) AND relnamespace IN ('public'::regnamespace, 'app'::regnamespace)
           AND relname NOT IN ({})
           AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = indrelid AND attnum = ANY (indkey)
                           AND attname = 'community_id')",
        is_shared.join(", ")
    );
    let judged: BTreeSet<String> = KEYS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(column(&root, &keys).await.into_iter().collect::<BTreeSet<_>>(), judged);
    let made =
        KEYS.iter().filter(|(_, why)| *why == "made by the server").map(|(name, _)| format!("'{name}'"));
    let made: Vec<String> = made.collect();
    let guessable = format!(
        "SELECT attname::text FROM pg_attribute WHERE attrelid IN ({}) AND atttypid <> 'uuid'::regtype",
        made.iter().map(|name| format!("{name}::regclass")).collect::<Vec<_>>().join(", ")
    );
    assert_eq!(column(&root, &guessable).await, Vec::<String>::new(), "nobody guesses what the server made");
    let references = "SELECT conname::text FROM pg_constraint
                      WHERE contype = 'f' AND connamespace IN ('public'::regnamespace, 'app'::regnamespace)
                        AND conrelid <> 'profiles'::regclass
                        AND NOT (EXISTS (SELECT FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY (conkey)
                                         AND attname = 'community_id')
                                 AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = confrelid
                                             AND attnum = ANY (confkey) AND attname = 'community_id'))";
    let judged: Vec<&str> = REFERENCES.iter().map(|(name, _)| *name).collect();
    assert_eq!(column(&root, references).await, judged);
    let sequences = "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'S'
                     AND relnamespace IN ('public'::regnamespace, 'app'::regnamespace)";
    assert_eq!(
        column(&root, sequences).await,
        Vec::<String>::new(),
        "a number of one tenant would count others' rows"
    );
}

async fn the_role_has_no_way_around(deployment: Deployment) {
    let (ground, app) = neighbours(deployment).await;
    let root = ground.database.client().await;
    let powers = "SELECT count(*) FROM pg_roles WHERE rolname = 'arrakis_app'
                  AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)";
    assert_eq!(number(&root, powers).await, 0);
    let memberships =
        "SELECT roleid::regrole::text FROM pg_auth_members WHERE member = 'arrakis_app'::regrole";
    assert_eq!(column(&root, memberships).await, Vec::<String>::new());
    let owned = "SELECT relname::text FROM pg_class WHERE relowner = 'arrakis_app'::regrole
                   AND relnamespace IN ('public'::regnamespace, 'app'::regnamespace)
                 UNION ALL
                 SELECT proname::text FROM pg_proc WHERE proowner = 'arrakis_app'::regrole
                   AND pronamespace IN ('public'::regnamespace, 'app'::regnamespace)";
    assert_eq!(column(&root, owned).await, Vec::<String>::new());
    begin_as(&app, B).await;
    for sql in [
        "SET session_replication_role = replica",
        "SET ROLE arrakis_admin",
        "SET SESSION AUTHORIZATION arrakis_admin",
        "CREATE TABLE public.mine (n integer)",
        "CREATE FUNCTION app.mine() RETURNS integer LANGUAGE sql RETURN 1",
        "ALTER TABLE credit_lots NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE lot_entries DISABLE TRIGGER ALL",
        "CREATE POLICY mine ON credit_lots USING (true)",
        "CREATE TRIGGER mine BEFORE INSERT ON lot_entries FOR EACH ROW EXECUTE FUNCTION add_to_lot_totals()",
        "SELECT public.open_lot_totals()",
        "COPY credit_lots TO PROGRAM 'cat'",
    ] {
        let (code, message) = refusal_inside(&app, sql).await;
        assert_eq!(code, "42501", "{sql}: {message}");
    }
    // A table of one's own beside a trigger of the ledger's: the trigger's function is not for it.
    app.batch_execute("CREATE TEMPORARY TABLE lots (id uuid, community_id uuid, amount_micro bigint)")
        .await
        .unwrap();
    let trigger =
        "CREATE TRIGGER mine AFTER INSERT ON lots FOR EACH ROW EXECUTE FUNCTION public.open_lot_totals()";
    assert_eq!(refusal_inside(&app, trigger).await.0, "42501");
}

async fn a_tenant_in_the_middle_of_everything_holds_nobody_up(deployment: Deployment) {
    let ground = Ground::migrated(deployment).await;
    let (a, b) = (ground.app().await, ground.app().await);
    let everything = EVERYTHING.join("\n");
    for (function, call, ..) in FUNCTIONS.iter().chain([&RECONCILE]) {
        let name = function.split('(').next().unwrap();
        let is_operation = call.contains("app.current_community_id(),") && name != "app.give_back";
        assert!(!is_operation || everything.contains(&format!("{name}(")), "{name} is among everything");
    }
    begin_as(&a, A).await;
    do_everything(&a, A).await;
    let strong =
        "SELECT locktype || ' ' || mode || ' ' || coalesce(relation::regclass::text, '') FROM pg_locks
                  WHERE pid = pg_backend_pid() AND NOT (
                    locktype = 'relation' AND mode IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock')
                    OR locktype IN ('virtualxid', 'transactionid')
                    OR locktype = 'advisory')";
    assert_eq!(column(&a, strong).await, Vec::<String>::new(), "locks that others could meet");
    let keys = format!(
        "SELECT ((classid::bigint << 32) | objid::bigint = hashtextextended('{A}', 7337002))::text FROM pg_locks
         WHERE pid = pg_backend_pid() AND locktype = 'advisory'"
    );
    assert_eq!(column(&a, &keys).await, ["true"], "one lock, and it is the tenant's own");
    b.batch_execute("SET lock_timeout = '2s'").await.unwrap();
    begin_as(&b, B).await;
    do_everything(&b, B).await;
    // Neither who looks across tenants waits for them, nor do they wait for who looks.
    let system = ground.system().await;
    system.batch_execute("SET lock_timeout = '2s'; BEGIN").await.unwrap();
    number(&system, "SELECT count(*) FROM lot_balances").await;
    b.batch_execute("COMMIT").await.unwrap();
    a.batch_execute("COMMIT").await.unwrap();
    system.batch_execute("COMMIT").await.unwrap();
}
