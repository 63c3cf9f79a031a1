//! A simulated world: devices, a network, a server, one clock, and what happens in it.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hasher};

use serde_json::json;
use vfs_core::client::{Begun, Effect, LocalOperation, Mutation};
use vfs_core::{AccessLevel, OpType, PrincipalType, Timestamp};

use super::Report;
use super::device::{Death, Device};
use super::lie::Expected;
use super::network::{Event, Sent};
use super::op::{DEVICES, ITEMS, Op};
use super::random::Random;
use super::server::{Backup, Server, ServerMutation, item};

/// A planted fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Planted {
    Client(Mutation),
    Server(ServerMutation),
}

pub(crate) struct World {
    pub(super) random: Random,
    pub(super) now: i64,
    pub(super) clock: i64,
    pub(super) server: Server,
    pub(super) backup: Option<Backup>,
    /// How often the server was restored.
    pub(super) restores: u32,
    pub(super) devices: Vec<Device>,
    pub(super) events: BTreeMap<(i64, u64), Sent>,
    pub(super) scheduled: u64,
    pub(super) delivered: u64,
    pub(super) named: u64,
    pub(super) counters: BTreeMap<String, u64>,
    pub(super) trace: DefaultHasher,
    pub(super) exchanges: u64,
    pub(super) is_told: bool,
    /// Whether faults have stopped.
    pub(super) is_healed: bool,
}

fn epoch() -> Timestamp {
    "2026-02-14T12:00:00.000Z".parse().expect("a time")
}

fn own(who: &str, index: usize) -> String {
    format!("{who}-{index}")
}

impl World {
    pub(crate) fn new(mut random: Random, planted: Option<Planted>, is_told: bool) -> Self {
        let owned: Vec<(&str, String)> = ["alice", "bob"]
            .into_iter()
            .flat_map(|who| (0..ITEMS).map(move |index| (who, own(who, index))))
            .collect();
        let (client, server) = match planted {
            Some(Planted::Client(mutation)) => (Some(mutation), None),
            Some(Planted::Server(mutation)) => (None, Some(mutation)),
            None => (None, None),
        };
        let mut device = |who, id| Device::new(who, id, 1 + random.below(4) as usize, client);
        let devices = vec![device("alice", "desktop"), device("alice", "mobile"), device("bob", "tablet")];
        assert_eq!(devices.len(), DEVICES);
        Self {
            random,
            now: 0,
            clock: 0,
            server: Server::new(epoch(), &owned, server),
            backup: None,
            restores: 0,
            devices,
            events: BTreeMap::new(),
            scheduled: 0,
            delivered: 0,
            named: 0,
            counters: BTreeMap::new(),
            trace: DefaultHasher::new(),
            exchanges: 0,
            is_told,
            is_healed: false,
        }
    }

    pub(crate) fn report(self) -> Report {
        Report { counters: self.counters, trace: self.trace.finish(), exchanges: self.exchanges }
    }

    pub(super) fn count(&mut self, name: &str) {
        match self.counters.get_mut(name) {
            Some(times) => *times += 1,
            None => {
                self.counters.insert(name.to_owned(), 1);
            }
        }
    }

    pub(super) fn tell(&self, what: impl FnOnce() -> String) {
        if self.is_told {
            println!("{:>8} {}", self.now, what());
        }
    }

    pub(super) fn server_now(&self) -> Timestamp {
        epoch().plus_millisecond(self.now + self.clock)
    }

