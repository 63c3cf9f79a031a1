//! HTTP endpoints: one request, one bounded answer, no redirects, no second attempt.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use ureq::http;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Timeout};

/// Bytes that a response's body may have.
pub const BODY_BYTES_MAX: u64 = 16 << 20;
/// Bytes that a response's headers may have.
pub const HEADER_BYTES_MAX: usize = 64 << 10;

/// A request. Its `Debug` shows neither headers nor body nor query, which may be secrets.
#[derive(Clone)]
pub struct Request {
    /// GET, POST, PUT, …
    pub method: String,
    /// An absolute `http` or `https` URL.
    pub url: String,
    /// Names and values, in order.
    pub headers: Vec<(String, String)>,
    /// The body; `None` sends none.
    pub body: Option<Vec<u8>>,
    /// How long all of it may take: name look-up, connecting, sending and reading the whole answer.
    pub timeout: Duration,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &place(&self.url))
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names (lower case) and values, in order; a value that is not text is left out.
    pub headers: Vec<(String, String)>,
    /// The whole body, at most [`BODY_BYTES_MAX`] bytes.
    pub body: Vec<u8>,
}

impl Response {
    /// The first value of a header; the name is compared without regard to case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// A request without an answer. Messages name the place without user, password and query.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpFailure {
    /// It could not be sent as it stands.
    #[error("the request to {place} cannot be sent: {what}")]
    BadRequest {
        /// Where to.
        place: String,
        /// What is wrong with it.
        what: String,
    },
    /// No connection, so the request did not arrive.
    #[error("no connection to {place}: {what}")]
    NoConnection {
        /// Where to.
        place: String,
        /// Why.
        what: String,
    },
    /// The connection broke, or the answer was no HTTP. The request may have arrived.
    #[error("no answer from {place}: {what}")]
    NoAnswer {
        /// Where to.
        place: String,
        /// Why.
        what: String,
    },
    /// No complete answer in time.
    #[error("{place} did not answer within {limit:?}")]
    Timeout {
        /// Where to.
        place: String,
        /// The limit.
        limit: Duration,
        /// Whether the request may have arrived.
        may_have_arrived: bool,
    },
    /// TLS was not agreed upon, or the certificate was refused.
    #[error("no TLS connection to {place}: {what}")]
    Tls {
        /// Where to.
        place: String,
        /// Why.
        what: String,
    },
    /// The answer's body is too large. The request has arrived.
    #[error("the answer of {place} is larger than {limit} bytes")]
    BodyTooLarge {
        /// Where to.
        place: String,
        /// The limit.
        limit: u64,
    },
}

impl HttpFailure {
    /// Whether the other side may have acted upon the request.
    #[must_use]
    pub fn may_have_arrived(&self) -> bool {
        match self {
            HttpFailure::NoAnswer { .. } | HttpFailure::BodyTooLarge { .. } => true,
            HttpFailure::Timeout { may_have_arrived, .. } => *may_have_arrived,
            HttpFailure::BadRequest { .. } | HttpFailure::NoConnection { .. } | HttpFailure::Tls { .. } => {
                false
            }
        }
    }
}

/// Root certificates that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the root certificates in {path} cannot be used: {what}")]
pub struct RootsError {
    /// The file.
    pub path: String,
    /// Why.
    pub what: String,
}

/// Sends requests. It keeps no connection between them, so that no request is lost to one that has gone stale.
#[derive(Debug, Clone)]
pub struct Client {
    agent: Agent,
    body_bytes_max: u64,
}

impl Default for Client {
    fn default() -> Client {
        Client::new()
    }
}

impl Client {
    /// A client that trusts the roots of the web. Proxy variables of the environment are not read.
    #[must_use]
    pub fn new() -> Client {
        Client::with_tls(TlsConfig::default())
    }

    /// A client that trusts the certificates in a PEM file, and no others.
    ///
    /// # Errors
    /// When the file cannot be read or holds no certificate.
    pub fn trusting(roots: &Path) -> Result<Client, RootsError> {
        let refused = |what: String| RootsError { path: roots.display().to_string(), what };
        let pem = std::fs::read(roots).map_err(|error| refused(error.to_string()))?;
        let mut certificates: Vec<Certificate<'static>> = Vec::new();
        for item in parse_pem(&pem) {
            if let PemItem::Certificate(found) = item.map_err(|error| refused(error.to_string()))? {
                certificates.push(found);
            }
        }
        if certificates.is_empty() {
            return Err(refused("it holds no certificate".to_owned()));
        }
        let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&certificates)).build();
        Ok(Client::with_tls(tls))
    }

    fn with_tls(tls: TlsConfig) -> Client {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(0)
            .max_response_header_size(HEADER_BYTES_MAX)
            .allow_non_standard_methods(true)
            .proxy(None)
            .tls_config(tls)
            .build()
            .new_agent();
        Client { agent, body_bytes_max: BODY_BYTES_MAX }
    }

    /// The same client with a lower bound on bodies, in bytes.
    #[must_use]
    pub fn with_body_bytes_max(mut self, limit: u64) -> Client {
        self.body_bytes_max = limit.min(BODY_BYTES_MAX);
        self
    }

    /// Sends one request and reads the whole answer. Any status is an answer, 3xx too.
    ///
    /// The work is done on a thread for blocking calls; dropping the future does not recall a request that is under
    /// way, which ends by its timeout at the latest.
    ///
    /// # Errors
    /// See [`HttpFailure::may_have_arrived`] before sending it again.
    pub async fn request(&self, request: Request) -> Result<Response, HttpFailure> {
        let agent = self.agent.clone();
        let limit = self.body_bytes_max;
        let place = place(&request.url);
        let sending = tokio::task::spawn_blocking(move || send(&agent, request, limit));
        match sending.await {
            Ok(outcome) => outcome,
            Err(error) => Err(HttpFailure::NoAnswer {
                place,
                what: format!("the thread that asked ended early: {error}"),
            }),
        }
    }
}

