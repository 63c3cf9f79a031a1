//! The pages of this repository against databases as they expect them: `plan` finds nothing lacking in them.
//!
//! The ledger's page and the flattening are planned where they are run: `ledger_whole`, `flatten_whole`.

use std::path::Path;

use serde_json::Value as Json;
use testkit::{Cluster, Database, Outcome};

use crate::ledger_stage::on_stage;
use crate::small_page::{BOUND, all, folder, program};

/// A folder of the repository.
fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// What a dry run of the page says.
async fn planned(page: &str, database: &Database, more: &[(&str, &str)], sets: &[&str]) -> Outcome {
    let here = folder(database.name());
    let page = root().join(page).display().to_string();
    let mut call = program(&here, ["plan", "--json", &page]).env("DATABASE_URL", database.url());
    for (name, value) in more {
        call = call.env(*name, *value);
    }
    for set in sets {
        call = call.args(["--set", *set]);
    }
    let outcome = call.run(BOUND).await.unwrap();
    std::fs::remove_dir_all(&here).unwrap();
    outcome
}

fn lacks_nothing(planned: &Outcome) {
    let document: Json =
        serde_json::from_str(&planned.stdout).unwrap_or_else(|error| panic!("{error}\n{}", all(planned)));
    let lacking = document.pointer("/lacking").and_then(Json::as_array);
    assert!(lacking.is_some_and(Vec::is_empty), "{lacking:?}\n{}", all(planned));
    assert!(document.pointer("/lines/9").is_some(), "{}", all(planned));
}

/// A database with these files in it.
async fn database(hint: &str, files: &[&str]) -> Database {
    let database = Cluster::shared().await.database(hint).await;
    let client = database.client().await;
    for file in files {
        let sql = std::fs::read_to_string(root().join(file)).unwrap();
        client.batch_execute(&sql).await.unwrap();
    }
    database
}

#[test]
fn the_accounts_page_lacks_nothing() {
    on_stage(async {
        let files = [
            "systems/accounts/migrations/0000_auth_sessions.sql",
            "systems/accounts/migrations/0001_platform_workspaces.sql",
            "systems/accounts/migrations/0002_snapshot_payload.sql",
            "systems/accounts/migrations/0003_managed_user_identity.sql",
            "systems/accounts/migrations/0004_platform_books_collection.sql",
        ];
        let database = database("lacks_accounts", &files).await;
        let url = database.url();
        let variables = [
            ("DATABASE_DUMP_URL", url.as_str()),
            ("DATABASE_SCRATCH_URL", url.as_str()),
            ("ACCOUNT_VERIFY_API_BASE", "http://127.0.0.1:9"),
            ("ACCOUNT_VERIFY_COOKIE", "session=of-nobody-at-all"),
        ];
        lacks_nothing(&planned("systems/accounts/runbooks/accounts-v2.md", &database, &variables, &[]).await);
    });
}

#[test]
fn the_pages_of_the_trip_log_and_of_clients_lack_nothing() {
    on_stage(async {
        let empty = database("lacks_trips", &[]).await;
        let variables = [
            ("TRIPS_URL", "http://127.0.0.1:9"),
            ("TRIPS_ADMIN_TOKEN", "of-nobody-at-all"),
            ("TRIPS_STORE", "sqlite:/nowhere/keys.db"),
        ];
        let sets = ["snapshots=/tmp", "operator=ann", "sample=a,b", "first=a", "others=b"];
        lacks_nothing(&planned("systems/trips/runbooks/storage-keys.md", &empty, &variables, &sets).await);

        let served = database("lacks_triage", &["systems/vfs-server/schema.sql"]).await;
        let sets = ["user_id=u", "client_id=c", "client_dir=/nowhere"];
        lacks_nothing(&planned("systems/vfs-client/runbooks/sync-triage.md", &served, &[], &sets).await);
    });
}
