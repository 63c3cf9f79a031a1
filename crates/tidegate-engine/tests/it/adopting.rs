//! Objects that another made count as a step's effect only if they are exactly what the step makes.

use tidegate_engine::decide::{DecideError, Decision};
use tidegate_engine::ending::Ending;
use tidegate_engine::event::{Back, Event};
use tidegate_engine::runner::Purpose;
use tidegate_engine::state::StepState;

use crate::stage_hand::{Stage, done, halted, name, on_stage, page, page_with};

/// What the step makes, as it would also be typed by hand.
const BODY: &str = "CREATE TABLE lots (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner text NOT NULL DEFAULT 'nobody',
    amount bigint NOT NULL CHECK (amount >= 0)
);
CREATE INDEX lots_owner ON lots (owner);
ALTER TABLE lots ENABLE ROW LEVEL SECURITY;
CREATE POLICY lots_read ON lots FOR SELECT USING (owner = current_user);
CREATE FUNCTION lots_count() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM lots';
CREATE FUNCTION lots_stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'append-only'; END $$;
CREATE TRIGGER lots_no_delete BEFORE DELETE ON lots FOR EACH STATEMENT EXECUTE FUNCTION lots_stop();
CREATE VIEW lots_all AS SELECT id, owner FROM lots";

const UNDO: &str = "DROP VIEW IF EXISTS lots_all;
DROP TABLE IF EXISTS lots;
DROP FUNCTION IF EXISTS lots_count();
DROP FUNCTION IF EXISTS lots_stop()";

fn text() -> String {
    with_undo(UNDO)
}

fn with_undo(undo: &str) -> String {
    page_with("", &stages(undo))
}

fn stages(undo: &str) -> String {
    format!(
        "## One\n\n```sql\n-- @migrate base\n-- @version 1\nCREATE TABLE base (id int PRIMARY KEY)\n-- @undo\nDROP TABLE base\n```\n\n\
         ```sql\n-- @migrate lots\n-- @version 2\n-- @ensures lots_hold\n{BODY}\n-- @undo\n{undo}\n```\n\n\
         ```sql\n-- @check lots_hold\n-- @expect true\nSELECT count(*) = 0 FROM lots WHERE amount > 1000\n```\n"
    )
}

/// A run that is halted because another made objects of the step by hand.
async fn halted_by(hint: &str, by_hand: &str) -> Stage {
    let stage = Stage::new(hint).await;
    stage.database.execute(by_hand).await;
    let ending = stage.run(&text()).await;
    assert!(halted(&ending).contains("42P07"), "{ending:?}");
    let Ending::Halted { next, .. } = &ending else { panic!("it must halt: {ending:?}") };
    assert!(next.iter().any(|line| line.contains("tidegate adopt lots")), "{next:?}");
    stage
}

async fn adopt(stage: &Stage, text: &str, step: &str) -> Result<Decision, DecideError> {
    let mut runner = stage.open(text, Purpose::Decide).await.unwrap();
    let decided = runner.adopt(&name(step), "made by hand last week").await;
    runner.close().await;
    decided
}

/// What stands in the way, all lines.
async fn refused(stage: &Stage, text: &str, step: &str) -> String {
    let before = stage.state().await;
    let error = adopt(stage, text, step).await.unwrap_err();
    assert!(matches!(error, DecideError::Refused { .. }), "{error:?}");
    assert_eq!(stage.state().await, before, "a refusal is not journaled");
    error.to_string()
}

#[test]
fn equal_objects_are_adopted_and_the_run_goes_on() {
    on_stage(async {
        let stage = halted_by("adopt", BODY).await;
        stage.database.execute("INSERT INTO lots (owner, amount) VALUES ('a', 5), ('b', 7)").await;
        let oid = stage.database.value::<u32>("SELECT 'lots'::regclass::oid").await;
        let decision = adopt(&stage, &text(), "lots").await.unwrap();
        for object in [
            "table public.lots",
            "function public.lots_count()",
            "index public.lots_owner",
            "view public.lots_all",
        ] {
            assert!(decision.details.iter().any(|line| line == object), "{object}: {:#?}", decision.details);
        }
        // The very same table, with its rows and its policy.
        assert_eq!(stage.database.value::<u32>("SELECT 'lots'::regclass::oid").await, oid);
        assert_eq!(stage.database.value::<i64>("SELECT count(*) FROM lots").await, 2);
        assert_eq!(
            stage.database.value::<i64>("SELECT count(*) FROM tidegate_version WHERE version = '2'").await,
            1
        );
        let state = stage.state().await;
        let Some(StepState::Done { outcome, .. }) = state.steps.get(&name("lots")) else {
            panic!("{state:?}")
        };
        assert!(
            outcome.made.iter().any(|made| made.oid == oid) && outcome.transaction.is_none(),
            "{outcome:?}"
        );
        assert_eq!(outcome.held, [name("lots_hold")]);
        done(&stage.run(&text()).await);
        let adopted = stage.seen.borrow().events.iter().any(|record| {
            matches!(&record.event, Event::Adopted { by, reason, .. } if by.actor == "alice" && reason.contains("by hand"))
        });
        assert!(adopted);
    });
}

