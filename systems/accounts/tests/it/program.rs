//! The program as a process.

use std::time::Duration;

use serde_json::{Value as Json, json};
use testkit::{Outcome, Program, Running};

use crate::ground::{Asker, BOUND, Ground, Service};
use crate::parity::copy_all;

const SERVING: &str = "listening on http://";

fn program() -> Program {
    Program::new(env!("CARGO_BIN_EXE_accounts"))
}

async fn start(program: Program) -> (Running, Asker) {
    let running = program.arg("serve").env("PORT", "0").start().unwrap();
    running.until_stdout(SERVING, BOUND).await.unwrap();
    let said = running.stdout();
    let base = format!("http://{}", said.trim().strip_prefix(SERVING).unwrap());
    (running, Asker { base, cookie: String::new(), headers: Vec::new() })
}

async fn end(mut running: Running) -> Outcome {
    running.terminate().unwrap();
    running.wait(Duration::from_secs(30)).await.unwrap()
}

fn document(outcome: &Outcome) -> Json {
    serde_json::from_str(&outcome.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}{}", outcome.stdout, outcome.stderr))
}

#[tokio::test]
async fn without_its_variables_it_serves_and_says_what_is_missing() {
    let ground = Ground::at("0004").await;
    let url = ground.database.url();
    let all = [("AUTH_SECRET", "s"), ("AUTH_BASE_URL", "http://localhost"), ("DATABASE_URL", url.as_str())];
    for missing in ["", "AUTH_SECRET", "AUTH_BASE_URL", "DATABASE_URL"] {
        let mut program = program();
        for (name, value) in all.iter().filter(|(name, _)| *name != missing && !missing.is_empty()) {
            program = program.env(name, value);
        }
        let (running, nobody) = start(program).await;
        for path in ["session", "users", "workspace", "pixbook"] {
            let answer = nobody.get(&format!("/v1/account/{path}")).await;
            assert_eq!(
                answer.refusal(),
                (503, "Platform auth is not configured (AUTH_SECRET, AUTH_BASE_URL, DATABASE_URL)."),
                "{missing} {path}"
            );
        }
        let answer = nobody.post("/v1/auth/sign-in", json!({})).await;
        assert_eq!(answer.refusal().0, 503);
        assert_eq!(nobody.get("/readyz").await.status, 503);
        assert_eq!(nobody.get("/healthz").await.status, 200);
        let outcome = end(running).await;
        assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    }
}

#[tokio::test]
async fn variables_that_cannot_be_followed_end_it_before_it_listens() {
    for (name, value) in [("PORT", "many"), ("DATABASE_URL", "mysql://x"), ("AUTH_HASH_COST", "0,0")] {
        let outcome = program().arg("serve").env(name, value).run(BOUND).await.unwrap();
        assert_eq!((outcome.code(), outcome.stdout.as_str()), (Some(2), ""));
        assert!(outcome.stderr.starts_with(&format!("accounts: {name}: ")), "{}", outcome.stderr);
    }
}

#[tokio::test]
async fn it_serves_as_a_process_and_ends_when_told() {
    let ground = Ground::at_row("dual").await;
    let program = program()
        .env("DATABASE_URL", ground.database.url())
        .env("AUTH_SECRET", "s")
        .env("AUTH_BASE_URL", "https://accounts.example.org")
        .env("AUTH_HASH_COST", "8,1");
    let (running, nobody) = start(program).await;
    let body = json!({ "email": "ada@example.org", "password": "correct horse" });
    let answer = nobody.post("/v1/auth/sign-up", body).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert!(answer.header("set-cookie").unwrap().ends_with("; Secure"));
    let outcome = end(running).await;
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    assert_eq!(ground.text("SELECT count(*) FROM tidegate.flag_instance").await, "0");
}

