//! Many callers at once, and a history that is checked against what they were told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ledger::operations::{Mode, Usage};
use ledger::{Ledger, Outcome, Reason};
use testkit::{Pgbouncer, PgbouncerOptions};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::ground::{APP, Deployment, Ground, SYSTEM, in_both_deployments};
use crate::town::Town;

/// Callers at once, tenants, and operations of each caller; the long form has more operations.
const CALLERS: u64 = 64;
const TENANTS: u64 = 20;
const OPERATIONS: u64 = 160;
const SOAK_OPERATIONS: u64 = 3_200;

in_both_deployments!(two_debits_of_one_lot_are_never_both_done, a_key_is_done_once_by_many_at_once);

struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn tenant(number: u64) -> Uuid {
    Uuid::from_u128(0xaaaa_0000_0000_4000_8000_0000_0000_0000 + u128::from(number))
}

async fn two_debits_of_one_lot_are_never_both_done(deployment: Deployment) {
    let town = Town::new(deployment).await;
    let community = tenant(1);
    town.ledger.mint(community, "l", "grant", 1_000, None).await.unwrap();
    let debits: Vec<_> = (0..32)
        .map(|number| {
            let ledger = town.ledger.clone();
            tokio::spawn(async move { ledger.debit(community, &format!("d{number}"), 700).await.unwrap() })
        })
        .collect();
    let mut done = 0;
    for debit in debits {
        match debit.await.unwrap() {
            Outcome::Done(_) => done += 1,
            Outcome::Refused(reason, _) => assert_eq!(reason, Reason::BudgetExceeded),
        }
    }
    assert_eq!(done, 1);
    assert_eq!(town.ledger.balance(community).await.unwrap()["spendableMicro"], 300);
    town.holds().await;
}

