//! Asking the servers, one request at a time.
//!
//! Any of them may be asked. One that cannot be reached is passed over; one that was reached and did not answer may
//! have done what it was asked for, and what is asked here can be asked again.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use thiserror::Error;
use ureq::http::{Request as HttpRequest, Response as HttpResponse};
use ureq::{Agent, AsSendBody, Body, Timeout};
use vfs_core::client::{Failure, FeedEpoch, Reply, ReplyBody, Request, reply};

/// How long a connection may take.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// How long an answer to a request may take as a whole.
const ANSWER_WAIT: Duration = Duration::from_secs(60);
/// How long the next piece of a blob, or of what a server tells, may take. Servers show every 15 s that they are there.
const PIECE_WAIT: Duration = Duration::from_secs(45);
/// Bytes of one answer. Pages are far smaller; the state of a large tree is not.
const ANSWER_BYTES_MAX: u64 = 256 << 20;
/// The header that names the epoch of the feeds.
const EPOCH_HEADER: &str = "x-vfs-feed-epoch";
/// What stands before the token in its header.
const BEARER: &str = "Bearer ";

/// Where the bearer token comes from. It is read for each request, so that a new one is used at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A file; white space around the token is not part of it.
    File(PathBuf),
    /// A variable of the environment.
    Variable(&'static str),
}

/// Why a request has no good answer.
#[derive(Debug, Error)]
pub enum TransportError {
    /// There is no token to ask with.
    #[error("there is no token: {what}; get one from whoever runs the server")]
    Token {
        /// Where it was looked for, and what was found.
        what: String,
    },
    /// The token is somebody else's.
    #[error(
        "the token in {place} is of {theirs}, and this client is of {ours}: no server was asked. Put a token of {ours} \
         there, or make a client of {theirs} in another directory with `vfs --dir DIR init`"
    )]
    OtherUser {
        /// Where the token is.
        place: String,
        /// Whose it is.
        theirs: String,
        /// Whose it must be.
        ours: String,
    },
    /// No server could be reached.
    #[error("no server can be reached: {}", tried.join("; "))]
    Unreachable {
        /// Each that was tried, and why not.
        tried: Vec<String>,
    },
    /// The request was sent, and no whole answer came. It may have been done.
    #[error("{server} did not answer: {what}")]
    NoAnswer {
        /// Which.
        server: String,
        /// What happened.
        what: String,
    },
    /// The server said no.
    #[error("{text}")]
    Refused {
        /// Its status.
        status: u16,
        /// Its words.
        text: String,
        /// Seconds after which it may be tried again; `None`: not said.
        retry_after_s: Option<u64>,
    },
    /// The answer is not what it must be.
    #[error("transport returned {what}")]
    Malformed {
        /// What came.
        what: String,
    },
    /// A file of this machine.
    #[error("cannot read {}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

impl TransportError {
    /// The status of a refusal.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the same request may do better later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::NoAnswer { .. } => true,
            Self::Refused { status, .. } => *status == 429 || *status >= 500,
            Self::Token { .. } | Self::OtherUser { .. } | Self::Malformed { .. } | Self::File { .. } => false,
        }
    }
}

/// A good answer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    status: u16,
    epoch: Option<u16>,
    retry_after_s: Option<u64>,
    body: Vec<u8>,
}

/// The way to the servers of one client.
#[derive(Debug)]
pub struct Transport {
    agent: Agent,
    servers: Vec<String>,
    /// Which server is asked first.
    first: AtomicUsize,
    token: Token,
    /// Whose the token must be, where it says whose it is.
    user_id: Option<String>,
    client_id: String,
}

/// The user whom a JSON Web Token names. Nothing of it is verified, and a token of another kind names nobody.
fn subject(token: &str) -> Option<String> {
    let [_, payload, _] = *token.split('.').collect::<Vec<_>>() else { return None };
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let payload: Value = serde_json::from_slice(&payload).ok()?;
    payload.get("sub")?.as_str().map(str::to_owned)
}

