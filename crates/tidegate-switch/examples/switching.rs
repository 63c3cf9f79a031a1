//! A small application that changes from an old table to a new one while it writes. It starts its own PostgreSQL:
//!
//! ```sh
//! cargo run -p tidegate-switch --example switching
//! ```
//!
//! Four tasks write notes for as long as it takes. An operator moves the flags from row to row; every write goes by the
//! row that it reads inside the barrier. In the end the new table holds every note that was ever written.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use testkit::{Cluster, ClusterOptions, Database};
use tidegate_flags::{
    Current, FlagSet, FlagsError, Move, Row, declare, install, move_to, older_transactions, undrained,
};
use tidegate_store::postgres::{
    Address, Failure, Session, TxOptions, TxOutcome, parse_qualified_name, run_tx,
};
use tidegate_switch::{
    Environment, Pool, PoolOptions, Side, Snapshot, Switch, SwitchOptions, TablePair, Variable, dual_write,
};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The name of the set.
const SET: &str = "notes";

/// Tasks that write.
const WRITERS: usize = 4;

/// After so much silence an instance is gone.
const LOST_AFTER: Duration = Duration::from_secs(2);

/// How long anything may take.
const BOUND: Duration = Duration::from_secs(60);

/// Variables that rule as long as there are no flag tables.
const VARIABLES: [Variable; 3] = [
    Variable { column: "reads", name: "NOTES_READ_NEW", default: false },
    Variable { column: "writes", name: "NOTES_WRITE_NEW", default: false },
    Variable { column: "dual", name: "NOTES_DUAL", default: false },
];

/// From the old table to the new one: mirror, copy what is older, read there, write there, stop mirroring.
fn notes() -> FlagSet {
    let rows = [
        ("old", [false, false, false]),
        ("mirrored", [false, false, true]),
        ("read_new", [true, false, true]),
        ("write_new", [true, true, true]),
        ("new", [true, true, false]),
    ];
    let forward = rows.iter().zip(rows.iter().skip(1));
    FlagSet {
        name: SET.to_owned(),
        columns: VARIABLES.iter().map(|variable| variable.column.to_owned()).collect(),
        rows: rows
            .iter()
            .map(|(name, values)| Row {
                name: (*name).to_owned(),
                values: values.to_vec(),
                lock_first: Side::Old,
            })
            .collect(),
        moves: forward
            .map(|((from, _), (to, _))| Move { from: (*from).to_owned(), to: (*to).to_owned() })
            .collect(),
        initial: "old".to_owned(),
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let cluster = Cluster::start(ClusterOptions::default()).await?;
    let database = cluster.try_database("notes", "template1").await?;
    let address = Address::resolve(Some(&database.url()), &|_| None)?;
    let operator = Session::connect(&address, "operator").await?;
    operator.run("CREATE TABLE old_note (id int PRIMARY KEY, text text)").await?;
    operator.run("CREATE TABLE new_note (id int PRIMARY KEY, body text)").await?;

    // The application. There are no flag tables yet: it goes by its environment.
    let mut options = SwitchOptions::new(
        SET,
        address.clone(),
        Environment::read(&VARIABLES, &|name| std::env::var(name).ok()),
    );
    options.lost_after = LOST_AFTER;
    let switch = Switch::start(options).await;
    let pool = Pool::new(address, PoolOptions { size: WRITERS, ..PoolOptions::default() })?;
    let application = Arc::new(Application {
        pair: TablePair::new(
            &parse_qualified_name("old_note")?,
            &parse_qualified_name("new_note")?,
            &[("id", "id")],
            &[("text", "body")],
        )?,
        switch,
        pool,
        next: AtomicU64::new(1),
        stop: AtomicBool::new(false),
    });
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let application = application.clone();
            tokio::spawn(async move { application.write_until_stopped().await })
        })
        .collect();
    application.until_written(200).await?;

    // The operator installs the flags under the running application, and moves them.
    install(&operator).await?;
    declare(&operator, &notes()).await?;
    // Whoever began before may have found no flags, and write without the barrier.
    testkit::eventually("older transactions have ended", BOUND, || async {
        older_transactions(&operator, SET).await.ok()?.is_empty().then_some(())
    })
    .await?;
    for row in ["mirrored", "read_new", "write_new", "new"] {
        let at = move_and_drain(&operator, row).await?;
        println!(
            "{row:>9}: epoch {}, {}",
            at.epoch,
            at.stage().map(|stage| stage.to_string()).unwrap_or_default()
        );
        if row == "mirrored" {
            // Every write is mirrored from here on, so what is older can be copied, each row locked on the old side.
            let copied = operator
                .run("INSERT INTO new_note SELECT id, text FROM old_note FOR SHARE ON CONFLICT DO NOTHING");
            println!(
                "           {} older notes copied",
                copied.await?.first().map_or(0, |answer| answer.affected)
            );
        }
        let written = application.next.load(Ordering::Relaxed);
        application.until_written(written + 200).await?;
    }

    application.stop.store(true, Ordering::Relaxed);
    let mut written = 0;
    for writer in writers {
        written += writer.await??;
    }
    report(&database, &application, written).await
}

