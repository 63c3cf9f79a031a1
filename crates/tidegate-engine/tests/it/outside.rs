//! Steps that reach outside: scripts, http, evict.

use std::time::Duration;

use testkit::Cluster;
use tidegate_engine::event::Event;
use tidegate_engine::runner::Purpose;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::stage_hand::{Stage, done, halted, on_stage, page_with};

#[test]
fn a_script_runs_once_sees_only_what_it_names_and_is_not_repeated_when_its_condition_holds() {
    on_stage(async {
        let mut stage = Stage::new("script").await;
        let folder = std::env::temp_dir().join(format!("tidegate-script-{}", stage.database.name()));
        std::fs::create_dir_all(&folder).unwrap();
        let mark = folder.join("mark");
        let text = page_with(
            "[parameters]\nmark = { type = \"path\" }\nsecret = { type = \"text\", secret = true }",
            "## S\n\n```toml\n# @stage s\nno_return = true\n```\n\n```sh\n# @check marked\n# @only unless\n# @harmless looks at a file\n# @expect exit 0\ntest -e \"$TG_MARK\"\n```\n\n```sh\n# @command make_mark\n# @unless marked\nenv | sort > \"$TG_MARK\"\necho \"$TG_SECRET\" | wc -c >> \"$TG_MARK.length\"\n```\n",
        );
        stage.options.sets.insert("mark".into(), mark.display().to_string());
        stage.options.sets.insert("secret".into(), "hunter22".into());
        done(&stage.run(&text).await);
        let environment = std::fs::read_to_string(&mark).unwrap();
        assert!(environment.contains("TG_MARK="), "{environment}");
        assert!(!environment.contains("DATABASE_URL"), "{environment}");
        stage.options.again = true;
        done(&stage.run(&text).await);
        let lengths = std::fs::read_to_string(folder.join("mark.length")).unwrap();
        assert_eq!(lengths.lines().count(), 1, "the second run found the mark: {lengths}");
        let journal: String = stage.database.value("SELECT string_agg(body, '') FROM tidegate.event").await;
        assert!(!journal.contains("hunter22"));
        std::fs::remove_dir_all(folder).unwrap();
    });
}

#[test]
fn a_script_that_fails_halts_with_what_it_said() {
    on_stage(async {
        let stage = Stage::new("script_fails").await;
        let text = page_with(
            "",
            "## S\n\n```sh\n# @check c\n# @harmless says no\n# @expect exit 0\necho 'the gate is shut' >&2\nexit 3\n```\n",
        );
        let ending = stage.run(&text).await;
        assert!(halted(&ending).contains("exit 3 where 0 is expected: the gate is shut"), "{ending:?}");
    });
}

/// Answers every request with one JSON body; gives what was asked.
async fn serve(status: &'static str, body: &'static str) -> (u16, tokio::task::JoinHandle<Vec<String>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::task::spawn_local(async move {
        let mut asked = Vec::new();
        while let Ok(Ok((mut socket, _))) =
            tokio::time::timeout(Duration::from_secs(5), listener.accept()).await
        {
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !request.windows(4).any(|window| window == b"\r\n\r\n") {
                let read = socket.read(&mut buffer).await.unwrap();
                if read == 0 {
                    break;
                }
                request.extend_from_slice(&buffer[..read]);
            }
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            socket.write_all(answer.as_bytes()).await.unwrap();
            asked.push(String::from_utf8_lossy(&request).into_owned());
            if asked.len() == 2 {
                break;
            }
        }
        asked
    });
    (port, served)
}

