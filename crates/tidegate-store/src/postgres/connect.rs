//! Making a connection: which host, with or without TLS, and whether the server is of the kind that was asked for.

use std::future::Future;
use std::task::Poll;
use std::time::Duration;

use tokio_postgres::config::SslMode;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, SimpleQueryMessage, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::{Address, Host, TargetSession, TlsMode};
use super::failure::{Failure, FailureKind};
use super::tls;

/// How long a connection may be silent before the other side is asked whether it is still there.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
/// How long to wait between two such questions.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// Unanswered questions after which the connection counts as lost.
const KEEPALIVE_RETRIES: u32 = 4;
/// How long sent data may go unacknowledged before the connection counts as lost.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(60);

const SESSION_KIND: &str =
    "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only')";

pub(super) type Wire = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// A connection that was just made, and nobody drives yet.
pub(super) struct Connected {
    pub(super) client: Client,
    pub(super) wire: Wire,
    pub(super) tls: MakeRustlsConnect,
}

/// Tries each host in turn. The failure is the last host's, or the first that was about the login: a server that
/// answered "wrong password" says more than one that did not answer.
pub(super) async fn open(address: &Address, application_name: &str) -> Result<Connected, Failure> {
    let connector = tls::connector(address).map_err(Failure::while_connecting)?;
    let mut failure: Option<Failure> = None;
    for host in &address.hosts {
        match open_host(address, host, application_name, &connector).await {
            Ok(connected) => return Ok(connected),
            Err(next) => {
                let keep = failure
                    .as_ref()
                    .is_some_and(|kept| kept.sqlstate().is_some() && next.sqlstate().is_none());
                if !keep {
                    failure = Some(next);
                }
            }
        }
    }
    Err(failure.unwrap_or_else(|| {
        Failure::new(FailureKind::CannotConnect, "the address names no host").while_connecting()
    }))
}

async fn open_host(
    address: &Address,
    host: &Host,
    application_name: &str,
    connector: &MakeRustlsConnect,
) -> Result<Connected, Failure> {
    // The server never offers TLS over a socket in the file system, and libpq never asks for it there.
    let mode = match address.tls_mode {
        _ if host.is_socket() => SslMode::Disable,
        TlsMode::Disable => SslMode::Disable,
        TlsMode::Prefer => SslMode::Prefer,
        TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => SslMode::Require,
    };
    let attempt = |mode| async move {
        let place = host.place();
        let config = driver_config(address, host, application_name, mode);
        let connecting = config.connect(connector.clone());
        within(address.connect_timeout, &place, connecting).await
    };
    let (client, wire) = match attempt(mode).await {
        // `prefer` means plain text rather than nothing.
        Err(failure) if mode == SslMode::Prefer && failure.kind() == FailureKind::Tls => {
            attempt(SslMode::Disable).await?
        }
        outcome => outcome?,
    };
    let connected = Connected { client, wire, tls: connector.clone() };
    match address.target_session {
        TargetSession::Any => Ok(connected),
        target => examine(connected, target, host).await,
    }
}

async fn within<T>(
    limit: Option<Duration>,
    place: &str,
    connecting: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Failure> {
    let outcome = match limit {
        None => connecting.await,
        Some(limit) => match tokio::time::timeout(limit, connecting).await {
            Ok(outcome) => outcome,
            Err(_) => {
                return Err(Failure::new(
                    FailureKind::CannotConnect,
                    format!("no answer from the server at {place} within {limit:?}"),
                )
                .while_connecting());
            }
        },
    };
    outcome.map_err(|error| Failure::from_connecting(&error, place))
}

fn driver_config(address: &Address, host: &Host, application_name: &str, mode: SslMode) -> Config {
    let mut config = Config::new();
    config
        .host(&host.name)
        .port(host.port)
        .user(&address.user)
        .dbname(&address.database)
        .application_name(application_name)
        .ssl_mode(mode)
        .keepalives_idle(KEEPALIVE_IDLE)
        .keepalives_interval(KEEPALIVE_INTERVAL)
        .keepalives_retries(KEEPALIVE_RETRIES)
        .tcp_user_timeout(UNACKNOWLEDGED_MAX);
    // This one is for the connection that a cancellation makes; ours is bounded as a whole.
    if let Some(limit) = address.connect_timeout {
        config.connect_timeout(limit);
    }
    if let Some(numeric) = host.numeric {
        config.hostaddr(numeric);
    }
    if let Some(password) = &host.password {
        config.password(password);
    }
    if let Some(options) = &address.options {
        config.options(options);
    }
    config
}

/// Asks the server what it is, while driving the connection by hand: nobody else does yet.
async fn examine(connected: Connected, target: TargetSession, host: &Host) -> Result<Connected, Failure> {
    let Connected { client, mut wire, tls } = connected;
    let place = host.place();
    let answer = {
        let mut asked = std::pin::pin!(client.simple_query(SESSION_KIND));
        std::future::poll_fn(|context| {
            if let Poll::Ready(answer) = asked.as_mut().poll(context) {
                return Poll::Ready(answer);
            }
            while let Poll::Ready(message) = wire.poll_message(context) {
                match message {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Poll::Ready(Err(error)),
                    None => break,
                }
            }
            asked.as_mut().poll(context)
        })
        .await
    }
    .map_err(|error| Failure::from_connecting(&error, &place))?;
    let (mut in_recovery, mut read_only) = (false, false);
    for message in &answer {
        if let SimpleQueryMessage::Row(row) = message {
            in_recovery = row.get(0) == Some("t");
            read_only = row.get(1) == Some("on");
        }
    }
    let (fits, wanted) = match target {
        TargetSession::Any => (true, "any server"),
        TargetSession::ReadWrite => (!read_only && !in_recovery, "a server that takes writes"),
        TargetSession::ReadOnly => (read_only || in_recovery, "a server that takes no writes"),
        TargetSession::Primary => (!in_recovery, "a primary"),
        TargetSession::Standby => (in_recovery, "a standby"),
    };
    if fits {
        Ok(Connected { client, wire, tls })
    } else {
        Err(Failure::new(
            FailureKind::CannotConnect,
            format!("the server at {place} is not {wanted}, which target_session_attrs asks for"),
        )
        .while_connecting())
    }
}
