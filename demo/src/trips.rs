//! The trip log's keys, moved from names to ids while users work, with everything checked that a user was told.
//!
//! ```text
//! stage ─► fleet ─► traffic (users at work) ─► notes ─► proof
//!            ▲
//!  operator ─┴─► tidegate ─► the page ─► the administrators' requests
//! ```

mod back;
mod options;
mod stage;
mod traffic;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Error;
use crate::operator::{DONE, HALTED, Operator, WAITING, WENT_BACK};
use crate::program::Programs;
use crate::proof::Proof;
use crate::words::{heading, say};
pub(crate) use options::Options;
use stage::{Administrator, Own, Person, Stage, at};
use traffic::{Notes, Traffic};

/// What to read after the demonstration.
pub(crate) const WHERE_NEXT: &str = "
Where to look next
  systems/trips/runbooks/storage-keys.md       the page that ran
  systems/trips/README.md                      the service: routes, variables, commands
  crates/tidegate-rekey/src/lib.rs             how keys are moved, and what is proven first
  docs/operating-guide.md                      how to run a page, and what to do when it stops";

/// Who runs the page, and who approves.
const RUNNER: &str = "anna";
const APPROVER: &str = "ben";

/// How long the users work before the first command, and after the last.
const AROUND: Duration = Duration::from_millis(1500);

/// Shapes whose keys are moved without anybody's help.
const SMOOTH: [&str; 7] =
    ["plain", "tombstones", "newer-legacy", "newer-canonical", "synced", "counters", "passkeys"];

/// Users of the sample, and of the first batch.
const SAMPLE: usize = 12;
const FIRST: usize = 6;

/// Everything that the acts share.
struct Show {
    operator: Operator,
    administrator: Administrator,
    people: Vec<Person>,
    proof: Proof,
}

/// Shows the whole and gives what was proven.
pub(crate) async fn show(programs: &Programs, options: Options) -> Result<Proof, Error> {
    heading("The stage");
    let began = Instant::now();
    let stage = Stage::set(&programs.trips, &options).await?;
    let people = stage.people(&options).await?;
    let first = people.first().ok_or_else(|| Error::Task("there are no users".to_owned()))?;
    stage.grant(&first.id, RUNNER).await?;
    let mut fleet = stage.serve().await?;
    let addresses = fleet.addresses();
    let address = addresses.first().copied().ok_or_else(|| Error::Task("no instance serves".to_owned()))?;
    let administrator = Administrator::new(address, &first.name).await?;
    say(&format!(
        "{}; {} users whose records stand under their names, in every awkward shape: shared names, colons, several \
         spellings, tombstones that end soon, two copies of one record, values that are no JSON. Two instances serve \
         them. The run's journal is in a PostgreSQL at 127.0.0.1:{}. {:.1} s.",
        stage.describe(),
        people.len(),
        stage.journal_port(),
        began.elapsed().as_secs_f64()
    ));
    let mut environment = stage.environment();
    environment.push(("TRIPS_URL".to_owned(), format!("http://{address}")));
    environment.push(("TRIPS_ADMIN_TOKEN".to_owned(), administrator.token.clone()));
    environment.push(("PATH".to_owned(), programs.path()));
    let operator = Operator::new(&programs.tidegate, crate::program::root(), environment);
    // Users of shapes that are readable as they are, at the end of the list: the cohorts come from its beginning.
    let active: Vec<Person> = people
        .iter()
        .rev()
        .filter(|person| ["plain", "synced"].contains(&person.shape.as_str()))
        .take(options.active)
        .cloned()
        .collect();
    let traffic = Traffic::start(&active, &addresses, options.seed).await?;
    say(&format!(
        "{} users make, change, delete and list their trips on both instances, until the end.",
        active.len()
    ));
    let mut show = Show { operator, administrator, people, proof: Proof::default() };
    if options.back {
        let told = show.until_the_wave(&stage).await;
        // What users write behind the snapshot is lost; they are sent home first.
        traffic.stop().await?;
        told?;
        show.everything_is_put_back(&stage).await?;
        return Ok(show.proof);
    }
    let told = show.acts(&stage, &mut fleet).await;
    let notes = traffic.stop().await?;
    told?;
    show.end(&notes).await?;
    for line in fleet.said() {
        println!("  an instance said: {line}");
    }
    Ok(show.proof)
}

