//! The way forward as an operator sees it: check, plan, run, status, events, approve, manual stages, decisions.

use testkit::eventually;

use crate::ledger_stage::on_stage;
use crate::small_page::{BOUND, PAGE, SmallPage, all};

#[test]
fn a_page_is_planned_run_approved_and_finished() {
    on_stage(async {
        let small = SmallPage::new().await;
        let check = small.ends(0, ["check", "page.md", "--strict"]).await;
        for part in
            ["Stage tags: Tags", "make_tags", "Afterwards (manual: runs with --stage)", "6 steps in 4 stages"]
        {
            assert!(check.stdout.contains(part), "{part}: {}", all(&check));
        }

        let plan = small.ends(0, ["plan", "page.md"]).await;
        for part in
            ["pass ", "not yet: needs make_tags", "a person is asked", "manual", "Nothing stands in the way."]
        {
            assert!(plan.stdout.contains(part), "{part}: {}", all(&plan));
        }
        assert!(small.is_untouched().await, "a dry run changes nothing");
        let dry = small.ends(0, ["run", "page.md"]).await;
        assert_eq!(dry.stdout, plan.stdout, "run without --apply is plan");

        let waiting = small.ends(6, ["run", "page.md", "--apply", "--actor", "ann"]).await;
        for part in [
            "Stage tags: Tags",
            "make_tags",
            "WAITING at go (page.md:",
            "approve go page.md --actor",
            "Head:  6:",
        ] {
            assert!(waiting.stdout.contains(part), "{part}: {}", all(&waiting));
        }
        assert!(
            !waiting.stdout.contains('\u{1b}') && !waiting.stderr.contains('\u{1b}'),
            "no colour in a pipe"
        );

        let status = small.ends(0, ["status", "page.md"]).await;
        for part in ["WAITING  small", "3 of 5 complete", "nobody works on it", "approve go page.md"] {
            assert!(status.stdout.contains(part), "{part}: {}", all(&status));
        }

        let refused = small.ends(3, ["approve", "go", "page.md", "--actor", "carl"]).await;
        assert!(refused.stderr.contains("carl is not among its approvers: ann, bob"), "{}", all(&refused));
        let approved = small.ends(0, ["approve", "go", "page.md", "--actor", "bob"]).await;
        for part in ["At most 50 tables stand.", "Releases:  make_marks", "Head:      6:"] {
            assert!(approved.stderr.contains(part), "{part}: {}", all(&approved));
        }

        let done = small.ends(0, ["run", "page.md", "--apply", "--actor", "ann"]).await;
        assert_eq!(
            done.stdout.matches("asked        approve").count(),
            1,
            "one approval is one event: {}",
            all(&done)
        );
        assert!(done.stdout.contains("DONE  all stages of small are complete"), "{}", all(&done));
        assert!(small.ends(0, ["status", "page.md"]).await.stdout.contains("FINISHED"));
        let manual =
            small.ends(0, ["run", "page.md", "--apply", "--actor", "ann", "--stage", "afterwards"]).await;
        assert!(manual.stdout.contains("marks_stand"), "{}", all(&manual));
        let again = small.ends(2, ["run", "page.md", "--apply", "--actor", "ann"]).await;
        assert!(again.stderr.contains("is finished") && again.stderr.contains("--again"), "{}", all(&again));

        let events = small.ends(0, ["events", "page.md"]).await;
        assert!(
            events.stdout.lines().count() > 10 && events.stdout.contains("make_marks"),
            "{}",
            all(&events)
        );
        assert!(small.ends(0, ["recheck", "page.md"]).await.stdout.contains("holds"));
        assert!(small.ends(0, ["doctor", "page.md"]).await.stdout.contains("Nothing is wrong."));
        let report = small.ends(0, ["report", "page.md"]).await;
        assert!(report.stdout.contains("# Report: A small page") && report.stdout.contains("`make_tags`"));
    });
}

#[test]
fn a_confirm_is_never_answered_by_yes() {
    on_stage(async {
        let small = SmallPage::new().await;
        small.ends(6, ["run", "page.md", "--apply", "--yes", "--actor", "ann"]).await;
        small.ends(6, ["run", "page.md", "--apply", "--yes", "--actor", "bob"]).await;
        assert!(small.database.value::<bool>("SELECT to_regclass('marks') IS NULL").await);
    });
}

#[test]
fn a_halt_says_what_happened_where_why_and_what_to_do() {
    on_stage(async {
        let small = SmallPage::new().await;
        let halted = small.ends(3, ["run", "page.md", "--apply", "--actor", "ann", "--set", "limit=0"]).await;
        for part in [
            "HALTED at quiet (page.md:18)",
            "Too many tables.",
            "Next:  1. Mend what the check found",
            "tidegate run page.md --apply --actor NAME",
            "tidegate abandon page.md --actor NAME --reason WHY",
            "Call:  #oncall",
            "Run:   ",
            "Head:  ",
        ] {
            assert!(halted.stdout.contains(part), "{part}: {}", all(&halted));
        }
        let status = small.ends(0, ["status", "page.md"]).await;
        for part in ["HALTED  small", "At:      quiet (page.md:18)", "Too many tables.", "Call:  #oncall"] {
            assert!(status.stdout.contains(part), "{part}: {}", all(&status));
        }
        // What the run was started with need not be said again, and cannot be changed.
        let fixed = small.ends(2, ["run", "page.md", "--apply", "--actor", "ann", "--set", "limit=9"]).await;
        assert!(fixed.stderr.contains("parameter limit is \"0\" in this run"), "{}", all(&fixed));
        let abandoned =
            small.ends(0, ["abandon", "page.md", "--actor", "ann", "--reason", "the limit was wrong"]).await;
        assert!(abandoned.stdout.contains("is given up"), "{}", all(&abandoned));
        small.ends(6, ["run", "page.md", "--apply", "--actor", "ann"]).await;
    });
}

