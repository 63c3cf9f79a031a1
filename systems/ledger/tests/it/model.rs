//! The ledger as one would keep it on paper: the reference of the histories. No database, no clock, no ids of a server's.
//!
//! Time passes by being told so. An operation is answered as over HTTP, with lots by their numbers.

use std::collections::{BTreeMap, BTreeSet};

use ledger::conservation::{Verdict, judge};
use ledger::notice::STATUSES;
use ledger::payments::may_move;
use serde_json::{Value, json};

/// What every payment costs here.
pub(crate) const DOLLARS: &str = "29.99";
const PAYMENT_MICRO: i64 = 29_990_000;

/// Until when a lot can be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Until {
    /// It is over before it begins.
    Past,
    /// Ninety days, as what was paid for.
    Paid,
    /// A year that is far away.
    Year(i64),
    Ever,
}

/// What somebody asks for, or what happens to a tenant.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Mint { key: String, amount: i64, until: Until },
    Debit { key: String, amount: i64 },
    DebitMany { debits: Vec<(String, i64)> },
    CreditBack { key: String, debit: String, amount: i64 },
    Reserve { id: String, amount: i64 },
    Finalize { id: String, reservation: String, cost: i64, mode: &'static str, fence: Option<i64> },
    Release { reservation: String },
    LotPasses { lot: usize },
    ReservationPasses { id: String },
    Sweep,
    Conserve { counted: i64, limit: i64 },
    ResetBreaker,
    AskPayment { id: String },
    Notice { id: String, status: &'static str, is_price: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LotStatus {
    Active,
    Depleted,
    Expired,
}

impl LotStatus {
    pub(crate) fn word(self) -> &'static str {
        match self {
            LotStatus::Active => "active",
            LotStatus::Depleted => "depleted",
            LotStatus::Expired => "expired",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Lot {
    pub(crate) until: Until,
    pub(crate) amount: i64,
    pub(crate) left: i64,
    pub(crate) is_past: bool,
    pub(crate) status: LotStatus,
    pub(crate) payment: Option<String>,
}

/// What was taken from which lots, in the order of taking.
type Taken = Vec<(usize, i64)>;

#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) amount: i64,
    lots: Taken,
    /// `pending`, `finalized`, `released` or `expired`.
    pub(crate) status: &'static str,
    pub(crate) is_past: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Payment {
    pub(crate) status: &'static str,
    lot: Option<usize>,
    seen: BTreeSet<&'static str>,
}

#[derive(Debug, Clone)]
struct Debited {
    amount: i64,
    lots: Taken,
    returned: i64,
}

/// One tenant.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    pub(crate) lots: Vec<Lot>,
    debits: BTreeMap<String, Debited>,
    pub(crate) reservations: BTreeMap<String, Held>,
    pub(crate) payments: BTreeMap<String, Payment>,
    /// What was done under a key: what was asked, and what was answered.
    known: BTreeMap<String, (String, Value)>,
    fence: Option<i64>,
    pub(crate) events: i64,
    used: i64,
    pub(crate) is_tripped: bool,
}

fn refused(reason: &str) -> Value {
    json!({ "reason": reason })
}

fn told(lots: &[(usize, i64)]) -> Value {
    lots.iter().map(|(lot, micro)| json!({ "lot": format!("lot {lot}"), "micro": micro })).collect()
}

impl Model {
    pub(crate) fn spendable(&self) -> i64 {
        self.lots
            .iter()
            .filter(|lot| !lot.is_past && lot.status != LotStatus::Expired)
            .map(|lot| lot.left)
            .sum()
    }

    pub(crate) fn reserved(&self) -> i64 {
        self.reservations.values().filter(|held| held.status == "pending").map(|held| held.amount).sum()
    }

    /// Keys of debits, for whoever wants something back.
    pub(crate) fn debits(&self) -> impl DoubleEndedIterator<Item = &String> {
        self.debits.keys()
    }

    /// What all uses were charged, in micro-dollars.
    pub(crate) fn usage(&self) -> i64 {
        self.used
    }

    /// The numbers of lots of which something is left, in the order of their spending.
    pub(crate) fn open_lots(&self) -> Vec<usize> {
        let mut open: Vec<usize> = (0..self.lots.len()).filter(|at| self.lots[*at].left > 0).collect();
        // The past was put on one day, long ago; a lot that ended by its status is before all.
        open.sort_by_key(|at| {
            let lot = &self.lots[*at];
            match (lot.status, lot.is_past) {
                (LotStatus::Expired, _) => (0, Until::Past, *at),
                (_, true) => (1, Until::Past, *at),
                _ => (2, lot.until, *at),
            }
        });
        open
    }

    /// Takes an amount, all of it or nothing.
    pub(crate) fn take(&mut self, amount: i64) -> Option<Taken> {
        if amount > self.spendable() {
            return None;
        }
        let (mut needed, mut taken) = (amount, Vec::new());
        for at in self.open_lots() {
            let lot = &mut self.lots[at];
            if lot.is_past || lot.status == LotStatus::Expired || needed == 0 {
                continue;
            }
            let part = needed.min(lot.left);
            lot.left -= part;
            needed -= part;
            if lot.left == 0 {
                lot.status = LotStatus::Depleted;
            }
            taken.push((at, part));
        }
        Some(taken)
    }

    fn give_back(&mut self, lots: &[(usize, i64)], amount: i64, skip: i64) {
        let (mut left_over, mut skipping) = (amount, skip);
        for (at, micro) in lots.iter().rev() {
            let back = (micro - skipping.min(*micro)).min(left_over);
            skipping -= skipping.min(*micro);
            left_over -= back;
            let lot = &mut self.lots[*at];
            let is_refunded =
                lot.payment.as_ref().is_some_and(|payment| self.payments[payment].status == "refunded");
            // What comes back to a lot that is over is over at once.
            if !(lot.is_past || lot.status == LotStatus::Expired || is_refunded) {
                lot.left += back;
            }
        }
        assert_eq!(left_over, 0, "more would come back than was taken");
    }

    fn known(&self, key: &str, asked: &str) -> Option<Value> {
        let (before, answer) = self.known.get(key)?;
        Some(if before == asked { answer.clone() } else { refused("IDEMPOTENCY_CONFLICT") })
    }

    fn done(&mut self, key: &str, asked: &str, answer: Value) -> Value {
        self.known.insert(key.to_owned(), (asked.to_owned(), answer.clone()));
        answer
    }

    fn lot(&mut self, amount: i64, until: Until, payment: Option<String>) -> usize {
        self.lots.push(Lot {
            until,
            amount,
            left: amount,
            is_past: false,
            status: LotStatus::Active,
            payment,
        });
        self.lots.len() - 1
    }

    /// Notes a debit that took these lots.
    pub(crate) fn debited(&mut self, key: &str, amount: i64, lots: Taken) -> Value {
        let answer = json!({ "status": "debited", "amountMicro": amount, "lots": told(&lots) });
        self.debits.insert(key.to_owned(), Debited { amount, lots, returned: 0 });
        self.done(&format!("debit:{key}"), &amount.to_string(), answer)
    }

    fn debit(&mut self, key: &str, amount: i64) -> Value {
        // The service looks at what a request says before it looks for its key.
        if amount <= 0 {
            return refused("INVALID_AMOUNT");
        }
        if let Some(answer) = self.known(&format!("debit:{key}"), &amount.to_string()) {
            return answer;
        }
        if self.is_tripped {
            return refused("CIRCUIT_OPEN");
        }
        match self.take(amount) {
            Some(lots) => self.debited(key, amount, lots),
            None => json!({ "reason": "BUDGET_EXCEEDED", "availableMicro": self.spendable() }),
        }
    }

    fn credit_back(&mut self, key: &str, debit: &str, amount: i64) -> Value {
        let (name, asked) = (format!("credit_back:{key}"), format!("{debit} {amount}"));
        if let Some(answer) = self.known(&name, &asked) {
            return answer;
        }
        let Some(debited) = self.debits.get(debit).cloned() else { return refused("UNKNOWN_DEBIT") };
        let returnable = debited.amount - debited.returned;
        if amount > returnable {
            return json!({ "reason": "CREDIT_BACK_EXCEEDS_DEBIT", "returnableMicro": returnable });
        }
        self.give_back(&debited.lots, amount, debited.returned);
        self.debits.get_mut(debit).unwrap().returned += amount;
        self.done(&name, &asked, json!({ "status": "credited_back", "amountMicro": amount }))
    }

    fn reserve(&mut self, id: &str, amount: i64) -> Value {
        match self.reservations.get(id) {
            Some(held) if held.amount != amount => return refused("IDEMPOTENCY_CONFLICT"),
            Some(_) => {}
            None if self.is_tripped => return refused("CIRCUIT_OPEN"),
            None => {
                let Some(lots) = self.take(amount) else {
                    return json!({ "reason": "BUDGET_EXCEEDED", "availableMicro": self.spendable() });
                };
                let held = Held { amount, lots, status: "pending", is_past: false };
                self.reservations.insert(id.to_owned(), held);
            }
        }
        json!({ "status": "reserved", "amountMicro": amount })
    }

    fn finalize(&mut self, id: &str, reservation: &str, cost: i64, mode: &str, fence: Option<i64>) -> Value {
        let (name, asked) = (format!("finalize:{id}"), format!("{reservation} {cost} {mode}"));
        if let Some(answer) = self.known(&name, &asked) {
            return answer;
        }
        let Some(held) = self.reservations.get(reservation).cloned() else {
            return refused("UNKNOWN_RESERVATION");
        };
        if held.status != "pending" || held.is_past {
            let status = if held.status == "pending" { "expired" } else { held.status };
            return json!({ "reason": "INVALID_STATE", "status": status });
        }
        if let Some(fence) = fence {
            if self.fence.is_some_and(|known| known >= fence) {
                return refused("STALE_FENCE");
            }
            self.fence = Some(fence);
        }
        let (mut charged, mut uncovered) = (cost.min(held.amount), 0);
        let mut overrun = cost - charged;
        if cost < held.amount {
            self.give_back(&held.lots, held.amount - cost, 0);
        } else if mode == "soft" && overrun > 0 {
            let extra = if self.is_tripped { 0 } else { overrun.min(self.spendable()) };
            self.take(extra).expect("that much is there");
            charged += extra;
            uncovered = overrun - extra;
        } else if mode == "live" {
            overrun = 0;
        }
        self.events += 1;
        self.used += charged;
        self.reservations.get_mut(reservation).unwrap().status = "finalized";
        let answer = json!({
            "status": "finalized", "seq": self.events, "costMicro": cost, "chargedMicro": charged,
            "overrunMicro": overrun, "uncoveredMicro": uncovered,
        });
        self.done(&name, &asked, answer)
    }

    fn release(&mut self, reservation: &str) -> Value {
        let Some(held) = self.reservations.get(reservation).cloned() else {
            return refused("UNKNOWN_RESERVATION");
        };
        match held.status {
            "released" => {}
            "pending" => {
                self.give_back(&held.lots, held.amount, 0);
                self.reservations.get_mut(reservation).unwrap().status = "released";
            }
            status => return json!({ "reason": "INVALID_STATE", "status": status }),
        }
        json!({ "status": "released", "amountMicro": held.amount })
    }

    fn sweep(&mut self) -> Value {
        let due: Vec<(String, Held)> = (self.reservations.iter())
            .filter(|(_, held)| held.status == "pending" && held.is_past)
            .map(|(id, held)| (id.clone(), held.clone()))
            .collect();
        for (id, held) in &due {
            self.give_back(&held.lots, held.amount, 0);
            self.reservations.get_mut(id).unwrap().status = "expired";
        }
        let (mut lots, mut expired) = (0, 0);
        let over = self.lots.iter_mut().filter(|lot| lot.is_past);
        for lot in over.filter(|lot| lot.status == LotStatus::Active || lot.left > 0) {
            (lots, expired, lot.left) = (lots + 1, expired + lot.left, 0);
            if lot.status == LotStatus::Active {
                lot.status = LotStatus::Expired;
            }
        }
        json!({ "reservations": due.len(), "lots": lots, "expiredMicro": expired })
    }

    fn conserve(&mut self, counted: i64, limit: i64) -> Value {
        let verdict = judge(counted, self.used, limit);
        self.is_tripped |= verdict == Verdict::Tripped;
        json!({
            "verdict": verdict.as_str(), "driftMicro": (counted - self.used).abs(), "countedMicro": counted,
            "journalMicro": self.used, "limitMicro": limit,
        })
    }

    fn notice(&mut self, id: &str, status: &'static str, is_price: bool) -> Value {
        let said = |status: &str, reason: &str| json!({ "status": status, "reason": reason });
        let Some(payment) = self.payments.get(id).cloned() else { return said("refused", "unknown_payment") };
        if payment.seen.contains(status) {
            return json!({ "status": "duplicate" });
        }
        if !is_price {
            return json!({ "status": "refused", "reason": "amount_mismatch", "expectedUsd": DOLLARS });
        }
        let old = payment.status;
        self.payments.get_mut(id).unwrap().seen.insert(status);
        if !may_move(old, status) {
            let is_over = matches!(old, "finished" | "expired" | "failed" | "refunded");
            return said("skipped", if is_over { "terminal_state" } else { "backward_transition" });
        }
        let mut minted = 0;
        match (status, payment.lot) {
            ("finished", _) => {
                minted = PAYMENT_MICRO;
                let lot = self.lot(minted, Until::Paid, Some(id.to_owned()));
                self.payments.get_mut(id).unwrap().lot = Some(lot);
            }
            ("refunded", Some(lot)) => self.lots[lot].left = 0,
            _ => {}
        }
        self.payments.get_mut(id).unwrap().status = status;
        json!({ "status": "processed", "mintedMicro": minted })
    }

    /// Does it, and says what is answered.
    pub(crate) fn apply(&mut self, op: &Op) -> Value {
        match op {
            Op::Mint { key, amount, until } => {
                let (name, asked) = (format!("mint:{key}"), format!("{amount} {until:?}"));
                if let Some(answer) = self.known(&name, &asked) {
                    return answer;
                }
                if *until == Until::Past {
                    return refused("ALREADY_EXPIRED");
                }
                let lot = self.lot(*amount, *until, None);
                let answer =
                    json!({ "status": "minted", "lotId": format!("lot {lot}"), "amountMicro": amount });
                self.done(&name, &asked, answer)
            }
            Op::Debit { key, amount } => self.debit(key, *amount),
            Op::DebitMany { debits } => {
                let answers: Vec<Value> =
                    debits.iter().map(|(key, amount)| self.debit(key, *amount)).collect();
                json!({ "answers": answers })
            }
            Op::CreditBack { key, debit, amount } => self.credit_back(key, debit, *amount),
            Op::Reserve { id, amount } => self.reserve(id, *amount),
            Op::Finalize { id, reservation, cost, mode, fence } => {
                self.finalize(id, reservation, *cost, mode, *fence)
            }
            Op::Release { reservation } => self.release(reservation),
            Op::LotPasses { lot } => {
                self.lots[*lot].is_past = true;
                Value::Null
            }
            Op::ReservationPasses { id } => {
                self.reservations.get_mut(id).unwrap().is_past = true;
                Value::Null
            }
            Op::Sweep => self.sweep(),
            Op::Conserve { counted, limit } => self.conserve(*counted, *limit),
            Op::ResetBreaker => std::mem::take(&mut self.is_tripped).into(),
            Op::AskPayment { id } => {
                if self.payments.contains_key(id) {
                    return refused("ALREADY_THERE");
                }
                let payment = Payment { status: STATUSES[0], lot: None, seen: BTreeSet::new() };
                self.payments.insert(id.clone(), payment);
                json!({ "paymentId": id, "status": "waiting" })
            }
            Op::Notice { id, status, is_price } => self.notice(id, status, *is_price),
        }
    }

    /// What is answered to one that was done, and is asked again because its answer was lost; null: the same.
    pub(crate) fn again(op: &Op) -> Value {
        match op {
            Op::Sweep => json!({ "reservations": 0, "lots": 0, "expiredMicro": 0 }),
            Op::ResetBreaker => false.into(),
            Op::AskPayment { .. } => refused("ALREADY_THERE"),
            Op::Notice { .. } => json!({ "status": "duplicate" }),
            _ => Value::Null,
        }
    }

    /// How many lots there are; the next one has this number.
    pub(crate) fn next_lot(&self) -> usize {
        self.lots.len()
    }
}