#[test]
fn going_back_counts_every_row_of_what_was_adopted() {
    on_stage(async {
        let stage = halted_by("adopt_back", BODY).await;
        stage.database.execute("INSERT INTO lots (owner, amount) VALUES ('a', 5), ('b', 7)").await;
        adopt(&stage, &text(), "lots").await.unwrap();
        done(&stage.run(&text()).await);
        let mut runner = stage.open(&text(), Purpose::Back).await.unwrap();
        let plan = runner.plan_back(Back::Undo { to: None }).await.unwrap();
        assert_eq!(plan.figures(), "public.lots=2");
        let ending = runner.go_back(plan).await;
        runner.close().await;
        assert!(matches!(ending, Ending::RolledBack { .. }), "{ending:?}");
        assert!(stage.database.value::<bool>("SELECT to_regclass('lots') IS NULL").await);
    });
}

#[test]
fn what_is_missing_is_named_and_nothing_is_adopted() {
    on_stage(async {
        let by_hand = BODY.replace("CREATE INDEX lots_owner ON lots (owner);", "");
        let stage = halted_by("adopt_missing", &by_hand).await;
        let why = refused(&stage, &text(), "lots").await;
        assert!(why.contains("missing: index public.lots_owner"), "{why}");
        assert!(stage.database.value::<bool>("SELECT to_regclass('lots') IS NOT NULL").await);
        assert_eq!(stage.database.value::<i64>("SELECT count(*) FROM tidegate_version").await, 1);
    });
}

#[test]
fn every_kind_of_difference_is_found() {
    on_stage(async {
        let cases = [
            (
                "amount bigint NOT NULL CHECK (amount >= 0)",
                "amount int NOT NULL CHECK (amount >= 0)",
                "column public.lots.amount",
            ),
            ("amount bigint NOT NULL", "amount bigint", "column public.lots.amount"),
            ("DEFAULT 'nobody'", "DEFAULT 'somebody'", "column public.lots.owner"),
            ("CHECK (amount >= 0)", "CHECK (amount >= -1)", "constraint public.lots.lots_amount_check"),
            ("ON lots (owner)", "ON lots (owner, id)", "index public.lots_owner"),
            ("ALTER TABLE lots ENABLE ROW LEVEL SECURITY;", "", "table public.lots"),
            ("owner = current_user", "true", "policy public.lots.lots_read"),
            ("STABLE AS", "VOLATILE AS", "function public.lots_count()"),
            ("SELECT count(*) FROM lots'", "SELECT count(1) FROM lots'", "function public.lots_count()"),
            ("BEFORE DELETE ON", "BEFORE DELETE OR UPDATE ON", "trigger public.lots.lots_no_delete"),
            (
                "SELECT id, owner FROM lots",
                "SELECT id, owner FROM lots WHERE amount > 0",
                "view public.lots_all",
            ),
        ];
        for (was, by_hand, named) in cases {
            assert!(BODY.contains(was), "{was}");
            let stage = halted_by("adopt_differs", &BODY.replace(was, by_hand)).await;
            let why = refused(&stage, &text(), "lots").await;
            assert!(why.contains(&format!("differs: {named}")), "{was} → {by_hand}: {why}");
        }
    });
}

#[test]
fn grants_the_owner_and_the_order_of_columns_count() {
    on_stage(async {
        let stage = halted_by("adopt_grants", &format!("{BODY}; GRANT SELECT ON lots TO PUBLIC")).await;
        let why = refused(&stage, &text(), "lots").await;
        assert!(why.contains("differs: table public.lots"), "{why}");
        let swapped = BODY.replace("    owner text NOT NULL DEFAULT 'nobody',\n", "").replace(
            "CHECK (amount >= 0)\n",
            "CHECK (amount >= 0),\n    owner text NOT NULL DEFAULT 'nobody'\n",
        );
        let stage = halted_by("adopt_order", &swapped).await;
        let why = refused(&stage, &text(), "lots").await;
        assert!(why.contains("differs: column order public.lots"), "{why}");
    });
}

#[test]
fn an_object_too_many_is_named() {
    on_stage(async {
        let stage =
            halted_by("adopt_extra", &format!("{BODY}; CREATE INDEX lots_amount ON lots (amount)")).await;
        let why = refused(&stage, &text(), "lots").await;
        assert!(why.contains("extra: index public.lots_amount"), "{why}");
    });
}

