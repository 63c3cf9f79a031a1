//! A whole run with a backup, and the way back that restores it.

use std::path::PathBuf;

use tidegate_engine::ending::Ending;
use tidegate_engine::event::Back;
use tidegate_engine::runner::Purpose;
use tidegate_engine::state::Phase;

use crate::stage_hand::{Stage, done, halted, name, on_stage, page_with};

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("tidegate-test-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn files(&self) -> usize {
        std::fs::read_dir(&self.0).unwrap().count()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

const PAGE: &str = r#"
## Backup

```sql
-- @record before
-- @at copy
SELECT count(*) AS items FROM public.items
```

```toml
# @backup copy
file = "FOLDER/{{run.id}}.dump"
```

## Change

```sql
-- @migrate m1
-- @version 1
-- @requires copy
ALTER TABLE public.items ADD COLUMN added int DEFAULT 1;
CREATE TABLE public.made (id int PRIMARY KEY);
INSERT INTO public.made VALUES (1)
-- @undo
DROP TABLE public.made CASCADE;
ALTER TABLE public.items DROP COLUMN added
```

## Rollback

### All

```toml
# @way all
from = ["change"]
to = "backup"
when = "all else failed"
```

```toml
# @seal everything
tables = ["public.*"]
for = "30m"
```

```toml
# @restore back
backup = "copy"
```

```sql
-- @check as_before
-- @expect true
SELECT count(*) = :before.items FROM public.items
```
"#;

async fn staged(folder: &Folder) -> (Stage, String) {
    let stage = Stage::new("restore").await;
    let session = stage.session().await;
    session
        .run("CREATE TABLE public.items (id int PRIMARY KEY); INSERT INTO public.items SELECT generate_series(1, 10)")
        .await
        .unwrap();
    session.close().await;
    let scratch = format!("{}_scratch", stage.database.url());
    let text = page_with(
        &format!("[stores.db.logins]\nscratch = \"{scratch}\""),
        &PAGE.replace("FOLDER", &folder.0.display().to_string()),
    );
    (stage, text)
}

#[test]
fn a_run_is_taken_back_by_its_backup_and_can_go_forward_again() {
    on_stage(async {
        let folder = Folder::new();
        let (stage, text) = staged(&folder).await;
        done(&stage.run(&text).await);
        assert_eq!(folder.files(), 2);
        let later =
            "INSERT INTO public.items (id) VALUES (11), (12); CREATE TABLE public.later AS SELECT 1 AS a";
        stage.database.execute(later).await;

        let mut runner = stage.open(&text, Purpose::Back).await.unwrap();
        let plan = runner.plan_back(Back::Way { way: name("all"), to: Some(name("backup")) }).await.unwrap();
        let loss: Vec<(&str, u64)> = plan.loss.iter().map(|line| (&*line.table, line.rows)).collect();
        assert_eq!(loss, [("public.items", 2), ("public.later", 1)], "the run's own rows are no loss");
        let ending = runner.go_back(plan).await;
        runner.close().await;
        assert!(matches!(ending, Ending::RolledBack { .. }), "{ending:?}");
        assert_eq!(stage.state().await.phase, Phase::RolledBack {});
        let there = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
        assert_eq!(stage.database.value::<String>(there).await, "items");
        stage.database.execute("INSERT INTO public.items (id) VALUES (100)").await;
        let sealed = "SELECT count(*) FROM tidegate.seal";
        assert_eq!(stage.database.value::<i64>(sealed).await, 0);
        done(&stage.run(&text).await);
        assert_eq!(stage.database.value::<i64>("SELECT count(*) FROM public.made").await, 1);
        assert_eq!(folder.files(), 4);
    });
}

#[test]
fn a_backup_that_would_fail_stops_the_run_before_anything_is_done() {
    on_stage(async {
        let folder = Folder::new();
        let (stage, text) = staged(&folder).await;
        let text = text.replace(&folder.0.display().to_string(), "/nowhere");
        let ending = stage.run(&text).await;
        assert!(halted(&ending).contains("/nowhere"), "{ending:?}");
        let columns =
            "SELECT count(*) FROM pg_attribute WHERE attrelid = 'public.items'::regclass AND attnum > 0";
        assert_eq!(stage.database.value::<i64>(columns).await, 1);
    });
}

#[test]
fn a_restore_puts_flags_back_to_where_they_were_at_the_backup_under_a_new_epoch() {
    on_stage(async {
        let folder = Folder::new();
        let (stage, text) = staged(&folder).await;
        let flags = "\n[flags.app]\ncolumns = [\"on\"]\nlost_after = \"50ms\"\nrows = { off = [false], lit = [true] }\nmoves = [{ from = \"off\", to = \"lit\", back = true }]\n\n[flags.late]\ncolumns = [\"on\"]\nlost_after = \"50ms\"\nrows = { off = [false], lit = [true] }\nmoves = [{ from = \"off\", to = \"lit\", back = true }]\n```\n\n## First of all\n\n```toml\n# @flags light\nset = \"app\"\nto = \"lit\"\n```\n\n## Backup\n";
        let text = text.replacen("\n```\n\n\n## Backup\n", flags, 1).replacen(
            "## Change\n",
            "## Change\n\n```toml\n# @flags dim\nset = \"app\"\nto = \"off\"\n```\n\n```toml\n# @flags late_light\nset = \"late\"\nto = \"lit\"\n```\n",
            1,
        );
        done(&stage.run(&text).await);
        let rows = "SELECT string_agg(name || ' ' || row_name || ' ' || epoch, ', ' ORDER BY name) FROM tidegate.flag_set";
        assert_eq!(stage.database.value::<String>(rows).await, "app off 3, late lit 2");
        let ending = stage.back(&text, Back::Way { way: name("all"), to: Some(name("backup")) }).await;
        assert!(matches!(ending, Ending::RolledBack { .. }), "{ending:?}");
        assert_eq!(stage.database.value::<String>(rows).await, "app lit 4, late off 3");
        let state = stage.state().await;
        assert_eq!(state.flags[&name("app")].row, "lit");
    });
}
