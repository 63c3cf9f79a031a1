//! Restores on a real server.

use testkit::{Fault, Proxy};
use tidegate_store::postgres::{Address, Session, TxOutcome};

use crate::error::StepError;
use crate::gate::Passed;
use crate::outcome::Outcome;
use crate::state::StepState;
use crate::verb::backup::ground::{Deployment, Ground, name};

const RICH: &str = include_str!("tests/rich.sql");
const DISTURB: &str = include_str!("tests/disturb.sql");
/// Needs a superuser.
const EVENT_TRIGGER: &str = "CREATE FUNCTION public.on_drop() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no drop'; END $$;
CREATE EVENT TRIGGER no_drop ON sql_drop EXECUTE FUNCTION public.on_drop();";

fn committed(outcome: TxOutcome<Passed, StepError>) -> Outcome {
    match outcome {
        TxOutcome::Committed(passed) => passed.outcome,
        other => panic!("not committed: {other:?}"),
    }
}

fn refusal(outcome: TxOutcome<Passed, StepError>) -> String {
    match outcome {
        TxOutcome::RolledBack(StepError::Refused { message, next }) => format!("{message}; {next}"),
        other => panic!("not refused: {other:?}"),
    }
}

async fn journal_of(session: &Session) -> Vec<Vec<Option<String>>> {
    let sql = "SELECT (SELECT epoch FROM tidegate.lease), (SELECT seq FROM tidegate.head), (SELECT count(*) FROM tidegate.event), (SELECT count(*) FROM tidegate.seal)";
    session.run(sql).await.unwrap().remove(0).rows
}

fn show_difference(before: &str, after: &str) -> String {
    let (before, after): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let lost = before.iter().filter(|line| !after.contains(line)).map(|line| format!("- {line}"));
    let new = after.iter().filter(|line| !before.contains(line)).map(|line| format!("+ {line}"));
    lost.chain(new).take(60).collect::<Vec<_>>().join("\n")
}

async fn is_exact(deployment: Deployment) {
    let ground = Ground::new(deployment, RICH).await;
    if deployment == Deployment::Su {
        // An owner that the restoring role is not, and an event trigger that would refuse every DROP.
        ground.home.run("ALTER TABLE app.log OWNER TO app_user").await.unwrap();
        ground.home.run(EVENT_TRIGGER).await.unwrap();
    }
    // Sealed before the backup: the seal is no part of it.
    let sealed = crate::verb::seal::tables(&ground.home, &["public.items".to_owned()]).await.unwrap();
    let unsealed = ground.dumped();
    crate::verb::seal::close(&ground.home, ground.job("copy"), &sealed[0], None).await.unwrap();
    assert_ne!(ground.dumped(), unsealed);
    let (backup, _) = ground.backup("copy").await.unwrap();
    assert!(backup.texts["rehearsed"].starts_with("yes"), "{backup:?}");

    ground.home.run("DELETE FROM tidegate.seal").await.unwrap();
    if deployment == Deployment::Su {
        ground.home.run("DROP EVENT TRIGGER no_drop").await.unwrap();
    }
    ground.home.run(DISTURB).await.unwrap();
    if deployment == Deployment::Su {
        ground.home.run("CREATE FOREIGN DATA WRAPPER later; CREATE EVENT TRIGGER later ON sql_drop EXECUTE FUNCTION public.on_drop()").await.unwrap();
    }
    crate::verb::seal::close(&ground.home, ground.job("copy"), &sealed[0], None).await.unwrap();
    let settings = "SELECT name, setting FROM pg_settings WHERE name NOT LIKE 'transaction%' ORDER BY 1";
    let settings_before = ground.home.run(settings).await.unwrap();
    let outcome = committed(ground.restore(&backup).await);

    let restored = ground.dumped();
    assert!(restored == unsealed, "{}", show_difference(&unsealed, &restored));
    assert_eq!(outcome.figures["rows"], backup.figures["rows"]);
    assert_eq!(outcome.figures["seals_lifted"], 1);
    let journal = journal_of(&ground.home).await;
    assert_eq!(journal, [["1", "1", "1", "0"].map(|text| Some(text.to_owned())).to_vec()]);
    assert_eq!(
        ground.home.run(settings).await.unwrap(),
        settings_before,
        "no setting outlives the transaction"
    );
    let left = "SELECT count(*) FROM pg_largeobject_metadata";
    assert_eq!(ground.database.value::<i64>(left).await, 0);

    // What is there again works, and it can be done again.
    ground
        .home
        .run("INSERT INTO public.items (note) VALUES ('after'); REFRESH MATERIALIZED VIEW app.counted")
        .await
        .unwrap();
    committed(ground.restore(&backup).await);
    assert!(ground.dumped() == unsealed);
}