#[test]
fn dependants_of_others_stop_the_comparison_and_lose_nothing() {
    on_stage(async {
        let by_hand = format!("{BODY}; CREATE VIEW theirs AS SELECT id FROM lots");
        let stage = halted_by("adopt_dependant", &by_hand).await;
        let why = refused(&stage, &text(), "lots").await;
        assert!(why.contains("2BP01") && why.contains("exists: table lots"), "{why}");
        // An undo that cascades takes the view along, in the savepoint only: it is no part of what is adopted.
        let cascades = with_undo(&UNDO.replace("lots;", "lots CASCADE;"));
        let stage = Stage::new("adopt_cascade").await;
        stage.database.execute(&by_hand).await;
        assert!(halted(&stage.run(&cascades).await).contains("42P07"));
        let decision = adopt(&stage, &cascades, "lots").await.unwrap();
        assert!(decision.details.contains(&"not adopted, hangs on it: view public.theirs".to_owned()));
        assert!(!decision.details.contains(&"view public.theirs".to_owned()));
        assert!(stage.database.value::<bool>("SELECT to_regclass('theirs') IS NOT NULL").await);
        let ending = stage.back(&cascades, Back::Undo { to: None }).await;
        assert!(halted(&ending).contains("theirs"), "an undo takes nothing of others along: {ending:?}");
    });
}

#[test]
fn a_check_of_ensures_that_fails_adopts_nothing() {
    on_stage(async {
        let stage = halted_by("adopt_ensures", BODY).await;
        stage.database.execute("INSERT INTO lots (amount) VALUES (5000)").await;
        let error = adopt(&stage, &text(), "lots").await.unwrap_err();
        assert!(error.to_string().contains("lots_hold does not hold"), "{error}");
        assert_eq!(stage.database.value::<i64>("SELECT count(*) FROM tidegate_version").await, 1);
    });
}

#[test]
fn an_undo_that_takes_nothing_away_proves_nothing() {
    on_stage(async {
        let text = page(
            "## One\n\n```sql\n-- @migrate m\n-- @version 1\n-- @ensures never\nCREATE TABLE IF NOT EXISTS kept (id int)\n-- @undo\nSELECT 1\n```\n\n```sql\n-- @check never\n-- @expect true\nSELECT to_regclass('allowed') IS NOT NULL\n```\n",
        );
        let stage = Stage::new("adopt_if_not_exists").await;
        stage.database.execute("CREATE TABLE kept (id text)").await;
        halted(&stage.run(&text).await);
        let why = refused(&stage, &text, "m").await;
        assert!(why.contains("not compared: table kept is left standing"), "{why}");
        assert!(why.contains("nothing that exists is taken away"), "{why}");
    });
}

#[test]
fn what_cannot_be_adopted_is_told_with_a_way_out() {
    on_stage(async {
        let stage = Stage::new("adopt_kinds").await;
        let text = page(
            "## One\n\n```sql\n-- @migrate first\n-- @version 1\nCREATE TABLE missing_type (id nothing)\n-- @undo\nDROP TABLE missing_type\n```\n\n\
             ```sql\n-- @migrate later\n-- @version 2\nCREATE TABLE later (id int)\n-- @undo\nDROP TABLE later\n```\n\n\
             ```sql\n-- @migrate concurrent\n-- @version 3\n-- @outside-transaction\nCREATE INDEX CONCURRENTLY later_id ON later (id)\n-- @undo\nDROP INDEX CONCURRENTLY later_id\n```\n\n\
             ```sql\n-- @check looks\n-- @expect true\nSELECT true\n```\n",
        );
        halted(&stage.run(&text).await);
        let why = refused(&stage, &text, "later").await;
        assert!(why.contains("first stands above later and is not complete"), "{why}");
        let why = refused(&stage, &text, "looks").await;
        assert!(why.contains("looks is a check"), "{why}");
        let error = adopt(&stage, &text, "no_such_step").await.unwrap_err();
        assert!(matches!(error, DecideError::UnknownStep { .. }), "{error}");
        stage.database.execute("CREATE DOMAIN nothing AS int").await;
        stage.database.execute("CREATE TABLE later_id (id int)").await;
        halted(&stage.run(&text).await);
        let why = refused(&stage, &text, "concurrent").await;
        assert!(why.contains("cannot run in a transaction"), "{why}");
        let why = refused(&stage, &text, "later").await;
        assert!(why.contains("later is complete in this run"), "{why}");
    });
}

#[test]
fn a_busy_table_is_waited_for_within_the_pages_bound() {
    on_stage(async {
        let text = page_with("[limits]\nlock_timeout = \"100ms\"\nlock_attempts = 2", &stages(UNDO));
        let stage = Stage::new("adopt_busy").await;
        stage.database.execute(BODY).await;
        halted(&stage.run(&text).await);
        let client = stage.database.client().await;
        client.batch_execute("BEGIN; LOCK TABLE lots IN ROW EXCLUSIVE MODE").await.unwrap();
        let why = refused(&stage, &text, "lots").await;
        assert!(why.contains("55P03") && why.contains("could not be compared"), "{why}");
        client.batch_execute("ROLLBACK").await.unwrap();
        adopt(&stage, &text, "lots").await.unwrap();
    });
}
