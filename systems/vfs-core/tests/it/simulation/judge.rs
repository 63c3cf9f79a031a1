//! What a device makes of an answer, and what must hold of it.

use std::collections::BTreeSet;
use std::hash::Hash;

use serde_json::Value;
use vfs_core::client::diff::diff;
use vfs_core::client::{
    ClientError, Effect, EpochError, Notice, Outcome, QueuedOperation, Reply, ReplyBody, Request, RequestId,
};
use vfs_core::feed::FeedItem;

use super::device::Death;
use super::lie::{Expected, Lie};
use super::world::World;

impl World {
    /// Gives a device the answer that it waits for, and judges what it makes of it.
    pub(super) fn reply(
        &mut self,
        device: usize,
        id: RequestId,
        reply: Reply,
        expected: &Expected,
        request: Option<&Request>,
    ) -> Result<(), String> {
        let mut expected = expected.clone();
        let read: Vec<FeedItem> = match &reply.body {
            ReplyBody::Pulled(page) if expected == Expected::Nothing => page.items.to_vec(),
            _ => Vec::new(),
        };
        let ends_cycle = matches!(&reply.body, ReplyBody::Pulled(page) if !page.has_more);
        let mut is_exhausting = false;
        if let ReplyBody::Pushed(Value::Array(results)) = &reply.body
            && expected == Expected::Nothing
        {
            let has = |status: &str| results.iter().any(|result| result["status"] == status);
            let (stale, known) = (has("staleWriteId"), has("alreadyApplied"));
            self.devices[device].stale = if stale { self.devices[device].stale + 1 } else { 0 };
            is_exhausting = self.devices[device].stale == 3;
            if known {
                self.count("already applied");
            }
        }
        if is_exhausting {
            expected = Expected::Guardrail("flush:staleWriteRecoveryExhausted");
            self.devices[device].lies.retain(|lie| *lie != Lie::AlwaysStale);
        }
        let is_snapshot = matches!(reply.body, ReplyBody::Snapshot(_));
        let was_stale = self.devices[device].stale;
        let subject = &mut self.devices[device];
        subject.out = None;
        let before = subject.client.export_state();
        let effects = subject.client.reply(id, reply);
        if !subject.client.is_busy() && effects.is_empty() {
            return Err("an answer came to nothing".to_owned());
        }
        let after = subject.client.export_state();
        let failure = effects.iter().find_map(|effect| match effect {
            Effect::Finished(Err(error)) if !matches!(error, ClientError::Rejected { .. }) => {
                Some(error.clone())
            }
            _ => None,
        });
        if let Some(error) = &failure
            && after != before
        {
            return Err(format!("a failed attempt changed the state: {error}: {:?}", diff(&before, &after)));
        }
        if !is_snapshot {
            let compared = diff(&before, &after);
            if !compared.is_legal() {
                return Err(format!("what changed may not: {:?}", compared.breaches));
            }
        }
        if failure.is_none() {
            subject.received.extend(read.iter().map(|item| item.op_id.clone()));
            subject.earlier.extend(read);
        }
        if ends_cycle {
            subject.earlier.clear();
        }
        if is_snapshot && failure.is_none() {
            if subject.is_starting_over {
                subject.refloor();
            }
            self.taken_anew(device);
        }
        self.settled(device, &before.pending_operations, request)?;
        if was_stale > 0 && failure.is_none() && matches!(request, Some(Request::Push { .. })) {
            self.count("stale write recovered");
        }
        self.effects(device, effects, &expected)
    }

    /// A device has taken the state anew: it has read everything up to there.
    pub(super) fn taken_anew(&mut self, device: usize) {
        self.count("state taken anew");
        let cursor = self.devices[device].client.cursor().cloned();
        let read = self.server.log.iter().filter(|told| told.cursor() <= cursor);
        let read: Vec<String> = read.map(|told| told.op_id.clone()).collect();
        self.devices[device].received = read;
        self.devices[device].restores = self.restores;
        self.devices[device].earlier.clear();
    }

    /// What left the queue is in the feed, once, or among the rejected operations.
    pub(super) fn settled(
        &mut self,
        device: usize,
        before: &[QueuedOperation],
        request: Option<&Request>,
    ) -> Result<(), String> {
        let subject = &self.devices[device];
        let still: BTreeSet<&str> =
            subject.client.pending().iter().map(|queued| queued.operation.op_id.as_str()).collect();
        let kept: BTreeSet<&str> =
            subject.client.rejected().iter().map(|kept| kept.operation.operation.op_id.as_str()).collect();
        let mut rejected = 0;
        for queued in before {
            let op_id = queued.operation.op_id.as_str();
            if still.contains(op_id) {
                continue;
            }
            if !matches!(request, Some(Request::Push { .. })) {
                return Err(format!("{op_id} left the queue though nothing was pushed"));
            }
            if kept.contains(op_id) {
                rejected += 1;
                if queued.operation.item_id.as_str().starts_with(subject.who.as_str()) {
                    return Err(format!("{op_id} was rejected though it is on an own item"));
                }
                continue;
            }
            let times = self.server.applied.get(&(subject.who.clone(), op_id.to_owned())).copied();
            if times != Some(1) {
                return Err(format!(
                    "{op_id} left the queue and is in the feed {} times",
                    times.unwrap_or(0)
                ));
            }
        }
        for _ in 0..rejected {
            self.count("rejected");
        }
        Ok(())
    }

