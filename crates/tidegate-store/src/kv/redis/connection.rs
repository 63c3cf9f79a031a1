//! The connection to a Redis: made anew when it is lost, bounded in time, and honest about what is not known.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, FromRedisValue, IntoConnectionInfo, RedisError,
    Script, ServerErrorKind,
};
use tokio::sync::Mutex;

use super::super::{KvError, UnixSecond};

/// How long making a connection may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may take.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// A connection that rested longer is asked for a sign of life before it carries a write: one that was lost meanwhile
/// would leave it unknown whether the write was made.
const PROBE_AFTER: Duration = Duration::from_millis(500);

/// A connection to one database of one Redis.
pub(super) struct Connection {
    client: Client,
    store: String,
    live: Mutex<Option<Live>>,
    durable: AtomicBool,
}

struct Live {
    connection: MultiplexedConnection,
    used: Instant,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.store)
    }
}

impl Connection {
    /// Connects.
    pub(super) async fn open(url: &str) -> Result<Self, KvError> {
        let bad = |reason: String| KvError::BadUrl { url: without_password(url), reason };
        let info = url.into_connection_info().map_err(|error| bad(error.to_string()))?;
        if !matches!(info.addr(), ConnectionAddr::Tcp(..)) {
            return Err(bad("only plain TCP is supported".to_owned()));
        }
        let store = format!("redis://{}/{}", info.addr(), info.redis_settings().db());
        let client = Client::open(info).map_err(|error| bad(error.to_string()))?;
        let connection = Self { client, store, live: Mutex::default(), durable: AtomicBool::new(false) };
        connection.connected(true).await?;
        Ok(connection)
    }

    /// The store's address, without its password.
    pub(super) fn store(&self) -> &str {
        &self.store
    }

    /// Whether the server, when it was connected to, brought each write to the disk before it answered.
    pub(super) fn durable(&self) -> bool {
        self.durable.load(Ordering::SeqCst)
    }

    /// The server's clock.
    pub(super) async fn time(&self) -> Result<UnixSecond, KvError> {
        let mut connection = self.connected(false).await?;
        let answer: Result<(i64, i64), _> = redis::cmd("TIME").query_async(&mut connection).await;
        match answer {
            Ok((second, _)) => Ok(UnixSecond(second)),
            Err(error) => Err(self.failed(&error, false).await),
        }
    }

    /// Runs a script that changes nothing a reader sees.
    pub(super) async fn read<T: FromRedisValue>(
        &self,
        script: &Script,
        arguments: &[impl AsRef<[u8]>],
    ) -> Result<T, KvError> {
        let mut connection = self.connected(true).await?;
        match run(script, arguments, &mut connection).await {
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.failed(&error, false).await),
        }
    }

    /// Runs a script that writes.
    pub(super) async fn write<T: FromRedisValue>(
        &self,
        script: &Script,
        arguments: &[impl AsRef<[u8]>],
    ) -> Result<T, KvError> {
        let mut connection = self.connected(true).await?;
        match run(script, arguments, &mut connection).await {
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.failed(&error, true).await),
        }
    }

    /// A connection that was alive a moment ago.
    async fn connected(&self, probe: bool) -> Result<MultiplexedConnection, KvError> {
        let mut live = self.live.lock().await;
        if let Some(standing) = live.as_mut() {
            let rested = standing.used.elapsed() > PROBE_AFTER;
            let mut connection = standing.connection.clone();
            standing.used = Instant::now();
            if !probe || !rested || redis::cmd("PING").exec_async(&mut connection).await.is_ok() {
                return Ok(connection);
            }
            *live = None;
        }
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(ANSWER_TIMEOUT));
        let made = self.client.get_multiplexed_async_connection_with_config(&settings).await;
        let mut connection = made.map_err(|error| self.unavailable(&error))?;
        let durable = is_durable(&mut connection).await.map_err(|error| self.unavailable(&error))?;
        self.durable.store(durable, Ordering::SeqCst);
        *live = Some(Live { connection: connection.clone(), used: Instant::now() });
        Ok(connection)
    }

    fn unavailable(&self, error: &RedisError) -> KvError {
        KvError::Unavailable { store: self.store.clone(), message: error.to_string() }
    }

    /// What an error of the driver means, for a write or a reading.
    async fn failed(&self, error: &RedisError, writing: bool) -> KvError {
        let (store, message) = (self.store.clone(), error.to_string());
        let ErrorKind::Server(kind) = error.kind() else {
            if error.kind() == ErrorKind::Extension {
                return refused(store, message, error.code(), writing);
            }
            // No answer, or none that can be read: what comes next on this connection cannot be trusted.
            *self.live.lock().await = None;
            return if writing {
                KvError::Unknown { store, message }
            } else if error.kind() == ErrorKind::UnexpectedReturnType || error.kind() == ErrorKind::Parse {
                KvError::Corrupt { store, message }
            } else {
                KvError::Unavailable { store, message }
            };
        };
        match kind {
            ServerErrorKind::ResponseError | ServerErrorKind::ExecAbort => {
                refused(store, message, error.code(), writing)
            }
            _ => KvError::Unavailable { store, message },
        }
    }
}

/// What the server's own refusal means.
fn refused(store: String, message: String, code: Option<&str>, writing: bool) -> KvError {
    match code {
        // Another program's value has one of our names. It is found before the first write.
        Some("WRONGTYPE") => KvError::Corrupt { store, message },
        // A script that fails within is not undone; any other refusal comes before it runs.
        None | Some("ERR") if writing => KvError::Unknown { store, message },
        _ => KvError::Unavailable { store, message },
    }
}

async fn run<T: FromRedisValue>(
    script: &Script,
    arguments: &[impl AsRef<[u8]>],
    connection: &mut MultiplexedConnection,
) -> Result<T, RedisError> {
    let mut invocation = script.prepare_invoke();
    for argument in arguments {
        invocation.arg(argument.as_ref());
    }
    // By its hash; where the server does not know it, it is loaded and run again.
    invocation.invoke_async(connection).await
}

/// Whether the server's settings promise that what is answered is on the disk. Where it does not tell, they do not.
async fn is_durable(connection: &mut MultiplexedConnection) -> Result<bool, RedisError> {
    for (setting, wanted) in [("appendonly", "yes"), ("appendfsync", "always")] {
        let mut ask = redis::cmd("CONFIG");
        ask.arg("GET").arg(setting);
        let found: Result<Vec<String>, RedisError> = ask.query_async(connection).await;
        match found {
            Ok(found) if found.get(1).is_some_and(|value| value == wanted) => {}
            Ok(_) => return Ok(false),
            Err(error) if matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension) => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// An address as it may be shown: what stands before its last `@` is left out.
pub(crate) fn without_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => {
            let (scheme, _) = url.split_at(scheme);
            let (_, host) = url.split_at(at);
            format!("{scheme}://***{host}")
        }
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        assert_eq!(without_password("redis://me:se@cret@host:1/2"), "redis://***@host:1/2");
        assert_eq!(without_password("redis://host:1/2"), "redis://host:1/2");
        assert_eq!(without_password("trip@work"), "trip@work");
    }
}
