//! What a malicious way to the server makes of an honest answer, and what the client must say of it.

use serde_json::{Value, json};
use vfs_core::client::{ClientError, FeedEpoch, Reply, ReplyBody, Request, reply};
use vfs_core::feed::FeedItem;
use vfs_core::page::PulledPage;
use vfs_core::{ClientId, Cursor, OpType, Position, ReconcileState};

/// One lie. Each is told in answer to the first exchange of its kind that it can be told in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    /// A page is empty and says that there is more.
    EmptyWithMore,
    /// A page's next cursor is not its tail.
    WrongNextCursor,
    /// A page has its last item twice.
    TwiceInPage,
    /// A page has an item of an earlier page of the cycle.
    FromEarlierPage,
    /// A page's tail is before the client's cursor.
    LeadsBack,
    /// An empty page's next cursor is before the client's.
    EmptyLeadsBack,
    /// A page begins at the client's cursor.
    SamePlace,
    /// A page knows less of a replica's writes.
    WritesFall,
    /// A page's map of writes is none.
    WritesMalformed,
    /// An item has no id.
    NoOpId,
    /// The last item has no time.
    NoTime,
    /// A good item is followed by a link without a parent.
    NoParent,
    /// The bytes of a page end too early.
    CutOff,
    /// `hasMore` is a string.
    HasMoreIsText,
    /// An acknowledgement is before what was told.
    AckLeadsBack,
    /// An acknowledgement knows less of a replica's writes.
    AckWritesFall,
    /// An acknowledgement has no cursor.
    AckNoCursor,
    /// An acknowledgement is another client's.
    AckOtherClient,
    /// An acknowledgement is ahead of everything: believed, it would skip what was not read. No error.
    AckAhead,
    /// The results of a push are no list.
    PushNoList,
    /// The results of a push are too many.
    PushTooMany,
    /// A result has a status that is none.
    PushBadEntry,
    /// A result is of another operation.
    PushOther,
    /// Everything is stale, for the rest of the flush.
    AlwaysStale,
    /// The answer is of a feed that was restored to before what the client has read.
    OtherEpoch,
    /// The state to start over from is older than what the client has read.
    SnapshotLeadsBack,
    /// A page gives the position anew that the client has read last, at a later time.
    SetBack,
}

impl Lie {
    pub(crate) const ALL: &'static [Self] = &[
        Self::EmptyWithMore,
        Self::WrongNextCursor,
        Self::TwiceInPage,
        Self::FromEarlierPage,
        Self::LeadsBack,
        Self::EmptyLeadsBack,
        Self::SamePlace,
        Self::WritesFall,
        Self::WritesMalformed,
        Self::NoOpId,
        Self::NoTime,
        Self::NoParent,
        Self::CutOff,
        Self::HasMoreIsText,
        Self::AckLeadsBack,
        Self::AckWritesFall,
        Self::AckNoCursor,
        Self::AckOtherClient,
        Self::AckAhead,
        Self::PushNoList,
        Self::PushTooMany,
        Self::PushBadEntry,
        Self::PushOther,
        Self::AlwaysStale,
        Self::OtherEpoch,
        Self::SnapshotLeadsBack,
        Self::SetBack,
    ];

    /// Its name among the counters.
    pub(crate) fn name(self) -> String {
        format!("lie {self:?}")
    }
}

/// What the client must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expected {
    /// A guardrail: told once, then thrown.
    Guardrail(&'static str),
    /// A text that is thrown and not told.
    Text(&'static str),
    /// Nothing: the answer is honest, or the lie has no effect.
    Nothing,
}

impl Expected {
    /// Whether an end is as it must be; else why not.
    pub(crate) fn judge(&self, ended: Option<&ClientError>, told: &[String]) -> Result<(), String> {
        let is_met = match (self, ended) {
            (Self::Guardrail(signature), Some(error)) => {
                error.signature().as_deref() == Some(*signature) && told == [signature.to_owned()]
            }
            (Self::Text(text), Some(error)) => error.to_string().starts_with(text) && told.is_empty(),
            (Self::Nothing, _) => {
                told.iter().all(|signature| signature.ends_with("RematerializationRequired"))
            }
            (_, None) => false,
        };
        if is_met {
            Ok(())
        } else {
            Err(format!("expected {self:?}, but it ended as {ended:?} and told {told:?}"))
        }
    }
}

/// What is known where a lie is made up.
pub(crate) struct Scene<'a> {
    pub(crate) request: &'a Request,
    /// What the client knows.
    pub(crate) known: Option<&'a ReconcileState>,
    /// The items of the earlier pages of the cycle.
    pub(crate) earlier: &'a [FeedItem],
    /// Whether its user asked for whatever state the server has.
    pub(crate) starts_over: bool,
}

