//! Commands and checks that are done for each row of a recorded relation.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use tidegate_engine::observer::Progress;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::stage_hand::{Stage, done, halted, on_stage, page_with};

/// A service that fails for the names it is told to, and remembers what it was asked.
struct Service {
    port: u16,
    refuses: Rc<RefCell<BTreeSet<String>>>,
    asked: Rc<RefCell<Vec<(String, String)>>>,
}

impl Service {
    async fn start(refuses: &[&str]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let refuses: Rc<RefCell<BTreeSet<String>>> =
            Rc::new(RefCell::new(refuses.iter().map(|name| (*name).to_owned()).collect()));
        let asked: Rc<RefCell<Vec<(String, String)>>> = Rc::default();
        let (refused, kept) = (Rc::clone(&refuses), Rc::clone(&asked));
        tokio::task::spawn_local(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut request = Vec::new();
                let mut buffer = [0; 4096];
                let text = loop {
                    let read = socket.read(&mut buffer).await.unwrap();
                    request.extend_from_slice(&buffer[..read]);
                    let text = String::from_utf8_lossy(&request).into_owned();
                    if read == 0 || text.contains("\"}") {
                        break text;
                    }
                };
                let name =
                    text.rsplit("\"user\":\"").next().unwrap().trim_end_matches("\"}").trim().to_owned();
                let name = name.trim_end_matches("\"}").to_owned();
                let key = text.lines().find_map(|line| {
                    line.to_ascii_lowercase().strip_prefix("idempotency-key: ").map(str::to_owned)
                });
                let refuse = refused.borrow().contains(&name);
                kept.borrow_mut().push((name.clone(), key.unwrap_or_default()));
                let body = format!("{{\"success\":{},\"moved\":{}}}", !refuse, name.len());
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                socket.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { port, refuses, asked }
    }

    fn page(&self, properties: &str, after: &str) -> String {
        page_with(
            &format!("[stores.api]\nkind = \"http\"\nurl = \"http://127.0.0.1:{}\"", self.port),
            &format!(
                "## Cohort\n\n```toml\n# @stage cohort\nno_return = true\n```\n\n```sql\n-- @record sample\n-- @rows\nSELECT 'user' || lpad(n::text, 2, '0') AS name FROM generate_series(1, 12) AS n ORDER BY n\n```\n\n```http\n# @command moving\n# @store api\n# @for-each sample\n{properties}# @expect json /success = true\n# @value moved /moved\nPOST /move\nContent-Type: application/json\n\n{{\"user\":\"{{{{each.name}}}}\"}}\n```\n\n{after}"
            ),
        )
    }

    fn names(&self) -> Vec<String> {
        self.asked.borrow().iter().map(|(name, _)| name.clone()).collect()
    }
}

const AFTER: &str = "```sql\n-- @check all_moved\n-- @expect true\nSELECT count(*) = 12 AND sum(moved) = 72 AND bool_and(subject_state = 'done') FROM :{moving}\n```\n";

#[test]
fn each_row_gets_a_request_of_its_own_with_a_key_of_its_own_and_what_comes_of_it_is_kept() {
    on_stage(async {
        let stage = Stage::new("cohort_each").await;
        let service = Service::start(&[]).await;
        done(&stage.run(&service.page("# @wave 5\n", AFTER)).await);
        let names = service.names();
        assert_eq!(names.len(), 12);
        assert!(names.is_sorted(), "{names:?}");
        let keys: BTreeSet<String> = service.asked.borrow().iter().map(|(_, key)| key.clone()).collect();
        assert_eq!(keys.len(), 12, "{keys:?}");
        let told = stage.seen.borrow().progress.iter().any(|progress| {
            matches!(progress, Progress::Working { what, .. } if what == "wave 2 of 3: 6 of 12, 0 failed")
        });
        assert!(told, "{:?}", stage.seen.borrow().progress);
    });
}

#[test]
fn a_wave_with_too_many_failures_is_the_last_and_a_resumed_step_does_only_the_others() {
    on_stage(async {
        let stage = Stage::new("cohort_rate").await;
        let service = Service::start(&["user04", "user05"]).await;
        let page = service.page("# @wave 5\n# @max-failure-rate 20%\n", AFTER);
        let ending = stage.run(&page).await;
        let said = halted(&ending);
        assert!(
            said.contains("wave 1 of 3 ended with 2 of 5 failed, 40.0 %, and at most 20 % may"),
            "{said}"
        );
        assert!(said.contains("user04: /success is false where true is expected"), "{said}");
        assert_eq!(service.names().len(), 5, "the second wave was not begun");
        let states: String = stage
            .database
            .value("SELECT string_agg(state::text, '' ORDER BY ordinal) FROM tidegate.subject")
            .await;
        assert_eq!(states, "222330000000");
        service.refuses.borrow_mut().clear();
        service.asked.borrow_mut().clear();
        done(&stage.run(&page).await);
        let names = service.names();
        assert_eq!(names.len(), 9, "{names:?}");
        assert_eq!(&names[..2], ["user04", "user05"]);
        let tries: i64 = stage.database.value("SELECT sum(tries)::int8 FROM tidegate.subject").await;
        assert_eq!(tries, 14);
    });
}

#[test]
fn failures_within_the_rate_are_kept_and_do_not_stop_the_step() {
    on_stage(async {
        let stage = Stage::new("cohort_within").await;
        let service = Service::start(&["user12"]).await;
        let after = "```sql\n-- @check one_failed\n-- @expect true\nSELECT count(*) = 1 AND min(name) = 'user12' AND min(subject_detail) LIKE '%/success is false%' FROM :{moving} WHERE subject_state = 'failed'\n```\n";
        done(&stage.run(&service.page("# @max-failure-rate 10%\n", after)).await);
        assert_eq!(service.names().len(), 12);
        let state = stage.state().await;
        let outcome =
            state.steps.iter().find(|(name, _)| name.as_str() == "moving").unwrap().1.outcome().unwrap();
        assert_eq!(outcome.summary, "done for 11 of 12; 1 failed");
    });
}

#[test]
fn a_pause_between_waves_is_kept_by_the_servers_clock_and_served_once() {
    on_stage(async {
        let stage = Stage::new("cohort_pause").await;
        let service = Service::start(&["user06"]).await;
        let page = service.page("# @wave 5\n# @between-waves 1s\n", AFTER);
        let begun = std::time::Instant::now();
        halted(&stage.run(&page).await);
        assert!(begun.elapsed() >= std::time::Duration::from_secs(1));
        service.refuses.borrow_mut().clear();
        // The pause before the third wave began with the last subject of the second one, long enough ago by then.
        stage
            .database
            .execute("UPDATE tidegate.subject SET changed_at = changed_at - interval '1 hour'")
            .await;
        done(&stage.run(&page).await);
        let waits = stage.seen.borrow().progress.iter().filter(|progress| {
            matches!(progress, Progress::Working { what, .. } if what.contains("the next begins in"))
        }).count();
        assert_eq!(
            waits, 2,
            "before the second wave, and before the third, whose predecessor has just ended"
        );
    });
}

#[test]
fn a_value_that_a_row_lacks_and_a_row_that_stands_twice_are_refused_before_anything_is_sent() {
    on_stage(async {
        for (select, said) in [
            ("SELECT NULL::text AS name UNION ALL SELECT 'b'", "each.name is NULL"),
            ("SELECT 'a' AS nme", "each.name is not there"),
            ("SELECT 'a' AS name UNION ALL SELECT 'a'", "keeps the row a twice"),
            ("SELECT 'a' AS name, 'x' AS moved", "has a column moved, which this step keeps"),
        ] {
            let stage = Stage::new("cohort_bad").await;
            let service = Service::start(&[]).await;
            let page = service.page("", "");
            let from = page.find("SELECT 'user'").unwrap();
            let to = from + page[from..].find('\n').unwrap();
            let page = format!("{}{select}{}", &page[..from], &page[to..]);
            let ending = stage.run(&page).await;
            assert!(halted(&ending).contains(said), "{select}: {ending:?}");
            assert_eq!(service.names().len(), 0, "{select}");
        }
    });
}

#[test]
fn a_check_for_each_row_holds_within_its_rate_and_names_who_fails() {
    on_stage(async {
        for (rate, holds) in [("10%", true), ("8%", false)] {
            let stage = Stage::new("cohort_check").await;
            let service = Service::start(&["user03"]).await;
            let page = service
                .page(&format!("# @max-failure-rate {rate}\n# @harmless it is a dry run\n"), "")
                .replace("@command moving", "@check moving");
            let ending = stage.run(&page).await;
            if holds {
                done(&ending);
            } else {
                let said = halted(&ending);
                assert!(
                    said.contains("it fails for 1 of 12, 8.3 %, and may for at most 8 %: user03: "),
                    "{said}"
                );
            }
            assert_eq!(service.names().len(), 12, "a check asks about all");
        }
    });
}

#[test]
fn a_check_over_no_rows_is_unknown() {
    on_stage(async {
        let stage = Stage::new("cohort_empty").await;
        let service = Service::start(&[]).await;
        let page = service
            .page("# @harmless it is a dry run\n", "")
            .replace("@command moving", "@check moving")
            .replace("generate_series(1, 12)", "generate_series(1, 0)");
        let ending = stage.run(&page).await;
        assert!(halted(&ending).contains("nothing examined: sample keeps no rows"), "{ending:?}");
    });
}
