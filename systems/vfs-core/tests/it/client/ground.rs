//! A client with whoever runs it, and a server to talk to.

use std::collections::VecDeque;

use serde_json::{Value, json};
use vfs_core::client::{
    Begun, Client, ClientError, Effect, ExportedState, LocalOperation, Notice, Options, Outcome, Reply,
    ReplyBody, Request, RequestId,
};
use vfs_core::feed::FeedItem;
use vfs_core::guardrail::Violation;
use vfs_core::model::{Model, Pull};
use vfs_core::page::PulledPage;
use vfs_core::reconcile::ReconcileRequest;
use vfs_core::{Cursor, OpType, PushRequest, Timestamp, UserId};

use crate::scene::{at, cursor, fed_link, item, user};

/// A client, what it told, and what was kept of it.
pub(crate) struct Desk {
    pub(crate) client: Client,
    pub(crate) told: Vec<Violation>,
    pub(crate) notices: Vec<String>,
    /// The last state that was kept; `None`: none was.
    pub(crate) kept: Option<ExportedState>,
    /// Every request that was sent.
    pub(crate) sent: Vec<Request>,
    out: VecDeque<(RequestId, Request)>,
    ended: Option<Result<Outcome, ClientError>>,
}

impl Desk {
    pub(crate) fn new(client: &str, limit: usize) -> Self {
        Self::of(Options::new("alice", client).unwrap().pull_limit(limit).unwrap())
    }

    pub(crate) fn of(options: Options) -> Self {
        Self {
            client: Client::new(options),
            told: Vec::new(),
            notices: Vec::new(),
            kept: None,
            sent: Vec::new(),
            out: VecDeque::new(),
            ended: None,
        }
    }

    pub(crate) fn export(&self) -> Value {
        serde_json::to_value(self.client.export_state()).unwrap()
    }

    pub(crate) fn queue(&mut self, local: &LocalOperation, millisecond: i64) -> String {
        let queued = self.client.queue_local_operation(local, at(millisecond)).unwrap();
        queued.operation.op_id.to_string()
    }

    /// A new client of the same kind, with the exported state taken up.
    pub(crate) fn restarted(&self) -> Self {
        let mut desk = Self::of(self.client.options().clone());
        desk.hydrate(&self.export()).expect("a state that was exported");
        desk
    }

    pub(crate) fn hydrate(&mut self, state: &Value) -> Result<Outcome, ClientError> {
        let before = self.client.export_state();
        let effects = self.client.hydrate(state);
        self.take(effects);
        let ended = self.ended.take().expect("the end");
        if ended.is_err() {
            assert_eq!(self.client.export_state(), before, "a failed hydrate left the client as it was");
        }
        ended
    }

    pub(crate) fn begin(&mut self, begun: Begun) {
        match begun {
            Begun::Now(effects) => self.take(effects),
            other => panic!("nothing began: {other:?}"),
        }
    }

