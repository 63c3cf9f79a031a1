//! One sync, flush or re-materialization, from its beginning to its end, request by request.

use serde_json::Value;

use super::effect::{Effect, Failure, Notice, Outcome, Reply, ReplyBody, Request, RequestId};
use super::epoch::EpochError;
use super::error::ClientError;
use super::queue::{self, QueuedOperation};
use super::rematerialize::RematerializationRequired;
use super::state::State;
use super::{Client, epoch, push_results, rematerialize};
use crate::guardrail::Violation;
use crate::page::{PullCycle, PulledPage, SetBack, check_acknowledgement};
use crate::push::{OPERATIONS_MAX, PushResult, PushStatus};

/// How often stale writes are renumbered in a row.
pub const STALE_RECOVERIES_MAX: u32 = 2;

/// What was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Sync,
    Flush,
    Rematerialize,
}

/// Something under way.
#[derive(Debug, Clone)]
pub(super) struct Activity {
    pub(super) kind: Kind,
    outcome: Outcome,
    rejected: Vec<PushResult>,
    stale_attempts: u32,
    /// Whether a flush joined this one: then what was queued before that is pushed too.
    pub(super) is_joined: bool,
    phase: Phase,
}

/// Which request is out.
#[derive(Debug, Clone)]
enum Phase {
    /// None: the activity has not begun to ask, or is over.
    Idle,
    /// A push of these, the first of the queue.
    Pushing(Vec<QueuedOperation>),
    /// A page.
    Pulling(Pulling),
    /// How far the client has come.
    Reconciling(Pulling),
    /// The state itself; then the cycle goes on.
    Materializing(Option<Pulling>),
}

/// Reading until there is no more.
#[derive(Debug, Clone)]
struct Pulling {
    cycle: PullCycle,
    /// Whether writes are to be renumbered afterwards; else it is the end.
    is_recovery: bool,
    pulled: usize,
    pages: usize,
}

impl Activity {
    pub(super) fn new(kind: Kind) -> Self {
        let outcome = Outcome::default();
        let rejected = Vec::new();
        Self { kind, outcome, rejected, stale_attempts: 0, is_joined: false, phase: Phase::Idle }
    }
}

impl Client {
    /// The first request of an activity.
    pub(super) fn begin(&mut self, mut activity: Activity) -> Vec<Effect> {
        let mut effects = Vec::new();
        match activity.kind {
            Kind::Sync => self.begin_pull(&mut activity, false, &mut effects),
            Kind::Flush => self.push_next(&mut activity, &mut effects),
            Kind::Rematerialize => {
                activity.phase = Phase::Materializing(None);
                self.send(Request::Snapshot, &mut effects);
            }
        }
        self.activity = Some(activity);
        effects
    }

    /// Takes the reply to the request that is out: one attempt, which changes everything that follows from it or
    /// nothing.
    pub(super) fn answered(&mut self, mut activity: Activity, reply: Reply) -> Vec<Effect> {
        let mut effects = Vec::new();
        match self.attempt(&mut activity, reply, &mut effects) {
            Ok(None) => self.activity = Some(activity),
            Ok(Some(outcome)) => effects.push(Effect::Finished(Ok(outcome))),
            Err(error) => {
                if let Some(violation) = error.violation() {
                    self.tell(Notice::Guardrail(violation.clone()), &mut effects);
                }
                effects.push(Effect::Finished(Err(error)));
            }
        }
        effects
    }

