//! The service as its clients see it: what is asked, and what the answer means for a history.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value as Json;
use testkit::history::Fate;

use crate::wire::{By, Request, Unanswered, Wire};

/// The word for a request that did not reach an instance.
pub(crate) const NOT_SENT: &str = "no instance";

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    /// What the browser sends.
    pub(crate) cookie: Arc<str>,
}

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Reply {
    /// It was done.
    Done(Json),
    /// It was not done.
    Refused {
        /// The status.
        status: u16,
        /// The code, or the text where there is none.
        why: String,
        /// All of the answer.
        body: Json,
    },
    /// Whether it was done is not known; nothing of it is under way any more.
    Unknown,
    /// Whether it was or will be done is not known.
    Late,
}

impl Reply {
    /// What a write of this reply came to.
    pub(crate) fn fate(&self) -> Fate {
        match self {
            Self::Done(_) => Fate::Acknowledged,
            Self::Refused { .. } => Fate::Refused,
            Self::Unknown | Self::Late => Fate::Unknown,
        }
    }
}

/// A client's connections, one to each instance.
#[derive(Debug)]
pub(crate) struct Client {
    wires: Vec<Wire>,
}

impl Client {
    /// Connections to these instances, made when they are needed.
    pub(crate) fn to(addresses: &[SocketAddr]) -> Self {
        Self { wires: addresses.iter().copied().map(Wire::to).collect() }
    }

    /// Asks one instance.
    pub(crate) async fn ask(&mut self, instance: usize, request: Request<'_>) -> Reply {
        let instance = instance % self.wires.len().max(1);
        let Some(wire) = self.wires.get_mut(instance) else { return not_sent() };
        match wire.ask(request).await {
            Ok(answer) => judged(answer.status, &answer.body),
            Err(Unanswered::NotSent) => not_sent(),
            Err(Unanswered::Broken) => Reply::Unknown,
            Err(Unanswered::Late) => Reply::Late,
        }
    }

    /// Signs somebody in.
    pub(crate) async fn sign_in(&mut self, email: &str, password: &str) -> Option<Person> {
        let body = serde_json::json!({ "email": email, "password": password }).to_string();
        let request = Request { method: "POST", path: "/v1/auth/sign-in", by: By::Nobody, body: &body };
        let answer = self.wires.first_mut()?.ask(request).await.ok()?;
        Some(Person { cookie: answer.cookie?.into() })
    }
}

fn not_sent() -> Reply {
    Reply::Refused { status: 0, why: NOT_SENT.to_owned(), body: Json::Null }
}

/// What an answer means. The service says of each code whether something may have been kept.
fn judged(status: u16, body: &[u8]) -> Reply {
    let body: Json = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(Json::as_str);
    let why = text("code").or_else(|| text("error")).unwrap_or_default().to_owned();
    let untold = ["ACCOUNT_OUTCOME_UNKNOWN", "ACCOUNT_INSTANCE_STALE"].contains(&why.as_str());
    match status {
        200..=299 => Reply::Done(body),
        400..=499 => Reply::Refused { status, why, body },
        503 if text("code").is_some() && !untold => Reply::Refused { status, why, body },
        _ => Reply::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_says_that_nothing_was_kept_counts_as_refused() {
        let fate = |status, body: &str| judged(status, body.as_bytes()).fate();
        assert_eq!(fate(201, "{}"), Fate::Acknowledged);
        assert_eq!(fate(409, r#"{"code":"BOOK_SNAPSHOT_CONFLICT"}"#), Fate::Refused);
        assert_eq!(fate(503, r#"{"code":"ACCOUNT_BUSY"}"#), Fate::Refused);
        assert_eq!(fate(503, r#"{"code":"ACCOUNT_OUTCOME_UNKNOWN"}"#), Fate::Unknown);
        assert_eq!(fate(503, r#"{"code":"ACCOUNT_INSTANCE_STALE"}"#), Fate::Unknown);
        assert_eq!(fate(503, "{}"), Fate::Unknown);
        assert_eq!(fate(500, "not JSON"), Fate::Unknown);
    }
}