    /// Lets one thing happen.
    pub(crate) fn perform(&mut self, op: Op) -> Result<(), String> {
        self.tell(|| format!("{op:?}"));
        match op {
            Op::Wait { milliseconds } => self.pass(milliseconds)?,
            Op::Queue { device, item, kind, is_foreign } => self.queue(device, item, kind, is_foreign)?,
            Op::Flush { device } => self.begin(device, true)?,
            Op::Sync { device } => self.begin(device, false)?,
            Op::Network { device, fault } => self.devices[device].network = Some(fault),
            Op::Crash { device, after_keeping } => {
                let death = if after_keeping { Death::AfterKeeping } else { Death::BeforeKeeping };
                self.devices[device].dies = Some(death);
            }
            Op::DiskFull { device } => self.devices[device].dies = Some(Death::DiskFull),
            Op::TakeUpOld { device, back } => self.take_up_old(device, back)?,
            Op::TakeUpCorrupted { device, fault } => self.take_up_corrupted(device, fault)?,
            Op::ServerCrash { after_commit } => self.server.dies = Some(after_commit),
            Op::ClockJump { device, by } => {
                self.devices[device].clock += by;
                self.count("clock of a device jumped");
            }
            Op::ServerClockJump { by } => {
                self.clock += by;
                self.count("clock of the server jumped");
            }
            Op::Lie { device, lie } => {
                self.devices[device].lies.push(lie);
                self.begin(device, true)?;
            }
            Op::Share { item } => {
                let (now, number) = (self.server_now(), self.scheduled);
                if self.server.share(now, &own("alice", item), number) {
                    self.count("shared");
                }
            }
            Op::Revoke { item } => {
                let now = self.server_now();
                if self.server.revoke(now, &own("alice", item)) {
                    self.count("revoked");
                }
            }
            Op::Compact { rows } => {
                if self.server.compact(rows) > 0 {
                    self.count("compacted");
                }
            }
            Op::Backup => self.backup = Some(self.server.backup()),
            Op::Restore => self.restore(),
            Op::Resolve { device, is_retry } => self.resolve(device, is_retry)?,
        }
        Ok(())
    }

    pub(super) fn queue(
        &mut self,
        device: usize,
        index: usize,
        kind: u8,
        is_foreign: bool,
    ) -> Result<(), String> {
        self.named += 1;
        let who = self.devices[device].who.to_string();
        let other = if who == "alice" { "bob" } else { "alice" };
        let about = own(if is_foreign { other } else { &who }, index);
        let place = format!("folder-{}", self.random.below(3));
        let local = match kind {
            0 => LocalOperation::link(OpType::LinkAdd, &place, &about),
            1 => LocalOperation::link(OpType::LinkRemove, &place, &about),
            2 => LocalOperation::grant(&about, PrincipalType::Group, &place, AccessLevel::Write),
            _ => LocalOperation::revoke(&about, PrincipalType::Group, &place),
        };
        let name = format!("op-{}", self.named);
        let now = epoch().plus_millisecond(self.now + self.devices[device].clock);
        let subject = &mut self.devices[device];
        subject.client.queue_local_operation(&local.named(&name), now).map_err(|error| error.to_string())?;
        // The user is told that it is queued only once that is kept.
        if self.keep(device)? {
            self.devices[device].promised.insert(name);
        }
        Ok(())
    }

    /// The server is set back. Connections break, and what only it had is lost.
    fn restore(&mut self) {
        let Some(backup) = &self.backup else { return };
        self.server.restore(backup);
        self.restores += 1;
        self.events.retain(|_, sent| matches!(sent.event, Event::GivesUp));
        for device in &mut self.devices {
            let export = device.client.export_state();
            let waiting = export.pending_operations.iter();
            let waiting = waiting.chain(export.rejected_operations.iter().map(|kept| &kept.operation));
            let waiting: BTreeSet<&str> = waiting.map(|queued| queued.operation.op_id.as_str()).collect();
            let (applied, who) = (&self.server.applied, device.who.clone());
            device.promised.retain(|op_id| {
                waiting.contains(op_id.as_str()) || applied.contains_key(&(who.clone(), op_id.clone()))
            });
        }
        self.count("server restored");
    }

    pub(super) fn begin(&mut self, device: usize, is_flush: bool) -> Result<(), String> {
        let subject = &mut self.devices[device];
        let begun = if subject.must_start_over {
            subject.client.rematerialize()
        } else if is_flush {
            subject.client.flush()
        } else {
            subject.client.sync()
        };
        if let Begun::Now(effects) = begun {
            subject.earlier.clear();
            subject.stale = 0;
            subject.is_settled = false;
            subject.is_starting_over = subject.must_start_over;
            self.effects(device, effects, &Expected::Nothing)?;
        }
        Ok(())
    }

