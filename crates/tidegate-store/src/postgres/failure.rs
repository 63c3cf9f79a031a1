//! Why a request to PostgreSQL failed.

use std::fmt;

use tokio_postgres::error::{DbError, ErrorPosition};

/// What sort of failure it was: what the caller may decide upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// A lock was not granted in time (55P03).
    LockTimeout,
    /// The statement ran out of time or was cancelled (57014).
    Cancelled,
    /// Concurrent transactions cannot be put in an order (40001).
    Serialization,
    /// Transactions waited for each other (40P01).
    Deadlock,
    /// The connection was lost after it had been made, or the server reports so of one of its own (class 08).
    ConnectionLost,
    /// No server answered at the address.
    CannotConnect,
    /// The server refused the user or the password (28P01, 28000), or wanted a password and none was given.
    ///
    /// Under SCRAM the server hides whether the role or the password is wrong: both are 28P01.
    WrongPassword,
    /// There is no such database (3D000).
    DatabaseMissing,
    /// The server or the transaction takes no writes (25006).
    ReadOnlyServer,
    /// The server's disk is full (53100).
    DiskFull,
    /// The server takes no more connections (53300).
    TooManyConnections,
    /// The server is shutting down, restarting or ended this connection (57P01 to 57P03).
    ServerShuttingDown,
    /// The role lacks a privilege (42501).
    PermissionDenied,
    /// TLS could not be agreed upon, or the server's certificate was refused.
    Tls,
    /// Anything else.
    Other,
}

impl FailureKind {
    fn of_sqlstate(sqlstate: &str) -> FailureKind {
        match sqlstate {
            "55P03" => FailureKind::LockTimeout,
            "57014" => FailureKind::Cancelled,
            "40001" => FailureKind::Serialization,
            "40P01" => FailureKind::Deadlock,
            "28P01" | "28000" => FailureKind::WrongPassword,
            "3D000" => FailureKind::DatabaseMissing,
            "25006" => FailureKind::ReadOnlyServer,
            "53100" => FailureKind::DiskFull,
            "53300" => FailureKind::TooManyConnections,
            "57P01" | "57P02" | "57P03" => FailureKind::ServerShuttingDown,
            "42501" => FailureKind::PermissionDenied,
            class if class.starts_with("08") => FailureKind::ConnectionLost,
            _ => FailureKind::Other,
        }
    }
}

/// One failed request. Its `Display` is one sentence that names the cause too, so it ends the chain of errors.
#[derive(Clone)]
pub struct Failure(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: FailureKind,
    message: String,
    sqlstate: Option<String>,
    severity: Option<String>,
    detail: Option<String>,
    hint: Option<String>,
    position: Option<u32>,
    context: Option<String>,
    constraint: Option<String>,
    table: Option<String>,
    while_connecting: bool,
}

impl Failure {
    pub(super) fn new(kind: FailureKind, message: impl Into<String>) -> Failure {
        Failure(Box::new(Inner {
            kind,
            message: message.into(),
            sqlstate: None,
            severity: None,
            detail: None,
            hint: None,
            position: None,
            context: None,
            constraint: None,
            table: None,
            while_connecting: false,
        }))
    }

    /// The failure of a caller who cannot use what the server answered; `message` says what and why.
    #[must_use]
    pub fn unusable_answer(message: impl Into<String>) -> Failure {
        Failure::new(FailureKind::Other, message)
    }

    /// The failure of a request over an open connection.
    pub(super) fn from_driver(error: &tokio_postgres::Error) -> Failure {
        if let Some(said) = error.as_db_error() {
            return Failure::from_server(said);
        }
        let cause = std::error::Error::source(error).map(ToString::to_string);
        let (kind, sentence) = if error.is_closed() || is_io_error(error) {
            (FailureKind::ConnectionLost, "the connection to the server was lost".to_owned())
        } else {
            // The driver's own sentences say little without their cause: "error serializing parameter 0".
            (FailureKind::Other, error.to_string())
        };
        Failure::new(kind, with_cause(sentence, cause))
    }

    /// The failure of an attempt to connect to `place`.
    pub(super) fn from_connecting(error: &tokio_postgres::Error, place: &str) -> Failure {
        let mut failure = match error.as_db_error() {
            Some(said) => Failure::from_server(said),
            None => {
                let (kind, sentence) = kind_of_connecting(error);
                let cause = std::error::Error::source(error).map(ToString::to_string);
                let cause =
                    cause.or_else(|| error.is_closed().then(|| "it closed the connection".to_owned()));
                Failure::new(kind, with_cause(format!("{sentence} at {place}"), cause))
            }
        };
        // A pooler refuses with the codes of a lost connection.
        if failure.0.kind == FailureKind::ConnectionLost {
            failure.0.kind = FailureKind::CannotConnect;
        }
        failure.0.while_connecting = true;
        failure
    }

