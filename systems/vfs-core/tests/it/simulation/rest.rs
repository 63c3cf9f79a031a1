//! The end of a simulated world: faults stop, and everything comes to rest.

use std::collections::BTreeSet;
use std::hash::Hash;

use super::op::DEVICES;
use super::world::World;

/// Rounds in which a healed world must come to rest.
const ROUNDS_MAX: u32 = 3;

impl World {
    /// Faults stop. Within a bound every queue is empty and every device is where the feed is.
    pub(crate) fn heal(&mut self) -> Result<(), String> {
        self.server.dies = None;
        for device in &mut self.devices {
            (device.dies, device.network) = (None, None);
            device.lies.clear();
        }
        self.drain()?;
        self.is_healed = true;
        for _ in 0..ROUNDS_MAX {
            for device in 0..DEVICES {
                self.resolve(device, false)?;
                // It may have to start over first: then it is told so once.
                for _ in 0..3 {
                    self.begin(device, true)?;
                    self.drain()?;
                    if self.devices[device].is_settled {
                        break;
                    }
                }
                if !self.devices[device].is_settled {
                    return Err(format!("device {device} did not come to an end without faults"));
                }
            }
        }
        for device in 0..DEVICES {
            while !self.devices[device].client.rejected().is_empty() {
                self.resolve(device, false)?;
            }
            self.at_rest(device)?;
        }
        Ok(())
    }

    pub(super) fn drain(&mut self) -> Result<(), String> {
        while let Some((at, _)) = self.events.keys().next().copied() {
            self.pass(at - self.now)?;
        }
        Ok(())
    }

    /// What must hold of a device at the end.
    pub(super) fn at_rest(&mut self, device: usize) -> Result<(), String> {
        let subject = &self.devices[device];
        let wrong = |what: &str| Err(format!("device {device} at the end: {what}"));
        if !subject.client.pending().is_empty() {
            return wrong("its queue is not empty");
        }
        let export = subject.client.export_state();
        if subject.kept.export != export {
            return wrong("what it kept is not what it has");
        }
        let mine = |id: &str| id.starts_with(subject.who.as_str());
        let (replay, clocks) = self.server.fold(|told| mine(&told.item_id));
        let expected = replay.snapshot();
        let links: Vec<_> =
            export.replay_snapshot.links.iter().filter(|link| mine(&link.child_id)).cloned().collect();
        let acl: Vec<_> =
            export.replay_snapshot.acl.iter().filter(|entry| mine(&entry.item_id)).cloned().collect();
        if links != expected.links || acl != expected.acl {
            return wrong("it is not where the feed is");
        }
        let clocks = clocks.snapshot();
        let known = &export.container_clocks;
        let is_behind = |clock: &&vfs_core::container_clock::ContainerClock| {
            !known
                .iter()
                .any(|known| known.container_id == clock.container_id && known.changed >= clock.changed)
        };
        if let Some(clock) = clocks.iter().find(is_behind) {
            return wrong(&format!("the clock of {} is behind", clock.container_id));
        }
        let received: BTreeSet<&String> = subject.received.iter().collect();
        if received.len() != subject.received.len() {
            return wrong("it read an operation twice");
        }
        let told = self.server.log.iter().filter(|told| mine(&told.item_id));
        if let Some(missed) = told.map(|told| &told.op_id).find(|op_id| !received.contains(op_id)) {
            return wrong(&format!("it never read {missed}"));
        }
        let write_ids = self.server.model.write_ids(&subject.who);
        let known = export.reconcile_state.map(|state| state.last_reconciled_write_ids).unwrap_or_default();
        let is_known = if self.restores == 0 { known == write_ids } else { known.dominates(&write_ids) };
        if !is_known && !self.server.log.is_empty() {
            return wrong("it does not know the last writes");
        }
        for op_id in &subject.promised {
            let times = self.server.applied.get(&(subject.who.clone(), op_id.clone())).copied().unwrap_or(0);
            if times != 1 {
                return wrong(&format!("{op_id} was promised and is in the feed {times} times"));
            }
        }
        if let Some(((_, op_id), times)) = self.server.applied.iter().find(|(_, times)| **times != 1) {
            return wrong(&format!("{op_id} is in the feed {times} times"));
        }
        let text = serde_json::to_string(&subject.client.export_state()).expect("JSON");
        text.hash(&mut self.trace);
        Ok(())
    }
}