struct Application {
    switch: Switch,
    pool: Pool,
    pair: TablePair,
    next: AtomicU64,
    stop: AtomicBool,
}

impl Application {
    async fn write_until_stopped(&self) -> Result<u64> {
        let mut written = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let request = self.switch.request()?;
            let id = self.next.fetch_add(1, Ordering::Relaxed);
            self.write(id).await?;
            request.finish()?;
            written += 1;
        }
        Ok(written)
    }

    /// One note, on whichever sides the row inside the barrier says.
    async fn write(&self, id: u64) -> Result<()> {
        let session = self.pool.get().await?;
        let mut writing = self.switch.writing(&session, "write note", self.switch.transactions());
        loop {
            let ended = match writing.begin().await {
                Ok(snapshot) => self.write_inside(&session, &snapshot, id).await,
                Err(failure) => Err(failure),
            };
            match writing.end(ended).await {
                None => {}
                Some(TxOutcome::Committed(())) => return Ok(()),
                Some(TxOutcome::RolledBack(failure) | TxOutcome::Unknown(failure)) => {
                    return Err(failure.into());
                }
            }
        }
    }

    async fn write_inside(
        &self,
        session: &Session,
        snapshot: &Snapshot,
        id: u64,
    ) -> std::result::Result<(), Failure> {
        let key = id.to_string();
        dual_write(session, snapshot.stage(), &self.pair, &[&key], async |session: &Session, side: Side| {
            let table = if side == Side::Old { "old_note" } else { "new_note" };
            session.run(&format!("INSERT INTO {table} VALUES ({id}, 'note {id}')")).await.map(drop)
        })
        .await
    }

    async fn until_written(&self, number: u64) -> Result<()> {
        testkit::eventually("notes are written", BOUND, || async {
            (self.next.load(Ordering::Relaxed) > number).then_some(())
        })
        .await?;
        Ok(())
    }
}

/// Moves to a row, and waits until no instance serves a request of before.
async fn move_and_drain(operator: &Session, to: &str) -> Result<Current> {
    let options = TxOptions {
        lock_timeout: Some(Duration::from_millis(200)),
        retry_lock_timeouts: true,
        attempts: 50,
        ..TxOptions::default()
    };
    let moved = run_tx(operator, "move", &options, async |operator: &Session| {
        let set = notes();
        declare(operator, &set).await?;
        tidegate_flags::close_barrier(operator, SET).await?;
        move_to(operator, &set, to, "the example").await
    })
    .await;
    let at = match moved {
        TxOutcome::Committed(at) => at,
        TxOutcome::RolledBack(error) => return Err(error.into()),
        TxOutcome::Unknown(failure) => return Err(failure.into()),
    };
    testkit::eventually("everybody has drained", BOUND, || async {
        let left = undrained(operator, SET, at.epoch, LOST_AFTER).await;
        matches!(left, Ok::<_, FlagsError>(blockers) if blockers.is_empty()).then_some(())
    })
    .await?;
    Ok(at)
}

async fn report(database: &Database, application: &Application, written: u64) -> Result<()> {
    let new: i64 = database.value("SELECT count(*) FROM new_note").await;
    println!("{written} notes written, {new} in the new table");
    for (row, count) in application.switch.metrics().writes {
        println!("  {count} of them by row {row}");
    }
    application.switch.stop(LOST_AFTER).await;
    if u64::try_from(new)? == written { Ok(()) } else { Err("notes are missing".into()) }
}