    fn attempt(
        &mut self,
        activity: &mut Activity,
        reply: Reply,
        effects: &mut Vec<Effect>,
    ) -> Result<Option<Outcome>, ClientError> {
        let phase = std::mem::replace(&mut activity.phase, Phase::Idle);
        if let ReplyBody::Failed(failure) = reply.body {
            if planted!(self, SettledOnFailure) && matches!(phase, Phase::Pushing(_)) {
                self.state.pending.clear();
            }
            return self.failed(activity, phase, failure, effects);
        }
        if let (Phase::Materializing(pulling), ReplyBody::Snapshot(state)) = (&phase, &reply.body) {
            return self.materialized(activity, pulling.clone(), &reply, state.as_ref(), effects);
        }
        let feed_epoch = epoch::check(&self.state, reply.feed);
        let feed_epoch = if planted!(self, EpochBelieved) { Ok(self.state.feed_epoch) } else { feed_epoch }?;
        match (phase, reply.body) {
            (Phase::Pushing(batch), ReplyBody::Pushed(results)) => {
                self.pushed(activity, batch, &results, feed_epoch, effects)
            }
            (Phase::Pulling(pulling), ReplyBody::Pulled(page)) => {
                self.pulled(activity, pulling, page, feed_epoch, effects)
            }
            (Phase::Reconciling(pulling), ReplyBody::Reconciled { cursor, write_ids }) => {
                self.acknowledged(cursor.as_ref(), &write_ids, feed_epoch, effects)?;
                self.settled(activity, pulling, effects)
            }
            _ => Err(ClientError::OtherRequest),
        }
    }

    fn failed(
        &mut self,
        activity: &mut Activity,
        phase: Phase,
        failure: Failure,
        effects: &mut Vec<Effect>,
    ) -> Result<Option<Outcome>, ClientError> {
        let oldest_available = match failure {
            Failure::Transport(text) => return Err(ClientError::Transport(text)),
            Failure::Malformed(error) => return Err(ClientError::Malformed(error)),
            Failure::RematerializationRequired { oldest_available } => oldest_available,
        };
        let requested = self.state.cursor().cloned();
        let required = RematerializationRequired { requested, oldest_available };
        self.tell(Notice::Rematerialization(required.clone()), effects);
        match phase {
            Phase::Pulling(pulling)
                if activity.outcome.rematerializations < self.options.rematerializations_max =>
            {
                activity.phase = Phase::Materializing(Some(pulling));
                self.send(Request::Snapshot, effects);
                Ok(None)
            }
            _ => Err(ClientError::RematerializationRequired(required)),
        }
    }

    fn materialized(
        &mut self,
        activity: &mut Activity,
        pulling: Option<Pulling>,
        reply: &Reply,
        state: Option<&Value>,
        effects: &mut Vec<Effect>,
    ) -> Result<Option<Outcome>, ClientError> {
        let canonical = rematerialize::read(state)?;
        let anew = self.state.rematerialized(canonical, &self.options.client_id);
        let mut anew = anew.ok_or(ClientError::LastWriteId)?;
        anew.check_export(anew.cursor(), &anew.write_ids())?;
        if pulling.is_some() && !planted!(self, SnapshotBelieved) {
            // Nobody said so but the server: it may not take away what was read, nor be another feed.
            epoch::check(&self.state, reply.feed)?;
            if anew.cursor() < self.state.cursor() {
                let text = "rematerialized cursor regressed local sync cursor".to_owned();
                return Err(ClientError::Canonical { text });
            }
            let known = self.state.write_ids();
            if let Some(fallen) = known.regression(&anew.write_ids()) {
                return Err(ClientError::Guardrail(Violation::PullWriteIdRegression(fallen)));
            }
            // As in a page: of replicas that are not named nothing is said.
            if let Some(read) = &mut anew.reconcile {
                read.last_reconciled_write_ids.merge(&known);
            }
            anew.check_export(None, &known)?;
        }
        if let Some(feed) = reply.feed {
            anew.feed_epoch = Some(feed.epoch);
        }
        if planted!(self, QueueDropped) {
            anew.pending.clear();
        }
        self.state = anew;
        effects.push(Effect::Persist);
        activity.outcome.rematerializations += 1;
        let Some(pulling) = pulling else { return Ok(Some(activity.outcome.clone())) };
        self.begin_pull(activity, pulling.is_recovery, effects);
        Ok(None)
    }

