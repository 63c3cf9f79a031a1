//! Questions through a pooler.

use testkit::{Cluster, Pgbouncer, PgbouncerOptions};

use crate::stage_hand::{Stage, done, on_stage};

const STEPS: &str = "
## Steps

```sql
-- @migrate made
-- @version 1
CREATE TABLE a (id int PRIMARY KEY)
-- @undo
DROP TABLE a
```

```sql
-- @check through
-- @via pooled
-- @expect zero
SELECT count(*) FROM a
```
";

#[test]
fn a_connection_that_the_pooler_keeps_is_not_taken_for_one_of_the_run() {
    on_stage(async {
        let stage = Stage::new("pooled").await;
        let pooler = Pgbouncer::start(Cluster::shared().await, PgbouncerOptions::default()).await.unwrap();
        let head = "[stores.db]\nkind = \"postgres\"\nurl = \"$DATABASE_URL\"";
        let pooled = pooler.url(&stage.database);
        let page =
            format!("# A test\n\n```toml\n# @runbook test\n{head}\npooled = \"{pooled}\"\n```\n{STEPS}");
        done(&stage.run(&page).await);
        let named = |pattern: &str| {
            format!(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '{pattern}' AND datname = current_database()"
            )
        };
        let kept = stage.database.value::<i64>(&named("^tidegate/pooled/through$")).await;
        assert!(kept > 0, "the pooler keeps a connection, or this test shows nothing");
        let of_an_epoch = format!("SELECT ({}) = 0", named("^tidegate/[0-9]+/"));
        testkit::eventually("the run's own sessions end", std::time::Duration::from_secs(10), || async {
            stage.database.value::<bool>(&of_an_epoch).await.then_some(())
        })
        .await
        .unwrap();
    });
}
