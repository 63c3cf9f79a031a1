//! Many callers at once, and a history that is checked against what they were told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

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
/// How long one operation may stay without an answer, whatever dies.
const ANSWER_BOUND: Duration = Duration::from_secs(120);
/// Debits of one tenant that are asked for at once.
const BURST: u64 = 8;

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
    ($counted:expr, $call:expr) => {{
        let began = Instant::now();
        loop {
            match $call.await {
                Ok(outcome) => break outcome,
                Err(error) => {
                    $counted.unanswered.fetch_add(1, Ordering::SeqCst);
                    assert!(began.elapsed() < ANSWER_BOUND, "the database does not come back: {error}");
                    tokio::task::yield_now().await;
                }
            }
        }
    }};
}

/// What a history counts.
#[derive(Debug, Default)]
struct Counted {
    /// Operations that were answered.
    answered: AtomicU64,
    /// Requests that were not.
    unanswered: AtomicU64,
}

/// Several debits at once, each asked until it is answered, in whichever order they are done.
async fn burst(
    ledger: &Ledger,
    community: Uuid,
    account: &mut Account,
    debits: Vec<(String, i64)>,
    counted: &Counted,
) {
    let before = account.spendable();
    let asked = debits
        .iter()
        .map(|(key, amount)| async move { until_answered!(counted, ledger.debit(community, key, *amount)) });
    let answers = futures_util::future::join_all(asked).await;
    let mut refused = Vec::new();
    for ((key, amount), answer) in debits.into_iter().zip(answers) {
        match answer.reason() {
            None => {
                account.debited += amount;
                account.debits.insert(key, (amount, 0));
            }
            Some(reason) => {
                assert_eq!(reason, Reason::BudgetExceeded);
                refused.push(amount);
            }
        }
    }
    // Whatever the order: no more than there was, and who was refused could not have been given it in the end either.
    let after = account.spendable();
    assert!(after >= 0, "{before} {after}");
    assert!(refused.iter().all(|amount| *amount > after), "{before} {after} {refused:?}");
}

/// One caller's operations on one tenant, which are in one order with those of its other callers.
async fn call(
    ledger: Ledger,
    community: Uuid,
    account: Arc<Mutex<Account>>,
    seed: u64,
    operations: u64,
    counted: Arc<Counted>,
) {
    let mut draw = Draw(seed);
    for number in 0..operations {
        counted.answered.fetch_add(1, Ordering::SeqCst);
        let (key, amount) = (format!("{seed}-{number}"), i64::try_from(1 + draw.below(900)).unwrap());
        let choice = draw.below(10);
        // The lock makes the order of the reference that of the tenant; other tenants go on beside it.
        let mut account = account.lock().await;
        let before = account.spendable();
        match choice {
            0 | 1 => {
                let made = until_answered!(counted, ledger.mint(community, &key, "grant", amount * 3, None));
                assert!(made.done().is_some());
                account.minted += amount * 3;
            }
            2 => {
                let debits =
                    (0..BURST).map(|at| (format!("{key}-{at}"), i64::try_from(1 + draw.below(300)).unwrap()));
                let debits = debits.collect();
                burst(&ledger, community, &mut account, debits, &counted).await;
            }
            3 | 4 => {
                let made = until_answered!(counted, ledger.debit(community, &key, amount));
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
                let made = until_answered!(counted, ledger.credit_back(community, &key, &debit, amount));
                let expected = (amount > taken - back).then_some(Reason::CreditBackExceedsDebit);
                assert_eq!(made.reason(), expected);
                if made.done().is_some() {
                    account.returned += amount;
                    account.debits.insert(debit, (taken, back + amount));
                }
            }
            6 | 7 => {
                let made = until_answered!(counted, ledger.reserve(community, &key, amount, 3_600));
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
                let made = until_answered!(counted, ledger.finalize(community, &key, &usage));
                let extra = if mode == Mode::Soft { (amount - held).clamp(0, before) } else { 0 };
                let charged = amount.min(held) + extra;
                assert_eq!(made.done().unwrap()["chargedMicro"], charged);
                account.charged += charged;
                account.events += 1;
            }
            _ => {
                let Some((reservation, _)) = account.reserved.pop_last() else { continue };
                let made = until_answered!(counted, ledger.release(community, &reservation));
                assert!(made.done().is_some());
            }
        }
    }
}

