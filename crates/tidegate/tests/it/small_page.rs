//! A small page on stage: a folder, a database, and the program.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value as Json;
use testkit::{Cluster, ClusterOptions, Database, Outcome, Program};

/// How long one call of the program may take.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// Two migrations with a confirm between them, and a manual stage.
pub(crate) const PAGE: &str = r##"# A small page

```toml
# @runbook small
contacts = ["#oncall"]

[stores.db]
kind = "postgres"
url = "$DATABASE_URL"

[parameters]
limit = { type = "int", default = 50 }
```

## Before

```sql
-- @check quiet
-- @expect true
-- @says "Too many tables."
SELECT count(*) < :limit FROM pg_tables WHERE schemaname = 'public'
```

## Tags

```sql
-- @migrate make_tags
-- @version 0001
-- @ensures no_tags
CREATE TABLE tags (id bigint PRIMARY KEY, name text NOT NULL);
-- @undo
DROP TABLE tags;
```

```sql
-- @check no_tags
-- @expect zero
SELECT count(*) FROM tags
```

## Release

```text
# @confirm go
# @approvers ann bob
At most {{limit}} tables stand. Shall we go on?
```

```sql
-- @migrate make_marks
-- @version 0002
-- @requires go
CREATE TABLE marks (id bigint PRIMARY KEY);
-- @undo
DROP TABLE marks;
```

## Afterwards

```toml
# @stage afterwards
manual = true
```

```sql
-- @check marks_stand
-- @expect true
SELECT to_regclass('marks') IS NOT NULL
```
"##;

/// The stage.
pub(crate) struct SmallPage {
    pub(crate) cluster: Cluster,
    pub(crate) database: Database,
    folder: PathBuf,
}

impl SmallPage {
    pub(crate) async fn new() -> Self {
        Self::with(ClusterOptions::default()).await
    }

    pub(crate) async fn with(options: ClusterOptions) -> Self {
        let cluster = Cluster::start(options).await.unwrap();
        let database = cluster.database("small").await;
        let folder = folder(database.name());
        let small = Self { cluster, database, folder };
        small.write(PAGE);
        small
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Puts another page in place of the one that stands there.
    pub(crate) fn write(&self, page: &str) {
        std::fs::write(self.folder.join("page.md"), page).unwrap();
    }

    /// The program in the page's folder. Arguments name the page themselves.
    pub(crate) fn program<const N: usize>(&self, arguments: [&str; N]) -> Program {
        program(&self.folder, arguments).env("DATABASE_URL", self.database.url())
    }

    /// Calls the program to its end.
    pub(crate) async fn call<const N: usize>(&self, arguments: [&str; N]) -> Outcome {
        self.program(arguments).run(BOUND).await.unwrap()
    }

    /// Calls it and asserts its exit code.
    pub(crate) async fn ends<const N: usize>(&self, code: i32, arguments: [&str; N]) -> Outcome {
        let outcome = self.call(arguments).await;
        assert_eq!(outcome.code(), Some(code), "{arguments:?}\n{}", all(&outcome));
        outcome
    }

    /// The one JSON document that it writes.
    pub(crate) async fn document<const N: usize>(&self, code: i32, arguments: [&str; N]) -> Json {
        let outcome = self.ends(code, arguments).await;
        let json: Json = serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| {
            panic!("{arguments:?}: {error}\n{}", all(&outcome));
        });
        assert_eq!(json.get("exit_code").and_then(Json::as_i64), Some(i64::from(code)), "{json}");
        json
    }

    /// Runs the page to its end.
    pub(crate) async fn run_to_the_end(&self) {
        self.ends(6, ["run", "page.md", "--apply", "--actor", "ann"]).await;
        self.ends(0, ["approve", "go", "page.md", "--actor", "bob"]).await;
        self.ends(0, ["run", "page.md", "--apply", "--actor", "ann"]).await;
    }

    /// Whether nothing of ours stands in the database.
    pub(crate) async fn is_untouched(&self) -> bool {
        let sql = "SELECT count(*) = 0 FROM pg_namespace WHERE nspname LIKE 'tidegate%'";
        self.database.value::<bool>(sql).await
            && self
                .database
                .value::<bool>("SELECT count(*) = 0 FROM pg_tables WHERE schemaname = 'public'")
                .await
    }
}

impl Drop for SmallPage {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// A folder of one's own.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("tidegate-small-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The program without a server.
pub(crate) fn program<const N: usize>(folder: &Path, arguments: [&str; N]) -> Program {
    Program::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(arguments)
        .directory(folder)
        .env("XDG_STATE_HOME", folder.join("state"))
}

/// Everything a call printed.
pub(crate) fn all(outcome: &Outcome) -> String {
    format!("{:?}\n--- stdout\n{}\n--- stderr\n{}", outcome.status, outcome.stdout, outcome.stderr)
}
