//! Which server and database a session really reached.

use super::answer::Answer;
use super::failure::{Failure, FailureKind};
use super::session::Session;

/// What tells one database from another, also behind the same name and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The database's name.
    pub database: String,
    /// The number that `initdb` gave the cluster, and that its standbys and physical copies share; `None` when this
    /// role may not read it.
    pub system_identifier: Option<u64>,
    /// The version, such as 150018.
    pub server_version_num: u32,
    /// Whether the server is a standby, or still recovering.
    pub in_recovery: bool,
    /// The timeline of the last checkpoint: it grows with each promotion. `None` when this role may not read it.
    pub timeline: Option<u32>,
    /// The address and port that the server was reached at; `None` over a Unix socket.
    pub server_address: Option<String>,
}

/// Asks the server who it is, without failing for want of privileges.
///
/// # Errors
/// The server's.
pub async fn identity(session: &Session) -> Result<Identity, Failure> {
    let answers = session.run(include_str!("sql/identity.sql")).await?;
    let row = answers.first().and_then(|answer| answer.rows.first());
    let mut values = row.into_iter().flatten().map(Option::as_deref);
    let mut next = || values.next().flatten();
    let database = next().map(str::to_owned);
    let server_version_num = next().and_then(|text| text.parse().ok());
    let in_recovery = next().map(|text| text == "true");
    let host = next();
    let port = next();
    let may_read_system = next() == Some("true");
    let may_read_checkpoint = next() == Some("true");
    let server_address = match (host, port) {
        (Some(host), Some(port)) if host.contains(':') => Some(format!("[{host}]:{port}")),
        (Some(host), Some(port)) => Some(format!("{host}:{port}")),
        _ => None,
    };
    let (Some(database), Some(server_version_num), Some(in_recovery)) =
        (database, server_version_num, in_recovery)
    else {
        return Err(Failure::new(
            FailureKind::Other,
            "the server did not say which database and version it is",
        ));
    };
    let system_identifier = if may_read_system {
        number(session, "SELECT system_identifier FROM pg_catalog.pg_control_system()").await?
    } else {
        None
    };
    let timeline = if may_read_checkpoint {
        number(session, "SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()").await?
    } else {
        None
    };
    Ok(Identity {
        database,
        // PostgreSQL prints the unsigned number as a signed one.
        system_identifier: system_identifier.map(i64::cast_unsigned),
        server_version_num,
        in_recovery,
        timeline: timeline.and_then(|number| u32::try_from(number).ok()),
        server_address,
    })
}

async fn number(session: &Session, sql: &str) -> Result<Option<i64>, Failure> {
    let answers = session.run(sql).await?;
    Ok(answers.first().and_then(Answer::single).flatten().and_then(|text| text.parse().ok()))
}
