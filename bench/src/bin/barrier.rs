//! What the barrier of a flag set costs writers, and how soon a move has drained.
//!
//! A writes through `Switch::write`, which enters the barrier; B writes the same through `run_tx`, which does not. Both
//! are UPDATEs of one row by its key, one or five of them in a transaction, from 16 and from 80 clients. What counts is
//! the time for one commit.
//!
//! Then 50 instances, each with a request open, and one writer inside the barrier while a mover waits: from the end of
//! the write (and of the requests) until the move is committed and every instance has drained.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bench::{Failure, Pairs, Spread, describe, pairs_wanted};
use testkit::{Cluster, ClusterOptions};
use tidegate_flags::{FlagSet, FlagsError, Move, Row, Side, declare, install, move_to, undrained};
use tidegate_store::postgres::{Address, Failure as StoreFailure, Session, TxOptions, TxOutcome, run_tx};
use tidegate_switch::{Environment, Snapshot, Switch, SwitchOptions};
use tokio::runtime::Runtime;

/// Clients that write at once.
const CLIENTS: [usize; 2] = [16, 80];

/// Statements of one write: the least there can be, and about what locks, writes and mirrors a record.
const STATEMENTS: [usize; 2] = [1, 5];

/// How long one run of A or B writes.
const RUN: Duration = Duration::from_secs(3);

/// Rows that are written.
const ROWS: usize = 100_000;

/// Instances that drain.
const INSTANCES: usize = 50;

/// How often it is looked whether all have drained.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// How long a move and its draining may take.
const DRAIN_BOUND: Duration = Duration::from_secs(30);

/// The set.
const SET: &str = "bench";

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<(), Failure> {
    let count = pairs_wanted()?;
    let runtime = Runtime::new().map_err(Failure::of("start the runtime"))?;
    let settings = ClusterOptions::default().fsync().set("max_connections", "300");
    let cluster = runtime.block_on(Cluster::start(settings))?;
    let address = address(&cluster.url("postgres"))?;
    runtime.block_on(prepare(&address))?;
    println!("machine: {}", describe());
    println!(
        "server: {}, fsync on, synchronous_commit on, TCP on this machine",
        cluster.programs().version()
    );
    for clients in CLIENTS {
        let (switch, sessions) = runtime.block_on(clients_of(&address, clients))?;
        for statements in STATEMENTS {
            let one = |barrier: bool| {
                runtime.block_on(write_for(RUN, barrier.then_some(&switch), &sessions, statements))
            };
            let pairs = Pairs::take(count, || one(true), || one(false))?;
            let (Some(a), Some(b), Some(ratio)) = (pairs.a(), pairs.b(), pairs.ratio()) else {
                return Err(Failure::new("no pair was taken"));
            };
            println!(
                "{clients} clients, {statements} statements: A (barrier) {a} s, B (none) {b} s for 1,000 commits; A/B \
                 {ratio}, {} pairs; throughput with the barrier is {:.3} of that without",
                pairs.count(),
                1.0 / ratio.median
            );
        }
        runtime.block_on(async { drop((switch, sessions)) });
    }
    let spans = runtime.block_on(drain(&address, count))?;
    if let Some(spread) = Spread::of(&spans) {
        println!(
            "from the last open write's end to {INSTANCES} instances drained: {spread} s, {} moves",
            spans.len()
        );
    }
    println!("machine after: {}", describe());
    Ok(())
}

fn address(url: &str) -> Result<Address, Failure> {
    Address::resolve(Some(url), &|_| None).map_err(Failure::of("read the address"))
}

async fn connect(address: &Address) -> Result<Session, Failure> {
    Session::connect(address, "bench").await.map_err(Failure::of("connect"))
}

fn set() -> FlagSet {
    let row = |name: &str, dual| Row {
        name: name.to_owned(),
        values: vec![false, false, dual],
        lock_first: Side::Old,
    };
    let step = |from: &str, to: &str| Move { from: from.to_owned(), to: to.to_owned() };
    FlagSet {
        name: SET.to_owned(),
        columns: ["reads", "writes", "dual"].map(str::to_owned).to_vec(),
        rows: vec![row("one", false), row("two", true)],
        moves: vec![step("one", "two"), step("two", "one")],
        initial: "one".to_owned(),
    }
}

async fn prepare(address: &Address) -> Result<(), Failure> {
    let session = connect(address).await?;
    install(&session).await.map_err(Failure::of("install"))?;
    declare(&session, &set()).await.map_err(Failure::of("declare"))?;
    // The set is made as old as it must be for nobody to have missed it, and the rows have room for their updates.
    let sql = format!(
        "UPDATE tidegate.flag_set SET settled_at = now() - interval '1 day'; \
         CREATE TABLE account (id int PRIMARY KEY, n int NOT NULL) WITH (fillfactor = 50); \
         INSERT INTO account SELECT i, 0 FROM generate_series(1, {ROWS}) AS i; VACUUM ANALYZE account"
    );
    for statement in sql.split("; ") {
        session.run(statement).await.map_err(Failure::of("prepare"))?;
    }
    Ok(())
}

async fn clients_of(address: &Address, clients: usize) -> Result<(Switch, Vec<Arc<Session>>), Failure> {
    let mut sessions = Vec::with_capacity(clients);
    for _ in 0..clients {
        sessions.push(Arc::new(connect(address).await?));
    }
    let switch = Switch::start(options(address, "writers")).await;
    switch.ready().map_err(Failure::of("start a switch"))?;
    Ok((switch, sessions))
}