#[tokio::test]
async fn a_restore_by_a_superuser_is_exact() {
    is_exact(Deployment::Su).await;
}

#[tokio::test]
async fn a_restore_by_a_plain_owner_is_exact() {
    is_exact(Deployment::Own).await;
}

#[tokio::test]
async fn a_connection_that_is_cut_anywhere_leaves_everything_as_it_was() {
    let ground = Ground::new(Deployment::Su, RICH).await;
    let (backup, _) = ground.backup("copy").await.unwrap();
    let whole = ground.dumped();
    ground.home.run(DISTURB).await.unwrap();
    let disturbed = ground.dumped();
    let journal = journal_of(&ground.home).await;
    let proxy = Proxy::start(ground.cluster.port()).await.unwrap();
    let url = ground.database.url_at(proxy.port(), "postgres");
    let address = Address::resolve(Some(&url), &|_| None).unwrap();
    let faults = [
        Fault::drop_answer_of("DROP SCHEMA"),
        Fault::drop_answer_of("GRANT USAGE ON SCHEMA public TO PUBLIC"),
        Fault::drop_before("COPY app.log"),
        Fault::drop_before("setval"),
        Fault::drop_before("CREATE UNIQUE INDEX"),
        Fault::drop_before("UPDATE tidegate.head"),
        Fault::drop_before("COMMIT"),
    ];
    for (at, fault) in faults.into_iter().enumerate() {
        let session = Session::connect(&address, "cut").await.unwrap();
        proxy.inject(fault.clone());
        let outcome = ground.restore_over(&session, &backup).await;
        assert_eq!(proxy.fired(), at + 1, "{fault:?} did not fire: {outcome:?}");
        assert!(!matches!(outcome, TxOutcome::Committed(_)), "{fault:?}");
        let gone =
            "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name LIKE 'tidegate/%/back')";
        testkit::eventually("the backend is gone", std::time::Duration::from_secs(30), || async {
            ground.database.value::<bool>(gone).await.then_some(())
        })
        .await
        .unwrap();
        let now = ground.dumped();
        assert!(now == disturbed, "{fault:?}: {}", show_difference(&disturbed, &now));
        assert_eq!(journal_of(&ground.home).await, journal, "{fault:?}");
    }
    committed(ground.restore(&backup).await);
    assert!(ground.dumped() == whole);
}

#[tokio::test]
async fn a_dump_that_is_not_what_was_written_is_refused() {
    let ground = Ground::new(Deployment::Su, RICH).await;
    let (backup, _) = ground.backup("copy").await.unwrap();
    let before = ground.dumped();
    let file = ground.folder.join("copy.dump");
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let said = refusal(ground.restore(&backup).await);
    assert!(said.contains("is not what backup copy wrote"), "{said}");
    std::fs::remove_file(&file).unwrap();
    let said = refusal(ground.restore(&backup).await);
    assert!(said.contains("copy.dump") && said.contains("cannot read"), "{said}");
    let mut partial = backup.clone();
    partial.texts.insert("only".into(), "public.items".into());
    assert!(refusal(ground.restore(&partial).await).contains("some tables only"));
    assert!(ground.dumped() == before);
}

