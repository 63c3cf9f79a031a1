//! A terminal that is lost, and readers that go away.

use testkit::Program;

use crate::going_forward::until_asleep;
use crate::ledger_stage::on_stage;
use crate::small_page::{BOUND, PAGE, SmallPage, all};

/// A page whose first migration sleeps as long as the database says.
async fn slow() -> SmallPage {
    let small = SmallPage::new().await;
    let sleep = "SELECT pg_sleep(coalesce(nullif(current_setting('test.sleep', true), '')::float, 0));\nCREATE TABLE tags (id";
    small.write(&PAGE.replace("CREATE TABLE tags (id", sleep));
    let name = small.database.name();
    small.cluster.execute(&format!("ALTER DATABASE {name} SET test.sleep = '600'")).await.unwrap();
    small
}

/// A line of a shell in the page's folder.
fn shell(small: &SmallPage, line: &str) -> Program {
    let line = line.replace("tidegate ", &format!("{} ", env!("CARGO_BIN_EXE_tidegate")));
    Program::new("/bin/sh")
        .args(["-c", &line])
        .directory(small.folder())
        .env("XDG_STATE_HOME", small.folder().join("state"))
        .env("DATABASE_URL", small.database.url())
}

#[test]
fn a_run_whose_terminal_is_lost_halts_in_order_however_often_it_is_told() {
    on_stage(async {
        let small = slow().await;
        let mut run = small.program(["run", "page.md", "--apply", "--actor", "ann"]).start().unwrap();
        until_asleep(&small).await;
        // The shell tells its jobs, and the system the terminal's processes.
        run.hang_up().unwrap();
        run.hang_up().unwrap();
        let stopped = run.wait(BOUND).await.unwrap();
        assert_eq!(stopped.code(), Some(3), "{}", all(&stopped));
        let status = small.ends(0, ["status", "page.md"]).await;
        assert!(status.stdout.contains("Stopped by the loss of its terminal (SIGHUP)."), "{}", all(&status));
        assert!(status.stdout.contains("nobody works on it"), "{}", all(&status));
    });
}

#[test]
fn a_run_that_was_started_without_a_terminal_of_its_own_goes_on() {
    on_stage(async {
        let small = slow().await;
        let mut run =
            shell(&small, "trap '' HUP; exec tidegate run page.md --apply --actor ann").start().unwrap();
        until_asleep(&small).await;
        run.hang_up().unwrap();
        run.terminate().unwrap();
        let stopped = run.wait(BOUND).await.unwrap();
        assert_eq!(stopped.code(), Some(3), "{}", all(&stopped));
        assert!(stopped.stdout.contains("Stopped by a request to end (SIGTERM)"), "{}", all(&stopped));
    });
}

#[test]
fn a_reader_that_goes_away_stops_no_run_and_ends_what_only_shows() {
    on_stage(async {
        let small = SmallPage::new().await;
        for json in ["", " --json"] {
            let line = format!("tidegate run page.md --apply --actor ann{json} | head -n 1");
            let cut = shell(&small, &line).run(BOUND).await.unwrap();
            assert_eq!(cut.stdout.lines().count(), 1, "{}", all(&cut));
            let status = small.ends(0, ["status", "page.md"]).await;
            assert!(status.stdout.contains("WAITING  small"), "{json}{}", all(&status));
        }
        let followed = shell(&small, "tidegate events page.md --follow | head -n 1").start().unwrap();
        testkit::eventually("a line is read", BOUND, async || {
            followed.stdout().contains("started").then_some(())
        })
        .await
        .unwrap();
        // With the next event it is noticed that nobody reads.
        small.ends(0, ["approve", "go", "page.md", "--actor", "bob"]).await;
        small.ends(0, ["run", "page.md", "--apply", "--actor", "ann"]).await;
        let followed = followed.wait(BOUND).await.unwrap();
        assert_eq!(followed.stdout.lines().count(), 1, "{}", all(&followed));
    });
}
