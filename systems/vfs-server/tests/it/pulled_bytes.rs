//! What a page of the feed is, byte for byte: each item as the rules of the feed write it.

use serde::{Deserialize, Serialize};
use serde_json::json;
use tidegate_store::http::{Client, Request};
use vfs_core::feed::check_rows;
use vfs_core::{Cursor, FeedItem, WriteIdMap};

use crate::ground::{Asker, BOUND, Town, link};

/// A page, in the order of its fields.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Page {
    items: Vec<FeedItem>,
    next_cursor: Option<String>,
    has_more: bool,
    last_reconciled_write_ids: WriteIdMap,
    feed_epoch: i32,
}

async fn bytes(asker: &Asker, query: &str) -> String {
    let request = Request {
        method: "GET".to_owned(),
        url: format!("{}/v1/vfs/crdt/sync?{query}", asker.bases[0]),
        headers: asker.headers.clone(),
        body: None,
        timeout: BOUND,
    };
    let answer = Client::new().request(request).await.unwrap();
    assert_eq!(answer.status, 200);
    String::from_utf8(answer.body.clone()).unwrap()
}

#[tokio::test]
async fn a_page_is_written_as_the_rules_of_the_feed_write_it() {
    let town = Town::new().await;
    let ada = town.user("ada \"the\" \u{1f40c}").await;
    let odd = "file \\ \"quoted\" \u{e4}\u{2028}\u{7f}";
    ada.register(odd).await;
    ada.register("plain").await;
    let acl = json!({
        "opId": "acl\u{7}", "opType": "acl_add", "itemId": "plain", "replicaId": "a", "writeId": 3,
        "occurredAt": "2026-02-14T20:00:00.000Z", "principalType": "group", "principalId": "g\t",
        "accessLevel": "write",
    });
    ada.push("a", &[link("a", 1, odd, "p/\u{1}"), link("a", 2, "plain", "p"), acl]).await;
    ada.push("b", &[link("b", 1, "plain", "q")]).await;
    let first = bytes(&ada, "limit=3&clientId=a").await;
    let page: Page = serde_json::from_str(&first).unwrap();
    assert_eq!((page.items.len(), page.has_more), (3, true));
    assert_eq!(serde_json::to_string(&page).unwrap(), first);
    check_rows(&page.items).unwrap();
    let last = page.items.last().and_then(FeedItem::cursor).as_ref().map(Cursor::encode);
    assert!(last.is_some());
    assert_eq!(page.next_cursor, last);
    // Pushed together, they have one time; another push has another.
    let times: Vec<&str> = page.items.iter().map(|item| item.occurred_at.as_str()).collect();
    assert_eq!((times[0], times[1]), (times[1], times[2]));
    let rest = bytes(&ada, &format!("limit=3&cursor={}", last.unwrap())).await;
    let page: Page = serde_json::from_str(&rest).unwrap();
    assert_eq!((page.items.len(), page.has_more, &page.next_cursor), (1, false, &None));
    assert_ne!(page.items[0].occurred_at, times[0]);
    assert_eq!(serde_json::to_string(&page).unwrap(), rest);
}