/// What dies while a history is made.
#[derive(Debug, Clone, Copy)]
struct Deaths {
    /// Sessions under their callers.
    sessions: u64,
    /// The whole database, now by SIGKILL and now without a checkpoint.
    servers: u64,
}

/// All callers at work; then every balance against the reference, and every invariant.
async fn history(town: &Town, operations: u64, deaths: Deaths) {
    let accounts: Vec<Arc<Mutex<Account>>> = (0..TENANTS).map(|_| Arc::default()).collect();
    let counted = Arc::new(Counted::default());
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let which = caller % TENANTS;
            let account = accounts[usize::try_from(which).unwrap()].clone();
            let (ledger, counted) = (town.ledger.clone(), counted.clone());
            tokio::spawn(call(ledger, tenant(which), account, caller + 1, operations, counted))
        })
        .collect();
    let killed = kill(town, deaths, &counted, CALLERS * operations, || {
        callers.iter().any(|caller| !caller.is_finished())
    })
    .await;
    for caller in callers {
        caller.await.unwrap();
    }
    if deaths.sessions > 0 {
        let unanswered = counted.unanswered.load(Ordering::SeqCst);
        assert!(killed >= deaths.sessions && unanswered > 0, "{killed} sessions were killed");
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

/// Kills sessions under the callers again and again, and the database itself at equal distances. Returns how many
/// sessions.
async fn kill(
    town: &Town,
    deaths: Deaths,
    counted: &Counted,
    operations: u64,
    is_at_work: impl Fn() -> bool,
) -> u64 {
    let cluster = town.ground.cluster;
    let (mut sessions, mut servers, mut client) = (0, 0, town.ground.database.client().await);
    while (sessions < deaths.sessions || servers < deaths.servers) && is_at_work() {
        if servers < deaths.servers
            && counted.answered.load(Ordering::SeqCst) >= operations * (servers + 1) / (deaths.servers + 1)
        {
            if servers % 2 == 0 {
                cluster.kill9().await.unwrap();
            } else {
                cluster.stop_immediate().await.unwrap();
            }
            cluster.launch().await.unwrap();
            servers += 1;
            client = town.ground.database.client().await;
        }
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM (
                     SELECT pid FROM pg_stat_activity
                     WHERE datname = current_database() AND usename = 'arrakis_app' AND state = 'active'
                     ORDER BY random() LIMIT 3) AS victims";
        if sessions < deaths.sessions {
            match client.query_one(sql, &[]).await {
                Ok(row) => sessions += u64::try_from(row.get::<_, i64>(0)).unwrap(),
                // The database itself may have had enough of it.
                Err(_) => client = town.ground.database.client().await,
            }
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(servers, deaths.servers, "the database died as often as it was to");
    sessions
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_operations_of_many_callers_are_what_the_reference_says_though_sessions_die() {
    let town = Town::new(Deployment::Own).await;
    history(&town, OPERATIONS, Deaths { sessions: 20, servers: 0 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_holds_through_a_pooler_in_transaction_mode() {
    let ground = Ground::migrated(Deployment::Own).await;
    let pooler = Pgbouncer::start(ground.cluster, PgbouncerOptions::default()).await.unwrap();
    let application = pooler.url_for(APP, &ground.database);
    let system = ground.database.url_for(SYSTEM);
    let town = Town::with(ground, &application, &system).await;
    history(&town, OPERATIONS / 4, Deaths { sessions: 0, servers: 0 }).await;
}

/// A town whose database may die.
async fn mortal_town() -> Town {
    let ground = Ground::mortal(Deployment::Own).await;
    let (application, system) = (ground.database.url_for(APP), ground.database.url_for(SYSTEM));
    Town::with(ground, &application, &system).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_nothing_done_twice_though_the_database_dies() {
    history(&mortal_town().await, OPERATIONS / 2, Deaths { sessions: 10, servers: 2 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_hundreds_of_thousands_of_operations_are_what_the_reference_says() {
    let is_long = std::env::var_os("TIDEGATE_SOAK").is_some();
    let (operations, deaths) = if is_long {
        (SOAK_OPERATIONS, Deaths { sessions: 500, servers: 40 })
    } else {
        (20, Deaths { sessions: 3, servers: 1 })
    };
    history(&mortal_town().await, operations, deaths).await;
}
