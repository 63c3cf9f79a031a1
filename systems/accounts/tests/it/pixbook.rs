//! The book that a profile means.

use serde_json::{Value as Json, json};

use crate::ground::{Asker, Ground, Service};
use crate::parity::{assert_parity, content};

const LOOK: &str = "/v1/account/pixbook?profileId=p&identityPublicKey=k";
const SAVE: &str = "/v1/account/pixbook/snapshot";

async fn save(asker: &Asker, more: Json) -> crate::ground::Answered {
    let mut body = json!({ "profileId": "p", "identityPublicKey": "k", "payload": { "pages": 1 } });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    asker.put(SAVE, body).await
}

#[tokio::test]
async fn somebody_added_by_the_owner_is_found_by_profile_and_key() {
    let ground = Ground::at_row("dual").await;
    let service = Service::start(&ground).await;
    let ada = service.sign_up("ada@example.org").await;
    let person = ada.add_identity("P", "p", "k e\ny").await;
    let book = ada.add_book(&person, "").await;
    let before = content(&ground, true).await;
    let by_header = ada.with("x-pixbook-profile-id", "p").with("x-pixbook-identity-key", "key");
    let found = by_header.get("/v1/account/pixbook").await;
    assert_eq!((found.status, found.text("/book/id")), (200, book.clone()));
    assert_eq!((found.text("/managedUser/id"), &found.body["snapshot"]), (person, &Json::Null));
    assert_eq!(found.body["book"]["currentVersion"], 0);
    assert_eq!(found.header("deprecation"), Some("true"));
    assert_eq!(found.body["accountId"], found.body["workspaceId"]);

    let saved = by_header.put(SAVE, json!({ "payload": { "a": 1 } })).await;
    assert_eq!((saved.status, saved.text("/book/id")), (200, book.clone()));
    assert_eq!(saved.body["book"]["currentVersion"], 1);

    let other =
        ada.get(&format!("/v1/account/pixbook?bookId={book}&profileId=p&identityPublicKey=stranger")).await;
    assert_eq!(other.code(), (409, "PIXBOOK_BOOK_PROFILE_MISMATCH"));
    let other = ada.get(&format!("/v1/account/pixbook?bookId={book}&collectionId=travel")).await;
    assert_eq!(other.code(), (409, "PIXBOOK_BOOK_COLLECTION_MISMATCH"));
    let other = ada.get("/v1/account/pixbook?profileId=p&identityPublicKey=key&collectionId=travel").await;
    assert_eq!(other.code(), (404, "PIXBOOK_NOT_SAVED_TO_ACCOUNT"));
    let other = ada.get("/v1/account/pixbook?bookId=nothing").await;
    assert_eq!(other.code(), (404, "PIXBOOK_NOT_SAVED_TO_ACCOUNT"));
    let other = ada.get("/v1/account/pixbook?profileId=p").await;
    assert_eq!(other.code(), (400, "PIXBOOK_PROFILE_BINDING_REQUIRED"));
    assert_ne!(content(&ground, true).await, before);
}

#[tokio::test]
async fn looking_never_writes() {
    let ground = Ground::at_row("mirrored").await;
    let service = Service::start(&ground).await;
    let ada = service.sign_up("ada@example.org").await;
    let before = (content(&ground, true).await, content(&ground, false).await);
    assert_eq!(ada.get(LOOK).await.code(), (404, "PIXBOOK_NOT_SAVED_TO_ACCOUNT"));
    // A person who was deleted is not brought back by a look.
    let person = ada.add_identity("P", "p", "k").await;
    ada.add_book(&person, "").await;
    ada.delete(&format!("/v1/account/identities/{person}")).await;
    let after = (content(&ground, true).await, content(&ground, false).await);
    assert_ne!(before, after);
    assert_eq!(ada.get(LOOK).await.code(), (404, "PIXBOOK_NOT_SAVED_TO_ACCOUNT"));
    assert_eq!((content(&ground, true).await, content(&ground, false).await), after);
}