impl Token {
    /// Where it is, for a person.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Variable(name) => (*name).to_owned(),
        }
    }
}

impl Transport {
    /// To these servers, as this client.
    #[must_use]
    pub fn new(servers: &[String], token: Token, client_id: &str) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT_WAIT))
            .user_agent(concat!("vfs/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        let servers = servers.iter().map(|server| server.trim_end_matches('/').to_owned()).collect();
        Self {
            agent,
            servers,
            first: AtomicUsize::new(0),
            token,
            user_id: None,
            client_id: client_id.to_owned(),
        }
    }

    /// The same, where a token that names another user than this one is never sent.
    #[must_use]
    pub fn of_user(mut self, user_id: &str) -> Self {
        self.user_id = Some(user_id.to_owned());
        self
    }

    /// Whether the token is somebody else's. One that is not there or names nobody is left to the servers.
    ///
    /// # Errors
    /// [`TransportError::OtherUser`].
    pub fn refuse_other_users(&self) -> Result<(), TransportError> {
        match self.bearer() {
            Err(error @ TransportError::OtherUser { .. }) => Err(error),
            _ => Ok(()),
        }
    }

    /// The user whom the token names; `None`: it names nobody.
    ///
    /// # Errors
    /// [`TransportError`] where there is no token, or it is somebody else's.
    pub fn token_of(&self) -> Result<Option<String>, TransportError> {
        let bearer = self.bearer()?;
        Ok(bearer.strip_prefix(BEARER).and_then(subject))
    }

    /// The servers.
    #[must_use]
    pub fn servers(&self) -> &[String] {
        &self.servers
    }

    fn bearer(&self) -> Result<String, TransportError> {
        let (text, what) = match &self.token {
            Token::File(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| TransportError::File { path: path.clone(), error })?;
                (text, format!("{} is empty", path.display()))
            }
            Token::Variable(name) => (
                std::env::var(name).unwrap_or_default(),
                format!("{name} is not set, and `vfs init` was given no --token-file"),
            ),
        };
        match text.trim() {
            "" => Err(TransportError::Token { what }),
            token if !token.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Err(TransportError::Token { what: "what is there is no token".to_owned() })
            }
            token => match (subject(token), &self.user_id) {
                (Some(theirs), Some(ours)) if theirs != *ours => {
                    Err(TransportError::OtherUser { place: self.token.place(), theirs, ours: ours.clone() })
                }
                _ => Ok(format!("{BEARER}{token}")),
            },
        }
    }

    /// Sends a request to one server after the other until one is reached.
    fn send<S: AsSendBody>(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        limits: &Limits,
        mut body: impl FnMut() -> Result<S, TransportError>,
    ) -> Result<(String, HttpResponse<Body>), TransportError> {
        let bearer = self.bearer()?;
        let mut tried = Vec::new();
        for _ in 0..self.servers.len() {
            let first = self.first.load(Ordering::Relaxed);
            let Some(server) = self.servers.get(first % self.servers.len()) else { break };
            let mut request = HttpRequest::builder()
                .method(method)
                .uri(format!("{server}{path}"))
                .header("authorization", &bearer)
                .header("accept", "application/json");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let built = request.body(body()?);
            let built = built
                .map_err(|error| TransportError::Unreachable { tried: vec![format!("{server}: {error}")] })?;
            let mut configured = self.agent.configure_request(built);
            configured = match limits {
                Limits::Whole => configured.timeout_global(Some(ANSWER_WAIT)),
                Limits::Pieces => {
                    configured.timeout_per_read(Some(PIECE_WAIT)).timeout_per_write(Some(PIECE_WAIT))
                }
            };
            match self.agent.run(configured.build()) {
                Ok(response) => return Ok((server.clone(), response)),
                Err(error) if is_unreached(&error) => {
                    tried.push(format!("{server}: {error}"));
                    self.first.store(first.wrapping_add(1), Ordering::Relaxed);
                }
                Err(error) => {
                    self.first.store(first.wrapping_add(1), Ordering::Relaxed);
                    return Err(TransportError::NoAnswer { server: server.clone(), what: error.to_string() });
                }
            }
        }
        if tried.is_empty() {
            tried.push("no server is named".to_owned());
        }
        Err(TransportError::Unreachable { tried })
    }

    fn whole(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, TransportError> {
        let text = body.map(Value::to_string);
        let json = [("content-type", "application/json")];
        let (server, response) = match &text {
            Some(text) => self.send(method, path, &json, &Limits::Whole, || Ok(text.as_str()))?,
            None => self.send(method, path, &[], &Limits::Whole, || Ok(()))?,
        };
        answer(&server, response)
    }

    /// Asks for JSON and gets it.
    ///
    /// # Errors
    /// [`TransportError`].
    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, TransportError> {
        good(&self.whole(method, path, body)?)
    }

    /// Sends the bytes of a file as they are.
    ///
    /// # Errors
    /// [`TransportError`].
    pub fn upload(&self, path: &str, file: &Path, content_type: &str) -> Result<Value, TransportError> {
        let open = || File::open(file).map_err(|error| TransportError::File { path: file.to_owned(), error });
        let headers = [("content-type", content_type)];
        let (server, response) = self.send("PUT", path, &headers, &Limits::Pieces, open)?;
        good(&answer(&server, response)?)
    }

    /// The bytes of a blob, in a stream. It ends early where the server says so.
    ///
    /// # Errors
    /// [`TransportError`].
    pub fn download(&self, path: &str) -> Result<Download, TransportError> {
        let (server, response) = self.send("GET", path, &[], &Limits::Pieces, || Ok(()))?;
        if !response.status().is_success() {
            good(&answer(&server, response)?)?;
            return Err(TransportError::Malformed { what: "no blob".to_owned() });
        }
        let length =
            response.headers().get("content-length").and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(Download { length, body: Box::new(response.into_body().into_reader()) })
    }

    /// What a server tells from a place on, line by line.
    ///
    /// # Errors
    /// [`TransportError`].
    pub(crate) fn events(&self, last: Option<&str>) -> Result<Box<dyn Read + Send>, TransportError> {
        let mut headers = vec![("accept", "text/event-stream")];
        headers.extend(last.map(|last| ("last-event-id", last)));
        let (server, response) = self.send("GET", "/v1/vfs/events", &headers, &Limits::Pieces, || Ok(()))?;
        if !response.status().is_success() {
            good(&answer(&server, response)?)?;
            return Err(TransportError::Malformed { what: "no events".to_owned() });
        }
        Ok(Box::new(response.into_body().into_reader()))
    }

    /// Does a request of the state machine. Whatever comes of it is a reply; and whether it may do better later.
    #[must_use]
    pub fn exchange(&self, request: &Request) -> (Reply, bool) {
        let (method, path, body) = wire(request, &self.client_id);
        match self.whole(method, &path, body.as_ref()) {
            Ok(answer) => {
                let feed = answer.epoch.map(|epoch| FeedEpoch { epoch, began_after_seq: None });
                let may_pass = answer.status == 429 || answer.status >= 500;
                (Reply { feed, body: reply::read(request, answer.status, &answer.body) }, may_pass)
            }
            Err(error) => {
                (Reply::of(ReplyBody::Failed(Failure::Transport(error.to_string()))), error.is_passing())
            }
        }
    }
}

