//! One connection to one PostgreSQL server.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, CancelToken, Client, Row, RowStream, SimpleQueryMessage, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::Address;
use super::answer::Answer;
use super::connect::{self, Connected, Wire};
use super::failure::{Failure, FailureKind};
use super::notice::{Notice, NoticeBoard};

/// Bytes of an application name that PostgreSQL keeps.
pub const APPLICATION_NAME_BYTES_MAX: usize = 63;
/// Bytes that the answers to one [`Session::run`] or [`Session::query`] may hold together.
pub const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Words of statements after which the server may no longer know what was prepared.
const FORGETTING: [&str; 2] = ["deallocate", "discard"];

/// How long [`Session::close`] waits for the server.
pub const CLOSE_GRACE: Duration = Duration::from_secs(5);
/// How long [`CancelHandle::cancel`] may take.
pub const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);

/// One connection. Dropping it ends the connection once what was sent has been answered.
///
/// Requests of one session are answered in order. A future that is dropped before its answer does not stop the
/// statement in the server: use [`Session::cancel_handle`].
pub struct Session {
    client: Client,
    tls: MakeRustlsConnect,
    shared: Arc<Shared>,
    task: tokio::sync::Mutex<JoinHandle<()>>,
    application_name: String,
    server_version: String,
    /// Statements that the server keeps, by their text.
    prepared: Mutex<HashMap<&'static str, Statement>>,
}

/// A statement that the server keeps for a session.
#[derive(Clone)]
pub struct Ready(Statement);

impl std::fmt::Debug for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Ready").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Shared {
    notices: NoticeBoard,
    /// What the connection ended with, where it was not its user who ended it.
    last_word: Mutex<Option<Failure>>,
}

impl Session {
    /// Connects. The name is what others see in `pg_stat_activity`, cut at 63 bytes; when it is empty the address's
    /// own is used.
    ///
    /// Nothing but the startup packet is sent (unless the address asks for a kind of server), so this also reaches a
    /// pooler and its console.
    ///
    /// # Errors
    /// A failure with [`Failure::happened_while_connecting`].
    pub async fn connect(address: &Address, application_name: &str) -> Result<Session, Failure> {
        let name = match (application_name, &address.application_name) {
            ("", Some(own)) => own,
            (given, _) => given,
        };
        let application_name = cut_application_name(name).to_owned();
        let Connected { client, wire, tls } = connect::open(address, &application_name).await?;
        let server_version = wire.parameter("server_version").unwrap_or_default().to_owned();
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(drive(wire, shared.clone()));
        Ok(Session {
            client,
            tls,
            shared,
            task: tokio::sync::Mutex::new(task),
            application_name,
            server_version,
            prepared: Mutex::default(),
        })
    }

