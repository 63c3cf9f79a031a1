//! What is decided before a stage is attached, in which order.

use serde_json::{Value, json};
use vfs_core::attach::{
    AttachFacts, AttachRefusal, AttachRequest, Attachable, Flaw, StoredClientState, StoredLink, StoredStage,
    admit, adopt,
};
use vfs_core::{AccessLevel, RelationKind};

use crate::scene::{at, cursor, item, user};

fn parse(body: Value) -> Result<AttachRequest, (u16, String)> {
    AttachRequest::parse("stage", &body).map_err(|refusal| (refusal.status(), refusal.to_string()))
}

#[test]
fn each_malformed_request_has_its_text() {
    let refused = |body| parse(body).unwrap_err();
    let text = |text: &str| (400, text.to_owned());
    let blank = AttachRequest::parse(" ", &json!({ "itemId": "i" })).unwrap_err();
    assert_eq!(blank.to_string(), "stagingId is required");
    for body in
        [json!(null), json!({}), json!({ "itemId": " " }), json!({ "itemId": "i", "relationKind": "link" })]
    {
        assert_eq!(refused(body), text("itemId is required"));
    }
    let good = cursor(1, "a").encode();
    for part in [
        json!({ "requiredCursor": good }),
        json!({ "requiredLastReconciledWriteIds": {} }),
        json!({ "clientId": " " }),
    ] {
        let mut body = json!({ "itemId": "i" });
        body.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        assert_eq!(refused(body), text("clientId is required when reconcile guardrails are provided"));
    }
    assert_eq!(refused(json!({ "itemId": "i", "clientId": "a:b" })), text("clientId must not contain \":\""));
    assert_eq!(
        refused(json!({ "itemId": "i", "clientId": "a" })),
        text("requiredCursor is required when reconcile guardrails are provided")
    );
    assert_eq!(
        refused(json!({ "itemId": "i", "clientId": "a", "requiredCursor": "?" })),
        text("Invalid requiredCursor")
    );
    assert_eq!(
        refused(json!({
            "itemId": "i", "clientId": "a", "requiredCursor": good, "requiredLastReconciledWriteIds": { "r": 0 },
        })),
        text("lastReconciledWriteIds contains invalid writeId (must be a positive integer)")
    );
}

#[test]
fn the_kind_is_a_file_and_visibility_is_not_required_unless_it_is_said() {
    let request = parse(json!({ "itemId": " i " })).unwrap();
    assert_eq!(
        (request.item_id, request.relation_kind, request.visibility),
        (item("i"), RelationKind::File, None)
    );
}

fn visible() -> AttachRequest {
    parse(json!({
        "itemId": "i", "clientId": "desktop", "requiredCursor": cursor(5, "m").encode(),
        "requiredLastReconciledWriteIds": { "desktop": 2, "phone": 3 },
    }))
    .expect("a request")
}

const NOW: i64 = 1_000;

fn stage() -> StoredStage<'static> {
    StoredStage {
        blob_id: "blob",
        owner_id: Some("alice"),
        tag: "blob-stage:staged",
        expires_at: Some("2026-02-14T12:00:01.001+00:00"),
    }
}

fn facts(write_ids: &Value) -> AttachFacts<'_> {
    let client = StoredClientState { changed_at: Some(at(5)), change_id: "m", write_ids };
    AttachFacts { stage: Some(stage()), item_access: Some(AccessLevel::Write), client: Some(client) }
}

fn refused(facts: &AttachFacts<'_>) -> (u16, AttachRefusal) {
    let refusal = admit(&visible(), &user("alice"), facts, at(NOW)).unwrap_err();
    (refusal.status(), refusal)
}