#[test]
fn http_checks_judge_status_and_body_and_keep_values() {
    on_stage(async {
        let stage = Stage::new("http").await;
        let (port, served) = serve("200 OK", r#"{"keys":[{"kty":"EC","n":7}],"ready":true}"#).await;
        let text = page_with(
            &format!("[stores.api]\nkind = \"http\"\nurl = \"http://127.0.0.1:{port}\""),
            "## S\n\n```http\n# @check jwks\n# @store api\n# @expect status 200\n# @expect json /keys/0/kty = \"EC\"\n# @expect json /keys/0/n > 6\n# @expect json /ready = true\n# @value n /keys/0/n\nGET /.well-known/jwks.json\n```\n\n```sql\n-- @check kept\n-- @expect true\nSELECT :jwks.n = 7\n```\n\n```http\n# @check wrong\n# @store api\n# @expect json /keys/0/kty = \"RSA\"\nGET /again\n```\n",
        );
        let ending = stage.run(&text).await;
        assert!(halted(&ending).contains("/keys/0/kty is \"EC\" where \"RSA\" is expected"), "{ending:?}");
        let asked = served.await.unwrap();
        assert!(asked[0].starts_with("GET /.well-known/jwks.json HTTP/1.1"), "{asked:?}");
    });
}

#[test]
fn a_service_that_does_not_answer_is_unknown_and_not_a_pass() {
    on_stage(async {
        let stage = Stage::new("no_answer").await;
        let text = page_with(
            "[stores.api]\nkind = \"http\"\nurl = \"http://127.0.0.1:9\"",
            "## S\n\n```http\n# @check up\n# @store api\n# @expect status 200\nGET /health\n```\n",
        );
        let ending = stage.run(&text).await;
        assert!(halted(&ending).contains("unknown"), "{ending:?}");
    });
}

#[test]
fn evict_ends_what_matches_within_its_bound_and_never_more() {
    on_stage(async {
        let stage = Stage::new("evict").await;
        Cluster::shared().await.role("idler").await.unwrap();
        let text = |at_most: u32| {
            page_with(
                "",
                &format!(
                    "## S\n\n```text\n# @confirm go\nEnd them?\n```\n\n```toml\n# @evict idlers\n# @requires go\nroles = [\"idler\"]\nstates = [\"idle in transaction\"]\nat_most = {at_most}\n```\n"
                ),
            )
        };
        stage.seen.borrow_mut().approve_as = Some("bob".into());
        let (one, two) = (stage.database.client_as("idler").await, stage.database.client_as("idler").await);
        for client in [&one, &two] {
            client.batch_execute("BEGIN").await.unwrap();
        }
        let idle = stage.database.client_as("idler").await;
        let ending = stage.run(&text(1)).await;
        assert!(
            halted(&ending).contains("2 sessions match and at most 1 may be ended; none was"),
            "{ending:?}"
        );
        one.batch_execute("SELECT 1").await.unwrap();
        stage.database.execute("DROP SCHEMA tidegate CASCADE").await;
        done(&stage.run(&text(2)).await);
        assert!(one.batch_execute("SELECT 1").await.is_err());
        idle.batch_execute("SELECT 1").await.unwrap();
        let ended = stage
            .seen
            .borrow()
            .events
            .iter()
            .filter(|r| matches!(r.event, Event::SessionEnded { .. }))
            .count();
        assert_eq!(ended, 2);
    });
}

#[test]
fn evict_says_that_it_may_not_look_instead_of_finding_nobody() {
    on_stage(async {
        let cluster = Cluster::shared().await;
        let mut stage = Stage::new("evict_blind").await;
        cluster.role_with("blind_owner", "LOGIN NOSUPERUSER").await.unwrap();
        cluster.role("stranger").await.unwrap();
        let name = stage.database.name().to_owned();
        stage.database.execute(&format!("ALTER DATABASE {name} OWNER TO blind_owner")).await;
        stage.url = cluster.url_for("blind_owner", &name);
        let stranger = stage.database.client_as("stranger").await;
        stage.seen.borrow_mut().approve_as = Some("bob".into());
        let text = page_with(
            "",
            "## S\n\n```text\n# @confirm go\nEnd them?\n```\n\n```toml\n# @evict strangers\n# @requires go\nroles = [\"stranger\"]\nat_most = 5\n```\n",
        );
        let ending = stage.run(&text).await;
        assert!(
            halted(&ending).contains("1 more sessions may match, and this role may not look"),
            "{ending:?}"
        );
        stranger.batch_execute("SELECT 1").await.unwrap();
    });
}

#[test]
fn a_secret_is_not_taken_from_the_arguments() {
    on_stage(async {
        let mut stage = Stage::new("secret_argument").await;
        let text = page_with(
            "[parameters]\ntoken = { type = \"text\", secret = true, env = \"NO_SUCH_TOKEN_HERE\" }",
            "## S\n\n```sql\n-- @check c\n-- @expect true\nSELECT :token <> ''\n```\n",
        );
        let missing = stage.open(&text, Purpose::Run).await.err().unwrap().to_string();
        assert_eq!(missing, "parameter token has no value: set $NO_SUCH_TOKEN_HERE");
        stage.options.sets.insert("token".to_owned(), "hunter2".to_owned());
        let refused = stage.open(&text, Purpose::Run).await.err().unwrap().to_string();
        assert!(
            refused.contains("set $NO_SUCH_TOKEN_HERE instead") && !refused.contains("hunter2"),
            "{refused}"
        );
        assert!(stage.database.value::<bool>("SELECT to_regnamespace('tidegate') IS NULL").await);
    });
}