impl Scene<'_> {
    /// The lie in place of an honest answer; `None`: it cannot be told here.
    pub(crate) fn tell(&self, lie: Lie, honest: &Reply) -> Option<(Reply, Expected)> {
        if lie == Lie::OtherEpoch {
            self.known?;
            // Who asks for the state takes the feed that it is of.
            if self.starts_over && matches!(self.request, Request::Snapshot) {
                return None;
            }
            if matches!(honest.body, ReplyBody::Failed(_) | ReplyBody::Snapshot(None)) {
                return None;
            }
            let feed = Some(FeedEpoch { epoch: honest.feed?.epoch + 1, began_after_seq: Some(0) });
            return Some((
                Reply { feed, body: honest.body.clone() },
                Expected::Text("the server's feed was restored"),
            ));
        }
        let (body, expected) = match (self.request, &honest.body) {
            (Request::Pull { cursor, .. }, ReplyBody::Pulled(page)) => {
                self.page(lie, cursor.as_ref(), page.clone())
            }
            (Request::Reconcile { client_id, state }, ReplyBody::Reconciled { write_ids, .. }) => {
                acknowledgement(lie, client_id, state, write_ids)
            }
            (Request::Push { .. }, ReplyBody::Pushed(results)) => push(lie, results.clone()),
            (Request::Snapshot, ReplyBody::Snapshot(Some(_))) if lie == Lie::SnapshotLeadsBack => {
                self.known?;
                let text = "rematerialized cursor regressed local sync cursor";
                // Who asks for it gets what there is.
                let expected = if self.starts_over { Expected::Nothing } else { Expected::Text(text) };
                Some((ReplyBody::Snapshot(None), expected))
            }
            _ => None,
        }?;
        Some((Reply { feed: honest.feed, body }, expected))
    }

    fn page(&self, lie: Lie, before: Option<&Cursor>, mut page: PulledPage) -> Option<(ReplyBody, Expected)> {
        let mut items = page.items.to_vec();
        let guardrail = |signature| Some(Expected::Guardrail(signature));
        let expected = match lie {
            Lie::EmptyWithMore => {
                items.clear();
                (page.next_cursor, page.has_more) = (None, true);
                guardrail("pull:pullPageInvariantViolation")
            }
            Lie::WrongNextCursor => {
                let tail = items.last()?.cursor()?;
                page.next_cursor = Cursor::new(tail.changed_at, "9999-9999999999999999");
                guardrail("pull:pullPageInvariantViolation")
            }
            Lie::TwiceInPage => {
                let last = items.last()?.clone();
                items.push(last);
                guardrail("pull:pullDuplicateOpReplay")
            }
            Lie::FromEarlierPage => {
                items.insert(0, self.earlier.last()?.clone());
                guardrail("pull:pullDuplicateOpReplay")
            }
            Lie::LeadsBack => {
                items = vec![made_up(before?, -1_000, "0000-made-up")];
                page.next_cursor = None;
                guardrail("pull:pullCursorRegression")
            }
            Lie::EmptyLeadsBack => {
                items.clear();
                let changed_at = before?.changed_at.plus_millisecond(-1);
                (page.next_cursor, page.has_more) = (Cursor::new(changed_at, "a"), false);
                guardrail("pull:pullCursorRegression")
            }
            Lie::SamePlace => {
                let first = made_up(before?, 0, &before?.change_id);
                if items.is_empty() || self.earlier.iter().any(|item| item.op_id == first.op_id) {
                    return None;
                }
                items.insert(0, first);
                Some(Expected::Text("CRDT feed item 0 is not strictly newer than local cursor"))
            }
            Lie::SetBack => {
                let again = Position::parse(&before?.change_id)?;
                let told = Position { seq: again.seq.checked_sub(1)?, ..again };
                let is_known = |item: &FeedItem| item.op_id == told.id();
                if items.is_empty() || self.earlier.iter().chain(&items).any(is_known) {
                    return None;
                }
                items = vec![made_up(&items.last()?.cursor()?, 1, &told.id())];
                page.next_cursor = None;
                Some(Expected::Text("the server's feed was set back"))
            }
            Lie::WritesFall => {
                let (replica_id, known) =
                    self.known?.last_reconciled_write_ids.iter().find(|(_, known)| known.get() > 1)?;
                page.last_reconciled_write_ids[replica_id.as_str()] = json!(known.get() - 1);
                guardrail("pull:lastWriteIdRegression")
            }
            Lie::WritesMalformed => {
                page.last_reconciled_write_ids = json!([1]);
                Some(Expected::Text("lastReconciledWriteIds must be an object map"))
            }
            Lie::NoOpId => {
                items.first_mut()?.op_id = " ".to_owned();
                Some(Expected::Text("transport returned item with missing opId"))
            }
            Lie::NoTime => {
                items.last_mut()?.occurred_at = "soon".to_owned();
                page.next_cursor = None;
                Some(Expected::Text("transport returned item with invalid occurredAt"))
            }
            Lie::NoParent => {
                let tail = items.last()?.cursor()?;
                items.push(FeedItem { parent_id: None, ..made_up(&tail, 1, "9999-made-up") });
                page.next_cursor = None;
                Some(Expected::Text("CRDT feed item"))
            }
            Lie::CutOff | Lie::HasMoreIsText => return self.bytes(lie, &page),
            _ => None,
        }?;
        page.items = items.into();
        Some((ReplyBody::Pulled(page), expected))
    }

    fn bytes(&self, lie: Lie, page: &PulledPage) -> Option<(ReplyBody, Expected)> {
        let mut value = json!({
            "items": page.items.to_vec(), "nextCursor": null, "hasMore": page.has_more, "lastReconciledWriteIds": {},
        });
        let text = if lie == Lie::CutOff {
            "transport returned non-JSON response"
        } else {
            value["hasMore"] = json!("no");
            "transport returned invalid hasMore"
        };
        let mut body = serde_json::to_vec(&value).ok()?;
        if lie == Lie::CutOff {
            body.truncate(body.len() / 2);
        }
        Some((reply::read(self.request, 200, &body), Expected::Text(text)))
    }
}