#[test]
fn the_checks_come_in_their_order() {
    let ids = json!({ "desktop": 2, "phone": 9 });
    let good = facts(&ids);
    let expires_at = "2026-02-14T12:00:01.001Z".parse().unwrap();
    assert_eq!(
        admit(&visible(), &user("alice"), &good, at(NOW)),
        Ok(Attachable { blob_id: item("blob"), expires_at })
    );
    // Each case has everything after it broken too: only the order decides.
    let broken = AttachFacts {
        stage: Some(StoredStage { blob_id: " ", owner_id: None, tag: "x", expires_at: None }),
        item_access: None,
        client: None,
    };
    let with = |stage: StoredStage<'static>| AttachFacts { stage: Some(stage), ..broken.clone() };
    assert_eq!(refused(&AttachFacts { stage: None, ..broken.clone() }), (404, AttachRefusal::NotFound));
    assert_eq!(refused(&broken), (500, AttachRefusal::Stored(Flaw::NoBlob)));
    let stage_of = |owner_id, tag, expires_at| StoredStage { blob_id: "blob", owner_id, tag, expires_at };
    assert_eq!(refused(&with(stage_of(None, "x", None))), (500, AttachRefusal::Stored(Flaw::NoOwner)));
    assert_eq!(refused(&with(stage_of(Some("bob"), "x", None))), (403, AttachRefusal::Forbidden));
    for tag in ["x", "blob-stage:attached", "blob-stage:abandoned", "blob-stage:invalid"] {
        assert_eq!(
            refused(&with(stage_of(Some("alice"), tag, None))),
            (409, AttachRefusal::NotAttachable),
            "{tag}"
        );
    }
    let staged = |expires_at| with(stage_of(Some("alice"), "blob-stage:staged", expires_at));
    assert_eq!(refused(&staged(None)), (500, AttachRefusal::Stored(Flaw::Expiry)));
    assert_eq!(refused(&staged(Some("soon"))), (500, AttachRefusal::Stored(Flaw::Expiry)));
    assert_eq!(refused(&staged(Some("2026-02-14T12:00:01.000999Z"))), (409, AttachRefusal::Expired));
    let fresh = with(stage());
    assert_eq!(refused(&fresh), (404, AttachRefusal::ItemNotFound));
    let read = AttachFacts { item_access: Some(AccessLevel::Read), ..fresh.clone() };
    assert_eq!(refused(&read), (403, AttachRefusal::Forbidden));
    let seen = AttachFacts { item_access: Some(AccessLevel::Admin), ..fresh };
    assert_eq!(refused(&seen), (409, AttachRefusal::Behind));
}

/// A client's state, read up to some place, with these writes.
fn state<'a>(millisecond: i64, change_id: &'a str, write_ids: &'a Value) -> Option<StoredClientState<'a>> {
    Some(StoredClientState { changed_at: Some(at(millisecond)), change_id, write_ids })
}

#[test]
fn a_client_must_have_come_as_far_as_is_required() {
    let ids = json!({ "desktop": 2, "phone": 3 });
    let seen = |client: Option<StoredClientState<'_>>| {
        let facts = AttachFacts { client, ..facts(&ids) };
        admit(&visible(), &user("alice"), &facts, at(NOW)).map_err(|refusal| refusal.status())
    };
    assert!(seen(state(5, "m", &ids)).is_ok());
    assert!(seen(state(6, "a", &ids)).is_ok());
    assert_eq!(seen(state(5, "l", &ids)), Err(409));
    assert_eq!(seen(state(4, "z", &ids)), Err(409));
    assert_eq!(seen(state(5, "m", &json!({ "desktop": 2 }))), Err(409));
    assert_eq!(seen(state(5, "m", &json!({ "desktop": 1, "phone": 3 }))), Err(409));
    // What is stored but malformed is an error, and comes before being behind.
    for malformed in [
        json!(["desktop"]),
        json!("desktop"),
        json!(null),
        json!({ "desktop": 0 }),
        json!({ "desktop": "2" }),
    ] {
        assert_eq!(seen(state(1, "a", &malformed)), Err(500), "{malformed}");
    }
    assert_eq!(seen(state(9, " ", &ids)), Err(500));
    assert_eq!(seen(Some(StoredClientState { changed_at: None, change_id: "m", write_ids: &ids })), Err(500));
}

#[test]
fn a_link_that_is_there_is_adopted_if_it_is_of_the_kind() {
    let link = StoredLink { tag: "blob-link:photo", relation_kind: None, created_at: Some(at(3)) };
    assert_eq!(adopt(RelationKind::Photo, Some(&link)), Ok(at(3)));
    let metadata = StoredLink { relation_kind: Some("file"), ..link.clone() };
    assert_eq!(adopt(RelationKind::File, Some(&metadata)), Ok(at(3)));
    assert_eq!(adopt(RelationKind::Photo, Some(&metadata)), Err(AttachRefusal::OtherKind));
    assert_eq!(adopt(RelationKind::File, None), Err(AttachRefusal::Stored(Flaw::LinkGone)));
    let plain = StoredLink { tag: "wrapped-key", ..link.clone() };
    assert_eq!(adopt(RelationKind::File, Some(&plain)), Err(AttachRefusal::Stored(Flaw::LinkKind)));
    let timeless = StoredLink { created_at: None, ..link };
    assert_eq!(adopt(RelationKind::Photo, Some(&timeless)), Err(AttachRefusal::Stored(Flaw::LinkTime)));
    assert_eq!(AttachRefusal::Stored(Flaw::LinkTime).to_string(), "Failed to attach staged blob");
    assert_eq!(
        AttachRefusal::OtherKind.to_string(),
        "Blob is already attached with a different relation kind"
    );
}
