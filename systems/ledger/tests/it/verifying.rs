//! Recomputing everything that must hold, where there is much of it.

use crate::ground::{A, Deployment};
use crate::town::Town;

/// Reservations of one tenant, with their entries: enough that looking at all entries for each would take minutes.
const FILLED: &str = "
    SET session_replication_role = replica;
    INSERT INTO reservations (community_id, reservation_id, amount_micro, lots, status, expires_at, cost_micro,
                              charged_micro, overrun_micro, uncovered_micro, resolved_at)
    SELECT community_id, 'r' || number, 5, '[]', 'finalized', now(), 3, 3, 0, 0, now()
    FROM credit_lots, generate_series(1, 30000) AS number;
    INSERT INTO lot_entries (lot_id, community_id, entry_type, amount_micro, reservation_id)
    SELECT id, community_id, 'debit', 5, 'reserve:r' || number FROM credit_lots, generate_series(1, 30000) AS number;
    INSERT INTO lot_entries (lot_id, community_id, entry_type, amount_micro, reference_id)
    SELECT id, community_id, 'credit_back', 2, 'reserve:r' || number FROM credit_lots, generate_series(1, 30000) AS number;
    UPDATE lot_totals SET debit_micro = 150000, credit_back_micro = 60000;
    SET session_replication_role = origin";

#[tokio::test]
async fn tens_of_thousands_of_reservations_of_one_tenant_are_verified_in_one_look() {
    let town = Town::new(Deployment::Own).await;
    town.ledger.mint(A.parse().unwrap(), "l", "grant", 1_000_000, None).await.unwrap();
    town.ground.database.execute(FILLED).await;
    let began = std::time::Instant::now();
    town.holds().await;
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
    // One that kept more than it charged is found among them.
    let planted = "SET session_replication_role = replica;
                   UPDATE reservations SET charged_micro = 2 WHERE reservation_id = 'r777';
                   SET session_replication_role = origin";
    town.ground.database.execute(planted).await;
    let verified = town.ledger.verify().await.unwrap();
    let broken: Vec<_> = verified.iter().filter(|one| !one.violations.is_empty()).collect();
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert_eq!((broken[0].invariant, broken[0].violations.len()), ("reservations_add_up", 1));
    assert!(broken[0].violations[0].contains("\"r777\""), "{broken:?}");
}
