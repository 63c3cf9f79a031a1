//! What the endpoint is told to do to a request, and what it has seen.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::Method;
use tokio::sync::watch;

/// Requests that are remembered; later ones are served and forgotten.
const REQUESTS_MAX: usize = 100_000;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum S3Operation {
    /// PutObject.
    Put,
    /// GetObject.
    Get,
    /// HeadObject.
    Head,
    /// DeleteObject.
    Delete,
    /// ListObjectsV2.
    List,
    /// CreateMultipartUpload.
    CreateMultipart,
    /// UploadPart.
    UploadPart,
    /// CompleteMultipartUpload.
    CompleteMultipart,
    /// AbortMultipartUpload.
    AbortMultipart,
    /// Anything else.
    Other,
}

impl S3Operation {
    /// By method, path (`/bucket/key`) and query.
    pub(super) fn of(method: &Method, path: &str, query: &str) -> S3Operation {
        let has_key = path.trim_start_matches('/').split_once('/').is_some_and(|(_, key)| !key.is_empty());
        let asks = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
        match (method, has_key) {
            (&Method::PUT, true) if asks("partNumber") => S3Operation::UploadPart,
            (&Method::PUT, true) => S3Operation::Put,
            (&Method::GET, true) => S3Operation::Get,
            (&Method::GET, false) => S3Operation::List,
            (&Method::HEAD, true) => S3Operation::Head,
            (&Method::DELETE, true) if asks("uploadId") => S3Operation::AbortMultipart,
            (&Method::DELETE, true) => S3Operation::Delete,
            (&Method::POST, true) if asks("uploads") => S3Operation::CreateMultipart,
            (&Method::POST, true) if asks("uploadId") => S3Operation::CompleteMultipart,
            _ => S3Operation::Other,
        }
    }
}

/// An error code of S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum S3Code {
    /// There is no such object (404).
    NoSuchKey,
    /// The user may not (403).
    AccessDenied,
    /// Too many requests (503).
    SlowDown,
    /// The service failed (500).
    InternalError,
    /// The service is out of reach (503).
    ServiceUnavailable,
}

impl S3Code {
    /// The code as it stands in the answer.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            S3Code::NoSuchKey => "NoSuchKey",
            S3Code::AccessDenied => "AccessDenied",
            S3Code::SlowDown => "SlowDown",
            S3Code::InternalError => "InternalError",
            S3Code::ServiceUnavailable => "ServiceUnavailable",
        }
    }

    pub(super) fn status(self) -> u16 {
        match self {
            S3Code::NoSuchKey => 404,
            S3Code::AccessDenied => 403,
            S3Code::SlowDown | S3Code::ServiceUnavailable => 503,
            S3Code::InternalError => 500,
        }
    }
}

/// What is done to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum S3Fault {
    /// It is not carried out, and refused with this code.
    Refuse(S3Code),
    /// It is carried out, and the connection ends in the middle of the answer's body.
    CutBody,
    /// It is carried out, and the connection ends without an answer.
    LoseReply,
    /// It is carried out, and the answer is kept until [`heal`](super::S3Endpoint::heal).
    HoldReply,
    /// It is not looked at until [`heal`](super::S3Endpoint::heal), and then carried out.
    Hang,
}

/// A request that the endpoint has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Request {
    /// What it asked for.
    pub operation: S3Operation,
    /// The path, as it came.
    pub path: String,
    /// What was done to it.
    pub fault: Option<S3Fault>,
}

#[derive(Debug)]
struct Rule {
    operation: S3Operation,
    fault: S3Fault,
    /// `None`: for ever.
    left: Option<u32>,
}

/// The faults that are still to come, and what was seen.
#[derive(Debug)]
pub(super) struct Faults {
    state: Mutex<State>,
    /// Counts how often everything was healed.
    healed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    requests: Vec<S3Request>,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults { state: Mutex::default(), healed: watch::Sender::new(0) }
    }
}

impl Faults {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, operation: S3Operation, fault: S3Fault, left: Option<u32>) {
        self.state().rules.push(Rule { operation, fault, left });
    }

    pub(super) fn heal(&self) {
        self.state().rules.clear();
        self.healed.send_modify(|times| *times += 1);
    }

    /// Notes a request and says what is to be done to it, with what tells when everything is healed.
    pub(super) fn meet(&self, operation: S3Operation, path: &str) -> (Option<S3Fault>, watch::Receiver<u64>) {
        let mut state = self.state();
        let healed = self.healed.subscribe();
        let found = state.rules.iter_mut().find(|rule| rule.operation == operation && rule.left != Some(0));
        let fault = found.map(|rule| {
            rule.left = rule.left.map(|left| left.saturating_sub(1));
            rule.fault
        });
        if state.requests.len() < REQUESTS_MAX {
            state.requests.push(S3Request { operation, path: path.to_owned(), fault });
        }
        (fault, healed)
    }

    pub(super) fn requests(&self) -> Vec<S3Request> {
        self.state().requests.clone()
    }

    pub(super) fn forget_requests(&self) {
        self.state().requests.clear();
    }
}