#[tokio::test]
async fn what_others_own_stops_a_plain_owner_with_a_list() {
    let ground = Ground::new(Deployment::Own, RICH).await;
    let (backup, _) = ground.backup("copy").await.unwrap();
    ground.database.execute("CREATE SCHEMA of_others; CREATE TABLE public.foreign_one ()").await;
    let before = ground.dumped();
    let said = refusal(ground.restore(&backup).await);
    assert!(said.contains("schema of_others (owner postgres)"), "{said}");
    let findings = ground.precheck("copy").await.unwrap().join("\n");
    assert!(findings.contains("a restore would be refused: this role may not remove"), "{findings}");
    assert!(findings.contains("to their owners: postgres"), "{findings}");
    assert!(ground.dumped() == before);
    ground.database.execute("DROP SCHEMA of_others").await;
    // A table of another in a schema of ours goes with the schema.
    committed(ground.restore(&backup).await);

    // An owner that the role is no member of cannot be given back.
    ground.database.execute("ALTER TABLE public.parts OWNER TO app_user").await;
    let (backup, _) = ground.backup("copy").await.unwrap();
    let before = ground.dumped();
    let said = refusal(ground.restore(&backup).await);
    assert!(said.contains("must be member of role \"app_user\""), "{said}");
    assert!(ground.dumped() == before);
}

#[tokio::test]
async fn a_lost_lease_restores_nothing() {
    let ground = Ground::new(Deployment::Su, RICH).await;
    let (backup, _) = ground.backup("copy").await.unwrap();
    ground.home.run(DISTURB).await.unwrap();
    ground.home.run("UPDATE tidegate.lease SET epoch = epoch + 1").await.unwrap();
    let before = ground.dumped();
    let outcome = ground.restore(&backup).await;
    assert!(matches!(outcome, TxOutcome::RolledBack(StepError::Fenced)), "{outcome:?}");
    assert!(ground.dumped() == before);
}

async fn loss_is_exact(deployment: Deployment) {
    let mut ground = Ground::new(deployment, RICH).await;
    let (backup, _) = ground.backup("copy").await.unwrap();
    let lines = super::loss(ground.job("back"), &ground.home, &backup).await.unwrap();
    assert_eq!(lines, [], "nothing was written since");
    let as_superuser = ground.database.client().await;
    as_superuser
        .batch_execute(
            "INSERT INTO public.items (note) VALUES ('one'), ('two');
             UPDATE public.items SET note = 'changed' WHERE id = 1;
             INSERT INTO app.log VALUES (1, 'hidden from its owner');
             CREATE TABLE public.new_one AS SELECT generate_series(1, 4);
             INSERT INTO public.parts VALUES (9, '2026-09-09');
             UPDATE public.items SET at = '2040-01-01 00:00:00+00' WHERE note = 'two'",
        )
        .await
        .unwrap();
    // A login that dumps sees everything; without one the owner must look past the row security that is forced on it.
    if deployment == Deployment::Own {
        let owner = ground.database.url_for("plain_owner");
        as_superuser.batch_execute("ALTER TABLE public.new_one OWNER TO plain_owner").await.unwrap();
        ground.lead("DUMP_URL", owner);
    }
    // The run's own rows are not lost work of others.
    let answers = ground
        .home
        .run("BEGIN; INSERT INTO public.mother SELECT generate_series(1, 7); SELECT pg_current_xact_id(); COMMIT")
        .await
        .unwrap();
    let own: u64 = answers[2].single().flatten().unwrap().parse().unwrap();
    let state = StepState::Done {
        attempt: 1,
        outcome: std::sync::Arc::new(Outcome { transaction: Some(own), ..Outcome::default() }),
        seq: 1,
        at: jiff::Timestamp::now(),
    };
    ground.state_mut().steps.insert(name("mine"), state);
    let lines = super::loss(ground.job("back"), &ground.home, &backup).await.unwrap();
    let found: Vec<(&str, u64)> = lines.iter().map(|line| (&*line.table, line.rows)).collect();
    assert_eq!(found, [("app.log", 1), ("public.items", 3), ("public.new_one", 4), ("public.parts_2026", 1)]);
    assert!(lines[1].newest.as_deref().unwrap().starts_with("2040-01-01"), "{lines:?}");
    assert_eq!(lines[2].newest, None);
    let forced = "SELECT relforcerowsecurity FROM pg_class WHERE oid = 'app.log'::regclass";
    assert!(ground.database.value::<bool>(forced).await, "row security is forced as before");
}

#[tokio::test]
async fn the_loss_is_counted_exactly_by_a_superuser() {
    loss_is_exact(Deployment::Su).await;
}

#[tokio::test]
async fn the_loss_is_counted_exactly_by_a_plain_owner() {
    loss_is_exact(Deployment::Own).await;
}