    fn push_next(&mut self, activity: &mut Activity, effects: &mut Vec<Effect>) {
        let count = self.state.pending.len().min(OPERATIONS_MAX);
        let mut batch: Vec<QueuedOperation> = self.state.pending.iter().take(count).cloned().collect();
        if batch.is_empty() {
            return self.begin_pull(activity, false, effects);
        }
        queue::lift(self.state.cursor(), &mut batch);
        if planted!(self, LiftedOnFailure) {
            queue::lift(self.state.cursor().cloned().as_ref(), &mut self.state.pending);
        }
        if planted!(self, SettledWhenSent) {
            self.state.pending.drain(..count);
        }
        activity.phase = Phase::Pushing(batch.clone());
        let client_id = self.options.client_id.clone();
        self.send(Request::Push { client_id, operations: batch }, effects);
    }

    fn pushed(
        &mut self,
        activity: &mut Activity,
        batch: Vec<QueuedOperation>,
        results: &Value,
        feed_epoch: Option<u16>,
        effects: &mut Vec<Effect>,
    ) -> Result<Option<Outcome>, ClientError> {
        let results = push_results::check(&batch, results)?;
        let stale = results.iter().any(|result| result.status == PushStatus::StaleWriteId);
        let attempts = if stale { activity.stale_attempts + 1 } else { 0 };
        let most = STALE_RECOVERIES_MAX + u32::from(planted!(self, OneMoreRecovery));
        if attempts > most {
            let violation = Violation::exhausted(attempts, STALE_RECOVERIES_MAX, &results);
            return Err(ClientError::Guardrail(violation));
        }
        activity.stale_attempts = attempts;
        let statuses: Vec<PushStatus> = results.iter().map(|result| self.status(result.status)).collect();
        if !planted!(self, SettledWhenSent) {
            let State { pending, rejected, op_ids, .. } = &mut self.state;
            for (queued, _) in batch.iter().zip(&statuses).filter(|(_, status)| status.is_settled()) {
                op_ids.remove(&queued.operation.op_id);
            }
            let settled = queue::settle(pending, rejected, batch, &statuses);
            activity.outcome.pushed_operations += settled.pushed;
            activity.rejected.extend(settled.rejected);
        }
        self.state.feed_epoch = feed_epoch;
        effects.push(Effect::Persist);
        if stale && !planted!(self, StaleIsSettled) {
            self.begin_pull(activity, true, effects);
        } else {
            self.push_next(activity, effects);
        }
        Ok(None)
    }

    /// A status as it counts, which is itself but for planted faults.
    fn status(&self, status: PushStatus) -> PushStatus {
        match status {
            PushStatus::StaleWriteId if planted!(self, StaleIsSettled) => PushStatus::OutdatedOp,
            PushStatus::InvalidOp if planted!(self, InvalidStays) => PushStatus::StaleWriteId,
            other => other,
        }
    }

    fn begin_pull(&mut self, activity: &mut Activity, is_recovery: bool, effects: &mut Vec<Effect>) {
        let cycle = PullCycle::new(self.state.write_ids());
        activity.phase = Phase::Pulling(Pulling { cycle, is_recovery, pulled: 0, pages: 0 });
        self.pull(effects);
    }

    fn pull(&mut self, effects: &mut Vec<Effect>) {
        let cursor = self.state.cursor().cloned();
        self.send(Request::Pull { cursor, limit: self.options.pull_limit }, effects);
    }

    fn pulled(
        &mut self,
        activity: &mut Activity,
        mut pulling: Pulling,
        page: PulledPage,
        feed_epoch: Option<u16>,
        effects: &mut Vec<Effect>,
    ) -> Result<Option<Outcome>, ClientError> {
        let before = self.state.cursor().cloned();
        #[cfg(feature = "testing")]
        let (before, page) = self.tampered(&mut pulling.cycle, before, page);
        let checked = pulling.cycle.check(before.as_ref(), before.as_ref(), &page)?;
        if let Some(SetBack { read, told }) = checked.set_back(before.as_ref())
            && !planted!(self, SetBackBelieved)
        {
            return Err(EpochError::SetBack { read, told }.into());
        }
        self.state.check_export(checked.cursor.as_ref(), &checked.write_ids)?;
        let next = self.state.next_after(&self.options.client_id, &checked.write_ids);
        let next = next.ok_or(ClientError::LastWriteId)?;
        let clocks = planted!(self, ClocksStand).then(|| self.state.clocks.clone());
        self.state.apply(&checked, next);
        if let Some(clocks) = clocks {
            self.state.clocks = clocks;
        }
        self.state.feed_epoch = feed_epoch;
        pulling.cycle.accept(&checked);
        pulling.pulled += page.items.len();
        pulling.pages += 1;
        if !planted!(self, NotPersisted) {
            effects.push(Effect::Persist);
        }
        if checked.has_more {
            self.pull(effects);
            activity.phase = Phase::Pulling(pulling);
            return Ok(None);
        }
        match self.state.reconcile.clone().filter(|_| self.options.reconciles) {
            None => self.settled(activity, pulling, effects),
            Some(state) => {
                activity.phase = Phase::Reconciling(pulling);
                let client_id = self.options.client_id.clone();
                self.send(Request::Reconcile { client_id, state }, effects);
                Ok(None)
            }
        }
    }

