//! 200 migrations, each one `CREATE TABLE`: `tidegate run --apply` against `sqlx migrate run`.
//!
//! Both on one server in one run, in turns, each into a new database after a CHECKPOINT, with fsync on. What counts is
//! the process from its start to its end. Afterwards the tables and the version rows are counted.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use bench::{Failure, Pairs, describe, pairs_wanted, sqlx, tidegate, timed};
use testkit::{Cluster, ClusterOptions};
use tokio::runtime::Runtime;

/// Migrations.
const MIGRATIONS: usize = 200;

/// What is claimed: at most so many times the peer's time.
const LIMIT: f64 = 1.5;

fn main() -> ExitCode {
    match measure() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

/// One program that migrates.
struct Side {
    name: &'static str,
    /// Databases made so far. Each run has its own: where hundreds of files were removed a moment ago, a file system
    /// is slow to make new ones, and the run after a DROP DATABASE would pay for the run before.
    databases: usize,
    versions: &'static str,
    command: Box<dyn Fn(&str) -> Command>,
    /// Bytes of the write-ahead log and commits of the last run.
    wal: i64,
    commits: i64,
}

fn measure() -> Result<bool, Failure> {
    let count = pairs_wanted()?;
    let program = tidegate()?;
    let (peer, peer_version) = sqlx()?;
    let runtime = Runtime::new().map_err(Failure::of("start the runtime"))?;
    let cluster = runtime.block_on(Cluster::start(ClusterOptions::default().fsync()))?;
    let folder = cluster.socket_directory().join("bench");
    let (page, files) = write(&folder)?;
    let state = folder.join("state");
    let mut a = Side {
        name: "a",
        databases: 0,
        versions: "SELECT count(*) FROM public.tidegate_version",
        command: Box::new(move |url| {
            let mut command = Command::new(&program);
            command.args(["run", "--apply", "--actor", "bench"]).arg(&page);
            command.env("DATABASE_URL", url).env("XDG_STATE_HOME", &state);
            command
        }),
        wal: 0,
        commits: 0,
    };
    let mut b = Side {
        name: "b",
        databases: 0,
        versions: "SELECT count(*) FROM public._sqlx_migrations WHERE success",
        command: Box::new(move |url| {
            let mut command = Command::new(&peer);
            command.args(["migrate", "run", "--source"]).arg(&files).args(["--database-url", url]);
            command
        }),
        wal: 0,
        commits: 0,
    };
    println!("machine: {}", describe());
    println!(
        "server: {}, fsync on, synchronous_commit on, TCP on this machine",
        cluster.programs().version()
    );
    let pairs = Pairs::take(count, || one(&runtime, &cluster, &mut a), || one(&runtime, &cluster, &mut b))?;
    let (Some(of_a), Some(of_b), Some(ratio)) = (pairs.a(), pairs.b(), pairs.ratio()) else {
        return Err(Failure::new("no pair was taken"));
    };
    println!(
        "A: tidegate run --apply, {MIGRATIONS} migrations: {of_a} s; {} bytes of WAL, {} commits",
        a.wal, a.commits
    );
    println!(
        "B: sqlx migrate run {peer_version}, {MIGRATIONS} migrations: {of_b} s; {} bytes of WAL, {} commits",
        b.wal, b.commits
    );
    println!("A/B: {ratio}, {} pairs", pairs.count());
    println!("machine after: {}", describe());
    let held = ratio.median <= LIMIT;
    println!("claim: A/B at most {LIMIT}: {}", if held { "held" } else { "MISSED" });
    Ok(held)
}

/// A new database, a checkpoint, the timed run, and a look at what it made.
fn one(runtime: &Runtime, cluster: &Cluster, side: &mut Side) -> Result<Duration, Failure> {
    side.databases += 1;
    let database = format!("bench_{}_{}", side.name, side.databases);
    let database = database.as_str();
    runtime.block_on(async {
        cluster.execute(&format!("CREATE DATABASE {database}")).await?;
        cluster.execute("CHECKPOINT").await
    })?;
    let before = runtime.block_on(number(cluster, "postgres", WAL))?;
    let took = timed(&mut (side.command)(&cluster.url(database)))?;
    let look = |sql| runtime.block_on(number(cluster, database, sql));
    side.wal = look(WAL)? - before;
    side.commits = look("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")?;
    let tables = look("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'things_%'")?;
    let versions = look(side.versions)?;
    let wanted = i64::try_from(MIGRATIONS).unwrap_or(i64::MAX);
    if (tables, versions) != (wanted, wanted) {
        let what = format!("{database}: {tables} tables and {versions} versions instead of {wanted} each");
        return Err(Failure::new(what));
    }
    Ok(took)
}

/// Bytes of the write-ahead log since the beginning.
const WAL: &str = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint";

async fn number(cluster: &Cluster, database: &str, sql: &str) -> Result<i64, Failure> {
    let client = cluster.connect(database).await?;
    let row = client.query_one(sql, &[]).await.map_err(Failure::of("look at the server"))?;
    row.try_get(0).map_err(Failure::of("look at the server"))
}

/// Writes the same migrations as a page and as files.
fn write(folder: &Path) -> Result<(PathBuf, PathBuf), Failure> {
    let files = folder.join("migrations");
    std::fs::create_dir_all(&files).map_err(Failure::of("make a folder"))?;
    let mut text = String::from(PAGE_HEAD);
    for number in 1..=MIGRATIONS {
        let create = CREATE.replace("{n}", &format!("{number:04}"));
        let step = STEP.replace("{n}", &format!("{number:04}")).replace("{create}", &create);
        text.push_str(&step);
        let file = files.join(format!("{number:04}_things.sql"));
        std::fs::write(&file, &create).map_err(Failure::of("write a migration"))?;
    }
    let page = folder.join("page.md");
    std::fs::write(&page, text).map_err(Failure::of("write the page"))?;
    Ok((page, files))
}

/// The migration that both sides apply.
const CREATE: &str = "CREATE TABLE public.things_{n} (id bigint PRIMARY KEY, name text NOT NULL);\n";

/// Its step on the page.
const STEP: &str =
    "\n```sql\n-- @migrate make_{n}\n-- @version {n}\n{create}-- @undo\nDROP TABLE public.things_{n};\n```\n";

/// What stands above the steps.
const PAGE_HEAD: &str = "\
# Two hundred tables

```toml
# @runbook two_hundred
[stores.db]
kind = \"postgres\"
url = \"$DATABASE_URL\"
home = true
```

## Tables

```toml
# @stage tables
```
";
