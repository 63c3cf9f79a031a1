//! The ledger's migration, act by act.

mod service;

use std::path::Path;

use crate::Error;
use crate::operator::{DONE, HALTED, Operator, WAITING, WENT_BACK};
use crate::program::Programs;
use crate::proof::Proof;
use crate::stage::Stage;
use crate::traffic::{Tally, Traffic};
use crate::words::{heading, say};
use service::Service;
use std::collections::BTreeSet;

/// What to read after the demonstration.
pub(crate) const WHERE_NEXT: &str = "
Where to look next
  systems/ledger/runbooks/economic-ledger.md   the page that ran
  README.md                                    what Tidegate is
  docs/operating-guide.md                      how to run a page, and what to do when it stops
  docs/runbook-language.md                     how to write one
  ARCHITECTURE.md                              how it is built";

/// Who runs the page, and who approves.
const RUNNER: &str = "anna";
const APPROVER: &str = "ben";

/// What the way back to 0009 loses: the rows that `ledger/rows.sql` writes into tables that are younger.
const FIGURES: &str =
    "public.tenant_totals=1,public.lot_totals=3,public.usage_events=5,public.crypto_payments=2";

/// Lines of the report that are shown.
const REPORT_LINES: usize = 30;

/// The versions that stand, in order.
const VERSIONS: &str =
    "SELECT coalesce(string_agg(version, ' ' ORDER BY version), '') FROM public.tidegate_version";

/// All of them.
const ALL_VERSIONS: &str = "0008 0009 0010 0011 0012 0013 0014 0015 0016 0017 0018 0019";

/// Everything that the acts share.
struct Show {
    stage: Stage,
    operator: Operator,
    proof: Proof,
}

/// Shows the whole and gives what was proven.
pub(crate) async fn show(programs: &Programs) -> Result<Proof, Error> {
    heading("The stage");
    let stage = Stage::set().await?;
    let traffic = Traffic::start(&stage).await?;
    let operator = Operator::new(&programs.tidegate, crate::program::root(), stage.environment());
    say(&format!("{}. An application writes without a pause until the end.", stage.describe()));
    let mut show = Show { stage, operator, proof: Proof::default() };
    show.environment();
    show.look_first().await?;
    show.begin().await?;
    show.a_check_does_not_hold().await?;
    show.killed_and_resumed().await?;
    show.report().await?;
    show.back_and_forth().await?;
    show.service(&programs.ledger).await?;
    show.end(traffic.stop().await?).await?;
    Ok(show.proof)
}

impl Show {
    fn environment(&self) {
        println!();
        for (name, value) in self.stage.environment() {
            println!("$ export {name}={value}");
        }
    }

    async fn look_first(&mut self) -> Result<(), Error> {
        heading("Check the page, without any server");
        self.operator.excerpt(&["check"], 24, 1).await?;
        heading("Dry run: ask what can be asked, change nothing");
        let before = self.stage.schema().await?;
        let sets = self.parameters().await?;
        let mut words = vec!["plan"];
        words.extend(sets.iter().flat_map(|set| ["--set", set.as_str()]));
        self.operator.excerpt(&words, 26, 1).await?;
        let journal = "SELECT to_regnamespace('tidegate') IS NULL";
        let untouched = self.stage.ask::<bool>(journal).await? && self.stage.schema().await? == before;
        self.proof.claim(untouched, "the dry run left the database as it was, without a journal");
        Ok(())
    }

    async fn begin(&mut self) -> Result<(), Error> {
        heading("Apply: it waits for a second person");
        let sets = self.parameters().await?;
        let mut words = vec!["run", "--apply", "--actor", RUNNER];
        words.extend(sets.iter().flat_map(|set| ["--set", set.as_str()]));
        self.operator.run(&words, WAITING).await?;
        self.operator.run(&["approve", "window", "--actor", APPROVER], DONE).await
    }

