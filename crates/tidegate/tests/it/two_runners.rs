//! Two runners: one works, the other is told; one that was stopped past its lease changes nothing when it wakes.

use std::path::PathBuf;
use std::time::Duration;

use testkit::{Cluster, Database, Program};

use crate::ledger_stage::{on_stage, told};

const BOUND: Duration = Duration::from_secs(60);

/// A page with a migration that sleeps as long as the database says.
const PAGE: &str = r#"# Two runners

```toml
# @runbook two
protect = ["public.kept"]

[stores.db]
kind = "postgres"
url = "$DATABASE_URL"

[limits]
lease = "2s"
```

## S

```sql
-- @migrate first
-- @version 1
CREATE TABLE x (id int);
DO $$ BEGIN PERFORM pg_sleep(coalesce(current_setting('test.sleep', true)::float, 0)); END $$;
INSERT INTO x VALUES (1)
-- @undo
DROP TABLE x
```

```sql
-- @migrate second
-- @version 2
INSERT INTO x VALUES (2)
-- @undo
DELETE FROM x WHERE id = 2
```
"#;

struct Two {
    cluster: Cluster,
    database: Database,
    page: PathBuf,
}

impl Two {
    async fn new() -> Self {
        let cluster = Cluster::start(testkit::ClusterOptions::default()).await.unwrap();
        let database = cluster.database("two").await;
        let page =
            std::env::temp_dir().join(format!("tidegate-two-{}-{}.md", std::process::id(), database.name()));
        std::fs::write(&page, PAGE).unwrap();
        Self { cluster, database, page }
    }

    async fn sleep_for(&self, seconds: u32) {
        let name = self.database.name();
        self.cluster.execute(&format!("ALTER DATABASE {name} SET test.sleep = '{seconds}'")).await.unwrap();
    }

    fn run(&self, actor: &str) -> Program {
        Program::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(["run", "--apply", "--yes", "--actor", actor])
            .arg(&self.page)
            .env("TIDEGATE_NO_MEMORY", "1")
            .env("DATABASE_URL", self.database.url())
    }

    async fn until_asleep(&self) {
        let client = self.database.client().await;
        testkit::eventually("the statement sleeps", BOUND, async || {
            client.query_one("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'", &[]).await.ok()
        })
        .await
        .unwrap();
    }
}

impl Drop for Two {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.page));
    }
}

#[test]
fn the_second_runner_exits_4_and_names_holder_host_and_age() {
    on_stage(async {
        let two = Two::new().await;
        two.sleep_for(30).await;
        let mut first = two.run("alice").start().unwrap();
        two.until_asleep().await;
        let second = two.run("bob").run(BOUND).await.unwrap();
        assert_eq!(second.code(), Some(4), "{}", told(&second));
        let host = host_name();
        for part in ["alice", host.as_str(), " s"] {
            assert!(second.stderr.contains(part), "{part}: {}", told(&second));
        }
        first.kill().unwrap();
    });
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_owned()
}

#[test]
fn a_runner_stopped_past_its_lease_changes_nothing_when_it_wakes() {
    on_stage(async {
        let two = Two::new().await;
        two.sleep_for(600).await;
        let mut first = two.run("alice").start().unwrap();
        two.until_asleep().await;
        first.freeze().unwrap();
        two.sleep_for(0).await;
        let client = two.database.client().await;
        testkit::eventually("the lease expires", BOUND, async || {
            client
                .query_one("SELECT 1 FROM tidegate.lease WHERE expires_at < clock_timestamp()", &[])
                .await
                .ok()
        })
        .await
        .unwrap();
        let second = two.run("bob").run(BOUND).await.unwrap();
        assert_eq!(second.code(), Some(0), "{}", told(&second));
        // Its sleeping backend was ended, not waited for.
        let asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        assert_eq!(two.database.value::<i64>(asleep).await, 0);
        let events: i64 = two.database.value("SELECT count(*) FROM tidegate.event").await;
        first.thaw().unwrap();
        let woken = first.wait(BOUND).await.unwrap();
        assert_eq!(woken.code(), Some(4), "{}", told(&woken));
        assert_eq!(two.database.value::<i64>("SELECT count(*) FROM tidegate.event").await, events);
        assert_eq!(two.database.value::<i64>("SELECT count(*) FROM x").await, 2);
        assert_eq!(two.database.value::<i64>("SELECT count(*) FROM tidegate_version").await, 2);
    });
}

#[test]
fn a_killed_runner_is_replaced_at_once_and_its_backend_does_not_commit() {
    on_stage(async {
        let two = Two::new().await;
        two.sleep_for(600).await;
        let mut first = two.run("alice").start().unwrap();
        two.until_asleep().await;
        first.kill().unwrap();
        first.wait(BOUND).await.unwrap();
        two.sleep_for(0).await;
        let second = two.run("bob").run(BOUND).await.unwrap();
        assert_eq!(second.code(), Some(0), "{}", told(&second));
        assert_eq!(two.database.value::<i64>("SELECT count(*) FROM x").await, 2);
    });
}
