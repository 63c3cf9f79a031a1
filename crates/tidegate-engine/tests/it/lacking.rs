//! What `plan` finds that a page needs: tables, functions, roles and privileges that are not there.

use tidegate_engine::plan::{DryRun, dry_run};

use crate::stage_hand::{Stage, on_stage, page_with, program};

async fn plan(stage: &Stage, text: &str) -> DryRun {
    let program = program(text);
    let doors = stage.doors(&program);
    dry_run(program, doors, &stage.options).await.unwrap()
}

/// Step, line in the page, and what is lacking.
async fn lacking(stage: &Stage, text: &str) -> Vec<String> {
    let dry = plan(stage, text).await;
    assert_eq!(dry.holds(), dry.lacking.is_empty(), "{dry:?}");
    dry.lacking.iter().map(|one| format!("{} {}: {}", one.place, one.step, one.found)).collect()
}

fn line(text: &str, wanted: &str) -> usize {
    text.lines()
        .position(|line| line.starts_with(wanted))
        .unwrap_or_else(|| panic!("{wanted} is not in the page"))
        + 1
}

/// A page whose statements may hide what they do.
fn page(rest: &str) -> String {
    page_with("protect = [\"audit.*\"]", rest)
}

fn migrate(id: &str, body: &str) -> String {
    format!("```sql\n-- @migrate {id}\n{body}\n-- @undo\nSELECT 1\n```\n\n")
}

#[test]
fn names_that_no_step_makes_are_told_with_their_lines() {
    on_stage(async {
        let stage = Stage::new("lacking_names").await;
        stage.database.execute("CREATE TABLE here (id int)").await;
        let text = page(
            &("## S\n\n".to_owned()
                + &migrate("first", "CREATE TABLE made (id int);\nINSERT INTO made SELECT id FROM here")
                + &migrate(
                    "second",
                    "INSERT INTO made\nSELECT id FROM nowhere;\nALTER TABLE absent ADD COLUMN n int;\nGRANT SELECT ON made TO nobody_here",
                )
                + &migrate("third", "CREATE TABLE v9.thing (id int);\nSELECT app_gone(id) FROM made")
                + "```sql\n-- @check later\n-- @expect zero\nSELECT count(*) FROM made JOIN vanished USING (id)\n```\n\n"
                + "```toml\n# @seal quiet\ntables = [\"public.missing\"]\n```\n"),
        );
        let at = |wanted: &str| format!("test.md:{}", line(&text, wanted));
        let none =
            |kind: &str, name: &str| format!("{kind} {name} does not exist, and no earlier step makes it");
        assert_eq!(
            lacking(&stage, &text).await,
            [
                format!(
                    "test.md:{} second: {}",
                    line(&text, "SELECT id FROM nowhere") - 1,
                    none("table", "nowhere")
                ),
                format!("{} second: {}", at("ALTER TABLE absent"), none("table", "absent")),
                format!("{} second: {}", at("GRANT SELECT"), none("role", "nobody_here")),
                format!("{} third: {}", at("CREATE TABLE v9.thing"), none("schema", "v9")),
                format!("{} third: {}", at("SELECT app_gone"), none("function", "app_gone")),
            ]
        );
        // Behind a call of a function that nobody can look into, nothing is claimed.
        let quiet = text.replace("SELECT app_gone(id) FROM made", "SELECT 1");
        let found = lacking(&stage, &quiet).await;
        assert!(
            found.contains(&format!(
                "test.md:{} later: {}",
                line(&quiet, "SELECT count(*)"),
                none("table", "vanished")
            )),
            "{found:?}"
        );
        assert!(
            found.contains(&format!(
                "test.md:{} quiet: {}",
                line(&quiet, "# @seal"),
                none("table", "public.missing")
            )),
            "{found:?}"
        );
    });
}