#[tokio::test]
async fn a_seed_is_the_same_every_time_and_its_people_sign_in() {
    let ground = Ground::at("0004").await;
    let seed = |rows: &str| {
        program()
            .args(["seed", "--rows", rows, "--password", "a password"])
            .env("DATABASE_URL", ground.database.url())
    };
    let outcome = seed("40").run(BOUND).await.unwrap();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    assert!(outcome.stdout.contains("platform_workspaces: 40\n"), "{}", outcome.stdout);
    let again = seed("40").run(BOUND).await.unwrap();
    assert!(again.stdout.lines().all(|line| line.ends_with(": 0")), "{}", again.stdout);
    let more = seed("50").run(BOUND).await.unwrap();
    assert!(more.stdout.contains("platform_workspaces: 10\n"), "{}", more.stdout);
    for what in [
        "SELECT count(*) FROM platform_workspace_members WHERE status = 'deleted'",
        "SELECT count(*) FROM platform_managed_users WHERE status = 'deleted'",
        "SELECT count(*) FROM platform_books WHERE collection_id = 'travel'",
        "SELECT count(*) FROM platform_book_snapshots WHERE version > 1",
    ] {
        assert_ne!(ground.text(what).await, "0", "{what}");
    }
    let service = Service::start(&ground).await;
    let body = json!({ "email": "user7@example.org", "password": "a password" });
    let answer = service.nobody().post("/v1/auth/sign-in", body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.text("/accountId"), ground.text("SELECT 'ws_' || md5('ws7')").await);
    assert_eq!(ground.text("SELECT count(*) FROM platform_workspaces").await, "50");
    let empty = Ground::empty().await;
    let outcome = program()
        .args(["seed", "--rows", "1"])
        .env("DATABASE_URL", empty.database.url())
        .run(BOUND)
        .await
        .unwrap();
    assert_eq!(outcome.code(), Some(1));
    assert!(outcome.stderr.contains("nothing was added. Are the migrations applied?"), "{}", outcome.stderr);
}

