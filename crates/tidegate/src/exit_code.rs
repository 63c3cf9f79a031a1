//! What the program's exit code says. One table, for people and scripts alike.

use tidegate_engine::doors::DoorError;
use tidegate_engine::ending::Ending;
use tidegate_engine::error::StepError;
use tidegate_engine::event::HaltReason;
use tidegate_engine::journal::JournalError;
use tidegate_engine::setup::OpenError;

/// What the program's exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(into = "u8")]
pub(crate) struct ExitCode(u8);

/// What was asked for is done.
pub(crate) const DONE: ExitCode = ExitCode(0);
/// A defect of the program itself.
pub(crate) const INTERNAL: ExitCode = ExitCode(1);
/// The command line, the environment or the page cannot be used; nothing was touched.
pub(crate) const USAGE: ExitCode = ExitCode(2);
/// Something did not hold, or a rule or a person stopped it.
pub(crate) const HALTED: ExitCode = ExitCode(3);
/// Another runner holds the lease.
pub(crate) const HELD: ExitCode = ExitCode(4);
/// What stands differs from what was started, declared or seen before.
pub(crate) const DRIFT: ExitCode = ExitCode(5);
/// Waits for a person or a time.
pub(crate) const WAITING: ExitCode = ExitCode(6);
/// Went back, to the start or to a stage.
pub(crate) const ROLLED_BACK: ExitCode = ExitCode(7);
/// The store could not be asked; what is certain is in its journal.
pub(crate) const IN_DOUBT: ExitCode = ExitCode(8);

/// The table as the manual prints it.
pub(crate) const TABLE: &str = "\
Exit codes:
  0  done
  1  internal error
  2  the command line, the environment or the page cannot be used; nothing was touched
  3  halted: something did not hold, or a rule or a person stopped it
  4  another runner holds the lease
  5  drift: what stands differs from what was started, declared or seen before
  6  waiting for a person or a time
  7  rolled back, to the start or to a stage
  8  in doubt: the store could not be asked";

impl From<ExitCode> for u8 {
    fn from(code: ExitCode) -> Self {
        code.0
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.0)
    }
}

/// How a command that worked on a run ended.
pub(crate) fn of_ending(ending: &Ending) -> ExitCode {
    match ending {
        Ending::Done { .. } => DONE,
        Ending::Halted { reason, .. } => of_halt(*reason),
        Ending::Waiting { .. } => WAITING,
        Ending::RolledBack { .. } => ROLLED_BACK,
        Ending::LeaseLost { .. } => HELD,
        Ending::InDoubt { .. } => IN_DOUBT,
        Ending::Drift { .. } => DRIFT,
    }
}

fn of_halt(reason: HaltReason) -> ExitCode {
    match reason {
        HaltReason::Fail
        | HaltReason::Unknown
        | HaltReason::Error
        | HaltReason::Watch
        | HaltReason::Stopped => HALTED,
        HaltReason::WentBack => ROLLED_BACK,
        HaltReason::Lost => IN_DOUBT,
    }
}

/// Why a run could not be opened.
pub(crate) fn of_open(error: &OpenError) -> ExitCode {
    match error {
        OpenError::Parameters(_) | OpenError::Refused { .. } | OpenError::NoRun { .. } => USAGE,
        OpenError::Door(error) => of_door(error),
        OpenError::Journal(error) => of_journal(error),
        OpenError::Held(_) | OpenError::Raced(_) => HELD,
        OpenError::Lease(_) | OpenError::ReadOnly(_) => IN_DOUBT,
        OpenError::Drift { .. } | OpenError::Binding(_) => DRIFT,
    }
}

/// Why a store could not be reached.
pub(crate) fn of_door(error: &DoorError) -> ExitCode {
    match error {
        DoorError::Unset { .. }
        | DoorError::Address { .. }
        | DoorError::Absent { .. }
        | DoorError::NoKeyFile { .. }
        | DoorError::KeysUnfit { .. } => USAGE,
        DoorError::Connect { .. } | DoorError::Keys { .. } => IN_DOUBT,
    }
}

/// Why the journal could not be used.
pub(crate) fn of_journal(error: &JournalError) -> ExitCode {
    match error {
        JournalError::Store(_) => IN_DOUBT,
        JournalError::Fenced => HELD,
        JournalError::Newer { .. }
        | JournalError::Unreadable { .. }
        | JournalError::Broken { .. }
        | JournalError::Illegal(_) => DRIFT,
    }
}

/// Why a rule or a store refused.
pub(crate) fn of_step(error: &StepError) -> ExitCode {
    match error {
        StepError::NotHolding { .. } | StepError::Refused { .. } | StepError::Value(_) => HALTED,
        StepError::Server { .. } => IN_DOUBT,
        StepError::Door(error) => of_door(error),
        StepError::Fenced => HELD,
        StepError::Journal(error) => of_journal(error),
    }
}
