//! What a verb gets to do its work with.

use std::time::Duration;

use tidegate_runbook::{Expectation, Name, Over, SqlBody, Step};
use tidegate_store::postgres::TxOptions;
use uuid::Uuid;

use crate::doors::{Doors, Entrance};
use crate::lease;
use crate::program::Program;
use crate::question::sql::SqlQuestion;
use crate::state::RunState;
use crate::values::Values;
use crate::versions::VersionTable;

/// One attempt at one step.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    /// The plan.
    pub(crate) program: &'a Program,
    /// The stores.
    pub(crate) doors: &'a Doors,
    /// Values kept so far.
    pub(crate) values: &'a Values,
    /// Where the run stands.
    pub(crate) state: &'a RunState,
    /// The version table.
    pub(crate) versions: &'a VersionTable,
    /// The lease's epoch.
    pub(crate) epoch: u64,
    /// The step.
    pub(crate) step: &'a Step,
    /// 1 for the first.
    pub(crate) attempt: u32,
}

impl<'a> Job<'a> {
    /// The same surroundings for another step.
    #[must_use]
    pub(crate) fn for_step(self, step: &'a Step) -> Self {
        Self { step, ..self }
    }

    /// The run.
    #[must_use]
    pub(crate) fn run(&self) -> Uuid {
        self.state.run
    }

    /// `application_name` of every connection that works for this step.
    #[must_use]
    pub(crate) fn application(&self) -> String {
        let pooled = matches!(Entrance::of(self.step), Entrance::Pooled | Entrance::PooledLogin(_));
        match self.epoch {
            // A dry run holds no lease: nobody who takes one may end its connections.
            0 => format!("tidegate/plan/{}", self.step.id),
            // A pooler keeps its connection under the name of the client that came last. A takeover that took it for
            // the old runner's would end a connection that serves others. Only questions, which are rolled back, go
            // that way.
            _ if pooled => format!("tidegate/pooled/{}", self.step.id),
            epoch => format!("{}{}", lease::application_prefix(epoch), self.step.id),
        }
    }

    /// The store the step speaks to.
    #[must_use]
    pub(crate) fn store(&self) -> &'a Name {
        self.step.store.as_ref().unwrap_or_else(|| self.doors.home())
    }

    /// Bounds one statement of the step.
    #[must_use]
    pub(crate) fn statement_timeout(&self) -> Duration {
        self.step.timeout.unwrap_or(self.program.runbook.limits.statement_timeout)
    }

    /// A SQL question of this step, judged by `expect`.
    #[must_use]
    pub(crate) fn question(&self, body: &'a SqlBody, expect: &'a [Expectation]) -> SqlQuestion<'a> {
        SqlQuestion {
            body,
            expect,
            attempt: false,
            each: None,
            over: None,
            role: self.step.role.as_deref(),
            keep_all: false,
            types: false,
            statement_timeout: self.statement_timeout(),
            lock_timeout: self.program.runbook.limits.lock_timeout,
            values: self.values,
            places: &self.program.places,
        }
    }

    /// A check's SQL question.
    #[must_use]
    pub(crate) fn check_question(
        &self,
        body: &'a SqlBody,
        check: &'a tidegate_runbook::Check,
    ) -> SqlQuestion<'a> {
        SqlQuestion {
            attempt: check.attempt,
            each: check.each,
            over: check.over.as_ref(),
            ..self.question(body, &check.expect)
        }
    }

    /// A watch's SQL question.
    #[must_use]
    pub(crate) fn watch_question(
        &self,
        body: &'a SqlBody,
        expect: &'a [Expectation],
        over: Option<&'a Over>,
    ) -> SqlQuestion<'a> {
        SqlQuestion { over, ..self.question(body, expect) }
    }

    /// How a transaction of this step is run.
    #[must_use]
    pub(crate) fn tx_options(&self) -> TxOptions {
        let limits = &self.program.runbook.limits;
        TxOptions {
            lock_timeout: Some(limits.lock_timeout),
            statement_timeout: Some(self.statement_timeout()),
            attempts: limits.lock_attempts,
            retry_lock_timeouts: true,
            jitter_seed: self.epoch ^ u64::from(self.attempt),
            application_prefix: lease::application_prefix(self.epoch),
            ..TxOptions::default()
        }
    }
}