    /// A default tenant for the whole database would make every check of the guard lie; one of them notices.
    async fn a_check_does_not_hold(&mut self) -> Result<(), Error> {
        heading("A check that does not hold leaves nothing behind");
        say(
            "Somebody has set a default tenant for the whole database. The guard that 0008 makes must refuse a \
             session without a tenant; with that setting no session is without one.",
        );
        let database = self.stage.database().to_owned();
        let set = format!(
            "ALTER DATABASE {database} SET app.community_id = '11111111-1111-4111-8111-000000000001'"
        );
        self.stage.administer(&set).await?;
        let before = self.stage.schema().await?;
        self.operator.run(&["run", "--apply", "--actor", RUNNER], HALTED).await?;
        let untouched = self.stage.schema().await? == before;
        self.proof.claim(untouched, "0008 and its checks were one transaction: the schema is what it was");
        self.stage.administer(&format!("ALTER DATABASE {database} RESET app.community_id")).await
    }

    /// A nightly report reads the lots as soon as they exist, and so holds up 0012, which alters them.
    async fn killed_and_resumed(&mut self) -> Result<(), Error> {
        heading("Killed in the middle of a migration, and resumed");
        say(
            "It goes on from where it stood. Meanwhile a nightly report reads the new lots in a long transaction; \
             0012 must wait for it, and says for whom. There the runner is killed.",
        );
        let reader = self.stage.application("nightly_report").await?;
        let mut running = self.operator.start(&["run", "--apply", "--actor", RUNNER])?;
        let lots = "SELECT to_regclass('public.credit_lots') IS NOT NULL";
        running.at_work(self.stage.until("the lots exist", lots)).await?;
        reader
            .batch_execute("BEGIN; SELECT count(*) FROM public.credit_lots")
            .await
            .map_err(Error::postgres("read the lots"))?;
        running
            .at_work(self.stage.until("0012 waits for a lock", include_str!("ledger/waiting.sql")))
            .await?;
        let left: i32 = self.stage.ask(include_str!("ledger/waiting_session.sql")).await?;
        let killed = running.kill().await?;
        self.proof.claim(killed, "the runner was killed while 0012 waited for a lock");
        let versions: String = self.stage.ask(VERSIONS).await?;
        self.proof
            .claim(versions == "0008 0009 0010 0011", format!("versions applied after the kill: {versions}"));

        say(
            "\nThe same command again. It ends what the killed runner left on the server, waits for the report, and \
             goes on when that is done.",
        );
        let mut resumed = self.operator.start(&["run", "--apply", "--actor", RUNNER])?;
        let gone = format!("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {left})");
        resumed.at_work(self.stage.until("the killed runner's session is ended", &gone)).await?;
        resumed.at_work(self.stage.until("0012 waits again", include_str!("ledger/waiting.sql"))).await?;
        reader.batch_execute("COMMIT").await.map_err(Error::postgres("end the report"))?;
        resumed.ends_with(DONE).await?;
        let versions: String = self.stage.ask(VERSIONS).await?;
        self.proof.claim(versions == ALL_VERSIONS, format!("versions applied after the resume: {versions}"));
        Ok(())
    }

    async fn report(&mut self) -> Result<(), Error> {
        heading("What happened, under each block of the page");
        self.operator.excerpt(&["report"], REPORT_LINES, 0).await
    }

    async fn back_and_forth(&mut self) -> Result<(), Error> {
        heading("The way back says what it would lose");
        say(
            "The application has used the ledger: three lots, their entries, two payments, five uses. Now 0010 and \
             everything newer shall go.",
        );
        let app = self.stage.application("application").await?;
        app.batch_execute(include_str!("ledger/rows.sql"))
            .await
            .map_err(Error::postgres("use the ledger"))?;
        let balances: String = self.stage.ask(include_str!("ledger/balances.sql")).await?;
        self.operator.run(&["rollback", "--to", "m0009"], DONE).await?;
        println!();
        say("Without the figures it refuses.");
        let back = ["rollback", "--to", "m0009", "--apply", "--actor", RUNNER];
        self.operator.run(&back, HALTED).await?;
        let versions: String = self.stage.ask(VERSIONS).await?;
        self.proof.claim(versions == ALL_VERSIONS, "without its figures repeated, nothing was undone");
        let mut back = back.to_vec();
        back.extend(["--accept-loss", FIGURES]);
        self.operator.run(&back, WENT_BACK).await?;
        let versions: String = self.stage.ask(VERSIONS).await?;
        self.proof.claim(versions == "0008 0009", format!("versions applied after the way back: {versions}"));

        heading("And forward again");
        self.operator.run(&["run", "--apply", "--actor", RUNNER], DONE).await?;
        let after: String = self.stage.ask(include_str!("ledger/balances.sql")).await?;
        self.proof.claim(
            after == balances,
            "the lots and what is left of each are what they were before the way back",
        );
        Ok(())
    }

