//! The file sync's tables, flattened while devices push, pull, stage and attach, with everything checked that a device
//! was told.
//!
//! ```text
//! stage ─► fleet ─► traffic (two devices a user) ─► notes ─► verdict ─► proof
//!            ▲
//!  operator ─┴─► tidegate
//! ```

mod device;
mod notes;
mod options;
mod stage;
mod traffic;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_postgres::Client;

use crate::Error;
use crate::fleet::Fleet;
use crate::operator::{DONE, HALTED, Operator, WAITING};
use crate::program::Programs;
use crate::proof::Proof;
use crate::words::{heading, say};
use notes::{Endpoint, Notes, Verdict};
pub(crate) use options::Options;
use stage::Stage;
use traffic::Traffic;

/// What to read after the demonstration.
pub(crate) const WHERE_NEXT: &str = "
Where to look next
  systems/vfs-server/runbooks/flatten.md       the page that ran
  systems/vfs-server/README.md                 the server: routes, variables, commands
  docs/vfs-blob-persistence.md                 where blobs are, and what to do when one is not
  docs/operating-guide.md                      how to run a page, and what to do when it stops";

/// Who runs the page, and who approves.
const RUNNER: &str = "anna";
const APPROVER: &str = "ben";

/// How long the devices work before the first command, and after the last.
const AROUND: Duration = Duration::from_millis(1500);

/// Tables that are gone at the end.
const RETIRED: [&str; 4] = ["vfs_blob_staging", "vfs_blob_refs", "vfs_blob_objects", "vfs_access"];

/// The versions before and after.
const BEFORE: i32 = 23;
const AFTER: i32 = 27;

/// An object of before with the id of a device's file: what migration 24 must not flatten.
const COLLIDE: &str = include_str!("vfs/collide.sql");
/// The end of it.
const REMOVE: &str = "DELETE FROM vfs_blob_objects WHERE id = 'demo-0-item-1'";

/// The newest migration that is applied.
const VERSION: &str = "SELECT max(version) FROM schema_migrations";
/// How often the version is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Everything that the acts share.
struct Show {
    stage: Stage,
    operator: Operator,
    proof: Proof,
    /// `item blob kind` of each attachment of before.
    attachments: Vec<(String, String, String)>,
}

/// Shows the whole and gives what was proven.
pub(crate) async fn show(programs: &Programs, options: Options) -> Result<Proof, Error> {
    heading("The stage");
    let began = Instant::now();
    let stage = Stage::set(&programs.vfs_server, &options).await?;
    let settings = stage.settings();
    let fleet = Fleet::start(&programs.vfs_server, options.instances, move |_, _| settings.clone()).await?;
    let users = stage.users(options.users).await?;
    say(&format!(
        "{} with {} items of before, version 23; {} instances of the server. {:.1} s.",
        stage.describe(),
        options.rows,
        options.instances,
        began.elapsed().as_secs_f64()
    ));
    let notes = Arc::new(Notes::default());
    notes.at_version(BEFORE);
    let addresses = fleet.addresses();
    let traffic = Traffic::start(&users, &addresses, options.seed, &notes).await?;
    say(&format!(
        "{} users with two devices each, one that writes and one that reads, on any instance, with clocks up to an hour \
         off, until the end.",
        options.users
    ));
    let mut environment = stage.environment();
    let api = addresses.first().map(|address| format!("http://{address}")).unwrap_or_default();
    environment.push(("VFS_URL".to_owned(), api));
    environment.push(("VFS_PROBE_TOKEN".to_owned(), stage.probe_token().await?));
    environment.push(("PATH".to_owned(), programs.path()));
    let attachments = attachments(&stage).await?;
    let operator = Operator::new(&programs.tidegate, crate::program::root(), environment);
    let mut show = Show { stage, operator, proof: Proof::default(), attachments };
    let versions = tokio::spawn(watch_versions(show.stage.root().await?, Arc::clone(&notes)));
    let told = show.acts(&notes).await;
    traffic.stop(&notes).await?;
    versions.abort();
    told?;
    show.end(&notes).await?;
    for line in fleet.said() {
        println!("  an instance said: {line}");
    }
    Ok(show.proof)
}

