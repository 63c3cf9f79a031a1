//! What can go wrong while a server, a proxy or a program is started or spoken to.

use std::path::PathBuf;
use std::time::Duration;

use crate::prerequisites::Missing;

/// A failure of the kit itself; never a verdict about the code under test.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program that the kit needs is not installed.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// A file or directory could not be made, read or locked.
    #[error("could not {action} {}: {source}; check that it exists and that this user may write there", path.display())]
    File {
        /// What was tried, as a verb phrase.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A program could not be started, or its process not be reached.
    #[error("could not {action} {program}: {source}")]
    Process {
        /// What was tried, as a verb phrase.
        action: &'static str,
        /// The program.
        program: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A program ended with a failure.
    #[error("{program} failed ({status}); it said:\n{output}")]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: String,
        /// What it wrote, standard error last.
        output: String,
    },
    /// PostgreSQL or PgBouncer refused a statement or a connection.
    #[error("{context}: {source:?}")]
    Postgres {
        /// What was asked, of which server.
        context: String,
        /// The driver's error.
        source: tokio_postgres::Error,
    },
    /// Something did not become true within its bound.
    #[error("{what} did not happen within {bound:?}; last seen:\n{seen}")]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        bound: Duration,
        /// The end of the log or the last answer.
        seen: String,
    },
    /// No port of the kit's range is free.
    #[error("no free TCP port between {first} and {last} on 127.0.0.1; end other test runs and try again")]
    NoPort {
        /// First port of the range.
        first: u16,
        /// Last port of the range.
        last: u16,
    },
    /// A server was asked for something that its state does not allow.
    #[error("{0}")]
    State(String),
}

impl Error {
    /// Wraps an I/O error about `path`.
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }

    /// Wraps an I/O error about a process of `program`.
    pub(crate) fn process(
        action: &'static str,
        program: impl ToString,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let program = program.to_string();
        move |source| Self::Process { action, program, source }
    }

    /// Wraps an error of the PostgreSQL driver.
    pub(crate) fn postgres(context: impl Into<String>) -> impl FnOnce(tokio_postgres::Error) -> Self {
        let context = context.into();
        move |source| Self::Postgres { context, source }
    }
}
