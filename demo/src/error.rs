//! Why a demonstration cannot go on.

use std::path::PathBuf;

/// Why a demonstration cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Servers are missing and could not be installed.
    #[error(transparent)]
    Prerequisites(#[from] testkit::prerequisites::NotInstalled),
    /// A throwaway server could not be used.
    #[error(transparent)]
    Testkit(#[from] testkit::Error),
    /// A program that is shown is not there.
    #[error("there is no {}: `cargo demo` builds it, and so does `cargo build --workspace`", program.display())]
    NotBuilt {
        /// Where it should be.
        program: PathBuf,
    },
    /// A command ended otherwise than it does when all is well.
    #[error("`{command}` ended with {got}, and should have ended with exit code {expected}")]
    Exit {
        /// As it was typed.
        command: String,
        /// How it should end.
        expected: i32,
        /// How it ended.
        got: String,
    },
    /// The server refused something.
    #[error("could not {doing}: {}", described(source))]
    Postgres {
        /// What was done.
        doing: &'static str,
        /// Why not.
        #[source]
        source: tokio_postgres::Error,
    },
    /// A file or a process could not be used.
    #[error("could not {doing} {}: {source}", what.display())]
    File {
        /// What was done.
        doing: &'static str,
        /// With what.
        what: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A task of our own ended early.
    #[error("{0}")]
    Task(String),
}

impl Error {
    /// For `map_err` where the server is asked.
    pub(crate) fn postgres(doing: &'static str) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |source| Self::Postgres { doing, source }
    }

    /// For `map_err` where the system is asked.
    pub(crate) fn file(doing: &'static str, what: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::File { doing, what, source }
    }
}

/// What the server said, if it said something.
fn described(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(answer) => format!("{} ({})", answer.message(), answer.code().code()),
        None => error.to_string(),
    }
}