    /// The service that the ledger is for, through the pooler, killed in the middle; and the checklist of the page that
    /// needs it.
    async fn service(&mut self, ledger: &Path) -> Result<(), Error> {
        heading("The service, under load through the pooler");
        say(
            "Sixteen callers debit eight tenants, more than there is. In the middle the service is killed; whoever got \
             no answer asks again with the same key.",
        );
        let mut service = Service::start(ledger, &self.stage).await?;
        let load = service.load().await?;
        let booked: Vec<String> = self.stage.ask(include_str!("ledger/debits.sql")).await?;
        let (booked, acknowledged) = (booked.into_iter().collect::<BTreeSet<_>>(), &load.acknowledged);
        let lost = acknowledged.difference(&booked).count();
        let unheard = booked.difference(acknowledged).count();
        let rate = (acknowledged.len() as u64 + load.refused) * 1_000
            / u64::try_from(load.took.as_millis()).unwrap_or(u64::MAX).max(1);
        self.proof.claim(
            lost == 0 && unheard == 0 && load.refused > 0 && load.asked_again > 0,
            format!(
                "debits acknowledged {}, refused {}, lost {lost}, booked and never acknowledged {unheard}; asked again \
                 {} times, {rate} a second",
                acknowledged.len(),
                load.refused,
                load.asked_again
            ),
        );
        let (holds, said) = service.verify().await?;
        println!("\n$ ledger verify\n{said}");
        self.proof.claim(holds, "ledger verify: everything that must hold does, from the journal alone");

        heading("The staging checklist, against the service");
        let url = format!("http://{}", service.address);
        println!("\n$ export LEDGER_URL={url}");
        let operator = self.operator.with("LEDGER_URL", &url);
        operator.run(&["run", "--stage", "staging", "--apply", "--actor", RUNNER], DONE).await?;
        self.proof.claim(true, "the keys are served, and the service is healthy: stage staging holds");
        Ok(())
    }

    async fn end(&mut self, tally: Tally) -> Result<(), Error> {
        heading("What the journal says");
        self.operator.run(&["audit", "verify"], DONE).await?;
        self.operator.run(&["doctor"], DONE).await?;

        heading("What the server says");
        let (communities, members) = self.stage.missing(&tally.communities, &tally.members).await?;
        let written = tally.acknowledged();
        let missing = communities + members;
        self.proof.claim(
            missing == 0 && written > 0,
            format!("writes of the application acknowledged {written}, missing or doubled {missing}"),
        );
        let refused = tally.refused.len();
        let slowest = tally.slowest.as_millis();
        let example = tally.refused.first().map_or(String::new(), |first| format!(", such as: {first}"));
        self.proof
            .claim(refused == 0, format!("writes refused {refused}, the slowest took {slowest} ms{example}"));
        let versions: String = self.stage.ask(VERSIONS).await?;
        self.proof.claim(versions == ALL_VERSIONS, format!("versions applied, each once: {versions}"));
        let left = self.stage.sessions_left().await?;
        self.proof.claim(left == 0, format!("sessions of tidegate left on the server and the pooler {left}"));
        Ok(())
    }

    /// The parameters of the run: a window that is open now, and a folder for the backup.
    async fn parameters(&self) -> Result<Vec<String>, Error> {
        let at = |span: &str| {
            format!("SELECT to_char((now() {span}) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI\"Z\"')")
        };
        let start: String = self.stage.ask(&at("- interval '10 minutes'")).await?;
        let end: String = self.stage.ask(&at("+ interval '4 hours'")).await?;
        Ok(vec![
            format!("window_start={start}"),
            format!("window_end={end}"),
            format!("backup_dir={}", self.stage.backups().display()),
        ])
    }
}