#[tokio::test]
async fn saving_makes_what_is_missing_and_raises_one_version_for_both_schemas() {
    for row in ["v1", "mirrored", "dual", "write_v2", "steady", "catching_up"] {
        let ground = Ground::at_row(row).await;
        let service = Service::start(&ground).await;
        let ada = service.sign_up("ada@example.org").await;
        let named = ada.with("x-pixbook-profile-name", "Ada");
        let first = save(&named, json!({ "ledgerHead": "h1" })).await;
        assert_eq!(first.status, 200, "{row}: {}", first.body);
        assert_eq!(
            (first.text("/managedUser/displayName"), first.text("/book/name")),
            ("Ada".into(), "My Pixbook".into())
        );
        let second = save(
            &ada,
            json!({ "expectedVersion": 1, "expectedLedgerHead": "h1", "payload": [1, null, "ä"] }),
        )
        .await;
        assert_eq!(second.body["snapshot"]["version"], 2, "{row}: {}", second.body);
        let found = ada.get(LOOK).await;
        assert_eq!(found.body["snapshot"], second.body["snapshot"]);
        assert_eq!(found.body["snapshot"]["payload"], json!([1, null, "ä"]));
        assert_eq!(found.body["book"]["currentVersion"], 2);
        for (expected, details) in [
            (
                json!({ "expectedVersion": 1 }),
                json!({ "expected": "1", "currentVersion": 2, "ledgerHead": null }),
            ),
            (
                json!({ "expectedLedgerHead": "h1" }),
                json!({ "expected": "ledger head h1", "currentVersion": 2, "ledgerHead": null }),
            ),
        ] {
            let late = save(&ada, expected).await;
            assert_eq!(late.code(), (409, "BOOK_SNAPSHOT_CONFLICT"));
            assert_eq!(late.body["conflict"], details);
        }
        let table = if matches!(row, "steady" | "write_v2" | "catching_up") {
            "pixbook_snapshots"
        } else {
            "platform_book_snapshots"
        };
        let sound = format!(
            "SELECT bool_and(encode(sha256(convert_to(payload_json::text, 'UTF8')), 'hex') = cipher_sha256) FROM {table}"
        );
        assert_eq!(ground.text(&sound).await, "true");
        if !matches!(row, "v1" | "steady") {
            assert_parity(&ground, row).await;
        }
    }
}

#[tokio::test]
async fn of_many_saves_that_expect_the_same_version_one_wins() {
    let ground = Ground::at_row("dual").await;
    let service = Service::start(&ground).await;
    let ada = service.sign_up("ada@example.org").await;
    assert_eq!(save(&ada, json!({})).await.status, 200);
    let mut savers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let ada = ada.clone();
        savers.spawn(async move { save(&ada, json!({ "expectedVersion": 1 })).await.status });
    }
    let mut statuses = savers.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409, 409, 409, 409, 409]);
    assert_parity(&ground, "after the race").await;
}

#[tokio::test]
async fn by_profile_and_by_id_one_schema_answers_in_every_row() {
    let ground = Ground::at_row("v1").await;
    let service = Service::start(&ground).await;
    let ada = service.sign_up("ada@example.org").await;
    let person = ada.add_identity("P", "p", "k").await;
    let book = ada.add_book(&person, "").await;
    crate::parity::copy_all(&ground).await;
    ground
        .database
        .execute("UPDATE platform_books SET name = 'V1NAME'; UPDATE pixbooks SET name = 'V2NAME'")
        .await;
    for row in [
        "mirrored",
        "read_v2",
        "dual",
        "write_v2",
        "steady",
        "catching_up",
        "write_v2",
        "dual",
        "mirrored",
        "v1",
    ] {
        let moved = ground.move_to(row).await;
        service.follows(&moved).await;
        let expected = if matches!(row, "v1" | "mirrored") { "V1NAME" } else { "V2NAME" };
        for path in [LOOK.to_owned(), format!("/v1/account/pixbook?bookId={book}")] {
            assert_eq!(ada.get(&path).await.text("/book/name"), expected, "{row} {path}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_saved_is_refused() {
    let ground = Ground::at("0004").await;
    let service = Service::start(&ground).await;
    let ada = service.sign_up("ada@example.org").await;
    for (more, text) in [
        (json!({ "payload": null }), "payload is required."),
        (json!({ "expectedVersion": "soon" }), "expectedVersion must be a whole number."),
        (json!({ "ledgerHead": {} }), "ledgerHead must be a text."),
        (json!({ "payload": "\u{0}" }), "The request holds a value that cannot be kept."),
    ] {
        let answer = save(&ada, more).await;
        assert_eq!(answer.code(), (400, "PIXBOOK_SAVE_FAILED"));
        assert_eq!(answer.refusal().1, text);
    }
    assert_eq!(ground.text("SELECT count(*) FROM platform_books").await, "0");
}
