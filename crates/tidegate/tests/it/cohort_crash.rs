//! A command for each row of a cohort: the program dies at every place of it, and no row is done under two keys.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use tidegate_engine::crash::Site;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::small_page::{BOUND, SmallPage, all};

const PAGE: &str = r##"# A cohort

```toml
# @runbook cohort
[stores.db]
kind = "postgres"
url = "$DATABASE_URL"

[stores.api]
kind = "http"
url = "$API_URL"
```

## Moving

```toml
# @stage moving
no_return = true
```

```sql
-- @record people
-- @rows
SELECT 'p' || n AS name FROM generate_series(1, 6) AS n
```

```http
# @command move_people
# @store api
# @for-each people
# @wave 2
# @value moved /moved
POST /move/{{each.name}}
```

```sql
-- @check all_moved
-- @expect true
SELECT count(*) = 6 AND sum(moved) = 6 AND bool_and(subject_state = 'done') FROM :{move_people}
```
"##;

const RUN: [&str; 5] = ["run", "page.md", "--apply", "--actor", "ann"];

/// What was asked: each path with the keys that it was asked under.
type Asked = Arc<Mutex<BTreeMap<String, BTreeSet<String>>>>;

/// Answers every request, and remembers its path and key.
async fn serve() -> (String, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Asked::default();
    let kept = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !request.windows(4).any(|window| window == b"\r\n\r\n") {
                match socket.read(&mut buffer).await {
                    Ok(read) if read > 0 => request.extend_from_slice(&buffer[..read]),
                    _ => break,
                }
            }
            let text = String::from_utf8_lossy(&request).to_lowercase();
            let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
            let key = text.lines().find_map(|line| line.strip_prefix("idempotency-key: ").map(str::to_owned));
            kept.lock().unwrap().entry(path).or_default().extend(key);
            let body = "{\"moved\":1}";
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            // A program that died does not hear the answer.
            let _unheard = socket.write_all(answer.as_bytes()).await;
        }
    });
    (url, asked)
}

#[tokio::test]
async fn a_cohort_that_dies_everywhere_is_done_once_for_each_row() {
    let whole = SmallPage::new().await;
    let (url, _) = serve().await;
    whole.write(PAGE);
    let trace = whole.folder().join("trace");
    let outcome =
        whole.program(RUN).env("API_URL", &url).env("TIDEGATE_CRASH_TRACE", &trace).run(BOUND).await.unwrap();
    assert_eq!(outcome.code(), Some(0), "{}", all(&outcome));
    let text = std::fs::read_to_string(&trace).unwrap();
    let points: Vec<&str> = text.lines().collect();
    for site in [Site::CommandDone, Site::SubjectNoted] {
        let reached = points.iter().filter(|point| point.starts_with(site.name())).count();
        assert_eq!(reached, 6, "{points:?}");
    }

    let broken = SmallPage::new().await;
    let (url, asked) = serve().await;
    broken.write(PAGE);
    let mut deaths = 0;
    // The first time of each place, and of the places of a subject every one that is left.
    for point in [
        "intent",
        "command_done",
        "subject_noted",
        "command_done",
        "command_done",
        "subject_noted",
        "outcome:move_people",
    ] {
        let outcome =
            broken.program(RUN).env("API_URL", &url).env("TIDEGATE_CRASH", point).run(BOUND).await.unwrap();
        deaths += usize::from(outcome.code().is_none());
    }
    let last = broken.program(RUN).env("API_URL", &url).run(BOUND).await.unwrap();
    assert!(matches!(last.code(), Some(0 | 2)), "{}", all(&last));
    assert!(deaths >= 6, "only {deaths} deaths");
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 6, "{asked:?}");
    assert!(asked.values().all(|keys| keys.len() == 1), "each row keeps its key: {asked:?}");
    let done: i64 =
        broken.database.value("SELECT count(*) FROM tidegate.subject WHERE state = 2 AND tries > 0").await;
    assert_eq!(done, 6);
}
