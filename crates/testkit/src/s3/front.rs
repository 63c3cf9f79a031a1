//! The proxy of requests in front of the endpoint.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use s3s::service::S3Service;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::BUCKET;
use super::fault::{Faults, S3Fault, S3Operation};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type AnyBody = UnsyncBoxBody<Bytes, BoxError>;

/// Serves until it is aborted; its connections end with it.
pub(super) async fn serve(listener: TcpListener, endpoint: S3Service, faults: Arc<Faults>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((socket, _)) = listener.accept().await else { continue };
        // Without this, answers of two small packets wait 40 ms for each other.
        let _ = socket.set_nodelay(true);
        let (endpoint, faults) = (endpoint.clone(), faults.clone());
        let service = service_fn(move |request| answer(request, endpoint.clone(), faults.clone()));
        connections.spawn(async move {
            // A connection that a fault ended is an error here, and what was asked for.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// An error makes the server end the connection without an answer.
async fn answer(
    request: Request<Incoming>,
    endpoint: S3Service,
    faults: Arc<Faults>,
) -> Result<Response<AnyBody>, BoxError> {
    let uri = request.uri();
    let operation = S3Operation::of(request.method(), uri.path(), uri.query().unwrap_or_default());
    // The directory behind the endpoint would make any other bucket by itself, which no store does.
    if uri.path().trim_start_matches('/').split('/').next() != Some(BUCKET) {
        return refusal(404, "NoSuchBucket");
    }
    let (fault, healed) = faults.meet(operation, uri.path());
    match fault {
        None => pass_on(request, &endpoint).await,
        Some(S3Fault::Refuse(code)) => {
            // The body is read, so that whoever sends it sees the answer and no reset.
            let _ = request.into_body().collect().await;
            refusal(code.status(), code.name())
        }
        Some(S3Fault::CutBody) => cut(pass_on(request, &endpoint).await?).await,
        Some(S3Fault::LoseReply) => {
            let done = pass_on(request, &endpoint).await?;
            Err(format!("the answer {} is lost on purpose", done.status()).into())
        }
        Some(S3Fault::HoldReply) => {
            let done = pass_on(request, &endpoint).await?;
            until_healed(healed).await;
            Ok(done)
        }
        Some(S3Fault::Hang) => {
            until_healed(healed).await;
            pass_on(request, &endpoint).await
        }
    }
}

async fn pass_on(request: Request<Incoming>, endpoint: &S3Service) -> Result<Response<AnyBody>, BoxError> {
    let answered = Service::call(endpoint, request).await.map_err(|error| format!("{error:?}"))?;
    Ok(answered.map(|body| body.map_err(|error| format!("{error:?}").into()).boxed_unsync()))
}

/// The first half of the body, and then the end of the connection.
async fn cut(answer: Response<AnyBody>) -> Result<Response<AnyBody>, BoxError> {
    let (parts, body) = answer.into_parts();
    let whole = body.collect().await?.to_bytes();
    let half = whole.slice(..whole.len() / 2);
    let cut = Cut { half: Some(half), was_written: false, whole: whole.len() as u64 };
    Ok(Response::from_parts(parts, cut.boxed_unsync()))
}

struct Cut {
    half: Option<Bytes>,
    was_written: bool,
    whole: u64,
}

impl Body for Cut {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        use std::task::Poll;
        if let Some(half) = self.half.take() {
            return Poll::Ready(Some(Ok(Frame::data(half))));
        }
        // The server writes out what it has when nothing comes for a moment; an error at once would swallow the half.
        if !self.was_written {
            self.was_written = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err("the body is cut on purpose".into())))
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        hyper::body::SizeHint::with_exact(self.whole)
    }
}

fn refusal(status: u16, name: &str) -> Result<Response<AnyBody>, BoxError> {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{name}</Code><Message>{name}</Message></Error>"
    );
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync();
    Ok(Response::builder().status(status).header(CONTENT_TYPE, "application/xml").body(body)?)
}

async fn until_healed(mut healed: watch::Receiver<u64>) {
    // An error says that the endpoint is gone, and then nobody waits either.
    let _ = healed.changed().await;
}