fn options(address: &Address, name: &str) -> SwitchOptions {
    let mut options = SwitchOptions::new(SET, address.clone(), Environment::of(&[]));
    options.name = name.to_owned();
    options
}

/// Every session writes for so long. Gives the time for 1,000 commits of all of them together.
async fn write_for(
    span: Duration,
    switch: Option<&Switch>,
    sessions: &[Arc<Session>],
    statements: usize,
) -> Result<Duration, Failure> {
    let commits = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let mut tasks = Vec::with_capacity(sessions.len());
    for (number, session) in sessions.iter().enumerate() {
        let (session, switch, commits) = (session.clone(), switch.cloned(), commits.clone());
        tasks.push(tokio::spawn(async move {
            let mut row = number.wrapping_mul(7919);
            while began.elapsed() < span {
                row = row.wrapping_mul(1_103_515_245).wrapping_add(12_345) % ROWS;
                write_one(switch.as_ref(), &session, row + 1, statements).await?;
                commits.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<(), Failure>(())
        }));
    }
    for task in tasks {
        task.await.map_err(Failure::of("run a client"))??;
    }
    let took = began.elapsed();
    let commits = commits.load(Ordering::Relaxed).max(1);
    Ok(took.mul_f64(1000.0 / commits as f64))
}

async fn write_one(
    switch: Option<&Switch>,
    session: &Session,
    row: usize,
    statements: usize,
) -> Result<(), Failure> {
    let options = TxOptions::default();
    let outcome = match switch {
        Some(switch) => {
            let body = async move |session: &Session, _: &Snapshot| update(session, row, statements).await;
            switch.write(session, "write", body).await
        }
        None => {
            let body = async move |session: &Session| update(session, row, statements).await;
            run_tx(session, "write", &options, body).await
        }
    };
    committed::<(), StoreFailure>(outcome)
}

async fn update(session: &Session, row: usize, statements: usize) -> Result<(), StoreFailure> {
    for _ in 0..statements {
        session.run(&format!("UPDATE account SET n = n + 1 WHERE id = {row}")).await?;
    }
    Ok(())
}

fn committed<T, E: std::fmt::Display>(outcome: TxOutcome<T, E>) -> Result<T, Failure> {
    match outcome {
        TxOutcome::Committed(value) => Ok(value),
        TxOutcome::RolledBack(error) => Err(Failure::new(format!("a transaction was rolled back: {error}"))),
        TxOutcome::Unknown(failure) => Err(Failure::new(format!("a commit is not known: {failure}"))),
    }
}

/// Seconds from the end of an open write until all have drained, once more than counted to warm up.
async fn drain(address: &Address, count: usize) -> Result<Vec<f64>, Failure> {
    let mut switches = Vec::with_capacity(INSTANCES);
    for number in 0..INSTANCES {
        switches.push(Switch::start(options(address, &format!("instance {number}"))).await);
    }
    let (writer, mover, observer) =
        (connect(address).await?, connect(address).await?, connect(address).await?);
    let mut spans = Vec::with_capacity(count);
    for turn in 0..=count {
        let span = drain_once(&switches, &writer, &mover, &observer, turn).await?;
        eprintln!("move {turn}: {span:.3} s{}", if turn == 0 { "  warm-up, not counted" } else { "" });
        if turn > 0 {
            spans.push(span);
        }
    }
    for switch in switches {
        switch.stop(DRAIN_BOUND).await;
    }
    Ok(spans)
}

async fn drain_once(
    switches: &[Switch],
    writer: &Session,
    mover: &Session,
    observer: &Session,
    turn: usize,
) -> Result<f64, Failure> {
    let requests: Result<Vec<_>, _> = switches.iter().map(Switch::request).collect();
    let requests = requests.map_err(Failure::of("open a request"))?;
    writer.run("BEGIN").await.map_err(Failure::of("open a write"))?;
    tidegate_flags::enter(writer, SET).await.map_err(Failure::of("enter"))?;
    let options = TxOptions {
        lock_timeout: Some(Duration::from_millis(200)),
        retry_lock_timeouts: true,
        attempts: 100,
        backoff_max: Duration::from_millis(50),
        ..TxOptions::default()
    };
    let to = if turn.is_multiple_of(2) { "two" } else { "one" };
    let moved = run_tx(mover, "move", &options, async |session: &Session| {
        Ok::<_, FlagsError>(move_to(session, &set(), to, "bench").await?.epoch)
    });
    let ended = async {
        loop {
            let waiting = tidegate_flags::open_writers(observer, SET).await.map_err(Failure::of("look"))?;
            if waiting.iter().any(|writer| !writer.inside) {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        writer.run("COMMIT").await.map_err(Failure::of("end the write"))?;
        let ended = Instant::now();
        drop(requests);
        Ok::<Instant, Failure>(ended)
    };
    let (moved, ended) = tokio::join!(moved, ended);
    let (epoch, ended) = (committed(moved)?, ended?);
    while ended.elapsed() < DRAIN_BOUND {
        let left = undrained(observer, SET, epoch, Duration::from_secs(15)).await;
        if left.map_err(Failure::of("look who has drained"))?.is_empty() {
            return Ok(ended.elapsed().as_secs_f64());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Err(Failure::new("the instances did not drain in time"))
}
