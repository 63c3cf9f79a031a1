//! The accounts' migration under load, there and back and there again, with everything checked that a client was told.
//!
//! ```text
//! stage ─► fleet ─► traffic ─► history ◄─ look (into both schemas)
//!            ▲                    │
//!   driver ──┴─► tidegate         └─► verdict ─► proof
//! ```

mod cast;
mod contest;
mod course;
mod driver;
mod dropping;
mod figures;
mod journal;
mod look;
mod options;
mod own;
mod service;
mod stage;
mod telling;
mod traffic;

use std::sync::Arc;
use std::time::{Duration, Instant};

use testkit::history::{Verdict, Wrong};

use crate::Error;
use crate::dice::Dice;
use crate::fleet::Fleet;
use crate::operator::{DONE, HALTED, Operator, WAITING, WENT_BACK};
use crate::program::Programs;
use crate::proof::Proof;
use crate::words::{heading, say};
use cast::Cast;
use course::Course;
use driver::Driver;
use dropping::Dropping;
use figures::Part;
use journal::{Journal, StepDone};
use look::{Found, Schema, look};
pub(crate) use options::Options;
use own::Notes;
use service::Client;
use stage::Stage;
use telling::Teller;
use traffic::Traffic;

/// What to read after the demonstration.
pub(crate) const WHERE_NEXT: &str = "
Where to look next
  systems/accounts/runbooks/accounts-v2.md     the page that ran
  demo/README.md                               what was shown, and what else can be: kills, seeds, sizes
  docs/runbook-language.md                     backfill, compare, flags
  crates/testkit/src/history.rs                how the history was judged";

/// Who runs the page, and who approves.
const RUNNER: &str = "anna";
const APPROVER: &str = "ben";

/// Connections of each instance to the database.
const POOL: &str = "16";

/// How long the clients work before the first command, and after the last.
const AROUND: Duration = Duration::from_millis(1500);

/// Stages that run only by hand and are no part of this: the first schema stays where it is.
const NOT_SHOWN: [&str; 2] = ["alias_off", "archive"];

/// Violations of the history that are shown.
const EXAMPLES: usize = 10;

/// Everything that the acts share.
struct Show {
    driver: Driver,
    fleet: Fleet,
    cast: Arc<Cast>,
    notes: Arc<Notes>,
    proof: Proof,
    /// Looks into the first schema while it was kept.
    mirrored: Vec<Found>,
    options: Options,
    stage: Stage,
}

/// Shows the whole and gives what was proven.
pub(crate) async fn show(programs: &Programs, options: Options) -> Result<Proof, Error> {
    heading("The stage");
    let began = Instant::now();
    let stage = Stage::set(&programs.accounts, &options).await?;
    let fleet = fleet(programs, &stage, &options).await?;
    say(&format!(
        "{} with {} accounts in the first schema, {} instances of the service. {:.1} s.",
        stage.describe(),
        options.rows,
        options.instances,
        began.elapsed().as_secs_f64()
    ));
    let notes = Arc::new(Notes::default());
    let mut client = Client::to(&fleet.addresses());
    let mut cast = Cast::gather(&mut client, &options).await?;
    let dropping = match options.drop_a_write {
        true => Some(Dropping::prepare(&mut cast, &notes, &fleet.addresses()).await?),
        false => None,
    };
    let cast = Arc::new(cast);
    let driver = driver(programs, &stage, &fleet, &cast, &options).await?;
    let traffic = Traffic::start(&cast, &notes, &fleet.addresses(), &options);
    say(&format!(
        "{} clients write on all instances without a pause until the end, {} times a second if the machine can.",
        options.connections, options.writes
    ));
    let teller = Teller::start(&notes);
    let mut show =
        Show { driver, fleet, cast, notes, proof: Proof::default(), mirrored: Vec::new(), options, stage };
    let told = match dropping {
        Some(dropping) => show.a_dropped_write(dropping).await,
        None => show.there_and_back_and_there_again().await,
    };
    teller.stop().await;
    traffic.stop().await?;
    told?;
    show.end().await?;
    Ok(show.proof)
}

/// The instances, with no word on the flags: from the moment at which they are in the database, these rule.
async fn fleet(programs: &Programs, stage: &Stage, options: &Options) -> Result<Fleet, Error> {
    let (database_url, lost_after_ms) = (stage.url(), options.lost_after_ms.to_string());
    let environment = move |_, address| {
        vec![
            ("DATABASE_URL", database_url.clone()),
            ("DATABASE_POOL_MAX", POOL.to_owned()),
            ("AUTH_SECRET", "a secret of the demonstration".to_owned()),
            ("AUTH_BASE_URL", format!("http://{address}")),
            ("AUTH_HASH_COST", "8,1".to_owned()),
            ("FLAGS_LOST_AFTER_MS", lost_after_ms.clone()),
        ]
    };
    Fleet::start(&programs.accounts, options.instances, environment).await
}