fn send(agent: &Agent, request: Request, body_bytes_max: u64) -> Result<Response, HttpFailure> {
    let place = place(&request.url);
    let limit = request.timeout;
    let bad = |what: String| HttpFailure::BadRequest { place: place.clone(), what };
    if place == MALFORMED {
        return Err(bad("what stands for the port is no number".to_owned()));
    }
    let mut building = http::Request::builder().method(request.method.as_str()).uri(&request.url);
    for (name, value) in &request.headers {
        building = building.header(name, value);
    }
    let answered = match request.body {
        Some(body) => {
            let built = building.body(body).map_err(|error| bad(error.to_string()))?;
            agent.run(configured(agent, built, limit))
        }
        None => {
            let built = building.body(()).map_err(|error| bad(error.to_string()))?;
            agent.run(configured(agent, built, limit))
        }
    };
    let mut answer = answered.map_err(|error| failure(error, &place, limit))?;
    let headers = answer
        .headers()
        .iter()
        .filter_map(|(name, value)| {
            let value = value.to_str().ok()?;
            Some((name.as_str().to_owned(), value.to_owned()))
        })
        .collect();
    let mut body = Vec::new();
    answer
        .body_mut()
        .as_reader()
        .take(body_bytes_max.saturating_add(1))
        .read_to_end(&mut body)
        .map_err(|error| failure(ureq::Error::from(error), &place, limit))?;
    if body.len() as u64 > body_bytes_max {
        return Err(HttpFailure::BodyTooLarge { place, limit: body_bytes_max });
    }
    Ok(Response { status: answer.status().as_u16(), headers, body })
}

fn configured<S: ureq::AsSendBody>(
    agent: &Agent,
    request: http::Request<S>,
    limit: Duration,
) -> http::Request<S> {
    agent.configure_request(request).timeout_global(Some(limit)).build()
}

fn failure(error: ureq::Error, place: &str, limit: Duration) -> HttpFailure {
    let place = place.to_owned();
    let what = error.to_string();
    match error {
        ureq::Error::Timeout(which) => HttpFailure::Timeout {
            place,
            limit,
            may_have_arrived: !matches!(which, Timeout::Resolve | Timeout::Connect),
        },
        ureq::Error::Tls(_) | ureq::Error::Pem(_) | ureq::Error::Rustls(_) => {
            HttpFailure::Tls { place, what }
        }
        // The texts of these repeat the URL.
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
            HttpFailure::BadRequest { place, what: "the URL, a header or the method is malformed".to_owned() }
        }
        ureq::Error::HostNotFound => HttpFailure::NoConnection { place, what },
        ureq::Error::ConnectionFailed => HttpFailure::NoConnection { place, what },
        ureq::Error::Io(source) if is_tls(&source) => HttpFailure::Tls { place, what },
        ureq::Error::Io(source) if is_look_up(&source) => HttpFailure::NoConnection { place, what },
        ureq::Error::Io(source) => match source.kind() {
            std::io::ErrorKind::ConnectionRefused
            | std::io::ErrorKind::HostUnreachable
            | std::io::ErrorKind::NetworkUnreachable
            | std::io::ErrorKind::AddrNotAvailable => HttpFailure::NoConnection { place, what },
            _ => HttpFailure::NoAnswer { place, what },
        },
        _ => HttpFailure::NoAnswer { place, what },
    }
}

fn is_tls(error: &std::io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}

/// The standard library gives a failed name look-up no kind of its own, only these words.
fn is_look_up(error: &std::io::Error) -> bool {
    error.to_string().contains("failed to lookup address information")
}

/// What [`place`] shows of a URL that it cannot take apart.
const MALFORMED: &str = "a malformed URL";

/// The URL without user, password, query and fragment.
fn place(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (shown, _) = rest.split_at(end);
    let (authority, path) = match shown.find('/') {
        Some(slash) => shown.split_at(slash),
        None => (shown, ""),
    };
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    // A password with a '/' in it is no URL; what looks like a port would be its beginning.
    let port = host.rsplit_once(':').map_or("", |(_, port)| port);
    if !host.ends_with(']') && !port.chars().all(|c| c.is_ascii_digit()) {
        return MALFORMED.to_owned();
    }
    if scheme.is_empty() { format!("{host}{path}") } else { format!("{scheme}://{host}{path}") }
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn a_place_shows_no_secret() {
        assert_eq!(
            place("https://user:pw@host:8443/admin/freeze?token=pw#pw"),
            "https://host:8443/admin/freeze"
        );
        assert_eq!(place("http://host"), "http://host");
        assert_eq!(place("http://[::1]/a@b"), "http://[::1]/a@b");
        assert_eq!(place("http://[::1]:80/"), "http://[::1]:80/");
        assert_eq!(place("http://host?token=pw"), "http://host");
        assert_eq!(place("http://u:p/w@host/x"), "a malformed URL");
    }
}
