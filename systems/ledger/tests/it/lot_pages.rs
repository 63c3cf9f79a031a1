//! A tenant's lots page by page, beside sums that are always whole.

use serde_json::{Value, json};

use crate::ground::{A, B, Deployment, begin_as, in_both_deployments_direct_and_pooled};
use crate::town::{Asker, Town};

in_both_deployments_direct_and_pooled!(
    every_lot_is_on_one_page_and_every_page_has_the_whole_sums,
    what_happens_between_two_pages_hides_no_other_lot,
    pages_are_asked_for_in_words_that_are_understood,
);

/// Lots of A: a third each that never expire, that expire together, and that expire one after the other.
const MANY: usize = 240;

async fn fill(town: &Town) {
    let app = town.ground.app().await;
    for (tenant, many) in [(A, MANY), (B, 2)] {
        begin_as(&app, tenant).await;
        app.batch_execute(&format!(
            "INSERT INTO credit_lots (community_id, source, amount_micro, expires_at)
             SELECT '{tenant}', 'seed', number,
                    CASE number % 3 WHEN 0 THEN NULL WHEN 1 THEN timestamptz '2100-01-01'
                    ELSE timestamptz '2099-01-01' - number * interval '1 microsecond' END
             FROM generate_series(1, {many}) AS number;
             INSERT INTO lot_entries (lot_id, community_id, entry_type, amount_micro)
             SELECT id, community_id, 'credit', amount_micro FROM credit_lots; COMMIT"
        ))
        .await
        .unwrap();
    }
}

/// Asks for all pages of a length; `between` is called behind each.
async fn pages(ask: &Asker, limit: &str, mut between: impl AsyncFnMut(&Value)) -> Vec<Value> {
    let mut pages: Vec<Value> = Vec::new();
    loop {
        let after =
            pages.last().map_or(String::new(), |page| format!("&after={}", page["next"].as_str().unwrap()));
        let page = ask.get(&format!("balance?{limit}{after}")).await.good();
        between(&page).await;
        let is_last = page["next"].is_null();
        pages.push(page);
        if is_last {
            return pages;
        }
    }
}

fn lots(pages: &[Value]) -> Vec<&Value> {
    pages.iter().flat_map(|page| page["lots"].as_array().unwrap()).collect()
}

async fn every_lot_is_on_one_page_and_every_page_has_the_whole_sums(deployment: Deployment) {
    let town = Town::new(deployment).await;
    fill(&town).await;
    let ask = town.of(A);
    let whole: i64 = (1..=MANY as i64).sum();
    for (limit, expected) in
        [("", vec![100, 100, 40]), ("limit=120", vec![120, 120]), ("limit=500", vec![240])]
    {
        let pages = pages(&ask, limit, async |_| {}).await;
        let lengths: Vec<usize> = pages.iter().map(|page| page["lots"].as_array().unwrap().len()).collect();
        assert_eq!(lengths, expected, "{limit}");
        assert!(pages.iter().all(|page| page["spendableMicro"] == whole), "{limit}");
        let mut ids: Vec<&str> = lots(&pages).iter().map(|lot| lot["lotId"].as_str().unwrap()).collect();
        // In the order of spending: those that never expire come last.
        let expiries: Vec<String> =
            lots(&pages).iter().map(|lot| lot["expiresAt"].as_str().unwrap_or("never").to_owned()).collect();
        assert!(expiries.is_sorted(), "{expiries:?}");
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), MANY, "{limit}");
    }
    assert_eq!(lots(&pages(&town.of(B), "limit=1", async |_| {}).await).len(), 2);
}

async fn what_happens_between_two_pages_hides_no_other_lot(deployment: Deployment) {
    let town = Town::new(deployment).await;
    fill(&town).await;
    let ask = town.of(A);
    let app = town.ground.app().await;
    let mut turn = 0;
    let pages = pages(&ask, "limit=50", async |page: &Value| {
        // The last lot of the page is over, is spent, or stays: the next page goes on behind where it was.
        let last = &page["lots"].as_array().unwrap().last().unwrap();
        let lot = last["lotId"].as_str().unwrap();
        let left = last["remainingMicro"].as_i64().unwrap();
        let change = match turn % 3 {
            0 => format!("SELECT app.update_lot_status('{lot}', 'expired')"),
            1 => format!(
                "INSERT INTO lot_entries (lot_id, community_id, entry_type, amount_micro) VALUES ('{lot}', '{A}', 'debit', {left})"
            ),
            _ => "SELECT 1".to_owned(),
        };
        turn += 1;
        begin_as(&app, A).await;
        app.batch_execute(&format!("{change}; COMMIT")).await.unwrap();
    })
    .await;
    let mut ids: Vec<&str> = lots(&pages).iter().map(|lot| lot["lotId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), MANY);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), MANY);
}

async fn pages_are_asked_for_in_words_that_are_understood(deployment: Deployment) {
    let town = Town::new(deployment).await;
    fill(&town).await;
    let ask = town.of(A);
    let first = ask.get("balance?limit=2").await.good();
    let next = first["next"].as_str().unwrap();
    for wrong in
        ["limit=x", "limit=1.5", "after=x", "after=", &format!("after={next}x"), &format!("after={A}")]
    {
        assert_eq!(ask.get(&format!("balance?{wrong}")).await.refusal(), (400, "INVALID_REQUEST"), "{wrong}");
    }
    for (limit, many) in [("0", 1), ("-5", 1), ("1000000", MANY)] {
        let page = ask.get(&format!("balance?limit={limit}")).await.good();
        assert_eq!(page["lots"].as_array().unwrap().len(), many, "{limit}");
    }
    // A place among another tenant's lots shows one's own behind it, and none of the other's.
    let of_b = town.of(B).get(&format!("balance?after={next}")).await.good();
    assert!(
        of_b["lots"].as_array().unwrap().iter().all(|lot| !first["lots"].as_array().unwrap().contains(lot))
    );
    assert_eq!(of_b["spendableMicro"], json!(3));
}