    /// Does effects in their order, and judges what was told and how it ended.
    pub(super) fn effects(
        &mut self,
        device: usize,
        effects: Vec<Effect>,
        expected: &Expected,
    ) -> Result<(), String> {
        let mut told = Vec::new();
        let ended = effects.iter().find_map(|effect| match effect {
            Effect::Finished(ended) => Some(ended.clone()),
            _ => None,
        });
        for effect in &effects {
            if let Effect::Tell(notice) = effect {
                told.push(notice.signature());
                if let Notice::Guardrail(violation) = notice {
                    self.count(&format!("guardrail {}", violation.signature()));
                }
            }
        }
        self.tell(|| format!("device {device}: told {told:?}, ended {ended:?}"));
        let error = ended.as_ref().and_then(|ended| ended.as_ref().err());
        if self.is_excused(device, error, &told) {
            self.devices[device].must_start_over = true;
            self.count("stopped at a restored server");
        } else {
            expected.judge(error, &told)?;
        }
        (device, told.len(), ended.is_some()).hash(&mut self.trace);
        self.devices[device].client.cursor().hash(&mut self.trace);
        let mut is_first = true;
        for effect in effects {
            match effect {
                Effect::Tell(_) => {}
                Effect::Persist => {
                    if is_first && !self.keep(device)? {
                        // It died; nothing that follows is done.
                        return Ok(());
                    }
                    is_first = false;
                }
                Effect::Send { id, request } => {
                    if self.devices[device].kept.export != self.devices[device].client.export_state() {
                        return Err("a request is sent before the state is kept".to_owned());
                    }
                    self.send(device, id, request);
                }
                Effect::Finished(ended) => self.ended(device, ended, expected)?,
            }
        }
        self.devices[device].check_floor()
    }

    /// Whether a device says that the server was restored, and it was: in so many words, or since writes that it knows of
    /// are lost.
    fn is_excused(&self, device: usize, error: Option<&ClientError>, told: &[String]) -> bool {
        let may_be_ahead = self.restores > self.devices[device].restores;
        may_be_ahead
            && match error {
                Some(ClientError::Epoch(EpochError::Ahead { .. })) => {
                    told.iter().all(|told| told.ends_with("Required"))
                }
                Some(error) => {
                    error.signature().as_deref() == Some("pull:lastWriteIdRegression")
                        && told == ["pull:lastWriteIdRegression"]
                }
                None => false,
            }
    }

    pub(super) fn ended(
        &mut self,
        device: usize,
        ended: Result<Outcome, ClientError>,
        expected: &Expected,
    ) -> Result<(), String> {
        let subject = &mut self.devices[device];
        subject.earlier.clear();
        subject.stale = 0;
        match ended {
            Ok(_) if subject.is_starting_over => {
                (subject.must_start_over, subject.is_starting_over) = (false, false);
                self.count("started over when told");
            }
            Ok(_) | Err(ClientError::Rejected { .. }) => subject.is_settled = true,
            Err(_) if subject.must_start_over => {}
            // The server forgot once more between the state that was taken and the page after it.
            Err(ClientError::RematerializationRequired(_)) if !self.is_healed => {
                self.count("started over in vain");
            }
            Err(_) if *expected != Expected::Nothing => {}
            Err(ClientError::Transport(text)) if text == "timed out" => {}
            Err(error) => return Err(format!("an honest exchange ended as: {error}")),
        }
        Ok(())
    }

    /// Keeps a device's state, or lets it die there. Whether it lives.
    pub(super) fn keep(&mut self, device: usize) -> Result<bool, String> {
        match self.devices[device].dies {
            None => {
                self.devices[device].keep();
                return Ok(true);
            }
            Some(Death::BeforeKeeping) => self.count("crash before the state was kept"),
            Some(Death::DiskFull) => self.count("disk full"),
            Some(Death::AfterKeeping) => {
                self.devices[device].keep();
                self.count("crash after the state was kept");
            }
        }
        self.restart(device)?;
        Ok(false)
    }
}
