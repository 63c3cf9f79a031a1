//! The ways back as an operator sees them: nothing is undone before the loss was shown and repeated.

use crate::ledger_stage::on_stage;
use crate::small_page::{PAGE, SmallPage, all};

const WAY: &str = "
## Rollback

### By hand

```toml
# @way by_hand
from = [\"release\"]
to = \"before\"
when = \"The undo does not do.\"
```

```sql
-- @migrate drop_marks
-- @waive no-undo a way is not taken back
DROP TABLE marks;
```

```sql
-- @migrate drop_tags
-- @waive no-undo a way is not taken back
DROP TABLE tags;
```
";

#[test]
fn a_look_undoes_nothing_and_the_figures_must_be_repeated() {
    on_stage(async {
        let small = SmallPage::new().await;
        small.run_to_the_end().await;
        small.database.execute("INSERT INTO tags VALUES (1, 'a'), (2, 'b')").await;

        let look = small.ends(0, ["rollback", "page.md", "--to", "start"]).await;
        for part in [
            "undoes, in this order: make_marks, make_tags",
            "public.tags",
            "tidegate rollback page.md --to start --undo --accept-loss 'public.tags=2' --actor NAME",
        ] {
            assert!(look.stdout.contains(part), "{part}: {}", all(&look));
        }
        for figures in [None, Some("public.tags=1"), Some("")] {
            let base = small.program(["rollback", "page.md", "--to", "start", "--apply", "--actor", "ann"]);
            let program = match figures {
                Some(figures) => base.args(["--accept-loss", figures]),
                None => base,
            };
            let refused = program.run(crate::small_page::BOUND).await.unwrap();
            assert_eq!(refused.code(), Some(3), "{figures:?} {}", all(&refused));
            assert!(refused.stderr.contains("nothing was undone"), "{}", all(&refused));
        }
        assert_eq!(small.database.value::<i64>("SELECT count(*) FROM tags").await, 2);

        let step =
            small.ends(3, ["rollback", "page.md", "--step", "make_tags", "--apply", "--actor", "ann"]).await;
        assert!(
            step.stdout.contains("newer effects stand on top of make_tags: make_marks"),
            "{}",
            all(&step)
        );
        let one =
            small.ends(7, ["rollback", "page.md", "--step", "make_marks", "--apply", "--actor", "ann"]).await;
        assert!(one.stdout.contains("WENT BACK  Went back to the state after stage tags"), "{}", all(&one));
        let gone = small
            .ends(
                7,
                ["rollback", "page.md", "--to", "start", "--accept-loss", "public.tags=2", "--actor", "ann"],
            )
            .await;
        assert!(gone.stdout.contains("ROLLED BACK") && gone.stdout.contains("public.tags"), "{}", all(&gone));
        assert!(small.database.value::<bool>("SELECT to_regclass('tags') IS NULL").await);
        let nothing = small.ends(2, ["rollback", "page.md", "--to", "start"]).await;
        assert!(nothing.stderr.contains("nothing to take back"), "{}", all(&nothing));
    });
}

#[test]
fn where_several_ways_fit_none_is_taken() {
    on_stage(async {
        let small = SmallPage::new().await;
        small.write(&format!("{PAGE}{WAY}"));
        small.ends(0, ["check", "page.md"]).await;
        small.run_to_the_end().await;
        let several =
            small.ends(3, ["rollback", "page.md", "--to", "before", "--apply", "--actor", "ann"]).await;
        for part in ["By undo to the state after stage before", "Along way by_hand"] {
            assert!(several.stdout.contains(part), "{part}: {}", all(&several));
        }
        for part in
            ["several ways lead back; none was taken", "--to before --undo --apply", "--way by_hand --apply"]
        {
            assert!(several.stderr.contains(part), "{part}: {}", all(&several));
        }
        assert!(small.database.value::<bool>("SELECT to_regclass('marks') IS NOT NULL").await);
        small.ends(7, ["rollback", "page.md", "--way", "by_hand", "--apply", "--actor", "ann"]).await;
        assert!(small.database.value::<bool>("SELECT to_regclass('tags') IS NULL").await);
    });
}