#[test]
fn a_waiting_step_names_who_holds_the_lock() {
    on_stage(async {
        let small = SmallPage::new().await;
        let page = PAGE
            .replace("CREATE TABLE tags (id", "ALTER TABLE kept ADD COLUMN more int;\nCREATE TABLE tags (id");
        small
            .write(&page.replace("DROP TABLE tags;", "DROP TABLE tags;\nALTER TABLE kept DROP COLUMN more;"));
        small.database.execute("CREATE TABLE kept (id int)").await;
        let mut other = small.database.client().await;
        let lock = other.transaction().await.unwrap();
        lock.batch_execute("SET LOCAL application_name = 'the_other'; LOCK TABLE kept").await.unwrap();
        let run = small.program(["run", "page.md", "--apply", "--actor", "ann"]).start().unwrap();
        run.until_stderr("make_tags: waits for a lock; it is held by process", BOUND).await.unwrap();
        run.until_stderr("(the_other)", BOUND).await.unwrap();
        let status = small.ends(0, ["status", "page.md"]).await;
        for part in ["OPEN  small", "ann on host", "make_tags (page.md:", "tidegate stop page.md"] {
            assert!(status.stdout.contains(part), "{part}: {}", all(&status));
        }
        lock.rollback().await.unwrap();
        assert_eq!(run.wait(BOUND).await.unwrap().code(), Some(6));
    });
}

#[test]
fn a_process_told_to_end_halts_its_run_and_another_goes_on() {
    on_stage(async {
        let small = SmallPage::new().await;
        small.write(&PAGE.replace("CREATE TABLE tags (id", "SELECT pg_sleep(coalesce(nullif(current_setting('test.sleep', true), '')::float, 0));\nCREATE TABLE tags (id"));
        let name = small.database.name();
        small.cluster.execute(&format!("ALTER DATABASE {name} SET test.sleep = '600'")).await.unwrap();
        let mut run = small.program(["run", "page.md", "--apply", "--actor", "ann"]).start().unwrap();
        until_asleep(&small).await;
        run.terminate().unwrap();
        let stopped = run.wait(BOUND).await.unwrap();
        assert_eq!(stopped.code(), Some(3), "{}", all(&stopped));
        assert!(stopped.stdout.contains("Stopped by a request to end (SIGTERM)"), "{}", all(&stopped));
        assert_eq!(
            small
                .database
                .value::<i64>("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
                .await,
            0
        );

        // Another process asks the same with a command.
        let run = small.program(["run", "page.md", "--apply", "--actor", "ann"]).start().unwrap();
        until_asleep(&small).await;
        small.ends(0, ["stop", "page.md", "--actor", "bob"]).await;
        let stopped = run.wait(BOUND).await.unwrap();
        assert_eq!(stopped.code(), Some(3), "{}", all(&stopped));
        assert!(stopped.stdout.contains("Stopped by bob on host"), "{}", all(&stopped));
        let nobody = small.ends(2, ["stop", "page.md", "--actor", "bob"]).await;
        assert!(nobody.stderr.contains("nobody works on run"), "{}", all(&nobody));

        small.cluster.execute(&format!("ALTER DATABASE {name} SET test.sleep = '0'")).await.unwrap();
        small.ends(6, ["run", "page.md", "--apply", "--actor", "ann"]).await;
    });
}

/// Waits until a statement of the run sleeps.
pub(crate) async fn until_asleep(small: &SmallPage) {
    let client = small.database.client().await;
    let asleep = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    eventually("the statement sleeps", BOUND, async || client.query_one(asleep, &[]).await.ok())
        .await
        .unwrap();
}

#[test]
fn a_runner_is_paused_and_resumed_while_others_follow_its_events() {
    on_stage(async {
        let small = SmallPage::new().await;
        small.write(&PAGE.replace("## Tags\n", "## Tags\n\n```toml\n# @stage tags\nhold = \"4m\"\n```\n"));
        let run = small.program(["run", "page.md", "--apply", "--actor", "ann"]).start().unwrap();
        run.until_stderr("stage tags: holds", BOUND).await.unwrap();
        let mut follower = small.program(["events", "page.md", "--follow", "--json"]).start().unwrap();
        follower.until_stdout("step_done", BOUND).await.unwrap();

        let paused = small.ends(0, ["pause", "page.md", "--actor", "bob"]).await;
        assert!(paused.stdout.contains("the runner has taken it up"), "{}", all(&paused));
        follower.until_stdout(r#""for":"pause""#, BOUND).await.unwrap();
        let status = small.ends(0, ["status", "page.md"]).await;
        for part in
            ["WAITING  small", "paused, until somebody resumes it", "ann on host", "tidegate resume page.md"]
        {
            assert!(status.stdout.contains(part), "{part}: {}", all(&status));
        }
        small.ends(0, ["resume", "page.md", "--actor", "bob"]).await;
        follower.until_stdout("resumed", BOUND).await.unwrap();
        small.ends(0, ["stop", "page.md", "--actor", "bob"]).await;
        assert_eq!(run.wait(BOUND).await.unwrap().code(), Some(3));
        follower.until_stdout(r#""kind":"halted""#, BOUND).await.unwrap();
        follower.interrupt().unwrap();
        let followed = follower.wait(BOUND).await.unwrap();
        assert_eq!(followed.code(), Some(0), "{}", all(&followed));
        assert_eq!(followed.stdout.matches("run_started").count(), 1, "each event once: {}", all(&followed));
    });
}
