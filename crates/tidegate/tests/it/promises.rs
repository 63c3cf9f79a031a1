//! What the guide and the language reference promise, asked of the program from outside.

use serde_json::Value as Json;

use crate::ledger_stage::on_stage;
use crate::small_page::{BOUND, PAGE, SmallPage, all};

/// A page of these stages and no more.
pub(crate) fn page(stages: &str) -> String {
    format!(
        "# Promises\n\n```toml\n# @runbook promises\nstores.db = {{ kind = \"postgres\", url = \"$DATABASE_URL\" }}\n```\n\n{stages}"
    )
}

/// A stage of one block of sql.
pub(crate) fn sql(heading: &str, body: &str) -> String {
    format!("## {heading}\n\n```sql\n{body}\n```\n\n")
}

const RUN: [&str; 5] = ["run", "page.md", "--apply", "--actor", "ann"];

/// A check and what running it must end with and say.
async fn verdict(small: &SmallPage, code: i32, properties: &str, body: &str, says: &str) {
    small.write(&page(&sql("Look", &format!("-- @check look_at_it\n{properties}\n{body}"))));
    let ended = small.program(RUN).args(["--again"]).run(BOUND).await.unwrap();
    assert_eq!(ended.code(), Some(code), "{properties}\n{body}\n{}", all(&ended));
    let told = format!("{}{}", ended.stdout, ended.stderr);
    assert!(told.contains(says), "{says}: {}", all(&ended));
    if code == 3 {
        small.ends(0, ["abandon", "page.md", "--actor", "ann", "--reason", "another page next"]).await;
    }
}

#[test]
fn a_check_whose_role_cannot_be_taken_judges_nothing() {
    on_stage(async {
        let small = SmallPage::new().await;
        small.database.execute("CREATE ROLE stranger").await;
        let url = small.database.url_for("migrator");
        small.cluster.role_with("migrator", "LOGIN").await.unwrap();
        small
            .database
            .execute(&format!(
                "GRANT CREATE ON DATABASE {} TO migrator; GRANT CREATE ON SCHEMA public TO migrator",
                small.database.name()
            ))
            .await;
        let look = "-- @check refused\n-- @role stranger\n-- @expect error 42501\nSELECT 1";
        small.write(&page(&sql("Look", look)));
        let ended = small.program(RUN).env("DATABASE_URL", url).run(BOUND).await.unwrap();
        assert_eq!(ended.code(), Some(3), "{}", all(&ended));
        let told = format!("{}{}", ended.stdout, ended.stderr);
        assert!(told.contains("role stranger could not be taken"), "{}", all(&ended));
    });
}

#[test]
fn each_over_and_expectations_give_the_verdicts_they_promise() {
    on_stage(async {
        let small = SmallPage::new().await;
        small
            .database
            .execute(
                "CREATE TABLE items (id int PRIMARY KEY); CREATE TABLE none (id int);
                 CREATE FUNCTION writes() RETURNS void LANGUAGE sql AS 'DELETE FROM items'",
            )
            .await;
        let refused = "-- @attempt\n-- @each\n-- @expect error 23505";
        let twice = "INSERT INTO items VALUES (1);\n-- @setup\nINSERT INTO items VALUES (1);\n";
        verdict(&small, 0, refused, &format!("{twice}INSERT INTO items VALUES (1);"), "DONE").await;
        verdict(&small, 3, refused, &format!("{twice}INSERT INTO items VALUES (2);"), "does not hold").await;
        verdict(&small, 3, "-- @expect zero", "SELECT 1", "does not hold").await;
        verdict(&small, 3, "-- @expect zero", "SELECT 0, 0", "look_at_it").await;
        verdict(&small, 3, "-- @expect true", "SELECT true UNION ALL SELECT true", "look_at_it").await;
        verdict(&small, 3, "-- @expect true", "SELECT NULL::boolean", "look_at_it").await;
        verdict(&small, 3, "-- @expect error 42P01 \"nowhere\"", "SELECT 1 FROM elsewhere", "look_at_it")
            .await;
        verdict(&small, 3, "-- @expect error 42P01", "SELECT 1", "look_at_it").await;
        verdict(&small, 3, "-- @expect error 25006", "SELECT 1", "look_at_it").await;
        verdict(&small, 0, "-- @expect error 25006", "SELECT writes()", "DONE").await;
        let over = "-- @expect empty\n-- @over SELECT count(*) FROM";
        verdict(&small, 3, &format!("{over} none"), "SELECT id FROM none", "is unknown (page.md:").await;
        small.database.execute("INSERT INTO none VALUES (1)").await;
        verdict(&small, 0, &format!("{over} none"), "SELECT id FROM none WHERE id > 1", "DONE").await;
        verdict(
            &small,
            3,
            "-- @timeout 1s\n-- @expect true",
            "SELECT pg_sleep(60) IS NOT NULL",
            "is unknown (page.md:",
        )
        .await;
        assert_eq!(small.database.value::<i64>("SELECT count(*) FROM items").await, 0, "an attempt stayed");
    });
}

