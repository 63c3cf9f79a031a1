//! Each exit code, and what is said with it.

use testkit::{ClusterOptions, eventually};

use crate::ledger_stage::on_stage;
use crate::small_page::{BOUND, PAGE, SmallPage, all};

#[test]
fn four_names_who_holds_the_lease() {
    on_stage(async {
        let small = SmallPage::new().await;
        small.write(&PAGE.replace("CREATE TABLE tags (id", "SELECT pg_sleep(600);\nCREATE TABLE tags (id"));
        let _first = small.program(["run", "page.md", "--apply", "--actor", "ann"]).start().unwrap();
        let client = small.database.client().await;
        let asleep = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        eventually("the statement sleeps", BOUND, async || client.query_one(asleep, &[]).await.ok())
            .await
            .unwrap();
        let held = small.document(4, ["run", "page.md", "--apply", "--actor", "bob", "--json"]).await;
        assert_eq!(held.pointer("/error/kind").unwrap(), "held");
        let message = held.pointer("/error/message").unwrap().as_str().unwrap();
        assert!(message.contains("ann on host") && message.contains("held for"), "{message}");
        let status = small.document(0, ["status", "page.md", "--json"]).await;
        assert_eq!(status.pointer("/holder/actor").unwrap(), "ann");
        assert_eq!(status.pointer("/phase").unwrap(), "open");
    });
}

#[test]
fn five_is_drift_of_the_page_the_head_or_the_journal() {
    on_stage(async {
        let small = SmallPage::new().await;
        small.ends(6, ["run", "page.md", "--apply", "--actor", "ann"]).await;
        small.write(&PAGE.replace("marks (id bigint", "marks (id integer"));
        let drift = small.ends(5, ["run", "page.md", "--apply", "--actor", "ann"]).await;
        assert!(
            drift.stderr.contains("make_marks") && drift.stderr.contains("tidegate amend page.md"),
            "{}",
            all(&drift)
        );
        let amended =
            small.ends(0, ["amend", "page.md", "--actor", "ann", "--reason", "a smaller key does"]).await;
        assert!(amended.stdout.contains("DECIDED"), "{}", all(&amended));

        let zeros = "0".repeat(64);
        let head = small.program(["run", "page.md", "--apply", "--actor", "ann", "--head", &zeros]);
        assert_eq!(head.run(BOUND).await.unwrap().code(), Some(5));
        small.ends(0, ["audit", "verify", "page.md"]).await;
        let kept: String =
            small.database.value("SELECT encode(hash, 'hex') FROM tidegate.event WHERE seq = 3").await;
        let proven = small.document(0, ["audit", "verify", "page.md", "--head", &kept, "--json"]).await;
        assert_eq!(proven.pointer("/proof/event").unwrap(), 3, "{proven}");
        let unknown = small.ends(5, ["audit", "verify", "page.md", "--head", &zeros]).await;
        assert!(unknown.stdout.contains("is that of no event"), "{}", all(&unknown));

        small.database.execute("SET session_replication_role = replica; UPDATE tidegate.event SET body = replace(body, 'ann', 'eve') WHERE seq = 1").await;
        let broken = small.ends(5, ["audit", "verify", "page.md"]).await;
        assert!(broken.stderr.contains("event 1"), "{}", all(&broken));
        small.ends(5, ["run", "page.md", "--apply", "--actor", "ann"]).await;
    });
}

#[test]
fn eight_says_that_the_store_could_not_be_asked() {
    on_stage(async {
        let small = SmallPage::new().await;
        for arguments in [
            ["plan", "page.md"].as_slice(),
            &["status", "page.md"],
            &["run", "page.md", "--apply", "--actor", "ann"],
            &["sessions", "page.md"],
        ] {
            let nowhere = small
                .program([])
                .args(arguments)
                .env("DATABASE_URL", "postgresql://postgres@127.0.0.1:9/nowhere")
                .run(BOUND)
                .await
                .unwrap();
            assert_eq!(nowhere.code(), Some(8), "{arguments:?} {}", all(&nowhere));
            assert!(nowhere.stderr.contains("127.0.0.1:9"), "{}", all(&nowhere));
        }
        let unset = small.program(["plan", "page.md"]).env("DATABASE_URL", "").run(BOUND).await.unwrap();
        assert_eq!(unset.code(), Some(2), "{}", all(&unset));
        assert!(unset.stderr.contains("$DATABASE_URL, which is not set"), "{}", all(&unset));
    });
}

#[test]
fn eight_also_when_the_server_goes_away_for_good_in_the_middle() {
    on_stage(async {
        let small = SmallPage::with(ClusterOptions::default()).await;
        small.write(&PAGE.replace("CREATE TABLE tags (id", "SELECT pg_sleep(600);\nCREATE TABLE tags (id"));
        let run = small.program(["run", "page.md", "--apply", "--actor", "ann"]).start().unwrap();
        let client = small.database.client().await;
        let asleep = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        eventually("the statement sleeps", BOUND, async || client.query_one(asleep, &[]).await.ok())
            .await
            .unwrap();
        small.cluster.stop().await.unwrap();
        let doubt = run.wait(BOUND).await.unwrap();
        assert_eq!(doubt.code(), Some(8), "{}", all(&doubt));
        assert!(
            doubt.stdout.contains("IN DOUBT") && doubt.stdout.contains("Nothing is guessed"),
            "{}",
            all(&doubt)
        );
        small.cluster.restart().await.unwrap();
    });
}