/// Whoever types the commands, with an environment that fits what was started.
async fn driver(
    programs: &Programs,
    stage: &Stage,
    fleet: &Fleet,
    cast: &Cast,
    options: &Options,
) -> Result<Driver, Error> {
    let mut environment = stage.environment();
    let api = fleet.addresses().first().map(|address| format!("http://{address}"));
    environment.push(("ACCOUNT_VERIFY_COOKIE".to_owned(), cast.visitor.cookie.to_string()));
    environment.push(("ACCOUNT_VERIFY_API_BASE".to_owned(), api.unwrap_or_default()));
    environment.push(("PATH".to_owned(), programs.path()));
    let operator = Operator::new(&programs.tidegate, crate::program::root(), environment).piped();
    let course = Course::read(&operator.output(&["check", "--json"]).await?)?;
    let known: Vec<&str> = course.parts.iter().map(|part| part.id.as_str()).collect();
    for kill in &options.kills {
        let stage = kill.stage.as_str();
        if !known.contains(&stage) || NOT_SHOWN.contains(&stage) {
            let shown: Vec<&str> = known.iter().copied().filter(|id| !NOT_SHOWN.contains(id)).collect();
            let message = format!("--kill {kill}: no such stage is shown; there are {}", shown.join(", "));
            return Err(Error::Task(message));
        }
    }
    Ok(Driver::new(operator, Journal::of(course), Dice::new(options.seed, u64::MAX), &options.kills))
}

impl Show {
    async fn there_and_back_and_there_again(&mut self) -> Result<(), Error> {
        let began = Instant::now();
        tokio::time::sleep(AROUND).await;
        self.notes.figures.enter(Part::During, began.elapsed());
        let began = Instant::now();
        heading("Forward, to where a second person has to approve");
        self.forward_to_the_confirm().await?;
        heading("The running service answers the same from both schemas");
        self.run(&["run", "--apply", "--actor", RUNNER, "--stage", "verify_reads"], &[DONE]).await?;
        heading("The second schema gets the authority, and then stands alone");
        self.approve_and_finish().await?;
        self.look_at(&[Schema::V2], "in steady state").await?;

        heading("The way back from the steady state");
        say(
            "What was written meanwhile is in the second schema alone. It is copied back, under the same load.",
        );
        let back = ["rollback", "--way", "from_steady", "--apply", "--actor", RUNNER];
        self.run(&back, &[WENT_BACK]).await?;
        self.look_at_both("after the way back").await?;
        heading("Back to the first schema alone");
        let back = ["rollback", "--to", "recon", "--apply", "--actor", RUNNER];
        self.run(&back, &[WENT_BACK]).await?;
        self.look_at(&[Schema::V1], "on the first schema alone").await?;

        heading("And forward again");
        self.forward_to_the_confirm().await?;
        self.approve_and_finish().await?;
        self.notes.figures.enter(Part::After, began.elapsed());
        let began = Instant::now();
        tokio::time::sleep(AROUND).await;
        self.notes.figures.end(began.elapsed());
        Ok(())
    }

    async fn forward_to_the_confirm(&mut self) -> Result<(), Error> {
        let confidence = format!("confidence={}", self.options.confidence);
        let words = ["run", "--apply", "--actor", RUNNER, "--set", &confidence];
        self.run(&words, &[WAITING]).await?;
        self.look_at_both("while both schemas are written").await
    }

    async fn approve_and_finish(&mut self) -> Result<(), Error> {
        self.driver.operator().run(&["approve", "cutover_go", "--actor", APPROVER], DONE).await?;
        self.run(&["run", "--apply", "--actor", RUNNER], &[DONE]).await
    }

    async fn a_dropped_write(&mut self, dropping: Dropping) -> Result<(), Error> {
        heading("One write that never reaches the second schema");
        say(
            "A trigger drops one row of the second schema without a word. The service acknowledges the write.",
        );
        let confidence = format!("confidence={}", self.options.confidence);
        let words = ["run", "--apply", "--actor", RUNNER, "--set", &confidence];
        let Self { driver, fleet, stage, cast, notes, .. } = self;
        let (ended, dropped) = tokio::join!(
            driver.run(&words, &[HALTED, WAITING], stage, fleet),
            dropping.drop_one(Arc::clone(cast), Arc::clone(notes), stage),
        );
        dropped?;
        let noticed = ended? == HALTED;
        self.proof
            .claim(noticed, "tidegate noticed the dropped write, and stopped before anything was read there");
        self.look_at_both("while both schemas are written").await?;
        let lost = self.notes.history.verdict();
        let noticed = lost.count(Wrong::Stale) + lost.count(Wrong::Lost) > 0;
        self.proof.claim(noticed, "the history noticed the dropped write, too");
        show_examples(&lost);
        self.proof.claim(false, "every write reached both schemas");
        Ok(())
    }