    /// Does effects but for sending, which waits until it is answered.
    pub(crate) fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            assert!(self.ended.is_none(), "nothing comes after the end");
            match effect {
                Effect::Tell(notice) => {
                    self.notices.push(notice.signature());
                    if let Notice::Guardrail(violation) = notice {
                        self.told.push(violation);
                    }
                }
                Effect::Persist => self.kept = Some(self.client.export_state()),
                Effect::Send { id, request } => {
                    self.sent.push(request.clone());
                    self.out.push_back((id, request));
                }
                Effect::Finished(ended) => self.ended = Some(ended),
            }
        }
    }

    /// What is out and not answered.
    pub(crate) fn asked(&self) -> Option<&Request> {
        self.out.front().map(|(_, request)| request)
    }

    /// Answers the request that is out. A failed attempt must leave the export as it was, and be told at most once.
    pub(crate) fn answer(&mut self, body: ReplyBody) {
        self.answer_with(Reply::of(body));
    }

    pub(crate) fn answer_with(&mut self, reply: Reply) {
        let (id, _) = self.out.pop_front().expect("a request");
        let (before, told) = (serde_json::to_string(&self.client.export_state()).unwrap(), self.told.len());
        let effects = self.client.reply(id, reply);
        self.take(effects);
        if let Some(Err(error)) = &self.ended
            && !matches!(error, ClientError::Rejected { .. })
        {
            let after = serde_json::to_string(&self.client.export_state()).unwrap();
            assert_eq!(after, before, "a failed attempt left the state as it was: {error}");
            assert_eq!(self.told[told..].first(), error.violation(), "told before it was thrown: {error}");
            assert!(self.told.len() - told <= 1);
        }
    }

    pub(crate) fn ended(&mut self) -> Option<Result<Outcome, ClientError>> {
        self.ended.take()
    }

    /// Answers requests until the end.
    pub(crate) fn run(
        &mut self,
        mut answer: impl FnMut(&Request) -> ReplyBody,
    ) -> Result<Outcome, ClientError> {
        loop {
            if let Some(ended) = self.ended() {
                return ended;
            }
            let body = answer(self.asked().expect("a request or the end"));
            self.answer(body);
        }
    }

    pub(crate) fn sync(&mut self, answer: impl FnMut(&Request) -> ReplyBody) -> Result<Outcome, ClientError> {
        let begun = self.client.sync();
        self.begin(begun);
        self.run(answer)
    }

    pub(crate) fn flush(
        &mut self,
        answer: impl FnMut(&Request) -> ReplyBody,
    ) -> Result<Outcome, ClientError> {
        let begun = self.client.flush();
        self.begin(begun);
        self.run(answer)
    }

    pub(crate) fn signatures(&self) -> Vec<String> {
        self.told.iter().map(Violation::signature).collect()
    }

    /// The write ids of each push, in order.
    pub(crate) fn pushes(&self) -> Vec<Vec<u64>> {
        let pushes = self.sent.iter().filter_map(|request| match request {
            Request::Push { operations, .. } => Some(operations),
            _ => None,
        });
        pushes.map(|batch| batch.iter().map(|queued| queued.operation.write_id.get()).collect()).collect()
    }

    /// How often it asked for a page.
    pub(crate) fn pulls(&self) -> usize {
        self.sent.iter().filter(|request| matches!(request, Request::Pull { .. })).count()
    }
}

/// The server's rules, spoken to in the bytes of the wire.
pub(crate) struct Hub {
    pub(crate) model: Model,
    pub(crate) now: Timestamp,
    pub(crate) who: UserId,
}

impl Hub {
    /// One where `alice` owns these items.
    pub(crate) fn with(items: &[&str]) -> Self {
        let (mut model, who) = (Model::new(at(0)), user("alice"));
        for id in items {
            model.register(at(0), &who, &item(id)).unwrap();
        }
        Self { model, now: at(0), who }
    }

    pub(crate) fn answer(&mut self, request: &Request) -> ReplyBody {
        match self.body(request) {
            Ok(body) => vfs_core::client::reply::read(request, 200, &serde_json::to_vec(&body).unwrap()),
            Err(body) => vfs_core::client::reply::read(request, 409, &serde_json::to_vec(&body).unwrap()),
        }
    }