    /// Marks a failure as one of connecting.
    pub(super) fn while_connecting(mut self) -> Failure {
        self.0.while_connecting = true;
        self
    }

    pub(super) fn from_server(said: &DbError) -> Failure {
        let sqlstate = said.code().code();
        let mut failure = Failure::new(FailureKind::of_sqlstate(sqlstate), said.message());
        let inner = &mut failure.0;
        inner.sqlstate = Some(sqlstate.to_owned());
        inner.severity = Some(said.severity().to_owned());
        inner.detail = said.detail().map(str::to_owned);
        inner.hint = said.hint().map(str::to_owned);
        inner.context = said.where_().map(str::to_owned);
        inner.constraint = said.constraint().map(str::to_owned);
        inner.table = said.table().map(str::to_owned);
        inner.position = match said.position() {
            Some(ErrorPosition::Original(at)) => Some(*at),
            _ => None,
        };
        failure
    }

    /// What sort of failure it was.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        self.0.kind
    }

    /// The five characters the server answered with; `None` when the failure is not the server's.
    #[must_use]
    pub fn sqlstate(&self) -> Option<&str> {
        self.0.sqlstate.as_deref()
    }

    /// The message alone, without the SQLSTATE.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The server's DETAIL.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// The server's HINT.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Where in the text that was sent, counted in characters from 1.
    #[must_use]
    pub fn position(&self) -> Option<u32> {
        self.0.position
    }

    /// The server's CONTEXT: the functions and statements it was in.
    #[must_use]
    pub fn context(&self) -> Option<&str> {
        self.0.context.as_deref()
    }

    /// The constraint that was violated.
    #[must_use]
    pub fn constraint(&self) -> Option<&str> {
        self.0.constraint.as_deref()
    }

    /// The table that the failure is about, without its schema.
    #[must_use]
    pub fn table(&self) -> Option<&str> {
        self.0.table.as_deref()
    }

    /// Whether the connection ended with this failure: lost, or ended by the server (FATAL or PANIC). An error of
    /// class 08 that a function of the server raised about a connection of its own does not.
    #[must_use]
    pub fn ends_the_connection(&self) -> bool {
        match self.0.severity.as_deref() {
            Some(severity) => matches!(severity, "FATAL" | "PANIC"),
            None => self.0.kind == FailureKind::ConnectionLost,
        }
    }

    /// Whether it happened before there was a connection.
    #[must_use]
    pub fn happened_while_connecting(&self) -> bool {
        self.0.while_connecting
    }

    /// Whether a check that failed so has no verdict: it was cancelled, refused a lock, could not be put in an order,
    /// or the server could not be asked.
    #[must_use]
    pub fn is_unknown_verdict(&self) -> bool {
        self.0.while_connecting
            || self.ends_the_connection()
            || matches!(
                self.0.kind,
                FailureKind::LockTimeout
                    | FailureKind::Cancelled
                    | FailureKind::Serialization
                    | FailureKind::Deadlock
                    | FailureKind::ConnectionLost
                    | FailureKind::CannotConnect
                    | FailureKind::ServerShuttingDown
                    | FailureKind::TooManyConnections
                    | FailureKind::Tls
            )
    }
}

fn with_cause(sentence: String, cause: Option<String>) -> String {
    match cause {
        Some(cause) => format!("{sentence}: {cause}"),
        None => sentence,
    }
}

fn is_io_error(error: &tokio_postgres::Error) -> bool {
    error.to_string().contains("communicating")
}

/// The driver does not publish its error kinds; the first words of its messages name them.
fn kind_of_connecting(error: &tokio_postgres::Error) -> (FailureKind, &'static str) {
    let said = error.to_string();
    if said.contains("TLS") {
        (FailureKind::Tls, "no TLS connection to the server")
    } else if said.contains("authentication") || said.contains("configuration") {
        (FailureKind::WrongPassword, "could not log in to the server")
    } else if error.is_closed() || said.contains("connecting") || said.contains("communicating") {
        (FailureKind::CannotConnect, "could not connect to the server")
    } else {
        (FailureKind::Other, "no agreement with the server")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        match &self.0.sqlstate {
            Some(sqlstate) => write!(f, " (SQLSTATE {sqlstate})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("sqlstate", &self.0.sqlstate)
            .field("detail", &self.0.detail)
            .field("hint", &self.0.hint)
            .field("position", &self.0.position)
            .field("context", &self.0.context)
            .field("while_connecting", &self.0.while_connecting)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Failure {}