    async fn run(&mut self, words: &[&str], expected: &[i32]) -> Result<(), Error> {
        self.driver.run(words, expected, &self.stage, &mut self.fleet).await.map(|_| ())
    }

    async fn look_at_both(&mut self, when: &str) -> Result<(), Error> {
        self.look_at(&[Schema::V1, Schema::V2], when).await
    }

    /// Looks into schemas while the clients go on: what was acknowledged before must be there.
    async fn look_at(&mut self, schemas: &[Schema], when: &str) -> Result<(), Error> {
        let root = self.stage.root().await?;
        println!();
        for schema in schemas {
            let found = look(&root, *schema, &self.cast, &self.notes.history, false).await?;
            say(&format!("Looked into {schema:?} {when}: {found}."));
            if *schema == Schema::V1 {
                self.mirrored.push(found);
            }
        }
        Ok(())
    }

    async fn end(&mut self) -> Result<(), Error> {
        if self.options.drop_a_write {
            return Ok(());
        }
        let root = self.stage.root().await?;
        let found = look(&root, Schema::V2, &self.cast, &self.notes.history, true).await?;
        heading("What the journal says");
        self.driver.operator().run(&["audit", "verify"], DONE).await?;
        let steps = self.driver.journal().steps(&self.stage).await?.to_vec();
        telling::steps(&steps);
        telling::latency(&self.notes);
        heading("What the history says");
        let verdict = self.notes.history.verdict();
        self.judge(&verdict, found);
        self.judge_steps(&steps);
        let row: String =
            self.stage.ask("SELECT row_name FROM tidegate.flag_set WHERE name = 'accounts'").await?;
        self.proof.claim(row == "steady", format!("the flags are at {row}"));
        for kill in self.driver.killed() {
            self.proof.claim(true, format!("killed {kill}, and went on"));
        }
        for kill in self.driver.pending() {
            self.proof.claim(false, format!("killed {kill}"));
        }
        for line in self.fleet.said() {
            println!("  an instance said: {line}");
        }
        Ok(())
    }

    /// What the comparisons found, and how fast was copied.
    fn judge_steps(&mut self, steps: &[StepDone]) {
        let of = |part: &str| steps.iter().filter(|step| step.step.contains(part)).collect::<Vec<_>>();
        let sum =
            |steps: &[&StepDone], name: &str| steps.iter().filter_map(|step| step.figure(name)).sum::<u64>();
        let copies = of("fill_");
        let rows = sum(&copies, "rows_written");
        let took_ms: u64 = copies.iter().map(|step| step.took_ms).sum();
        let rate = rows.saturating_mul(1000) / took_ms.max(1);
        self.proof.claim(rows > 0, format!("rows copied to v2 under load {rows}, {rate} a second"));
        let parities = of("parity_");
        let compared = sum(&parities, "left_rows");
        let found: u64 = ["missing", "extra", "differing"].iter().map(|part| sum(&parities, part)).sum();
        let what = format!("differences found {found}, in {compared} rows compared with every column");
        self.proof.claim(found == 0 && compared > 0, what);
    }

    fn judge(&mut self, verdict: &Verdict, found: Found) {
        let Verdict { registers, acknowledged, unknown, refused, reads, .. } = verdict;
        say(&format!(
            "{acknowledged} writes acknowledged, {refused} refused, {unknown} of unknown outcome, {reads} reads of \
             {registers} things."
        ));
        let enough = *acknowledged > 0 && *reads > 0;
        self.proof.claim(enough, format!("writes acknowledged {acknowledged}, reads {reads}"));
        self.proof.claim(found.registers > 0, format!("found in v2 at the end: {found}"));
        let looks = self.mirrored.len();
        let last = self.mirrored.last().copied().unwrap_or_default();
        self.proof
            .claim(looks > 0, format!("found in v1 while it was kept, in {looks} looks, the last: {last}"));
        for (wrong, name) in [
            (Wrong::Lost, "acknowledged writes lost"),
            (Wrong::Resurrected, "deletions undone"),
            (Wrong::Duplicated, "writes duplicated"),
            (Wrong::Stale, "stale reads"),
            (Wrong::Invented, "refused writes found"),
        ] {
            let count = verdict.count(wrong);
            self.proof.claim(count == 0, format!("{name} {count}"));
        }
        show_examples(verdict);
    }
}

fn show_examples(verdict: &Verdict) {
    for violation in verdict.violations.iter().take(EXAMPLES) {
        println!("    {:?}: {}", violation.wrong, violation.what);
    }
}