    /// The JSON of the answer; an error is that of a conflict.
    pub(crate) fn body(&mut self, request: &Request) -> Result<Value, Value> {
        match request {
            Request::Push { client_id, operations } => {
                let body = json!({ "clientId": client_id, "operations": operations });
                let request = PushRequest::parse(&body).expect("a push");
                Ok(serde_json::to_value(self.model.push(self.now, &self.who, &request)).unwrap())
            }
            Request::Pull { cursor, limit } => {
                let pull = Pull { after: cursor.as_ref(), limit: usize::from(*limit), root_id: None };
                match self.model.pull(self.now, &self.who, &pull) {
                    Ok(page) => Ok(serde_json::to_value(page).unwrap()),
                    Err(error) => {
                        let code = vfs_core::rematerialization::CODE;
                        Err(json!({ "error": error.to_string(), "code": code }))
                    }
                }
            }
            Request::Reconcile { client_id, state } => {
                let request = ReconcileRequest { client_id: client_id.clone(), state: state.clone() };
                let kept = self.model.reconcile(&self.who, &request);
                Ok(json!({
                    "clientId": client_id,
                    "cursor": kept.cursor.encode(),
                    "lastReconciledWriteIds": kept.last_reconciled_write_ids,
                }))
            }
            Request::Snapshot => Err(json!({ "error": "no snapshot here" })),
        }
    }
}

/// A page by hand: items, next cursor, whether there is more, the map of writes.
pub(crate) fn page(items: Vec<FeedItem>, next: Option<Cursor>, has_more: bool, ids: Value) -> ReplyBody {
    let page =
        PulledPage { items: items.into(), next_cursor: next, has_more, last_reconciled_write_ids: ids };
    ReplyBody::Pulled(page)
}

/// A link of `c` below `p` in the feed.
pub(crate) fn link(id: &str, millisecond: i64) -> FeedItem {
    fed_link(OpType::LinkAdd, id, millisecond, "p", "c")
}

/// An honest acknowledgement of what was told.
pub(crate) fn echo(request: &Request) -> ReplyBody {
    let Request::Reconcile { state, .. } = request else { panic!("not a reconcile: {request:?}") };
    let write_ids = serde_json::to_value(&state.last_reconciled_write_ids).unwrap();
    ReplyBody::Reconciled { cursor: Some(state.cursor.clone()), write_ids }
}

/// Answers pulls with these pages in turn, pushes with one status for all, and acknowledges what it is told.
pub(crate) fn script<'a>(
    pages: Vec<ReplyBody>,
    status: &'a str,
) -> impl FnMut(&Request) -> ReplyBody + use<'a> {
    let mut pages = VecDeque::from(pages);
    move |request| match request {
        Request::Pull { .. } => pages.pop_front().unwrap_or_else(|| page(vec![], None, false, json!({}))),
        Request::Push { operations, .. } => {
            results(operations.iter().map(|queued| (queued.operation.op_id.to_string(), status.to_owned())))
        }
        Request::Reconcile { .. } => echo(request),
        Request::Snapshot => ReplyBody::Snapshot(None),
    }
}

/// The results of a push.
pub(crate) fn results(of: impl Iterator<Item = (String, String)>) -> ReplyBody {
    ReplyBody::Pushed(of.map(|(op_id, status)| json!({ "opId": op_id, "status": status })).collect())
}

/// A link of an item below a parent, to be queued.
pub(crate) fn put(parent: &str, child: &str) -> LocalOperation {
    LocalOperation::link(OpType::LinkAdd, parent, child)
}

/// An exported state whose cursor stands at a place.
pub(crate) fn state_at(place: &Cursor, ids: Value, pending: Value, next: u64) -> Value {
    json!({
        "replaySnapshot": { "acl": [], "links": [], "cursor": place },
        "reconcileState": { "cursor": place, "lastReconciledWriteIds": ids },
        "containerClocks": [],
        "pendingOperations": pending,
        "nextLocalWriteId": next,
    })
}

/// A waiting link of `c` below `p`, as exported.
pub(crate) fn waiting(op_id: &str, write_id: u64, millisecond: i64) -> Value {
    json!({
        "opId": op_id, "opType": "link_add", "itemId": "c", "replicaId": "desktop", "writeId": write_id,
        "occurredAt": at(millisecond), "parentId": "p", "childId": "c",
    })
}

/// A place in the feed.
pub(crate) fn place(millisecond: i64, id: &str) -> Cursor {
    cursor(millisecond, id)
}