#[test]
fn what_unless_finds_done_is_not_done_again() {
    on_stage(async {
        let small = SmallPage::new().await;
        let stages = sql(
            "Make",
            "-- @migrate make_a\n-- @version 0001\n-- @unless a_is_there\nCREATE TABLE a (id int)\n-- @undo\nDROP TABLE a",
        ) + &sql(
            "Look",
            "-- @check a_is_there\n-- @only unless\n-- @expect true\nSELECT to_regclass('a') IS NOT NULL",
        );
        small.write(&page(&stages));
        small.database.execute("CREATE TABLE a (mine text); INSERT INTO a VALUES ('kept')").await;
        let run = small.ends(0, RUN).await;
        assert!(run.stdout.contains("already"), "{}", all(&run));
        assert_eq!(small.database.value::<String>("SELECT mine FROM a").await, "kept");
        let back = small.call(["rollback", "page.md", "--to", "start", "--apply", "--actor", "ann"]).await;
        assert_eq!(small.database.value::<i64>("SELECT count(*) FROM a").await, 1, "{}", all(&back));
    });
}

const MANUAL: &str = r#"## Gate

```sql
-- @check gate_stands
-- @expect true
SELECT to_regclass('gate') IS NOT NULL
```

## Extra

```toml
# @stage extra
manual = true
```

```text
# @confirm extra_go
# @not-actor
Shall the extra be done?
```

```sql
-- @check extra_ok
-- @requires extra_go
-- @expect true
SELECT true
```
"#;

#[test]
fn a_manual_stage_runs_when_named_while_halted_and_after_the_end() {
    on_stage(async {
        let named = [RUN.as_slice(), &["--stage", "extra"]].concat();
        let small = SmallPage::new().await;
        small.write(&page(MANUAL));
        let run = async |code: i32| {
            let ended = small.program([]).args(&named).run(BOUND).await.unwrap();
            assert_eq!(ended.code(), Some(code), "{}", all(&ended));
            format!("{}{}", ended.stdout, ended.stderr)
        };
        let approve = ["approve", "extra_go", "page.md", "--actor", "bob"];
        assert!(run(2).await.contains("no run of promises"));
        small.ends(2, approve).await;
        small.ends(3, RUN).await;
        let waits = run(6).await;
        assert!(waits.contains("tidegate run page.md --apply --actor NAME --stage extra"), "{waits}");
        small.ends(0, approve).await;
        assert!(run(0).await.contains("stage extra is complete"));
        let status = small.document(0, ["status", "page.md", "--json"]).await;
        assert_eq!(status.pointer("/phase").unwrap(), "halted", "the position moved: {status}");

        // The same after the end, with an approval that was not there before.
        small.ends(0, ["abandon", "page.md", "--actor", "ann", "--reason", "anew"]).await;
        small.ends(2, approve).await;
        small.database.execute("CREATE TABLE gate ()").await;
        small.ends(0, RUN).await;
        run(6).await;
        let same = small.ends(3, ["approve", "extra_go", "page.md", "--actor", "ann"]).await;
        assert!(same.stderr.contains("ann"), "{}", all(&same));
        small.write(&page(&MANUAL.replace("Shall the extra", "Must the extra")));
        let other = small.ends(5, approve).await;
        assert!(other.stderr.contains("nothing was approved"), "{}", all(&other));
        small.write(&page(MANUAL));
        small.ends(0, approve).await;
        assert!(run(0).await.contains("stage extra is complete"));
        let status = small.document(0, ["status", "page.md", "--json"]).await;
        assert_eq!(status.pointer("/phase").unwrap(), "finished", "{status}");
        small.ends(2, ["approve", "nobody", "page.md", "--actor", "bob"]).await;
    });
}

