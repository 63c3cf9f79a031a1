//! Whose a record is, where a name says too little.

use serde_json::json;
use tidegate_store::kv::Namespace;
use trips::keyspace;

use crate::migration_ground::{Ground, OLD, count};

fn logs() -> Namespace {
    keyspace::logs()
}

#[tokio::test]
async fn a_display_name_of_two_users_gives_neither_the_other_ones_records() {
    let ground = Ground::new().await;
    let first = ground.user("james1", "James").await;
    let second = ground.user("james2", "James").await;
    ground.trip("James", "t1", OLD).await;
    ground.trip("james1", "mine", OLD).await;
    let dry = ground.run("james1", false).await;
    assert_eq!(count(&dry, "trips", "quarantined"), 1, "{dry:#}");
    for user in ["james1", "james2"] {
        let told = ground.run(user, true).await;
        assert_eq!(told["done"], json!(false), "{told:#}");
        assert_eq!(told["quarantined"][0]["key"], json!("trip:James:t1"), "{told:#}");
    }
    assert_eq!(ground.keys(&logs(), &format!("trip:{first}:")).await, [format!("trip:{first}:mine")]);
    assert!(ground.keys(&logs(), &format!("trip:{second}:")).await.is_empty());
    let listed = ground.migration.quarantined(&first).await.unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
}

#[tokio::test]
async fn a_dry_run_is_a_success_where_an_apply_would_be_one_and_nowhere_else() {
    let ground = Ground::new().await;
    ground.user("plain", "Plain").await;
    ground.trip("Plain", "t1", OLD).await;
    // A name of two: quarantined.
    ground.user("james1", "James").await;
    ground.user("james2", "James").await;
    ground.trip("James", "t1", OLD).await;
    // Two copies of one time that differ: left to people.
    let differs = ground.user("differs", "Differs").await;
    for (owner, more) in [("Differs", "one"), (differs.as_str(), "another")] {
        let body = json!({ "id": "t1", "userId": owner, "updatedAt": OLD, "note": more });
        ground.put(&logs(), &format!("trip:{owner}:t1"), &body).await;
    }
    for (user, is_clean) in [("plain", true), ("james1", false), ("differs", false)] {
        let users = [user.to_owned()];
        let dry = ground.migration.cohort(&users, false, &ground.actor()).await;
        assert_eq!(dry.success, is_clean, "{user}: {:#?}", dry.results);
        let applied = ground.migration.cohort(&users, true, &ground.actor()).await;
        assert_eq!(applied.success, is_clean, "{user}: {:#?}", applied.results);
    }
}

#[tokio::test]
async fn a_name_that_begins_another_name_does_not_take_its_keys() {
    let ground = Ground::new().await;
    let short = ground.user("a", "a").await;
    let long = ground.user("ab", "a:b").await;
    ground.trip("a", "x", OLD).await;
    ground.trip("a:b", "x", OLD).await;
    ground.run("a", true).await;
    assert_eq!(ground.keys(&logs(), &format!("trip:{short}:")).await, [format!("trip:{short}:x")]);
    ground.run("ab", true).await;
    assert_eq!(ground.keys(&logs(), &format!("trip:{long}:")).await, [format!("trip:{long}:x")]);
    assert_eq!(ground.json(&logs(), &format!("trip:{long}:x")).await["userId"], json!(long));
}

#[tokio::test]
async fn who_takes_another_users_id_as_a_name_gets_nothing_by_it() {
    let ground = Ground::new().await;
    let victim = ground.user("james", "James").await;
    let thief = ground.user("eve", &victim).await;
    ground.trip(&victim, "t1", OLD).await;
    let hns = keyspace::hughesnet();
    ground.raw(&hns, &format!("hns:cred:{victim}"), b"secret", None, None).await;
    ground.put(&keyspace::user_settings(), &format!("settings:{victim}"), &json!({ "theme": "dark" })).await;
    ground.raw(&logs(), &format!("meta:user:{victim}:monthly_count:2026-01"), b"7", None, None).await;
    let told = ground.run("eve", true).await;
    assert_eq!(told["migrated"], json!(0), "{told:#}");
    for (namespace, key) in [
        (logs(), format!("trip:{thief}:t1")),
        (hns, format!("hns:cred:{thief}")),
        (keyspace::user_settings(), format!("settings:{thief}")),
        (logs(), format!("meta:user:{thief}:monthly_count:2026-01")),
    ] {
        assert!(ground.entry(&namespace, &key).await.is_none(), "{key}");
    }
}