#[test]
fn nothing_is_said_of_what_an_earlier_step_may_make() {
    on_stage(async {
        let stage = Stage::new("lacking_quiet").await;
        stage.database.execute("CREATE TABLE old (id int)").await;
        let check = |id: &str, from: &str| {
            format!("```sql\n-- @check {id}\n-- @expect zero\nSELECT count(*) FROM {from}\n```\n\n")
        };
        for (before, from) in [
            ("ALTER TABLE old ADD COLUMN n int; CREATE TABLE fresh AS SELECT 1 AS id", "fresh"),
            ("CREATE VIEW seen AS SELECT * FROM old", "seen"),
            ("DO $$ BEGIN CREATE TABLE inside (id int); END $$", "inside"),
            ("DO $$ BEGIN EXECUTE format('CREATE TABLE %I (id int)', 'un' || 'known'); END $$", "unknown"),
            ("CREATE SCHEMA wide CREATE TABLE deep (id int)", "wide.deep"),
            ("WITH kept AS (SELECT 1 AS id) SELECT id FROM kept", "old"),
            ("ALTER TABLE IF EXISTS never_there ADD COLUMN n int", "old"),
            ("CREATE FUNCTION ours() RETURNS int LANGUAGE sql AS 'SELECT 1'; SELECT ours()", "old"),
            ("CREATE ROLE lacking_made; GRANT SELECT ON old TO lacking_made", "old"),
            (
                "CREATE TRIGGER t AFTER INSERT ON old REFERENCING NEW TABLE AS fresh_rows FOR EACH STATEMENT EXECUTE FUNCTION suppress_redundant_updates_trigger()",
                "old",
            ),
            ("SELECT date(now()), pg_catalog.now()", "old"),
        ] {
            let text = page(&("## S\n\n".to_owned() + &migrate("m", before) + &check("c", from)));
            assert_eq!(lacking(&stage, &text).await, Vec::<String>::new(), "{before}");
        }
        // A statement that is expected to fail may name what is not there.
        let fails = page(
            &("## S\n\n".to_owned()
                + &migrate("m", "CREATE TABLE x (id int)")
                + "```sql\n-- @check c\n-- @attempt\n-- @expect error 42P01\nSELECT * FROM never_there\n```\n"),
        );
        assert_eq!(lacking(&stage, &fails).await, Vec::<String>::new());
    });
}

#[test]
fn privileges_that_the_role_lacks_are_told_unless_a_step_grants_them() {
    on_stage(async {
        let mut stage = Stage::new("lacking_rights").await;
        let role = format!("{}_role", stage.database.name());
        let (database, make) =
            (stage.database.name().to_owned(), format!("CREATE ROLE {role} LOGIN PASSWORD 'p'"));
        stage
            .database
            .execute(&format!(
                "{make}; GRANT CONNECT, CREATE ON DATABASE {database} TO {role}; REVOKE CREATE ON SCHEMA public FROM PUBLIC;
                 CREATE SCHEMA own AUTHORIZATION {role}; CREATE TABLE theirs (id int); CREATE TABLE shown (id int, secret int);
                 GRANT SELECT (id) ON shown TO {role}"
            ))
            .await;
        let port = testkit::Cluster::shared().await.port();
        stage.url = format!("postgres://{role}:p@127.0.0.1:{port}/{database}");
        let body = "INSERT INTO theirs\nSELECT id FROM shown;\nDELETE FROM theirs WHERE id = 1;\nALTER TABLE theirs ADD COLUMN n int;\nCREATE TABLE bare (id int);\nCREATE TABLE own.ours (id int)";
        let text = page(&("## S\n\n".to_owned() + &migrate("m", body)));
        let lacks = |what: &str| format!("role {role} lacks {what} on table theirs");
        let found = lacking(&stage, &text).await;
        assert_eq!(
            found,
            [
                format!("test.md:{} m: {}", line(&text, "INSERT INTO theirs"), lacks("INSERT")),
                format!("test.md:{} m: {}", line(&text, "DELETE FROM"), lacks("DELETE")),
                format!(
                    "test.md:{} m: role {role} does not own table theirs, and is no member of its owner",
                    line(&text, "ALTER TABLE theirs")
                ),
                format!(
                    "test.md:{} m: table bare cannot be made: CREATE on schema public is lacking",
                    line(&text, "CREATE TABLE bare")
                ),
            ]
        );
        let granting = page(
            &("## S\n\n".to_owned()
                + &migrate("g", &format!("GRANT ALL ON theirs TO {role}"))
                + &migrate("m", body)),
        );
        let found = lacking(&stage, &granting).await;
        assert!(!found.iter().any(|found| found.contains("theirs")), "{found:?}");
    });
}