fn acknowledgement(
    lie: Lie,
    client_id: &ClientId,
    told: &ReconcileState,
    write_ids: &Value,
) -> Option<(ReplyBody, Expected)> {
    let (mut cursor, mut write_ids) = (Some(told.cursor.clone()), write_ids.clone());
    let expected = match lie {
        Lie::AckLeadsBack => {
            cursor = Cursor::new(told.cursor.changed_at.plus_millisecond(-1), "z");
            Expected::Guardrail("reconcile:reconcileCursorRegression")
        }
        Lie::AckWritesFall => {
            let (replica_id, known) =
                told.last_reconciled_write_ids.iter().find(|(_, known)| known.get() > 1)?;
            write_ids[replica_id.as_str()] = json!(known.get() - 1);
            Expected::Guardrail("reconcile:lastWriteIdRegression")
        }
        Lie::AckNoCursor => {
            cursor = None;
            Expected::Text("transport returned invalid reconcile cursor")
        }
        Lie::AckOtherClient => {
            let request = Request::Reconcile { client_id: client_id.clone(), state: told.clone() };
            let body = json!({
                "clientId": "another", "cursor": told.cursor.encode(), "lastReconciledWriteIds": write_ids,
            });
            let body = reply::read(&request, 200, &serde_json::to_vec(&body).ok()?);
            let text = "transport returned reconcile response for mismatched clientId";
            return Some((body, Expected::Text(text)));
        }
        Lie::AckAhead => {
            cursor = Cursor::new(told.cursor.changed_at.plus_millisecond(40), "9999-9999999999999999");
            Expected::Nothing
        }
        _ => return None,
    };
    Some((ReplyBody::Reconciled { cursor, write_ids }, expected))
}

fn push(lie: Lie, mut results: Value) -> Option<(ReplyBody, Expected)> {
    let text = match lie {
        Lie::PushNoList => {
            results = json!({ "results": results });
            "transport returned invalid push response"
        }
        Lie::PushTooMany => {
            let last = results.as_array()?.last()?.clone();
            results.as_array_mut()?.push(last);
            "transport returned mismatched push response size"
        }
        Lie::PushBadEntry => {
            results[0]["status"] = json!("done");
            "transport returned invalid push result"
        }
        Lie::PushOther => {
            results[0]["opId"] = json!("another");
            "transport push response missing result for opId"
        }
        _ => return None,
    };
    Some((ReplyBody::Pushed(results), Expected::Text(text)))
}

/// The honest results of a push with every status stale.
pub(crate) fn all_stale(request: &Request) -> Option<ReplyBody> {
    let Request::Push { operations, .. } = request else { return None };
    let stale =
        operations.iter().map(|queued| json!({ "opId": queued.operation.op_id, "status": "staleWriteId" }));
    Some(ReplyBody::Pushed(stale.collect()))
}

/// An item that nobody wrote, some milliseconds from a place.
fn made_up(at: &Cursor, milliseconds: i64, op_id: &str) -> FeedItem {
    FeedItem {
        op_id: op_id.to_owned(),
        item_id: "made-up".to_owned(),
        op_type: OpType::LinkAdd,
        principal_type: None,
        principal_id: None,
        access_level: None,
        parent_id: Some("made-up-parent".to_owned()),
        child_id: Some("made-up".to_owned()),
        actor_id: None,
        source_table: "vfs_links".to_owned(),
        source_id: "made-up".to_owned(),
        occurred_at: at.changed_at.plus_millisecond(milliseconds).to_string(),
    }
}