    /// A new life from what was kept. What was promised to the user is in it, or settled.
    pub(super) fn restart(&mut self, device: usize) -> Result<(), String> {
        self.devices[device].reborn();
        let state = serde_json::to_value(&self.devices[device].kept.export).expect("JSON");
        let effects = self.devices[device].client.hydrate(&state);
        if !matches!(effects.as_slice(), [Effect::Persist, Effect::Finished(Ok(_))]) {
            return Err(format!("a kept state was not taken up: {effects:?}"));
        }
        if self.devices[device].client.export_state() != self.devices[device].kept.export {
            return Err("a state that was taken up is not the one that was kept".to_owned());
        }
        self.devices[device].refloor();
        self.devices[device].check_floor()
    }

    pub(super) fn take_up_old(&mut self, device: usize, back: usize) -> Result<(), String> {
        let subject = &mut self.devices[device];
        let Some(at) = subject.older.len().checked_sub(back) else { return Ok(()) };
        // Whoever does this loses what was only queued since; that is theirs to know.
        let ids = |export: &vfs_core::client::ExportedState| -> BTreeSet<String> {
            let waiting = export.pending_operations.iter();
            let rejected = export.rejected_operations.iter().map(|kept| &kept.operation);
            waiting.chain(rejected).map(|queued| queued.operation.op_id.to_string()).collect()
        };
        let (now, then) = (ids(&subject.client.export_state()), ids(&subject.older[at].export));
        subject.promised.retain(|op_id| then.contains(op_id) || !now.contains(op_id));
        subject.kept = subject.older[at].clone();
        subject.older.truncate(at);
        self.count("old export taken up");
        self.restart(device)
    }

    pub(super) fn take_up_corrupted(&mut self, device: usize, fault: u8) -> Result<(), String> {
        self.devices[device].reborn();
        let mut state = serde_json::to_value(&self.devices[device].kept.export).expect("JSON");
        match fault {
            0 => state["nextLocalWriteId"] = json!(0),
            1 => {
                state["replaySnapshot"]["cursor"] =
                    json!({ "changedAt": "9000-01-01T00:00:00Z", "changeId": "z" })
            }
            2 => state["pendingOperations"] = json!([7]),
            _ => state["containerClocks"] = json!([{ "containerId": "x" }]),
        }
        if fault == 1 && state["reconcileState"].is_null() {
            state["reconcileState"] = json!({ "cursor": null });
        }
        let subject = &mut self.devices[device];
        let before = subject.client.export_state();
        let effects = subject.client.hydrate(&state);
        let told: Vec<String> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Tell(notice) => Some(notice.signature()),
                _ => None,
            })
            .collect();
        let error = effects.iter().find_map(|effect| match effect {
            Effect::Finished(Err(error)) => Some(error),
            _ => None,
        });
        Expected::Guardrail("hydrate:hydrateGuardrailViolation").judge(error, &told)?;
        if subject.client.export_state() != before {
            return Err("a failed hydrate changed the client".to_owned());
        }
        self.count("guardrail hydrate:hydrateGuardrailViolation");
        self.count("corrupted export refused");
        self.restart(device)
    }

    pub(super) fn resolve(&mut self, device: usize, is_retry: bool) -> Result<(), String> {
        let kept = self.devices[device].client.rejected().iter();
        let ids: Vec<String> = kept.map(|kept| kept.operation.operation.op_id.to_string()).collect();
        for op_id in ids {
            let subject = &mut self.devices[device];
            if is_retry {
                subject.client.retry_rejected(&op_id).map_err(|error| error.to_string())?;
                self.count("retried");
            } else {
                subject.client.undo_rejected(&op_id).map_err(|error| error.to_string())?;
                self.keep(device)?;
                let subject = &mut self.devices[device];
                let is_gone = !subject
                    .client
                    .rejected()
                    .iter()
                    .any(|kept| kept.operation.operation.op_id.as_str() == op_id);
                if is_gone {
                    subject.promised.remove(&op_id);
                    self.count("undone");
                }
                return Ok(());
            }
        }
        self.keep(device)?;
        Ok(())
    }
}

/// A name that belongs to nobody is no item of the model.
#[test]
fn items_of_the_world_are_items() {
    assert_eq!(item(&own("alice", 0)).as_str(), "alice-0");
}