impl Show {
    async fn acts(&mut self, stage: &Stage, fleet: &mut crate::fleet::Fleet) -> Result<(), Error> {
        self.until_the_wave(stage).await?;
        heading("One instance is killed; the page speaks to the other");
        let pid = fleet.kill_and_start(1).await?;
        println!("\n$ kill -9 {pid}");
        self.the_fix().await?;
        self.the_finish().await?;
        self.one_user_is_put_back(stage, fleet).await?;
        tokio::time::sleep(AROUND).await;
        Ok(())
    }

    async fn until_the_wave(&mut self, stage: &Stage) -> Result<(), Error> {
        tokio::time::sleep(AROUND).await;
        self.first_users(stage).await?;
        self.a_wave_is_the_last().await
    }

    /// Snapshot, dry run, and a few users, whose counts are held against the dry run.
    async fn first_users(&mut self, stage: &Stage) -> Result<(), Error> {
        heading("A snapshot, a dry run of a sample, and the first users");
        let smooth: Vec<&str> = self
            .people
            .iter()
            .filter(|person| SMOOTH.contains(&person.shape.as_str()))
            .map(|person| person.name.as_str())
            .collect();
        let sample: Vec<&str> = smooth.iter().take(SAMPLE).copied().collect();
        let first: Vec<&str> = sample.iter().take(FIRST).copied().collect();
        let others =
            self.people.iter().map(|person| person.name.as_str()).filter(|name| !first.contains(name));
        let others = others.collect::<Vec<_>>().join(",");
        let sets = [
            format!("snapshots={}", stage.folder().display()),
            format!("sample={}", sample.join(",")),
            format!("first={}", first.join(",")),
            format!("operator={RUNNER}"),
            "environment=local".to_owned(),
            "watched_for=2s".to_owned(),
        ];
        let mut words = vec!["run", "--apply", "--actor", RUNNER];
        for set in &sets {
            words.extend(["--set", set]);
        }
        let others = format!("others={others}");
        say("`--set others=…` names all others; it is left out of what is shown here.");
        let mut whole = words.clone();
        whole.extend(["--set", &others]);
        self.operator.run_as(&words, &whole, WAITING).await?;
        self.approve("build_is_green").await?;
        self.operator.run(&["run", "--apply", "--actor", RUNNER], WAITING).await?;
        let (_, migrated) =
            self.administrator.about("/api/admin/migration", &self.named(&sample), false, "done").await?;
        self.proof.claim(migrated == 0, format!("users whom the dry run of {SAMPLE} moved {migrated}"));
        self.approve("small_batch").await?;
        self.operator.run(&["run", "--apply", "--actor", RUNNER], WAITING).await
    }

    /// Users whose records nobody can decide on stop the page.
    async fn a_wave_is_the_last(&mut self) -> Result<(), Error> {
        heading("The others, in waves: the failure rate stops it");
        self.approve("larger_batch").await?;
        self.operator.run(&["run", "--apply", "--actor", RUNNER], HALTED).await?;
        let done = self.done().await?;
        let all = self.people.len();
        self.proof.claim(done < all, format!("of {all} users, done when the wave was stopped {done}"));
        Ok(())
    }

    /// A person looks at what could not be moved, and decides.
    async fn the_fix(&mut self) -> Result<(), Error> {
        heading("Somebody looks at what was not proven, and decides");
        let (results, _) =
            self.administrator.about("/api/admin/migration", &self.people, false, "quarantined").await?;
        let (mut decided, mut reasons) = (0, std::collections::BTreeMap::<String, u64>::new());
        for (user, told) in &results {
            for list in ["quarantined", "conflicts", "errors"] {
                for refusal in at(told, &format!("/{list}")).as_array().cloned().unwrap_or_default() {
                    let kind =
                        at(&refusal, "/reason/code").as_str().or_else(|| at(&refusal, "/reason").as_str());
                    *reasons.entry(kind.unwrap_or(list).to_owned()).or_default() += 1;
                    let body = json!({
                        "user": user, "namespace": at(&refusal, "/namespace"), "key": at(&refusal, "/key"),
                        "resolution": "leave", "reason": "looked at by ben: it stays where it is",
                    });
                    self.administrator.ask("POST", "/api/admin/migration/quarantine/resolve", &body).await?;
                    decided += 1;
                }
            }
        }
        for (reason, count) in &reasons {
            println!("  {count:>6}  {reason}");
        }
        self.proof.claim(
            decided > 0,
            format!("records in quarantine, in conflict or unreadable, decided on {decided}"),
        );
        Ok(())
    }

    async fn the_finish(&mut self) -> Result<(), Error> {
        heading("The same command again: done users are passed over");
        self.operator.run(&["run", "--apply", "--actor", RUNNER], DONE).await
    }