async fn a_key_is_done_once_by_many_at_once(deployment: Deployment) {
    let town = Town::new(deployment).await;
    let community = tenant(1);
    for key in ["l1", "l2"] {
        town.ledger.mint(community, key, "grant", 1_000, None).await.unwrap();
    }
    let same: Vec<_> = (0..16)
        .map(|_| {
            let ledger = town.ledger.clone();
            tokio::spawn(async move { ledger.debit(community, "same", 1_500).await.unwrap() })
        })
        .collect();
    let mut answers = Vec::new();
    for one in same {
        answers.push(one.await.unwrap().done().expect("done"));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    assert_eq!(town.ledger.balance(community).await.unwrap()["spendableMicro"], 500);
    town.holds().await;
}

/// What one tenant has by what its callers were told: the reference, without lots.
#[derive(Debug, Default)]
struct Account {
    minted: i64,
    debited: i64,
    returned: i64,
    charged: i64,
    /// Amounts that are set aside.
    reserved: BTreeMap<String, i64>,
    /// What a debit took and got back.
    debits: BTreeMap<String, (i64, i64)>,
    events: i64,
}

impl Account {
    fn spendable(&self) -> i64 {
        self.minted - self.debited + self.returned - self.charged - self.reserved.values().sum::<i64>()
    }
}

/// An operation that is asked until an answer comes: with the same key, so that it is done once.
macro_rules! until_answered {
    ($ended:expr, $unanswered:expr, $call:expr) => {
        loop {
            match $call.await {
                Ok(outcome) => break outcome,
                Err(_) => {
                    $unanswered.fetch_add(1, Ordering::SeqCst);
                    assert!(!$ended.load(Ordering::SeqCst), "the database does not come back");
                    tokio::task::yield_now().await;
                }
            }
        }
    };
}

/// One caller's operations on one tenant, which are in one order with those of its other callers.
async fn call(
    ledger: Ledger,
    community: Uuid,
    account: Arc<Mutex<Account>>,
    seed: u64,
    operations: u64,
    unanswered: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
) {
    let mut draw = Draw(seed);
    for number in 0..operations {
        let (key, amount) = (format!("{seed}-{number}"), i64::try_from(1 + draw.below(900)).unwrap());
        let choice = draw.below(10);
        // The lock makes the order of the reference that of the tenant; other tenants go on beside it.
        let mut account = account.lock().await;
        let before = account.spendable();
        match choice {
            0 | 1 => {
                let made = until_answered!(
                    ended,
                    unanswered,
                    ledger.mint(community, &key, "grant", amount * 3, None)
                );
                assert!(made.done().is_some());
                account.minted += amount * 3;
            }
            2..=4 => {
                let made = until_answered!(ended, unanswered, ledger.debit(community, &key, amount));
                assert_eq!(
                    made.reason(),
                    (amount > before).then_some(Reason::BudgetExceeded),
                    "{before} {amount}"
                );
                if made.done().is_some() {
                    account.debited += amount;
                    account.debits.insert(key, (amount, 0));
                }
            }
            5 => {
                let Some((debit, (taken, back))) =
                    account.debits.iter().next_back().map(|(key, sums)| (key.clone(), *sums))
                else {
                    continue;
                };
                let made =
                    until_answered!(ended, unanswered, ledger.credit_back(community, &key, &debit, amount));
                let expected = (amount > taken - back).then_some(Reason::CreditBackExceedsDebit);
                assert_eq!(made.reason(), expected);
                if made.done().is_some() {
                    account.returned += amount;
                    account.debits.insert(debit, (taken, back + amount));
                }
            }
            6 | 7 => {
                let made = until_answered!(ended, unanswered, ledger.reserve(community, &key, amount, 3_600));
                assert_eq!(made.reason(), (amount > before).then_some(Reason::BudgetExceeded));
                if made.done().is_some() {
                    account.reserved.insert(key, amount);
                }
            }
            8 => {
                let Some((reservation, held)) = account.reserved.pop_first() else { continue };
                let mode = [Mode::Live, Mode::Shadow, Mode::Soft][usize::try_from(draw.below(3)).unwrap()];
                let usage = Usage {
                    reservation_id: &reservation,
                    cost_micro: amount,
                    mode,
                    fence: None,
                    nft_id: "n",
                    pool_id: "p",
                    tokens_input: 1,
                    tokens_output: 2,
                };
                let made = until_answered!(ended, unanswered, ledger.finalize(community, &key, &usage));
                let extra = if mode == Mode::Soft { (amount - held).clamp(0, before) } else { 0 };
                let charged = amount.min(held) + extra;
                assert_eq!(made.done().unwrap()["chargedMicro"], charged);
                account.charged += charged;
                account.events += 1;
            }
            _ => {
                let Some((reservation, _)) = account.reserved.pop_last() else { continue };
                let made = until_answered!(ended, unanswered, ledger.release(community, &reservation));
                assert!(made.done().is_some());
            }
        }
    }
}

/// All callers at work; then every balance against the reference, and every invariant.
async fn history(town: &Town, operations: u64, kills: u64) {
    let accounts: Vec<Arc<Mutex<Account>>> = (0..TENANTS).map(|_| Arc::default()).collect();
    let (unanswered, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let which = caller % TENANTS;
            let account = accounts[usize::try_from(which).unwrap()].clone();
            let (unanswered, ended) = (unanswered.clone(), ended.clone());
            tokio::spawn(call(
                town.ledger.clone(),
                tenant(which),
                account,
                caller + 1,
                operations,
                unanswered,
                ended,
            ))
        })
        .collect();
    // Sessions die under the callers, again and again.
    let (mut killed, mut client) = (0, town.ground.database.client().await);
    while killed < kills && callers.iter().any(|caller| !caller.is_finished()) {
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM (
                     SELECT pid FROM pg_stat_activity
                     WHERE datname = current_database() AND usename = 'arrakis_app' AND state = 'active'
                     ORDER BY random() LIMIT 3) AS victims";
        match client.query_one(sql, &[]).await {
            Ok(row) => killed += u64::try_from(row.get::<_, i64>(0)).unwrap(),
            // The database itself may have had enough of it.
            Err(_) => client = town.ground.database.client().await,
        }
        tokio::task::yield_now().await;
    }
    for caller in callers {
        caller.await.unwrap();
    }
    ended.store(true, Ordering::SeqCst);
    if kills > 0 {
        assert!(killed >= kills && unanswered.load(Ordering::SeqCst) > 0, "{killed} sessions were killed");
    }
    for (number, account) in accounts.iter().enumerate() {
        let account = account.lock().await;
        let balance = town.ledger.balance(tenant(number as u64)).await.unwrap();
        assert_eq!(balance["spendableMicro"], account.spendable(), "tenant {number}: {account:?}");
        assert_eq!(balance["reservedMicro"], account.reserved.values().sum::<i64>());
        let mut events = 0;
        loop {
            let looked = town.ledger.reconcile(tenant(number as u64), 7).await.unwrap();
            assert_eq!(looked["driftMicro"], 0);
            events += looked["events"].as_i64().unwrap();
            if looked["events"] == 0 {
                break;
            }
        }
        assert_eq!(events, account.events);
    }
    town.holds().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_operations_of_many_callers_are_what_the_reference_says_though_sessions_die() {
    let town = Town::new(Deployment::Own).await;
    history(&town, OPERATIONS, 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_holds_through_a_pooler_in_transaction_mode() {
    let ground = Ground::migrated(Deployment::Own).await;
    let pooler = Pgbouncer::start(ground.cluster, PgbouncerOptions::default()).await.unwrap();
    let application = pooler.url_for(APP, &ground.database);
    let system = ground.database.url_for(SYSTEM);
    let town = Town::with(ground, &application, &system).await;
    history(&town, OPERATIONS / 4, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_hundreds_of_thousands_of_operations_are_what_the_reference_says() {
    let is_long = std::env::var_os("TIDEGATE_SOAK").is_some();
    let town = Town::new(Deployment::Own).await;
    history(&town, if is_long { SOAK_OPERATIONS } else { 20 }, if is_long { 500 } else { 3 }).await;
}