#[test]
fn versions_rise_without_gaps_and_an_applied_one_keeps_its_text() {
    on_stage(async {
        let small = SmallPage::new().await;
        small.write(&PAGE.replace("@version 0002", "@version 0003"));
        let gap = small.ends(2, ["check", "page.md"]).await;
        assert!(gap.stderr.contains("0003") || gap.stdout.contains("0003"), "{}", all(&gap));
        small.write(&PAGE.replace("@version 0002", "@version 0001"));
        small.ends(2, ["check", "page.md"]).await;
        assert!(small.is_untouched().await);

        small.write(PAGE);
        small.run_to_the_end().await;
        small.write(&PAGE.replace("name text NOT NULL", "name text"));
        let drift = small.program(RUN).args(["--again"]).run(BOUND).await.unwrap();
        assert_eq!(drift.code(), Some(5), "{}", all(&drift));
        assert!(drift.stdout.contains("checksum 0001"), "{}", all(&drift));
        small
            .ends(0, ["accept-drift", "checksum 0001", "page.md", "--actor", "ann", "--reason", "known"])
            .await;
        let again = small.program(RUN).args(["--again"]).run(BOUND).await.unwrap();
        assert_eq!(again.code(), Some(6), "{}", all(&again));
    });
}

#[test]
fn a_healthy_database_has_nothing_for_the_doctor_and_events_have_no_gap() {
    on_stage(async {
        let small = SmallPage::new().await;
        let never = small.ends(0, ["status", "page.md"]).await;
        assert!(never.stdout.contains("never a run"), "{}", all(&never));
        let first = small.ends(0, ["doctor", "page.md"]).await;
        assert!(
            first.stdout.contains("`tidegate run") || first.stdout.contains("tidegate run page.md --apply"),
            "{}",
            all(&first)
        );
        assert!(!first.stdout.contains("PAGE"), "{}", all(&first));
        small.run_to_the_end().await;
        let found = small.document(0, ["doctor", "page.md", "--json"]).await;
        let found = found.get("found").and_then(Json::as_array).unwrap();
        assert!(found.is_empty(), "{found:?}");

        let events = small.ends(0, ["events", "page.md", "--json"]).await;
        let numbers: Vec<u64> = events
            .stdout
            .lines()
            .map(|line| {
                serde_json::from_str::<Json>(line).unwrap().get("seq").and_then(Json::as_u64).unwrap()
            })
            .collect();
        let expected: Vec<u64> = (1..=numbers.len() as u64).collect();
        assert!(numbers.len() > 5 && numbers == expected, "{numbers:?}");

        let older: String =
            small.database.value("SELECT encode(hash, 'hex') FROM tidegate.event WHERE seq = 4").await;
        let head = format!("4:{older}");
        small.ends(0, ["audit", "verify", "page.md", "--head", &head]).await;
        let swapped: String = older.chars().rev().collect();
        small.ends(5, ["audit", "verify", "page.md", "--head", &swapped]).await;
        let cut = small.ends(2, ["audit", "verify", "page.md", "--head", older.get(..12).unwrap()]).await;
        assert!(cut.stderr.contains("no whole head"), "{}", all(&cut));
    });
}