/// How long a request may take.
enum Limits {
    /// As a whole.
    Whole,
    /// From piece to piece.
    Pieces,
}

/// A blob on its way here.
pub struct Download {
    /// Bytes that are to come; `None`: not said.
    pub length: Option<u64>,
    body: Box<dyn Read + Send>,
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.body.read(buffer)
    }
}

fn is_unreached(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed | ureq::Error::Tls(_) => true,
        ureq::Error::Timeout(which) => matches!(which, Timeout::Resolve | Timeout::Connect),
        ureq::Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        _ => false,
    }
}

fn answer(server: &str, mut response: HttpResponse<Body>) -> Result<Answer, TransportError> {
    let number =
        |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let (epoch, retry_after_s) = (number(EPOCH_HEADER), number("retry-after"));
    let mut body = Vec::new();
    let limit = ANSWER_BYTES_MAX;
    let mut reader = response.body_mut().with_config().limit(limit).reader();
    reader.read_to_end(&mut body).map_err(|error| TransportError::NoAnswer {
        server: server.to_owned(),
        what: format!("the answer broke off: {error}"),
    })?;
    let epoch = epoch.and_then(|epoch| u16::try_from(epoch).ok());
    Ok(Answer { status: response.status().as_u16(), epoch, retry_after_s, body })
}

