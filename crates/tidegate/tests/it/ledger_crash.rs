//! Exactly once: the program dies at every place where dying matters, and the ledger comes out the same.

use std::collections::BTreeSet;

use testkit::Outcome;
use tidegate_engine::crash::Site;

use crate::ledger_stage::{Deployment, LedgerStage, on_stage, told};
use crate::ledger_whole::figures;

/// Sites that need a page with other steps than the ledger's.
const ELSEWHERE: [Site; 7] = [
    Site::CommandDone,
    Site::SubjectNoted,
    Site::SessionsEnded,
    Site::Halting,
    Site::ChunkWritten,
    Site::ChunkCommitted,
    Site::FlagsMoved,
];

/// Counts committed commands on the server, whatever the program believes.
const COUNTER: &str = "
CREATE SCHEMA counted;
CREATE TABLE counted.command (tag text, identity text, transaction xid8 DEFAULT pg_current_xact_id());
CREATE FUNCTION counted.count() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    INSERT INTO counted.command (tag, identity)
    SELECT command_tag, object_identity FROM pg_event_trigger_ddl_commands() WHERE schema_name IS DISTINCT FROM 'tidegate';
END $$;
CREATE EVENT TRIGGER count ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'CREATE VIEW', 'CREATE SCHEMA') EXECUTE FUNCTION counted.count();
";

/// The points of one part of the story, in the order in which an uninterrupted run reaches them.
async fn trace(stage: &LedgerStage, program: &testkit::Program, code: i32) -> Vec<String> {
    let file = stage.backups.join("trace");
    let outcome = stage.call(&program.clone().env("TIDEGATE_CRASH_TRACE", &file)).await;
    assert_eq!(outcome.code(), Some(code), "{}", told(&outcome));
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let mut seen = BTreeSet::new();
    text.lines()
        .filter_map(|line| line.rsplit_once(':').map(|(point, _)| point.to_owned()))
        .filter(|point| !point.starts_with("finished:released"))
        .filter(|point| seen.insert(point.clone()))
        .collect()
}

/// The points at which one process after the other can die. Of the two places behind a gate's COMMIT only one can be
/// reached: after either the step is complete, and no later process comes by again.
fn reachable(points: &[String], behind_commit: Site) -> Vec<String> {
    let other = if behind_commit == Site::GateCommitted { Site::Outcome } else { Site::GateCommitted };
    points
        .iter()
        .filter(|point| {
            let (site, step) = point.split_once(':').unwrap_or((point, ""));
            let is_gated = points.contains(&format!("{}:{step}", Site::GateCommitted.name()));
            !(is_gated && site == other.name())
        })
        .cloned()
        .collect()
}

/// Dies at one point after the other, each time in a new process that goes on where the last one died.
async fn die_at_each(
    stage: &LedgerStage,
    program: &testkit::Program,
    points: &[String],
    behind_commit: Site,
) -> (usize, Outcome) {
    let points = reachable(points, behind_commit);
    for point in &points {
        let outcome = stage.call(&program.clone().env("TIDEGATE_CRASH", point)).await;
        assert_eq!(outcome.code(), None, "it must die at {point}: {}", told(&outcome));
    }
    let outcome = stage.call(program).await;
    (points.len(), outcome)
}