    fn acknowledged(
        &mut self,
        cursor: Option<&crate::cursor::Cursor>,
        write_ids: &Value,
        feed_epoch: Option<u16>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), ClientError> {
        let Some(local) = &self.state.reconcile else { return Err(ClientError::OtherRequest) };
        let mut local = local.clone();
        if let Some(cursor) = cursor.filter(|_| planted!(self, AcknowledgedCursorBelieved)) {
            local.cursor = local.cursor.min(cursor.clone());
        }
        if planted!(self, AcknowledgedWriteIdsBelieved) {
            local.last_reconciled_write_ids = crate::write_ids::WriteIdMap::new();
        }
        let acknowledged = check_acknowledgement(&local, cursor, write_ids)?;
        let write_ids = &acknowledged.last_reconciled_write_ids;
        self.state.check_export(None, write_ids)?;
        let next = self.state.next_after(&self.options.client_id, write_ids);
        self.state.acknowledge(write_ids, next.ok_or(ClientError::LastWriteId)?);
        if let Some(state) =
            self.state.reconcile.as_mut().filter(|_| planted!(self, AcknowledgementMovesCursor))
        {
            state.cursor = state.cursor.clone().max(acknowledged.cursor);
        }
        self.state.feed_epoch = feed_epoch;
        effects.push(Effect::Persist);
        Ok(())
    }

    /// The end of a cycle: of everything, or of the recovery from stale writes.
    fn settled(
        &mut self,
        activity: &mut Activity,
        pulling: Pulling,
        effects: &mut Vec<Effect>,
    ) -> Result<Option<Outcome>, ClientError> {
        if pulling.is_recovery {
            if !planted!(self, NoRebase) {
                self.rebase()?;
                effects.push(Effect::Persist);
            }
            self.push_next(activity, effects);
            return Ok(None);
        }
        activity.outcome.pulled_operations += pulling.pulled;
        activity.outcome.pull_pages += pulling.pages;
        if std::mem::take(&mut activity.is_joined) && !self.state.pending.is_empty() {
            self.push_next(activity, effects);
            return Ok(None);
        }
        if activity.rejected.is_empty() {
            return Ok(Some(activity.outcome.clone()));
        }
        Err(ClientError::Rejected { results: std::mem::take(&mut activity.rejected) })
    }

    fn rebase(&mut self) -> Result<(), ClientError> {
        let cursor = self.state.cursor().cloned();
        let first = self.state.next_after(&self.options.client_id, &self.state.write_ids());
        let first = first.ok_or(ClientError::LastWriteId)?;
        let after = queue::rebase(cursor.as_ref(), first, &mut self.state.pending);
        self.state.next_write_id = after.ok_or(ClientError::LastWriteId)?;
        Ok(())
    }

    fn send(&mut self, request: Request, effects: &mut Vec<Effect>) {
        self.sent += 1;
        effects.push(Effect::Send { id: RequestId(self.sent), request });
    }

    pub(super) fn tell(&self, notice: Notice, effects: &mut Vec<Effect>) {
        if planted!(self, ToldTwice) {
            effects.push(Effect::Tell(notice.clone()));
        }
        if !planted!(self, NotTold) {
            effects.push(Effect::Tell(notice));
        }
    }
}