    /// A user lost a record for good; the page's way puts back that user and nobody else.
    async fn one_user_is_put_back(
        &mut self,
        stage: &Stage,
        fleet: &crate::fleet::Fleet,
    ) -> Result<(), Error> {
        heading("Somebody removes a record for good, and is put back from the snapshot");
        let idle = self.people.iter().find(|person| person.shape == "plain" && person.live_trips > 0);
        let person = idle.cloned().ok_or_else(|| Error::Task("there is no such user".to_owned()))?;
        let address = fleet.addresses().first().copied();
        let address = address.ok_or_else(|| Error::Task("no instance serves".to_owned()))?;
        let mut own = Own::new(address, &person.name).await?;
        let before = own.trips().await?;
        if let Some(trip) = before.first() {
            own.remove(trip).await?;
        }
        let without = own.trips().await?;
        for (name, text) in [("reason", "removed by mistake"), ("affected_user", person.name.as_str())] {
            let path = stage.folder().join(name);
            std::fs::write(&path, text).map_err(Error::file("write", &path))?;
        }
        let words = ["rollback", "--way", "put_one_back", "--apply", "--actor", RUNNER];
        self.operator.run(&words, WAITING).await?;
        self.approve("accept_that_loss").await?;
        self.operator.run(&words, WENT_BACK).await?;
        let after = own.trips().await?;
        say("The user stands as before the migration now, and is moved once more.");
        let moved_again = [person.clone()];
        let moved = self.administrator.about("/api/admin/migration", &moved_again, true, "migrated").await?.1;
        let is_whole = moved > 0 && own.trips().await? == before;
        let held = before.len() == without.len() + 1 && after == before && is_whole;
        self.proof.claim(
            held,
            format!(
                "trips of {} before, without and after {}, {}, {}",
                person.name,
                before.len(),
                without.len(),
                after.len()
            ),
        );
        Ok(())
    }

    async fn end(&mut self, notes: &Notes) -> Result<(), Error> {
        heading("What the journal says");
        self.operator.run(&["audit", "verify"], DONE).await?;
        heading("What the service says");
        let all = self.people.len();
        let done = self.done().await?;
        self.proof.claim(done == all, format!("of {all} users, done {done}"));
        let people = self.people.clone();
        let (_, consistent) =
            self.administrator.about("/api/admin/migration/index", &people, false, "consistent").await?;
        self.proof.claim(
            consistent == all as u64,
            format!("of {all} indexes, equal to their records {consistent}"),
        );
        let (_, again) = self.administrator.about("/api/admin/migration", &people, true, "migrated").await?;
        self.proof.claim(again == 0, format!("records that a second apply moved {again}"));
        let coverage = self.administrator.ask("GET", "/api/admin/migration/coverage", &Value::Null).await?;
        let share = at(&coverage, "/share").as_f64().unwrap_or(0.0);
        self.proof.claim(
            (share - 1.0).abs() < f64::EPSILON,
            format!("share of affected users who are done {share}"),
        );
        heading("What the users say");
        let acknowledged = notes.acknowledged;
        self.proof
            .claim(acknowledged > 100, format!("writes acknowledged while keys were moved {acknowledged}"));
        self.proof
            .claim(notes.lists > 20, format!("lists read and held against what was known {}", notes.lists));
        for (count, what) in [
            (notes.lost, "records lost"),
            (notes.resurrected, "deleted records that came back"),
            (notes.stale, "records read as they were before"),
            (notes.foreign, "records of others seen"),
            (notes.of_before_missing, "lists without a record of before"),
            (notes.errors.len() as u64, "errors other than \"come again\""),
        ] {
            self.proof.claim(count == 0, format!("{what} {count}"));
        }
        for error in notes.errors.iter().take(5) {
            println!("  {error}");
        }
        say(&format!("99 of 100 answers came within {} ms.", notes.p99().as_millis()));
        Ok(())
    }

    async fn approve(&self, step: &str) -> Result<(), Error> {
        self.operator.run(&["approve", step, "--actor", APPROVER], DONE).await
    }

    async fn done(&self) -> Result<usize, Error> {
        let (_, done) =
            self.administrator.about("/api/admin/migration/status", &self.people, false, "done").await?;
        Ok(usize::try_from(done).unwrap_or(0))
    }

    fn named(&self, names: &[&str]) -> Vec<Person> {
        self.people.iter().filter(|person| names.contains(&person.name.as_str())).cloned().collect()
    }
}