    /// Runs one or several statements by the simple protocol; every value comes back as text.
    ///
    /// Several statements without `BEGIN` are one transaction. `COPY` cannot be run here.
    ///
    /// # Errors
    /// The first statement that fails ends the list; answers before it are lost with it.
    pub async fn run(&self, sql: &str) -> Result<Vec<Answer>, Failure> {
        if forgets_prepared(sql) {
            self.prepared.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        let stream = self.client.simple_query_raw(sql).await.map_err(|error| self.explain(&error))?;
        let mut stream = pin!(stream);
        let mut answers = Vec::new();
        let mut current = Answer::default();
        let mut bytes: usize = 0;
        while let Some(message) = stream.next().await {
            match message.map_err(|error| self.explain_answer(&error))? {
                SimpleQueryMessage::RowDescription(columns) => {
                    current.columns = columns.iter().map(|c| c.name().to_owned()).collect();
                }
                SimpleQueryMessage::Row(row) => {
                    let mut values = Vec::with_capacity(row.len());
                    for at in 0..row.len() {
                        let value = row.try_get(at).map_err(|error| self.explain(&error))?.map(str::to_owned);
                        bytes += value.as_ref().map_or(0, String::len) + size_of::<String>();
                        values.push(value);
                    }
                    if bytes > ANSWER_BYTES_MAX {
                        return Err(too_large());
                    }
                    current.rows.push(values);
                }
                SimpleQueryMessage::CommandComplete(affected) => {
                    current.affected = affected;
                    answers.push(std::mem::take(&mut current));
                }
                // The driver's enum may grow; a message that is neither changes no answer.
                _ => {}
            }
        }
        Ok(answers)
    }

    /// Runs one statement with bound parameters of the given types and returns its rows.
    ///
    /// The statement is unnamed and sent in one round trip, so it also works through a pooler in transaction mode.
    /// Use [`super::TextValue`] with [`Type::UNKNOWN`] to let the server infer a parameter's type from its text.
    ///
    /// # Errors
    /// The server's, or that a value does not fit its type.
    pub async fn query(
        &self,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, Failure> {
        let parameters = parameters.iter().map(|(value, type_)| (*value, type_.clone()));
        self.gather(self.client.query_typed_raw(sql, parameters).await).await
    }

    /// As [`Session::query`], for a statement of ours that is asked again and again: the server parses it once, plans it
    /// a few times, and keeps it under a name. It needs a direct connection.
    ///
    /// The types of a statement's parameters are those of its first use on this session.
    ///
    /// # Errors
    /// As [`Session::query`].
    pub async fn query_prepared(
        &self,
        sql: &'static str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, Failure> {
        let statement = self.statement(sql, parameters).await?;
        self.gather(self.client.query_raw(&statement, parameters.iter().map(|(value, _)| *value)).await).await
    }

    /// As [`Session::query_prepared`], for a statement whose rows do not matter: returns how many it changed.
    ///
    /// # Errors
    /// As [`Session::query`].
    pub async fn execute_prepared(
        &self,
        sql: &'static str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<u64, Failure> {
        let statement = self.statement(sql, parameters).await?;
        let changed = self.client.execute_raw(&statement, parameters.iter().map(|(value, _)| *value)).await;
        changed.map_err(|error| self.explain(&error))
    }

    /// Has the server prepare a statement, unless it keeps it already, so that [`Session::query_ready`] sends it at once.
    ///
    /// # Errors
    /// As [`Session::query`].
    pub async fn ready(&self, sql: &'static str, types: &[Type]) -> Result<Ready, Failure> {
        if let Some(kept) = self.kept(sql) {
            return Ok(Ready(kept));
        }
        self.prepare(sql, types).await.map(Ready)
    }

    /// As [`Session::query_prepared`]. The request is sent when the future is first polled, before it waits for
    /// anything: of several that are polled in an order, the server sees that order.
    ///
    /// # Errors
    /// As [`Session::query`].
    pub async fn query_ready(
        &self,
        statement: &Ready,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Failure> {
        self.gather(self.client.query_raw(&statement.0, parameters.iter().copied()).await).await
    }

    async fn statement(
        &self,
        sql: &'static str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Statement, Failure> {
        if let Some(kept) = self.kept(sql) {
            return Ok(kept);
        }
        let types: Vec<Type> = parameters.iter().map(|(_, type_)| type_.clone()).collect();
        self.prepare(sql, &types).await
    }

    fn kept(&self, sql: &'static str) -> Option<Statement> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner).get(sql).cloned()
    }

    async fn prepare(&self, sql: &'static str, types: &[Type]) -> Result<Statement, Failure> {
        // Boxed: it happens once, and would else take its room in every future that asks.
        let prepared = Box::pin(self.client.prepare_typed(sql, types)).await;
        let statement = prepared.map_err(|error| self.explain(&error))?;
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner).insert(sql, statement.clone());
        Ok(statement)
    }

    /// The rows of an answer, within its bound.
    async fn gather(&self, rows: Result<RowStream, tokio_postgres::Error>) -> Result<Vec<Row>, Failure> {
        let mut rows = pin!(rows.map_err(|error| self.explain(&error))?);
        let mut found = Vec::new();
        let mut bytes: usize = 0;
        while let Some(row) = rows.next().await {
            let row = row.map_err(|error| self.explain(&error))?;
            bytes = bytes.saturating_add(row.raw_size_bytes());
            if bytes > ANSWER_BYTES_MAX {
                return Err(too_large());
            }
            found.push(row);
        }
        Ok(found)
    }

    /// As [`Session::query`], for a statement whose rows do not matter: returns how many it returned or changed.
    ///
    /// # Errors
    /// As [`Session::query`].
    pub async fn execute(
        &self,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<u64, Failure> {
        self.client.execute_typed(sql, parameters).await.map_err(|error| self.explain(&error))
    }

    /// The columns that one statement would return: names, and types as `format_type` prints them.
    ///
    /// The statement is parsed by the server and not run. This prepares a named statement, so it needs a direct
    /// connection.
    ///
    /// # Errors
    /// The server's.
    pub async fn describe(&self, sql: &str) -> Result<Vec<(String, String)>, Failure> {
        let statement = self.client.prepare(sql).await.map_err(|error| self.explain(&error))?;
        let mut oids = Vec::new();
        let mut modifiers = Vec::new();
        for column in statement.columns() {
            oids.push(column.type_().oid().to_string());
            modifiers.push(column.type_modifier().to_string());
        }
        let types = self
            .query(
                include_str!("sql/format_types.sql"),
                &[(&oids.join(","), Type::TEXT), (&modifiers.join(","), Type::TEXT)],
            )
            .await?;
        let mut described = Vec::with_capacity(types.len());
        for (column, row) in statement.columns().iter().zip(&types) {
            let name: String = row.try_get(0).map_err(|error| self.explain(&error))?;
            described.push((column.name().to_owned(), name));
        }
        Ok(described)
    }

    /// Sends data to a `COPY … FROM STDIN` and returns the number of rows it made.
    ///
    /// A copy that the server refuses before it takes any data (no such table, no privilege) ends the session: the
    /// driver has by then sent one message more than the server answers, and later answers would be taken for others.
    ///
    /// # Errors
    /// The server's. When the future is dropped half way the copy is aborted.
    pub async fn copy_in(
        &self,
        sql: &str,
        chunks: impl IntoIterator<Item = Vec<u8>>,
    ) -> Result<u64, Failure> {
        let statement = self.client.prepare(sql).await.map_err(|error| self.explain(&error))?;
        let sink = match self.client.copy_in::<_, Bytes>(&statement).await {
            Ok(sink) => sink,
            Err(error) => {
                let failure = self.explain_answer(&error);
                self.cut().await;
                return Err(failure);
            }
        };
        let mut sink = pin!(sink);
        for chunk in chunks {
            // A refused copy shows itself here as a closed channel; why, only `finish` tells.
            if sink.send(Bytes::from(chunk)).await.is_err() {
                break;
            }
        }
        sink.finish().await.map_err(|error| self.explain(&error))
    }

    /// As [`Session::copy_in`], for data that comes piece by piece: `next` is asked until it answers `None`, and only
    /// when the server has taken what came before.
    ///
    /// # Errors
    /// The server's, or that of `next`, which aborts the copy.
    pub async fn copy_in_from<E: From<Failure>>(
        &self,
        sql: &str,
        mut next: impl AsyncFnMut() -> Result<Option<Vec<u8>>, E>,
    ) -> Result<u64, E> {
        let sink = self.client.copy_in::<_, Bytes>(sql).await.map_err(|error| self.explain(&error))?;
        let mut sink = pin!(sink);
        while let Some(piece) = next().await? {
            // A refused copy shows itself here as a closed channel; why, only `finish` tells.
            if sink.send(Bytes::from(piece)).await.is_err() {
                break;
            }
        }
        Ok(sink.finish().await.map_err(|error| self.explain(&error))?)
    }

    /// Takes the notices that arrived since the last call, oldest first; at most [`super::NOTICES_MAX`] are kept.
    pub fn notices(&self) -> Vec<Notice> {
        self.shared.notices.drain()
    }

    /// Asks for the process id of the server's backend. Through a pooler it may be another one for each transaction.
    ///
    /// # Errors
    /// The server's.
    pub async fn backend_pid(&self) -> Result<i32, Failure> {
        let answers = self.run("SELECT pg_catalog.pg_backend_pid()").await?;
        answers
            .first()
            .and_then(Answer::single)
            .flatten()
            .and_then(|pid| pid.parse().ok())
            .ok_or_else(|| Failure::new(FailureKind::Other, "the server named no backend pid"))
    }

    /// Whether the connection has ended, for whatever reason.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// The name this session shows outside transactions.
    #[must_use]
    pub fn application_name(&self) -> &str {
        &self.application_name
    }

    /// What the server said its version is, such as `15.18 (Debian …)`; a pooler's console says `…/bouncer`.
    #[must_use]
    pub fn server_version(&self) -> &str {
        &self.server_version
    }

    /// A handle that cancels whatever this session runs, from anywhere.
    #[must_use]
    pub fn cancel_handle(&self) -> CancelHandle {
        CancelHandle { token: self.client.cancel_token(), tls: self.tls.clone() }
    }

    /// Ends the connection in good order and waits until it has ended, at most [`CLOSE_GRACE`].
    pub async fn close(self) {
        let Session { client, task, .. } = self;
        drop(client);
        let mut task = task.into_inner();
        // The task ends when what was sent has been answered and the server has closed its side.
        if !task.is_finished() && timeout(CLOSE_GRACE, &mut task).await.is_err() {
            task.abort();
        }
    }

    /// Drops the connection where it is: nothing more is sent or read once this returns.
    pub(super) async fn cut(&self) {
        let mut task = self.task.lock().await;
        if !task.is_finished() {
            task.abort();
            let _cancelled = (&mut *task).await;
        }
    }

    /// What the server said when it ended the connection, where it was the server who did.
    pub(super) fn last_word(&self) -> Option<Failure> {
        self.shared.last_word.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Queues `ROLLBACK` without waiting for its answer: for a transaction whose future was dropped.
    pub(super) fn roll_back_unattended(&self) {
        // The driver hands the text to the connection's task on the first poll, before it waits for anything.
        let mut sending = pin!(self.client.simple_query_raw("ROLLBACK"));
        let _queued = sending.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }

    /// As `explain`, where what the driver does not understand is a COPY in the wrong place or direction.
    fn explain_answer(&self, error: &tokio_postgres::Error) -> Failure {
        let failure = self.explain(error);
        if failure.kind() != FailureKind::Other || failure.sqlstate().is_some() {
            return failure;
        }
        Failure::new(
            FailureKind::Other,
            format!(
                "a COPY from or to the client was run in a way that it does not answer to ({})",
                failure.message()
            ),
        )
    }

    /// Turns a driver's error into a failure, and "closed" into what the server said when it closed.
    pub(super) fn explain(&self, error: &tokio_postgres::Error) -> Failure {
        let failure = Failure::from_driver(error);
        if failure.kind() != FailureKind::ConnectionLost {
            return failure;
        }
        self.last_word().unwrap_or(failure)
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("application_name", &self.application_name)
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// Moves bytes between the client and the server until either ends it.
async fn drive(mut wire: Wire, shared: Arc<Shared>) {
    loop {
        let message = std::future::poll_fn(|context| wire.poll_message(context)).await;
        match message {
            Some(Ok(AsyncMessage::Notice(said))) => shared.notices.post(&said),
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                let failure = Failure::from_driver(&error);
                tracing::debug!(%failure, "a connection to PostgreSQL ended");
                let mut last_word = shared.last_word.lock().unwrap_or_else(PoisonError::into_inner);
                *last_word = Some(failure);
                return;
            }
            None => return,
        }
    }
}

/// Cancels what a session runs, by a connection of its own.
#[derive(Clone)]
pub struct CancelHandle {
    token: CancelToken,
    tls: MakeRustlsConnect,
}

impl CancelHandle {
    /// Asks the server to cancel. It may come too late, or find nothing to cancel: the server does not say.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn cancel(&self) -> Result<(), Failure> {
        let place = "the session's server";
        match timeout(CANCEL_TIMEOUT, self.token.cancel_query(self.tls.clone())).await {
            Ok(outcome) => outcome.map_err(|error| Failure::from_connecting(&error, place)),
            Err(_) => {
                let what = format!("no answer from {place} within {CANCEL_TIMEOUT:?} when cancelling");
                Err(Failure::new(FailureKind::CannotConnect, what).while_connecting())
            }
        }
    }
}

impl std::fmt::Debug for CancelHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CancelHandle").finish_non_exhaustive()
    }
}

/// Whether statements may make the server forget what was prepared. A word in a literal costs a preparation, no more.
fn forgets_prepared(sql: &str) -> bool {
    let sql = sql.to_ascii_lowercase();
    FORGETTING.iter().any(|word| sql.contains(word))
}

fn too_large() -> Failure {
    let what = format!("the answer is larger than {ANSWER_BYTES_MAX} bytes; ask for fewer rows");
    Failure::new(FailureKind::Other, what)
}

/// Cuts a name at the bytes that PostgreSQL keeps, at the edge of a character.
pub(super) fn cut_application_name(name: &str) -> &str {
    let end = name.floor_char_boundary(APPLICATION_NAME_BYTES_MAX);
    name.split_at(end).0
}