#[tokio::test]
async fn recon_lists_what_there_is_and_flags_what_is_missing() {
    let ground = Ground::at("0004").await;
    let path = std::env::temp_dir().join(format!("accounts-recon-{}.json", std::process::id()));
    let recon = || {
        program()
            .args(["v2", "recon", "--json", "--report"])
            .arg(&path)
            .env("DATABASE_URL", ground.database.url())
    };
    let outcome = recon().run(BOUND).await.unwrap();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    let report = document(&outcome);
    assert_eq!(report, serde_json::from_slice::<Json>(&std::fs::read(&path).unwrap()).unwrap());
    assert_eq!((&report["ok"], &report["authUserIdType"]), (&json!(true), &json!("text")));
    assert_eq!(
        report["discoveredBetterAuthTables"],
        json!(["auth_credentials", "auth_sessions", "auth_users"])
    );
    assert_eq!(report["mapping"]["platform_permissions"], "account_permissions");
    assert_eq!(report["schemas"]["platform_books"][0]["column_name"], "id");
    let partial = report["indexes"]["platform_books"].as_array().unwrap().iter();
    let partial: Vec<&Json> =
        partial.filter(|index| index["partial"] == true && index["unique"] == true).collect();
    assert_eq!(partial.len(), 1);
    assert_eq!(partial[0]["predicate"], "(status <> 'deleted'::text)");
    let constraints = report["constraints"]["platform_workspace_members"].to_string();
    assert!(
        constraints.contains("FOREIGN KEY")
            && constraints.contains("\"columns\":[\"workspace_id\",\"user_id\"]")
    );

    ground.database.execute("DROP TABLE platform_permissions").await;
    let outcome = recon().run(BOUND).await.unwrap();
    assert_eq!(outcome.code(), Some(1));
    let report = document(&outcome);
    assert_eq!((&report["ok"], &report["missingTables"]), (&json!(false), &json!(["platform_permissions"])));
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn a_command_ends_with_2_where_the_environment_names_no_database_and_with_1_where_none_answers() {
    let scratch = std::env::temp_dir().join(format!("accounts-{}.json", uuid::Uuid::new_v4()));
    let report = scratch.to_str().unwrap();
    for arguments in [
        &["v2", "recon", "--report", report][..],
        &["v2", "backfill", "--report", report],
        &["v2", "verify", "--report", report],
        &["seed", "--rows", "1"],
        &["platform-migrate"],
    ] {
        for (url, code, said) in [
            (None, 2, "Database pool is unavailable. DATABASE_URL is not configured."),
            (Some(" "), 2, "DATABASE_URL is not configured."),
            (Some("mysql://x"), 2, "DATABASE_URL: "),
            (Some("postgresql://nobody@127.0.0.1:1/none"), 1, "127.0.0.1"),
        ] {
            let mut asked = program().args(arguments.iter().copied());
            if let Some(url) = url {
                asked = asked.env("DATABASE_URL", url);
            }
            let outcome = asked.run(BOUND).await.unwrap();
            assert_eq!(outcome.code(), Some(code), "{arguments:?} {url:?}: {}", outcome.stderr);
            assert!(outcome.stderr.contains(said), "{arguments:?} {url:?}: {}", outcome.stderr);
        }
    }
    std::fs::remove_file(&scratch).unwrap();
}

#[tokio::test]
async fn verify_reads_compares_what_both_schemas_answer() {
    let ground = Ground::at_row("v1").await;
    let service = Service::start(&ground).await;
    let ada = service.sign_up("ada@example.org").await;
    let person = ada.add_identity("P", "p", "k").await;
    ada.add_book(&person, "").await;
    let verify = |more: &[&str]| {
        program()
            .args(["v2", "verify-reads", "--api", &service.base])
            .args(more.iter().copied())
            .env("ACCOUNT_VERIFY_COOKIE", &ada.cookie)
    };
    let outcome = verify(&[]).run(BOUND).await.unwrap();
    let alone = document(&outcome);
    assert_eq!(
        (outcome.code(), &alone["ok"], &alone["schemasCompared"]),
        (Some(0), &json!(true), &json!(false))
    );

    copy_all(&ground).await;
    let moved = ground.move_to("mirrored").await;
    service.follows(&moved).await;
    let profile = ["--profile-id", "p", "--identity-public-key", "k"];
    let outcome = verify(&profile).run(BOUND).await.unwrap();
    assert_eq!(
        document(&outcome),
        json!({
            "ok": true, "accountId": ada.account().await, "userCount": 1, "bookCount": 1, "pixbookResolved": true,
            "schemasCompared": true,
            "compared": ["/v1/account/session", "/v1/account/workspace", "/v1/account/users", "/v1/account/books", "/v1/account/pixbook"],
        })
    );
    for (tamper, path) in [
        ("UPDATE account_members SET role = 'admin'", "/v1/account/session"),
        (
            "UPDATE account_members SET role = 'owner'; UPDATE identities SET avatar_public_id = ''",
            "/v1/account/users",
        ),
        (
            "UPDATE identities SET avatar_public_id = NULL; UPDATE pixbooks SET current_version = 1",
            "/v1/account/books",
        ),
    ] {
        ground.database.execute(tamper).await;
        let outcome = verify(&[]).run(BOUND).await.unwrap();
        let refused = document(&outcome);
        assert_eq!((outcome.code(), &refused["ok"]), (Some(1), &json!(false)), "{tamper}");
        assert_eq!(refused["error"], format!("v1 and v2 answer differently for {path}"));
        assert!(refused["details"]["v1"] != refused["details"]["v2"]);
    }
}

#[tokio::test]
async fn verify_reads_says_what_went_wrong() {
    let ground = Ground::at("0004").await;
    let service = Service::start(&ground).await;
    let verify = || program().args(["v2", "verify-reads", "--api", &service.base]);
    let outcome = verify().run(BOUND).await.unwrap();
    assert_eq!(outcome.code(), Some(1));
    assert_eq!(
        document(&outcome)["error"],
        "Missing session cookie. Provide --cookie or ACCOUNT_VERIFY_COOKIE."
    );
    let outcome = verify().args(["--cookie", "accounts_session=forged"]).run(BOUND).await.unwrap();
    assert_eq!(outcome.code(), Some(1));
    assert!(outcome.stderr.contains("--cookie is seen by everybody"), "{}", outcome.stderr);
    let refused = document(&outcome);
    assert_eq!(refused["error"], "HTTP 401 for /v1/account/session");
    assert_eq!(refused["details"], json!({ "ok": false, "error": "Unauthorized." }));
    let outcome = program()
        .args(["v2", "verify-reads", "--api", "http://127.0.0.1:1", "--cookie", "x"])
        .run(BOUND)
        .await
        .unwrap();
    assert_eq!(outcome.code(), Some(1));
    assert!(
        document(&outcome)["error"].as_str().unwrap().starts_with("no connection to"),
        "{}",
        outcome.stdout
    );
}
