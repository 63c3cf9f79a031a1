//! What goes into the client and what comes out.

use serde_json::Value;

use super::epoch::FeedEpoch;
use super::error::ClientError;
use super::queue::QueuedOperation;
use super::rematerialize::RematerializationRequired;
use super::reply::ReplyError;
use crate::cursor::Cursor;
use crate::guardrail::Violation;
use crate::id::ClientId;
use crate::page::PulledPage;
use crate::push::PushResult;
use crate::reconcile::ReconcileState;

/// Names a request among those of one instance of a client. A reply to another than the last one is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(super) u64);

/// What the client wants to be done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Tell whoever watches. It comes before the error that it belongs to, once.
    Tell(Notice),
    /// Keep [`super::Client::export_state`] durably, before anything that follows is done.
    Persist,
    /// Send a request, and give the reply back with its id: also that there was none.
    Send {
        /// Which.
        id: RequestId,
        /// What.
        request: Request,
    },
    /// What was begun is over.
    Finished(Result<Outcome, ClientError>),
}

/// What is told to whoever watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A guardrail was broken.
    Guardrail(Violation),
    /// The server has forgotten what the client would need.
    Rematerialization(RematerializationRequired),
}

impl Notice {
    /// `stage:code`, by which it is counted.
    #[must_use]
    pub fn signature(&self) -> String {
        match self {
            Self::Guardrail(violation) => violation.signature(),
            Self::Rematerialization(_) => RematerializationRequired::SIGNATURE.to_owned(),
        }
    }
}

/// A request to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Take these operations, at most 500.
    Push {
        /// Whose they are.
        client_id: ClientId,
        /// In order.
        operations: Vec<QueuedOperation>,
    },
    /// Give what comes after a cursor.
    Pull {
        /// None: from the beginning.
        cursor: Option<Cursor>,
        /// Items, at most.
        limit: u16,
    },
    /// Remember how far this client has come.
    Reconcile {
        /// Which client.
        client_id: ClientId,
        /// How far.
        state: ReconcileState,
    },
    /// Give the state itself, at one place of the feed.
    Snapshot,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The feed that it is an answer from, where it says so.
    pub feed: Option<FeedEpoch>,
    /// The answer.
    pub body: ReplyBody,
}

impl Reply {
    /// One that says nothing of the feed.
    #[must_use]
    pub const fn of(body: ReplyBody) -> Self {
        Self { feed: None, body }
    }

    /// None came, or one that says why there is no answer.
    #[must_use]
    pub fn failed(text: &str) -> Self {
        Self::of(ReplyBody::Failed(Failure::Transport(text.to_owned())))
    }
}

/// The answer to a request, not believed yet.
#[derive(Debug, Clone, PartialEq)]
pub enum ReplyBody {
    /// The results of a push.
    Pushed(Value),
    /// A page.
    Pulled(PulledPage),
    /// How far the server says that the client has come.
    Reconciled {
        /// None: it is no cursor.
        cursor: Option<Cursor>,
        /// The map of writes.
        write_ids: Value,
    },
    /// The state, as [`super::ExportedState`] without what only clients have; `None`: there is none, so that the state
    /// is empty.
    Snapshot(Option<Value>),
    /// There is no answer.
    Failed(Failure),
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// What the server says, or what the way to it says. It may have done what it was asked for all the same.
    Transport(String),
    /// The answer is malformed.
    Malformed(ReplyError),
    /// The server has forgotten what comes after the cursor.
    RematerializationRequired {
        /// The oldest place that it still knows, if it says so.
        oldest_available: Option<Cursor>,
    },
}

/// How something that was begun ended well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Operations that the server has, as it says.
    pub pushed_operations: usize,
    /// Items that were read at the end; those read to recover from stale writes are not counted.
    pub pulled_operations: usize,
    /// Pages that were read at the end.
    pub pull_pages: usize,
    /// Times that the state was taken anew.
    pub rematerializations: u32,
}

/// What became of the wish to begin something.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum Begun {
    /// It has begun.
    Now(Vec<Effect>),
    /// A flush is under way, and its end is also the end of this one.
    Joined,
    /// Something else is under way: begin again when it has ended.
    Busy,
}

impl Begun {
    /// The effects of the beginning; none where it joined or must wait.
    #[must_use]
    pub fn effects(self) -> Vec<Effect> {
        match self {
            Self::Now(effects) => effects,
            Self::Joined | Self::Busy => Vec::new(),
        }
    }
}

/// The answers of a push that were not good.
pub(super) type Rejections = Vec<PushResult>;
