//! Why a command came to nothing: what happened, what to do next, and the exit code.

use tidegate_engine::doors::DoorError;
use tidegate_engine::error::StepError;
use tidegate_engine::journal::JournalError;
use tidegate_engine::setup::OpenError;
use tidegate_store::postgres::Failure as StoreFailure;

use crate::exit_code::{self, ExitCode};

/// Why a command came to nothing.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) code: ExitCode,
    /// A stable word for programs, such as `held`.
    pub(crate) kind: &'static str,
    /// What happened, causes included.
    pub(crate) message: String,
    /// What to do next, the likeliest first.
    pub(crate) next: Vec<String>,
}

impl Failure {
    /// The command line or the environment cannot be used.
    pub(crate) fn usage(message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { code: exit_code::USAGE, kind: "usage", message: message.into(), next: vec![next.into()] }
    }

    /// A rule or a finding stopped the command.
    pub(crate) fn refused(message: impl Into<String>, next: Vec<String>) -> Self {
        Self { code: exit_code::HALTED, kind: "refused", message: message.into(), next }
    }

    /// A defect of the program.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        let next = vec!["This is a defect of tidegate: please report it with the command line.".to_owned()];
        Self { code: exit_code::INTERNAL, kind: "internal", message: message.into(), next }
    }
}

/// The message of an error with those of its causes, each once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let code = exit_code::of_open(&error);
        let message = chain(&error);
        let (kind, next) = match &error {
            OpenError::Parameters(_) => (
                "parameters",
                vec!["Give each with --set NAME=VALUE, then run the command again.".to_owned()],
            ),
            OpenError::Door(error) => return Self { message, ..of_door(error) },
            OpenError::Journal(error) => return Self { message, ..of_journal(error) },
            OpenError::Held(holder) => (
                "held",
                vec![
                    "See what it does: tidegate status".to_owned(),
                    format!(
                        "Have it stop: tidegate stop --actor NAME. If its process is gone, the lease can be taken in {} s.",
                        holder.left.as_secs()
                    ),
                ],
            ),
            OpenError::Raced(_) => ("held", vec!["See what it does: tidegate status".to_owned()]),
            OpenError::Lease(_) => (
                "in_doubt",
                vec!["Nothing is guessed: when the store answers again, run the command again.".to_owned()],
            ),
            OpenError::ReadOnly(_) => ("read_only", Vec::new()),
            OpenError::Drift { next, .. } => ("drift", vec![next.clone()]),
            OpenError::Refused { next, .. } => ("refused", vec![next.clone()]),
            OpenError::NoRun { .. } => {
                ("no_run", vec!["Start one: tidegate run --apply --actor NAME".to_owned()])
            }
            OpenError::Binding(_) => ("drift", Vec::new()),
        };
        Self { code, kind, message, next }
    }
}

fn of_door(error: &DoorError) -> Failure {
    let (kind, next) = match error {
        DoorError::Unset { variable, .. } => {
            ("environment", format!("Set {variable} in the environment, then run the command again."))
        }
        DoorError::Address { .. } => ("environment", "Correct the address, then run the command again.".to_owned()),
        DoorError::Absent { .. } => ("page", "Correct the page, then run the command again.".to_owned()),
        DoorError::NoKeyFile { .. } => {
            ("environment", "Correct the url, or make the store, then run the command again.".to_owned())
        }
        DoorError::KeysUnfit { .. } => {
            ("page", "Name a store that can, or leave its keys to a program of its own.".to_owned())
        }
        DoorError::Keys { .. } => (
            "in_doubt",
            "See that the key-value store runs and that its url is right; then run the command again.".to_owned(),
        ),
        DoorError::Connect { .. } => (
            "in_doubt",
            "See that the server runs, that host and port are right, and that the role may log in; then run the \
             command again."
                .to_owned(),
        ),
    };
    Failure { code: exit_code::of_door(error), kind, message: chain(error), next: vec![next] }
}

fn of_journal(error: &JournalError) -> Failure {
    let kind = match error {
        JournalError::Store(_) => "in_doubt",
        JournalError::Fenced => "held",
        JournalError::Newer { .. } => "newer",
        JournalError::Unreadable { .. } | JournalError::Broken { .. } | JournalError::Illegal(_) => "drift",
    };
    Failure { code: exit_code::of_journal(error), kind, message: chain(error), next: Vec::new() }
}

impl From<DoorError> for Failure {
    fn from(error: DoorError) -> Self {
        of_door(&error)
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        of_journal(&error)
    }
}

impl From<StoreFailure> for Failure {
    fn from(failure: StoreFailure) -> Self {
        of_journal(&JournalError::Store(failure))
    }
}

impl From<StepError> for Failure {
    fn from(error: StepError) -> Self {
        let code = exit_code::of_step(&error);
        let message = tidegate_engine::advice::message(&error);
        match error {
            StepError::Refused { next, .. } => Self { code, kind: "refused", message, next: vec![next] },
            StepError::Door(error) => Self { message, ..of_door(&error) },
            StepError::Journal(error) => of_journal(&error),
            StepError::NotHolding { .. } | StepError::Value(_) => {
                Self { code, kind: "refused", message, next: Vec::new() }
            }
            StepError::Server { .. } => Self { code, kind: "in_doubt", message, next: Vec::new() },
            StepError::Fenced => Self { code, kind: "held", message, next: Vec::new() },
        }
    }
}