fn good(answer: &Answer) -> Result<Value, TransportError> {
    reply::content(answer.status, &answer.body).map_err(|failure| match failure {
        Failure::Transport(text) => {
            TransportError::Refused { status: answer.status, text, retry_after_s: answer.retry_after_s }
        }
        Failure::Malformed(_) if answer.status >= 400 => TransportError::Refused {
            status: answer.status,
            text: format!("request failed with status {}", answer.status),
            retry_after_s: answer.retry_after_s,
        },
        Failure::Malformed(_) => TransportError::Malformed { what: "non-JSON response".to_owned() },
        Failure::RematerializationRequired { .. } => TransportError::Refused {
            status: answer.status,
            text: "the server has forgotten what would follow; re-materialize".to_owned(),
            retry_after_s: None,
        },
    })
}

fn wire(request: &Request, client_id: &str) -> (&'static str, String, Option<Value>) {
    match request {
        Request::Push { client_id, operations } => (
            "POST",
            "/v1/vfs/crdt/push".to_owned(),
            Some(json!({ "clientId": client_id, "operations": operations })),
        ),
        Request::Pull { cursor, limit } => {
            let cursor = cursor.as_ref().map(|cursor| format!("&cursor={}", cursor.encode()));
            let client = encoded(client_id);
            let path =
                format!("/v1/vfs/crdt/sync?limit={limit}&clientId={client}{}", cursor.unwrap_or_default());
            ("GET", path, None)
        }
        Request::Reconcile { client_id, state } => (
            "POST",
            "/v1/vfs/crdt/reconcile".to_owned(),
            Some(json!({
                "clientId": client_id,
                "cursor": state.cursor.encode(),
                "lastReconciledWriteIds": state.last_reconciled_write_ids,
            })),
        ),
        Request::Snapshot => ("GET", format!("/v1/vfs/crdt/snapshot?clientId={}", encoded(client_id)), None),
    }
}

/// A text as one segment of a path, or one value of a query.
#[must_use]
pub fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_segment_whatever_is_in_it() {
        assert_eq!(encoded("a/b c:ä"), "a%2Fb%20c%3A%C3%A4");
    }

    #[test]
    fn a_web_token_names_its_user_and_any_other_nobody() {
        let token = |payload: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload));
        assert_eq!(subject(&token(r#"{"sub":"ada","jti":"1"}"#)), Some("ada".to_owned()));
        for opaque in
            [token("{}"), token(r#"{"sub":7}"#), token("no"), "a.b.c".into(), "opaque".into(), "a.b".into()]
        {
            assert_eq!(subject(&opaque), None, "{opaque}");
        }
    }

    #[test]
    fn without_a_token_nothing_is_asked() {
        let transport =
            Transport::new(&["http://127.0.0.1:9".to_owned()], Token::Variable("VFS_NO_SUCH"), "c");
        let error = transport.ask("GET", "/", None).unwrap_err();
        assert!(error.to_string().starts_with("there is no token: VFS_NO_SUCH is not set"), "{error}");
        assert!(!error.is_passing());
    }
}