async fn story(deployment: Deployment, behind_commit: Site) -> (usize, BTreeSet<String>) {
    let whole = LedgerStage::new(deployment).await;
    let broken = LedgerStage::new(deployment).await;
    // Only a superuser may dump and restore an event trigger, in the rehearsal, too.
    let counting = deployment == Deployment::Su;
    for stage in [&whole, &broken] {
        if counting {
            stage.cluster.execute("ALTER ROLE ledger_scratch SUPERUSER").await.unwrap();
            stage.database.execute(COUNTER).await;
        }
    }
    let mut sites = BTreeSet::new();
    let mut deaths = 0;

    // To the confirm, then to the end.
    let to_the_confirm = trace(&whole, &whole.run_program(), 6).await;
    whole.approve("window").await;
    let to_the_end = trace(&whole, &whole.run_program(), 0).await;
    let (died, waiting) = die_at_each(&broken, &broken.run_program(), &to_the_confirm, behind_commit).await;
    assert_eq!(waiting.code(), Some(6), "{}", told(&waiting));
    deaths += died;
    broken.approve("window").await;
    let (died, last) = die_at_each(&broken, &broken.run_program(), &to_the_end, behind_commit).await;
    deaths += died;
    // The last deaths come after the run was finished: then there is nothing more to do, and that is said.
    assert!(matches!(last.code(), Some(0 | 2)), "{}", told(&last));
    assert_eq!(broken.schema().await, whole.schema().await);
    for point in to_the_confirm.iter().chain(&to_the_end) {
        sites.insert(point.split(':').next().unwrap_or_default().to_owned());
    }
    let counted = "SELECT string_agg(tag || ' ' || identity || ' ' || n, E'\\n' ORDER BY tag, identity) FROM (SELECT tag, identity, count(*) AS n FROM counted.command GROUP BY 1, 2) AS c";
    if counting {
        let effects: String = broken.database.value(counted).await;
        assert_eq!(effects, whole.database.value::<String>(counted).await);
        assert!(effects.contains("CREATE TABLE public.credit_lots 1"), "{effects}");
    }

    // Back to the backup, by undo, and forward again.
    let back = |stage: &LedgerStage| {
        stage.with_parameters(["rollback", "--to", "backup", "--undo", "--apply", "--actor", "alice"])
    };
    let points = trace(&whole, &back(&whole), 7).await;
    let (died, last) = die_at_each(&broken, &back(&broken), &points, behind_commit).await;
    assert_eq!(last.code(), Some(7), "{}", told(&last));
    deaths += died;
    sites.extend(points.iter().map(|point| point.split(':').next().unwrap_or_default().to_owned()));
    assert_eq!(broken.schema().await, whole.schema().await);
    for stage in [&whole, &broken] {
        let again = stage.run().await;
        assert_eq!(again.code(), Some(0), "{}", told(&again));
    }

    // Back by restore.
    let mut restores = Vec::new();
    for stage in [&whole, &broken] {
        let restore =
            stage.with_parameters(["rollback", "--way", "restore_all", "--apply", "--actor", "alice"]);
        let shown = stage.call(&restore).await;
        let shown = format!("{}{}", shown.stdout, shown.stderr);
        let restore = if shown.contains("--accept-loss") {
            restore.args(["--accept-loss", &figures(&shown)])
        } else {
            restore
        };
        let waiting = stage.call(&restore).await;
        assert_eq!(waiting.code(), Some(6), "{}", told(&waiting));
        stage.approve("restore_go").await;
        restores.push(restore);
    }
    let points = trace(&whole, &restores[0], 7).await;
    let (died, last) = die_at_each(&broken, &restores[1], &points, behind_commit).await;
    assert!(matches!(last.code(), Some(7 | 2)), "{}", told(&last));
    deaths += died;
    sites.extend(points.iter().map(|point| point.split(':').next().unwrap_or_default().to_owned()));
    assert_eq!(broken.schema().await, whole.schema().await);
    (deaths, sites)
}

fn check(deployment: Deployment, behind_commit: Site) {
    on_stage(async move {
        let (deaths, sites) = story(deployment, behind_commit).await;
        println!("{deaths} deaths of {deployment:?}, behind COMMIT at {}", behind_commit.name());
        assert!(deaths >= 60, "only {deaths} deaths");
        for site in Site::ALL.iter().filter(|site| !ELSEWHERE.contains(site)) {
            assert!(sites.contains(site.name()), "{} was never reached", site.name());
        }
    });
}

#[test]
fn a_superuser_dies_everywhere_and_nothing_happens_twice() {
    check(Deployment::Su, Site::GateCommitted);
}

#[test]
fn soak_a_superuser_dies_behind_every_outcome() {
    check(Deployment::Su, Site::Outcome);
}

#[test]
fn soak_a_plain_owner_dies_everywhere_and_nothing_happens_twice() {
    check(Deployment::Own, Site::GateCommitted);
}
