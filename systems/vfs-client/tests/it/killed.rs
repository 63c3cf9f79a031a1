//! The program is killed around every commit of its store: what it said to have queued is there, and nothing is done
//! twice.

use crate::ground::{BOUND, Ground};

const SITES: [&str; 2] = ["before-commit", "after-commit"];
/// Commits of one command, at most.
const COMMITS_MAX: u32 = 60;

#[tokio::test]
async fn a_death_at_any_commit_of_a_sync_loses_nothing_and_does_nothing_twice() {
    let ground = Ground::new().await;
    let (desk, lap) = (ground.client("ada", "desk").await, ground.client("ada", "lap").await);
    let mut files = 0;
    for site in SITES {
        let mut survived = false;
        for commit in 1..=COMMITS_MAX {
            let name = format!("{site}-{commit}");
            let file = ground.file(&name, name.as_bytes());
            desk.good(&["mkdir", &format!("/d-{name}")]).await;
            desk.good(&["put", file.to_str().unwrap(), &format!("/d-{name}/f")]).await;
            lap.good(&["mkdir", &format!("/l-{name}")]).await;
            lap.good(&["sync"]).await;
            files += 1;
            let outcome = desk.with("VFS_CRASH", &name.replace(&format!("-{commit}"), &format!(":{commit}")));
            let outcome = outcome.run(&["sync"]).await;
            survived = outcome.code() == Some(0);
            assert!(survived || outcome.code().is_none(), "{name}: {}", outcome.stderr);
            desk.good(&["sync"]).await;
            lap.good(&["sync"]).await;
            assert_eq!(lap.paths().await, desk.paths().await, "{name}");
            assert_eq!(lap.good(&["get", &format!("/d-{name}/f")]).await, name);
            if survived {
                assert!(commit > 10, "{site}: a sync has only {commit} commits");
                break;
            }
        }
        assert!(survived, "{site}: a sync dies for ever");
    }
    assert_eq!(desk.good(&["queue"]).await, "nothing waits\n");
    assert_eq!(std::fs::read_dir(desk.directory.join("spool")).unwrap().count(), 0);
    let twice = "SELECT count(*) - count(DISTINCT (item_id, op_type, parent_id)) FROM vfs_crdt_ops
                 WHERE replica_id IS NOT NULL";
    assert_eq!(ground.database.value::<i64>(twice).await, 0);
    let blobs = "SELECT count(*) FROM vfs_links WHERE starts_with(wrapped_session_key, 'blob-link:')";
    assert_eq!(ground.database.value::<i64>(blobs).await, files, "each file has one blob");
}

#[tokio::test]
async fn a_death_while_something_is_queued_leaves_all_of_it_or_nothing() {
    let ground = Ground::new().await;
    let desk = ground.client("ada", "desk").await;
    let file = ground.file("f", b"bytes");
    for (site, is_there) in [("before-commit", false), ("after-commit", true)] {
        let path = format!("/{site}");
        let dying = desk.with("VFS_CRASH", &format!("{site}:1"));
        let outcome = dying.run(&["put", file.to_str().unwrap(), &path]).await;
        assert_eq!(outcome.code(), None, "{}", outcome.stderr);
        assert_eq!(desk.paths().await.contains(&path), is_there, "{site}");
        let spooled = std::fs::read_dir(desk.directory.join("spool")).unwrap().count();
        assert_eq!(spooled, usize::from(is_there), "what nobody needs is swept");
    }
    desk.good(&["sync"]).await;
    assert_eq!(desk.good(&["get", "/after-commit"]).await, "bytes");
}

#[tokio::test]
async fn two_commands_in_one_directory_take_turns_and_one_that_waits_too_long_says_so() {
    let ground = Ground::new().await;
    let desk = ground.client("ada", "desk").await;
    let names: Vec<String> = (0..8).map(|number| format!("/n{number}")).collect();
    let running: Vec<_> = names.iter().map(|name| desk.program(&["mkdir", name]).start().unwrap()).collect();
    for one in running {
        let outcome = one.wait(BOUND).await.unwrap();
        assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    }
    assert_eq!(desk.paths().await.len(), 8);
    let home = vfs_client::Home::new(&desk.directory);
    let held = home.lock().unwrap();
    let said = desk.bad(4, &["--wait-ms", "50", "tree"]).await;
    assert!(said.contains("another `vfs` is at work"), "{said}");
    drop(held);
    desk.good(&["tree"]).await;
}