/// Tells the notes which version the schema is at, until it is stopped.
async fn watch_versions(client: Client, notes: Arc<Notes>) {
    loop {
        if let Ok(row) = client.query_one(VERSION, &[]).await {
            notes.at_version(row.get(0));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What is attached to what, before.
async fn attachments(stage: &Stage) -> Result<Vec<(String, String, String)>, Error> {
    let sql = "SELECT item_id, blob_id, relation_kind FROM vfs_blob_refs";
    let rows = stage.root().await?.query(sql, &[]).await.map_err(Error::postgres("look on"))?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect())
}

impl Show {
    async fn acts(&mut self, notes: &Notes) -> Result<(), Error> {
        tokio::time::sleep(AROUND).await;
        self.a_guardrail_holds().await?;
        let before = notes.acknowledged();
        self.flatten().await?;
        let during = notes.acknowledged() - before;
        self.proof
            .claim(during > 0, format!("operations acknowledged while the tables were flattened {during}"));
        tokio::time::sleep(AROUND).await;
        Ok(())
    }

    /// Flattening would make two things of one id; the migration refuses.
    async fn a_guardrail_holds(&mut self) -> Result<(), Error> {
        heading("Apply: it waits for a person, takes a backup, and a guardrail stops it");
        let folder = format!("backup_dir={}", self.stage.backups().display());
        let words = ["run", "--apply", "--actor", RUNNER, "--set", &folder];
        self.operator.run(&words, WAITING).await?;
        self.operator.run(&["approve", "go_ahead", "--actor", APPROVER], DONE).await?;
        let mut running = self.operator.start(&["run", "--apply", "--actor", RUNNER])?;
        running.at_work(self.stage.backup_taken()).await?;
        let root = self.stage.root().await?;
        root.batch_execute(COLLIDE).await.map_err(Error::postgres("leave a blob object"))?;
        println!();
        say(
            "Meanwhile somebody leaves a blob object in the old table, with the id of an item that is no blob. Flattened, \
             one of the two would be lost.",
        );
        let before = self.rows_of_before().await?;
        running.ends_with(HALTED).await?;
        let (version, after) = (self.version().await?, self.rows_of_before().await?);
        let untouched = version == BEFORE && before == after;
        self.proof
            .claim(untouched, format!("stopped at version {version}, with every row of before in its place"));
        println!();
        say("That object goes, and the same command is typed again.");
        root.batch_execute(REMOVE).await.map_err(Error::postgres("remove the blob object"))
    }

    async fn flatten(&mut self) -> Result<(), Error> {
        heading("The whole of it");
        self.operator.run(&["run", "--apply", "--actor", RUNNER], DONE).await?;
        let version = self.version().await?;
        self.proof.claim(version == AFTER, format!("the schema is at version {version}"));
        let mut gone = 0;
        for table in RETIRED {
            gone += usize::from(
                self.stage.ask::<bool>(&format!("SELECT to_regclass('public.{table}') IS NULL")).await?,
            );
        }
        self.proof.claim(gone == RETIRED.len(), format!("of 4 legacy tables, out of sight: {gone}"));
        Ok(())
    }

    async fn end(&mut self, notes: &Notes) -> Result<(), Error> {
        heading("What the journal says");
        self.operator.run(&["audit", "verify"], DONE).await?;
        heading("What the devices say");
        let links = self.links().await?;
        let all = self.attachments.len();
        let kept = self.attachments.iter().filter(|attachment| links.contains(*attachment)).count();
        self.proof
            .claim(all > 0 && kept == all, format!("attachments of before {all}, found as links {kept}"));
        self.judge(&notes.verdict());
        Ok(())
    }

    fn judge(&mut self, verdict: &Verdict) {
        let Verdict { operations, lost, twice, out_of_order, blobs, changed_blobs, .. } = verdict;
        let slowest = verdict.slowest.as_millis();
        say(&format!(
            "{} requests, the slowest {slowest} ms; told to come again {}, unanswered {}.",
            verdict.requests, verdict.held_back, verdict.unanswered
        ));
        self.tell_phases(verdict);
        self.proof.claim(*operations > 0, format!("operations acknowledged {operations}"));
        self.proof.claim(
            *lost == 0,
            format!("acknowledged operations that the other device never received {lost}"),
        );
        self.proof.claim(*twice == 0, format!("operations received twice {twice}"));
        self.proof.claim(*out_of_order == 0, format!("operations received out of order {out_of_order}"));
        let same = *blobs > 0 && *changed_blobs == 0;
        self.proof.claim(
            same,
            format!("blobs attached meanwhile {blobs}, read otherwise than staged {changed_blobs}"),
        );
        let fallen = verdict.fallen;
        self.proof.claim(fallen == 0, format!("reconciled cursors that fell {fallen}"));
        let unexpected = verdict.unexpected;
        self.proof.claim(unexpected == 0, format!("errors other than \"come again\" {unexpected}"));
        for words in &verdict.words {
            println!("    {words}");
        }
    }

    /// Every endpoint, by the version that the schema was at.
    fn tell_phases(&mut self, verdict: &Verdict) {
        println!();
        println!(
            "  {:8}{:>8}{:>8}{:>11}{:>8}{:>8}{:>12}{:>12}{:>8}{:>12}",
            "version",
            "push",
            "pull",
            "reconcile",
            "stage",
            "attach",
            "come again",
            "unanswered",
            "errors",
            "slowest"
        );
        for (version, phase) in &verdict.phases {
            let count = |endpoint| phase.answered.get(&endpoint).copied().unwrap_or_default();
            let [push, pull, reconcile, stage, attach] = Endpoint::WATCHED.map(count);
            println!(
                "  {version:<8}{push:>8}{pull:>8}{reconcile:>11}{stage:>8}{attach:>8}{:>12}{:>12}{:>8}{:>12}",
                phase.held_back,
                phase.unanswered,
                phase.unexpected,
                format!("{} ms", phase.slowest.as_millis())
            );
        }
        println!();
        let at = |version: i32| {
            let phase = verdict.phases.get(&version);
            let answers = |endpoint| phase.and_then(|phase| phase.answered.get(&endpoint)).is_some();
            Endpoint::WATCHED.into_iter().filter(|endpoint| answers(*endpoint)).count()
        };
        let (before, after) = (at(BEFORE), at(AFTER));
        let all = Endpoint::WATCHED.len();
        self.proof.claim(
            before == all && after == all,
            format!("of {all} endpoints, answering before {before}, after {after}"),
        );
        let erring = verdict.phases.values().filter(|phase| phase.unexpected > 0).count();
        self.proof.claim(erring == 0, format!("versions at which a request failed {erring}"));
    }

    async fn version(&self) -> Result<i32, Error> {
        self.stage.ask(VERSION).await
    }

    /// How many rows each legacy table has.
    async fn rows_of_before(&self) -> Result<String, Error> {
        let counts = RETIRED.map(|table| format!("(SELECT count(*) FROM {table})")).join(", ");
        self.stage.ask(&format!("SELECT concat_ws(' ', {counts})")).await
    }

    /// What is attached to what, now.
    async fn links(&self) -> Result<BTreeSet<(String, String, String)>, Error> {
        let root = self.stage.root().await?;
        let rows =
            root.query(include_str!("vfs/links.sql"), &[]).await.map_err(Error::postgres("look on"))?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect())
    }
}
