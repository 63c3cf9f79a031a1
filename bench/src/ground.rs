//! A server with a table of many rows, and pages that are run over it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use testkit::{Cluster, ClusterOptions};
use tokio::runtime::Runtime;

use crate::Failure;

/// Five columns: whole numbers, text, decimals, times, hashes in text.
const TABLE: &str = "CREATE TABLE public.old (id bigint PRIMARY KEY, name text NOT NULL, amount numeric(12, 2), at timestamptz, note text)";

/// Row *n* of it.
const ROWS: &str = "INSERT INTO public.old SELECT n, 'name ' || n, (n % 10000) / 7.0, '2026-01-01'::timestamptz + n * interval '1 s', md5(n::text) FROM generate_series(1, {rows}) AS n";

/// A server, the program, and where pages are kept.
pub struct Ground {
    runtime: Runtime,
    cluster: Cluster,
    program: PathBuf,
    folder: PathBuf,
    databases: usize,
}

impl Ground {
    /// Starts a server with fsync on, and makes the database `origin` with `rows` rows in `public.old`.
    ///
    /// # Errors
    /// When something cannot be started or built.
    pub fn new(program: PathBuf, rows: u32) -> Result<Self, Failure> {
        let runtime = Runtime::new().map_err(Failure::of("start the runtime"))?;
        let options =
            ClusterOptions::default().fsync().set("max_wal_size", "8GB").set("shared_buffers", "512MB");
        let cluster = runtime.block_on(Cluster::start(options))?;
        let folder = cluster.socket_directory().join("bench");
        std::fs::create_dir_all(&folder).map_err(Failure::of("make a folder"))?;
        let ground = Self { runtime, cluster, program, folder, databases: 0 };
        ground.execute("postgres", "CREATE DATABASE origin")?;
        ground.execute("origin", TABLE)?;
        ground.execute("origin", &ROWS.replace("{rows}", &rows.to_string()))?;
        ground.execute("origin", "VACUUM ANALYZE public.old")?;
        Ok(ground)
    }

    /// The server's version.
    #[must_use]
    pub fn version(&self) -> String {
        self.cluster.programs().version().to_string()
    }

    /// A new copy of `origin`.
    ///
    /// # Errors
    /// The server's.
    pub fn copy(&mut self) -> Result<String, Failure> {
        if self.databases > 0 {
            self.execute("postgres", &format!("DROP DATABASE copy_{}", self.databases))?;
        }
        self.databases += 1;
        let name = format!("copy_{}", self.databases);
        self.execute("postgres", &format!("CREATE DATABASE {name} TEMPLATE origin"))?;
        Ok(name)
    }

    /// Runs one statement.
    ///
    /// # Errors
    /// The server's.
    pub fn execute(&self, database: &str, sql: &str) -> Result<(), Failure> {
        self.runtime.block_on(async {
            let client = self.cluster.connect(database).await?;
            client.batch_execute(sql).await.map_err(Failure::of(sql))
        })
    }

    /// One number.
    ///
    /// # Errors
    /// The server's.
    pub fn number(&self, database: &str, sql: &str) -> Result<i64, Failure> {
        self.runtime.block_on(async {
            let client = self.cluster.connect(database).await?;
            let row = client.query_one(sql, &[]).await.map_err(Failure::of(sql))?;
            row.try_get(0).map_err(Failure::of(sql))
        })
    }

    /// The time that statements take, after a checkpoint.
    ///
    /// # Errors
    /// The server's.
    pub fn timed(&self, database: &str, statements: &[&str]) -> Result<Duration, Failure> {
        self.execute(database, "CHECKPOINT")?;
        self.runtime.block_on(async {
            let client = self.cluster.connect(database).await?;
            let begun = Instant::now();
            for sql in statements {
                client.simple_query(sql).await.map_err(Failure::of(sql))?;
            }
            Ok(begun.elapsed())
        })
    }

    /// The server's address of a database.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.cluster.url(database)
    }

    /// Runs a page on a database to its end, and gives what it wrote. `endings`: the exit codes that are expected.
    ///
    /// # Errors
    /// When it cannot be run, or ends otherwise.
    pub fn run(&self, database: &str, page: &str, endings: &[i32]) -> Result<(String, Duration), Failure> {
        self.execute(database, "CHECKPOINT")?;
        let path = self.folder.join("page.md");
        write(&path, page)?;
        let mut command = Command::new(&self.program);
        command.args(["run", "--apply", "--again", "--actor", "bench"]).arg(&path);
        command.env("DATABASE_URL", self.url(database)).env("XDG_STATE_HOME", self.folder.join(database));
        let begun = Instant::now();
        let output = command.stdin(Stdio::null()).output().map_err(Failure::of("start tidegate"))?;
        let took = begun.elapsed();
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        match output.status.code() {
            Some(code) if endings.contains(&code) => Ok((said, took)),
            code => Err(Failure::new(format!("tidegate ended with {code:?}:\n{said}"))),
        }
    }

    /// Takes away what earlier pages left in a database: the next one is the first there.
    ///
    /// # Errors
    /// The server's, or the file system's.
    pub fn forget(&self, database: &str) -> Result<(), Failure> {
        self.execute(database, "DROP SCHEMA IF EXISTS tidegate CASCADE")?;
        let state = self.folder.join(database);
        if state.is_dir() {
            std::fs::remove_dir_all(&state).map_err(Failure::of("remove what was noted of the database"))?;
        }
        Ok(())
    }

    /// How long a step of the newest run took, as its outcome says.
    ///
    /// # Errors
    /// When there is no such outcome.
    pub fn took(&self, database: &str, step: &str) -> Result<Duration, Failure> {
        let sql = format!(
            "SELECT (body::jsonb #>> '{{event,outcome,took_ms}}')::bigint FROM tidegate.event WHERE body::jsonb #>> '{{event,kind}}' = 'step_done' AND body::jsonb #>> '{{event,step}}' = '{step}' ORDER BY seq DESC LIMIT 1"
        );
        let took = self.number(database, &sql)?;
        Ok(Duration::from_millis(u64::try_from(took).unwrap_or(0)))
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(Failure::of("write the page"))
}

/// What stands above the steps of every page.
pub const PAGE_HEAD: &str = "\
# Many rows

```toml
# @runbook many_rows
[stores.db]
kind = \"postgres\"
url = \"$DATABASE_URL\"

[flags.app]
columns = [\"reads\", \"writes\", \"dual\"]
lost_after = \"100ms\"
old = [\"public.old\"]
new = [\"public.new\"]
rows = { v1 = [false, false, false], mirrored = [false, false, true] }
moves = [{ from = \"v1\", to = \"mirrored\", back = true }]
```

## Work

";