#[tokio::test]
async fn a_record_that_names_somebody_else_is_kept_apart() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    let other = ground.user("eve", "Eve").await;
    ground.put(&logs(), "trip:James:t1", &trips::shapes::trip("t1", &other, OLD)).await;
    let told = ground.run("james", true).await;
    assert_eq!((count(&told, "trips", "quarantined"), &told["done"]), (1, &json!(false)), "{told:#}");
    assert!(ground.keys(&logs(), &format!("trip:{id}:")).await.is_empty());
}

#[tokio::test]
async fn what_is_typed_is_looked_up_and_never_used_as_a_name() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    ground.trip("Nobody", "t1", OLD).await;
    let report = ground.cohort(&["Nobody", "JAMES"], true).await;
    assert_eq!(report.results["Nobody"], json!({ "error": "User not found" }));
    assert_eq!(report.results["JAMES"]["subject"], json!(id));
    assert!(!report.success);
    let told = ground.cohort(&["00000000-0000-4000-8000-000000000000"], true).await;
    assert_eq!(told.results.values().next().unwrap(), &json!({ "error": "User not found" }));
}

#[tokio::test]
async fn a_user_name_that_looks_like_an_id_is_found_too() {
    let ground = Ground::new().await;
    let name = "11111111-1111-4111-8111-111111111111";
    let id = ground.user(name, name).await;
    ground.trip(name, "t1", OLD).await;
    let told = ground.run(name, true).await;
    assert_eq!((&told["subject"], &told["migrated"]), (&json!(id), &json!(1)), "{told:#}");
}

#[tokio::test]
async fn one_user_given_by_name_and_by_id_runs_once_and_both_are_told() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    ground.trip("James", "t1", OLD).await;
    let report = ground.cohort(&["james", &id, "james"], true).await;
    assert_eq!(report.results.len(), 2);
    assert_eq!(report.results["james"], report.results[&id]);
    assert_eq!(report.results["james"]["migrated"], json!(1));
    let page = ground.migration.audit().month("2026-03", None, Some(&id), None, 100).await.unwrap();
    let finished = page.entries.iter().filter(|entry| entry.details.get("phase") == Some(&json!("finished")));
    assert_eq!(finished.count(), 1);
}

#[tokio::test]
async fn a_user_who_fails_changes_nothing_for_the_others() {
    let ground = Ground::new().await;
    let broken = ground.user("broken", "Broken").await;
    ground.user("fine", "Fine").await;
    ground.trip("Fine", "t1", OLD).await;
    ground.raw(&keyspace::users(), &format!("user:{broken}"), b"{", None, None).await;
    let report = ground.cohort(&["broken", "fine"], true).await;
    assert!(!report.success);
    assert!(report.results["broken"]["error"].as_str().unwrap().contains(&format!("user:{broken}")));
    assert_eq!(report.results["fine"]["done"], json!(true));
}

#[tokio::test]
async fn a_quarantined_record_blocks_until_somebody_decides() {
    use tidegate_rekey::Resolution;
    let ground = Ground::new().await;
    let id = ground.user("james1", "James").await;
    ground.user("james2", "James").await;
    ground.trip("James", "t1", OLD).await;
    ground.trip("James", "t2", OLD).await;
    assert_eq!(ground.run("james1", true).await["done"], json!(false));
    let logs_name = logs().to_string();
    let decide = async |key: &str, resolution, reason: &str| {
        ground.migration.resolve(&id, &logs_name, key, resolution, reason, &ground.actor()).await
    };
    assert!(decide("trip:James:t1", Resolution::Leave, "  ").await.is_err(), "without a reason");
    decide("trip:James:t1", Resolution::Give { to_id: id.clone() }, "the owner wrote to us").await.unwrap();
    decide("trip:James:t2", Resolution::Leave, "of the other James").await.unwrap();
    let told = ground.run("james1", true).await;
    assert_eq!((&told["migrated"], &told["done"]), (&json!(1), &json!(true)), "{told:#}");
    assert_eq!(ground.keys(&logs(), &format!("trip:{id}:")).await, [format!("trip:{id}:t1")]);
    let page = ground.migration.audit().month("2026-03", None, Some(&id), None, 100).await.unwrap();
    let told = serde_json::to_string(&page).unwrap();
    assert!(
        told.contains("quarantine_resolved") && !told.contains("James"),
        "names stay out of the trail: {told}"
    );
}
