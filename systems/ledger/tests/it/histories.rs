//! Many callers at once, and a history that is checked against what they were told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ledger::notice::STATUSES;
use ledger::{Outcome, Reason};
use serde_json::json;
use testkit::{Pgbouncer, PgbouncerOptions};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::caller::{Account, World};
use crate::ground::{APP, Deployment, Ground, SYSTEM, in_both_deployments};
use crate::model::{Model, Op, Until};
use crate::town::Town;

/// Callers at once, tenants, and operations of each caller; the long form has more operations.
const CALLERS: u64 = 64;
const TENANTS: u64 = 20;
const OPERATIONS: u64 = 160;
const SOAK_OPERATIONS: u64 = 3_200;
/// Debits of one tenant that are asked for at once.
const BURST: u64 = 8;

in_both_deployments!(two_debits_of_one_lot_are_never_both_done, a_key_is_done_once_by_many_at_once);

struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn amount(&mut self, bound: u64) -> i64 {
        i64::try_from(1 + self.below(bound)).unwrap()
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        let many = u64::try_from(of.len()).unwrap();
        if many == 0 { None } else { of.get(usize::try_from(self.below(many)).unwrap()).cloned() }
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

/// The next operation of a caller, by what its tenant has. Most can be done; some are refused, for every reason that there
/// is; some come a second time.
fn next(draw: &mut Draw, model: &Model, key: String, asked: &mut Vec<Op>) -> Op {
    let pending = |is_past: bool| -> Vec<String> {
        let pending =
            model.reservations.iter().filter(|(_, held)| held.status == "pending" && held.is_past == is_past);
        pending.map(|(id, _)| id.clone()).collect()
    };
    if model.is_tripped && draw.below(2) == 0 {
        return Op::ResetBreaker;
    }
    let amount = draw.amount(900);
    let reservations: Vec<String> = model.reservations.keys().cloned().collect();
    let op = match draw.below(100) {
        0..16 => {
            let until = match draw.below(10) {
                0 => Until::Past,
                1..5 => Until::Year(2_060 + amount % 7),
                _ => Until::Ever,
            };
            Op::Mint { key, amount: amount * 3, until }
        }
        16..30 => Op::Debit { key, amount },
        30..35 => {
            let debits = (0..3).map(|at| (format!("{key}-{}", at % 2), 1 + amount * (at % 2) / 3));
            Op::DebitMany { debits: debits.collect() }
        }
        35..43 => {
            let debit = model.debits().next_back().cloned();
            Op::CreditBack {
                key,
                debit: debit.unwrap_or_else(|| "nobody's".to_owned()),
                amount: 1 + amount / 2,
            }
        }
        43..57 => Op::Reserve { id: key, amount },
        57..70 => {
            let open = draw.one(&pending(false));
            let reservation = if draw.below(8) == 0 { draw.one(&reservations) } else { open };
            Op::Finalize {
                id: key,
                reservation: reservation.unwrap_or_else(|| "nobody's".to_owned()),
                cost: amount,
                mode: draw.one(&["live", "shadow", "soft"]).unwrap(),
                fence: (draw.below(3) == 0).then(|| draw.amount(1_000_000)),
            }
        }
        70..75 => {
            let open = draw.one(&pending(false));
            let reservation = if draw.below(4) == 0 { draw.one(&reservations) } else { open };
            Op::Release { reservation: reservation.unwrap_or_else(|| "nobody's".to_owned()) }
        }
        75..77 => {
            let open =
                model.open_lots().into_iter().filter(|lot| !model.lots[*lot].is_past).collect::<Vec<_>>();
            draw.one(&open).map_or(Op::Sweep, |lot| Op::LotPasses { lot })
        }
        77..79 => draw.one(&pending(false)).map_or(Op::Sweep, |id| Op::ReservationPasses { id }),
        79..82 => Op::Sweep,
        82..85 => {
            // Exactly what was used; a little beside it; far from it.
            let drift = [0, 0, 0, 2_000, 6_000][usize::try_from(draw.below(5)).unwrap()];
            Op::Conserve { counted: model.usage() + drift, limit: 100_000 }
        }
        85..87 => Op::AskPayment { id: key },
        87..93 => {
            let ids: Vec<String> = model.payments.keys().cloned().collect();
            let id = if draw.below(12) == 0 { None } else { draw.one(&ids) };
            let status = draw.one(&["finished", "refunded", STATUSES[1], STATUSES[4], STATUSES[7]]).unwrap();
            let id = id.unwrap_or_else(|| "nobody's".to_owned());
            Op::Notice { id, status, is_price: draw.below(6) != 0 }
        }
        93..95 => match draw.below(2) {
            0 => Op::Debit { key, amount: 0 },
            _ => Op::CreditBack { key, debit: "nobody's".to_owned(), amount },
        },
        // Once more, the same or with the same key for something else.
        _ => match (draw.one(asked), draw.below(3) == 0) {
            (Some(Op::Debit { key, amount }), true) => Op::Debit { key, amount: amount + 1 },
            (Some(Op::Mint { key, amount, until }), true) => Op::Mint { key, amount: amount + 1, until },
            (Some(Op::Reserve { id, amount }), true) => Op::Reserve { id, amount: amount + 1 },
            (Some(op), _) => op,
            (None, _) => Op::Sweep,
        },
    };
    let is_kept = matches!(
        op,
        Op::Mint { .. }
            | Op::Debit { .. }
            | Op::DebitMany { .. }
            | Op::CreditBack { .. }
            | Op::Reserve { .. }
            | Op::Finalize { .. }
            | Op::AskPayment { .. }
    );
    if is_kept {
        asked.push(op.clone());
    }
    op
}

/// Several debits at once, each asked until it is answered, in whichever order they are done.
async fn burst(world: &World, community: Uuid, account: &mut Account, debits: Vec<(String, i64)>) {
    let asked = debits.iter().map(|(key, amount)| async move {
        world.until_answered(community, &Op::Debit { key: key.clone(), amount: *amount }).await.0
    });
    let answers = futures_util::future::join_all(asked).await;
    // Whatever the order: together they took what one debit of them all would have taken.
    let (mut done, mut took, mut refused) = (0, std::collections::BTreeMap::new(), Vec::new());
    for ((key, amount), answer) in debits.into_iter().zip(answers) {
        let answer = account.plain(answer);
        if answer["status"] != "debited" {
            refused.push((amount, answer["reason"].clone()));
            continue;
        }
        done += amount;
        let number = |lot: &serde_json::Value| lot["lot"].as_str().unwrap()[4..].parse::<usize>().unwrap();
        let lots: Vec<(usize, i64)> = (answer["lots"].as_array().unwrap().iter())
            .map(|lot| (number(lot), lot["micro"].as_i64().unwrap()))
            .collect();
        assert_eq!(lots.iter().map(|(_, micro)| micro).sum::<i64>(), amount, "{answer}");
        for (lot, micro) in &lots {
            *took.entry(*lot).or_insert(0) += micro;
        }
        assert_eq!(account.model.debited(&key, amount, lots), answer);
    }
    let expected = account.model.take(done).unwrap_or_else(|| panic!("{done} is more than there was"));
    assert_eq!(took, expected.into_iter().filter(|(_, micro)| *micro > 0).collect());
    let left = account.model.spendable();
    let reason = if account.model.is_tripped { "CIRCUIT_OPEN" } else { "BUDGET_EXCEEDED" };
    for (amount, why) in refused {
        assert_eq!(why, reason);
        assert!(account.model.is_tripped || amount > left, "{amount} was refused, and {left} is left");
    }
}

/// One caller's operations on one tenant, which are in one order with those of its other callers.
async fn call(world: Arc<World>, community: Uuid, account: Arc<Mutex<Account>>, seed: u64, operations: u64) {
    let (mut draw, mut asked) = (Draw(seed), Vec::new());
    for number in 0..operations {
        let key = format!("{seed}-{number}");
        // The lock makes the order of the reference that of the tenant; other tenants go on beside it.
        let mut account = account.lock().await;
        if draw.below(20) == 0 {
            let debits = (0..BURST).map(|at| (format!("{key}-{at}"), draw.amount(300))).collect();
            burst(&world, community, &mut account, debits).await;
            continue;
        }
        let op = next(&mut draw, &account.model, key, &mut asked);
        account.perform(&world, community, &op).await;
    }
}

/// What dies while a history is made.
#[derive(Debug, Clone, Copy)]
struct Deaths {
    /// Sessions under the service.
    sessions: u64,
    /// The whole database, now by SIGKILL and now without a checkpoint.
    servers: u64,
    /// The service, by SIGKILL.
    services: u64,
}

/// One tenant's balance, every lot and every payment against the reference.
async fn compare(world: &World, community: Uuid, account: &Account) {
    let (model, mut lots, mut after) = (&account.model, Vec::new(), String::new());
    loop {
        let balance = account.plain(world.get(community, &format!("balance?limit=7{after}")).await);
        assert_eq!(balance["spendableMicro"], model.spendable(), "{community}");
        assert_eq!(balance["reservedMicro"], model.reserved(), "{community}");
        assert_eq!(balance["isOpen"], !model.is_tripped, "{community}");
        lots.extend(balance["lots"].as_array().unwrap().clone());
        match balance["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    let expected: Vec<_> = (model.open_lots().into_iter())
        .map(|at| {
            let lot = &model.lots[at];
            let source = if lot.payment.is_some() { "purchase" } else { "grant" };
            json!({
                "lotId": format!("lot {at}"), "source": source, "status": lot.status.word(), "amountMicro": lot.amount,
                "remainingMicro": lot.left,
            })
        })
        .collect();
    assert_eq!(lots, expected, "{community}: open lots in the order of their spending");
    let every = format!(
        "SELECT coalesce(string_agg(concat_ws(' ', lot.id, lot.status, total.remaining_micro), ',' ORDER BY lot.id::text), '')
         FROM credit_lots AS lot JOIN lot_totals AS total ON total.lot_id = lot.id WHERE lot.community_id = '{community}'"
    );
    let mut expected: Vec<String> = (model.lots.iter().enumerate())
        .map(|(at, lot)| format!("{} {} {}", account.id(at), lot.status.word(), lot.left))
        .collect();
    expected.sort_unstable();
    assert_eq!(world.look(&every).await, expected.join(","), "{community}: every lot");
    let payments = format!(
        "SELECT coalesce(string_agg(payment_id || ' ' || status, ',' ORDER BY payment_id COLLATE \"C\"), '')
         FROM crypto_payments WHERE community_id = '{community}'"
    );
    let expected: Vec<String> =
        model.payments.iter().map(|(id, payment)| format!("{id} {}", payment.status)).collect();
    assert_eq!(world.look(&payments).await, expected.join(","), "{community}: payments");
    let (mut events, mut used) = (0, 0);
    loop {
        let looked = world.ledger.reconcile(community, 7).await.unwrap();
        assert_eq!(looked["driftMicro"], 0, "{community}");
        if looked["events"] == 0 {
            break;
        }
        events += looked["events"].as_i64().unwrap();
        used += looked["amountMicro"].as_i64().unwrap();
    }
    assert_eq!((events, used), (model.events, model.usage()), "{community}: usage");
}

/// All callers at work; then every tenant against the reference, and every invariant.
async fn history(town: &Town, application: &str, operations: u64, deaths: Deaths) {
    let world = World::over(town, application).await;
    let accounts: Vec<Arc<Mutex<Account>>> = (0..TENANTS).map(|_| Arc::default()).collect();
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let which = caller % TENANTS;
            let account = accounts[usize::try_from(which).unwrap()].clone();
            tokio::spawn(call(world.clone(), tenant(which), account, caller + 1, operations))
        })
        .collect();
    let killed = kill(town, &world, deaths, CALLERS * operations, || {
        callers.iter().any(|caller| !caller.is_finished())
    })
    .await;
    for caller in callers {
        caller.await.unwrap();
    }
    if deaths.sessions > 0 {
        let unanswered = world.counted.unanswered.load(Ordering::SeqCst);
        assert!(killed >= deaths.sessions && unanswered > 0, "{killed} sessions were killed");
    }
    for (number, account) in accounts.iter().enumerate() {
        compare(&world, tenant(number as u64), &*account.lock().await).await;
    }
    town.holds().await;
    // A deadlock that was solved behind a caller's back would be told here; where the server died, it forgot.
    let deadlocks = "SELECT deadlocks::text FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(world.look(deadlocks).await, "0");
    if operations >= OPERATIONS / 2 {
        let told = world.counted.words();
        let reasons = Reason::ALL.into_iter().map(Reason::as_str);
        // A payment's lot is minted by notices alone, and the bounds have tests of their own.
        let reasons = reasons.filter(|word| !matches!(*word, "ALREADY_MINTED" | "LIMIT_EXCEEDED"));
        let others = [
            "ALREADY_THERE",
            "minted",
            "debited",
            "credited_back",
            "reserved",
            "finalized",
            "released",
            "waiting",
            "holds",
            "drifted",
            "tripped",
            "processed",
            "duplicate",
            "unknown_payment",
            "amount_mismatch",
            "terminal_state",
            "backward_transition",
        ];
        let missing: BTreeSet<&str> = reasons.chain(others).filter(|word| !told.contains(*word)).collect();
        assert_eq!(missing, BTreeSet::new(), "every answer was among them: {told:?}");
    }
}

/// Kills sessions under the service again and again, and the service and the database themselves at equal distances.
/// Between two deaths of the service another key signs its tokens. Returns how many sessions.
async fn kill(
    town: &Town,
    world: &World,
    deaths: Deaths,
    operations: u64,
    is_at_work: impl Fn() -> bool,
) -> u64 {
    let cluster = town.ground.cluster;
    let (mut sessions, mut servers, mut services) = (0, 0, 0);
    let mut client = town.ground.database.client().await;
    let is_due = |done: u64, of: u64| {
        done < of && world.counted.answered.load(Ordering::SeqCst) >= operations * (done + 1) / (of + 1)
    };
    while (sessions < deaths.sessions || servers < deaths.servers || services < deaths.services)
        && is_at_work()
    {
        if is_due(services, deaths.services) {
            world.service.kill9().await;
            services += 1;
            world.change_key(services).await;
        }
        if is_due(servers, deaths.servers) {
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
    assert_eq!(
        (servers, services),
        (deaths.servers, deaths.services),
        "database and service died as often as they were to"
    );
    sessions
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_operations_of_many_callers_are_what_the_reference_says_though_sessions_die() {
    let town = Town::new(Deployment::Own).await;
    let application = town.ground.database.url_for(APP);
    history(&town, &application, OPERATIONS, Deaths { sessions: 20, servers: 0, services: 2 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_holds_through_a_pooler_in_transaction_mode() {
    let ground = Ground::migrated(Deployment::Own).await;
    let pooler = Pgbouncer::start(ground.cluster, PgbouncerOptions::default()).await.unwrap();
    let application = pooler.url_for(APP, &ground.database);
    let system = ground.database.url_for(SYSTEM);
    let town = Town::with(ground, &application, &system).await;
    history(&town, &application, OPERATIONS / 4, Deaths { sessions: 0, servers: 0, services: 1 }).await;
}

/// A town whose database may die.
async fn mortal_town() -> Town {
    let ground = Ground::mortal(Deployment::Own).await;
    let (application, system) = (ground.database.url_for(APP), ground.database.url_for(SYSTEM));
    Town::with(ground, &application, &system).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_nothing_done_twice_though_database_and_service_die() {
    let town = mortal_town().await;
    let application = town.ground.database.url_for(APP);
    history(&town, &application, OPERATIONS / 2, Deaths { sessions: 10, servers: 2, services: 3 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_hundreds_of_thousands_of_operations_are_what_the_reference_says() {
    let is_long = std::env::var_os("TIDEGATE_SOAK").is_some();
    let (operations, deaths) = if is_long {
        (SOAK_OPERATIONS, Deaths { sessions: 500, servers: 40, services: 40 })
    } else {
        (20, Deaths { sessions: 3, servers: 1, services: 1 })
    };
    let town = mortal_town().await;
    let application = town.ground.database.url_for(APP);
    history(&town, &application, operations, deaths).await;
}
