//! The connection to a store that speaks the protocol of S3: plain HTTP/1, TLS where the URL asks for it, attempts
//! that are ours, and refusals that keep their code.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Frame, Incoming};
use hyper::{Method, Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as TcpConnector;
use hyper_util::rt::TokioExecutor;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse,
    HttpResponseBody, HttpService,
};
use object_store::{ClientOptions, PutPayload};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::classify::{ObjectCode, ObjectError};
use super::config::{BlobConfigError, Patience};
use super::retry::{Failed, RealPauses, persist};

/// Bytes of a refusal that are read.
const REFUSAL_BYTES_MAX: usize = 64 << 10;
/// Bytes of an answer to POST that are read.
const POST_ANSWER_BYTES_MAX: usize = 4 << 20;
/// How long the end of a multipart upload may take: stores put the parts of a large object together first.
const COMPLETE_WAIT: Duration = Duration::from_secs(300);
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an unused connection is kept: shorter than stores keep theirs.
const IDLE: Duration = Duration::from_secs(4);
/// Unused connections that are kept.
const IDLE_MAX: usize = 32;

/// Makes the connection for the store's client.
#[derive(Debug)]
pub(super) struct Connector(Connection);

impl Connector {
    pub(super) fn new(patience: Patience) -> Result<Connector, BlobConfigError> {
        Ok(Connector(Connection { client: client()?, patience, pauses: Arc::default() }))
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

type Https = Client<HttpsConnector<TcpConnector>, HttpRequestBody>;

#[derive(Debug, Clone)]
struct Connection {
    client: Https,
    patience: Patience,
    pauses: Arc<RealPauses>,
}

fn client() -> Result<Https, BlobConfigError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = tidegate_store::postgres::system_roots_file() {
        let certificates: Result<Vec<CertificateDer<'static>>, _> =
            CertificateDer::pem_file_iter(&path).and_then(Iterator::collect);
        let certificates = certificates.map_err(|error| {
            BlobConfigError::Store(format!("root certificates in {}: {error}", path.display()))
        })?;
        roots.add_parsable_certificates(certificates);
    }
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| BlobConfigError::Store(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tcp = TcpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
    Ok(Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_MAX)
        .pool_timer(hyper_util::rt::TokioTimer::new())
        .build(https.wrap_connector(tcp)))
}

impl HttpService for Connection {
    // As `async_trait` writes it, which the trait is made with.
    fn call<'s, 'f>(&'s self, request: HttpRequest) -> Answering<'f>
    where
        's: 'f,
        Self: 'f,
    {
        Box::pin(self.ask(request))
    }
}

type Answering<'f> = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'f>>;

impl Connection {
    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        // Kept in its pieces, which are shared and not copied by each attempt.
        let mut pieces = Vec::new();
        let mut body = std::pin::pin!(body);
        while let Some(frame) = body.frame().await {
            if let Ok(piece) = frame?.into_data() {
                pieces.push(piece);
            }
        }
        let payload: PutPayload = pieces.into_iter().collect();
        let patience = self.patience_for(&parts);
        let answered = persist(&patience, &*self.pauses, |most| {
            let request = Request::from_parts(parts.clone(), HttpRequestBody::from(payload.clone()));
            self.attempt(request, most)
        });
        // The kind keeps the store's client from trying again by itself; the code is in the source.
        let answered = answered.await.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        let between = self.patience.attempt_timeout;
        Ok(answered.map(|body| match body {
            Answer::Streamed(body) => HttpResponseBody::new(Watched { body, between, sleep: None }),
            Answer::Whole(bytes) => HttpResponseBody::from(bytes),
        }))
    }

    /// The end of a multipart upload gets more time than other requests.
    fn patience_for(&self, parts: &hyper::http::request::Parts) -> Patience {
        let query = parts.uri.query().unwrap_or_default();
        if parts.method != Method::POST || !query.contains("uploadId=") {
            return self.patience;
        }
        Patience {
            attempt_timeout: self.patience.attempt_timeout.max(COMPLETE_WAIT),
            deadline: self.patience.deadline.max(COMPLETE_WAIT.saturating_mul(2)),
            ..self.patience
        }
    }

    async fn attempt(
        &self,
        request: Request<HttpRequestBody>,
        most: Duration,
    ) -> Result<Response<Answer>, Failed> {
        let is_post = request.method() == Method::POST;
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| lost(&error))?;
            if !response.status().is_success() {
                return Err(refusal(response).await);
            }
            if is_post { whole(response).await } else { Ok(response.map(Answer::Streamed)) }
        };
        match tokio::time::timeout(most, exchange).await {
            Ok(ended) => ended,
            Err(_) => Err(Failed {
                code: ObjectCode::Timeout,
                message: format!("no answer within {} ms", most.as_millis()),
            }),
        }
    }
}

/// The body of an answer.
enum Answer {
    Streamed(Incoming),
    Whole(Bytes),
}

/// An answer to POST: the end of a multipart upload may be refused after its head, which says 200.
async fn whole(response: Response<Incoming>) -> Result<Response<Answer>, Failed> {
    let (parts, body) = response.into_parts();
    let bytes = match Limited::new(body, POST_ANSWER_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return Err(Failed { code: ObjectCode::TruncatedBody, message: error.to_string() }),
    };
    let text = String::from_utf8_lossy(&bytes);
    if text.contains("<Error>") {
        return Err(Failed::of_text(500, &text));
    }
    Ok(Response::from_parts(parts, Answer::Whole(bytes)))
}

/// A connection that was not made, or ended before its answer.
fn lost(error: &(dyn std::error::Error + 'static)) -> Failed {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        message.push_str(": ");
        message.push_str(&error.to_string());
        source = error.source();
    }
    Failed { code: ObjectCode::ConnectionLost, message }
}

async fn refusal(response: Response<Incoming>) -> Failed {
    let status = response.status().as_u16();
    let text = match Limited::new(response.into_body(), REFUSAL_BYTES_MAX).collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        Err(_) => String::new(),
    };
    Failed::of_text(status, &text)
}

impl Failed {
    fn of_text(status: u16, text: &str) -> Failed {
        let code = ObjectCode::of_answer(status, element(text, "Code"));
        let message = element(text, "Message").unwrap_or_default();
        Failed { code, message: format!("status {status}: {message}") }
    }
}

/// The text of an element that has no others in it. Codes and messages of S3 are such.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text)
}

/// A body whose next piece must come in time.
struct Watched {
    body: Incoming,
    between: Duration,
    sleep: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        use std::task::Poll;
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.sleep = None;
            return Poll::Ready(frame.map(|frame| {
                frame.map_err(|error| broken(ObjectCode::TruncatedBody, lost(&error).message))
            }));
        }
        let between = self.between;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(between)));
        if sleep.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.sleep = None;
        let message = format!("nothing came for {} ms", between.as_millis());
        Poll::Ready(Some(Err(broken(ObjectCode::Timeout, message))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}

fn broken(code: ObjectCode, message: String) -> HttpError {
    HttpError::new(HttpErrorKind::Unknown, ObjectError { code, attempts: 1, message, after_doubt: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_from_an_answer() {
        let text = "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>Reduce</Message></Error>";
        assert_eq!(element(text, "Code"), Some("SlowDown"));
        assert_eq!(element(text, "Resource"), None);
        assert_eq!(element("<Code>", "Code"), None);
    }
}
