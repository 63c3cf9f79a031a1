//! Replies as they come over the wire, read strictly. The texts are part of the interface.
//!
//! Fields that may be null must be there as null. What is read here has its types; whether it can be believed is
//! decided where it is taken.

use serde_json::{Map, Value};
use thiserror::Error;

use super::effect::{Failure, ReplyBody, Request};
use super::plain_page;
use crate::cursor::Cursor;
use crate::feed::FeedItem;
use crate::id::{ClientId, trimmed};
use crate::operation::{AccessLevel, OpType, PrincipalType};
use crate::page::PulledPage;
use crate::pulled_items::{PulledItem, PulledItems};
use crate::push::PushStatus;
use crate::rematerialization;

/// Why an answer cannot be read. It reads as what is thrown.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReplyError {
    /// It is no JSON, with whatever status it came.
    #[error("transport returned non-JSON response")]
    NotJson,
    /// A part of it is not what it must be.
    #[error("transport returned invalid {0}")]
    Invalid(String),
    /// It is the answer to another client.
    #[error("transport returned reconcile response for mismatched clientId")]
    OtherClient,
}

fn invalid<T>(what: impl Into<String>) -> Result<T, ReplyError> {
    Err(ReplyError::Invalid(what.into()))
}

/// Reads the answer to a request: whatever came, something is made of it.
#[must_use]
pub fn read(request: &Request, status: u16, body: &[u8]) -> ReplyBody {
    if let (Request::Pull { .. }, 200..300) = (request, status)
        && let Some(page) = plain_page::read(body)
    {
        return ReplyBody::Pulled(page);
    }
    let value = match content(status, body) {
        Ok(value) => value,
        Err(failure) => return ReplyBody::Failed(failure),
    };
    let read = match request {
        Request::Push { .. } => push(&value).map(ReplyBody::Pushed),
        Request::Pull { .. } => pull(&value).map(ReplyBody::Pulled),
        Request::Reconcile { client_id, .. } => reconcile(&value, client_id)
            .map(|(cursor, write_ids)| ReplyBody::Reconciled { cursor: Some(cursor), write_ids }),
        Request::Snapshot => Ok(ReplyBody::Snapshot(Some(value))),
    };
    read.unwrap_or_else(|error| ReplyBody::Failed(Failure::Malformed(error)))
}

/// The JSON of a successful answer.
///
/// # Errors
/// It is no JSON, or the status says that there is no answer: then the server's text, or the status.
pub fn content(status: u16, body: &[u8]) -> Result<Value, Failure> {
    let value: Value = serde_json::from_slice(body).map_err(|_| Failure::Malformed(ReplyError::NotJson))?;
    if (200..300).contains(&status) {
        return Ok(value);
    }
    if value.get("code").and_then(Value::as_str) == Some(rematerialization::CODE) {
        let oldest = value.get("oldestAvailableCursor").and_then(Value::as_str);
        return Err(Failure::RematerializationRequired { oldest_available: oldest.and_then(Cursor::decode) });
    }
    let text = value.get("error").and_then(Value::as_str).filter(|text| !trimmed(text).is_empty());
    Err(Failure::Transport(
        text.map_or_else(|| format!("request failed with status {status}"), str::to_owned),
    ))
}

/// Reads the results of a push: a list of ids and statuses.
///
/// # Errors
/// What is wrong with it first.
pub fn push(value: &Value) -> Result<Value, ReplyError> {
    let Some(fields) = value.as_object() else { return invalid("push response payload") };
    let results = fields.get("results").and_then(Value::as_array);
    let Some(results) = results else { return invalid("push response results") };
    for (index, result) in results.iter().enumerate() {
        let Some(result) = result.as_object() else {
            return invalid(format!("push result at index {index}"));
        };
        if text(result, "opId").is_none() {
            return invalid(format!("results[{index}].opId"));
        }
        if result.get("status").and_then(Value::as_str).and_then(PushStatus::parse).is_none() {
            return invalid(format!("results[{index}].status"));
        }
    }
    Ok(Value::from(results.clone()))
}

/// Reads a page.
///
/// # Errors
/// What is wrong with it first: its items in order, then what stands around them.
pub fn pull(value: &Value) -> Result<PulledPage, ReplyError> {
    let Some(fields) = value.as_object() else { return invalid("pull response payload") };
    let Some(values) = fields.get("items").and_then(Value::as_array) else {
        return invalid("pull response items");
    };
    let mut items = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        items.push(item(index, value)?);
    }
    around(items.into(), fields)
}

/// Reads what stands around the items of a page.
pub(super) fn around(items: PulledItems, fields: &Map<String, Value>) -> Result<PulledPage, ReplyError> {
    let next_cursor = match fields.get("nextCursor") {
        Some(Value::Null) => None,
        Some(Value::String(text)) => match Cursor::decode(text) {
            Some(cursor) => Some(cursor),
            None => return invalid("nextCursor"),
        },
        _ => return invalid("nextCursor"),
    };
    let Some(has_more) = fields.get("hasMore").and_then(Value::as_bool) else { return invalid("hasMore") };
    let last_reconciled_write_ids = fields.get("lastReconciledWriteIds").cloned().unwrap_or(Value::Null);
    Ok(PulledPage { items, next_cursor, has_more, last_reconciled_write_ids })
}

/// Reads an acknowledgement for a client: the cursor, and the map of writes as it came.
///
/// # Errors
/// What is wrong with it first, last that it is another client's.
pub fn reconcile(value: &Value, client_id: &ClientId) -> Result<(Cursor, Value), ReplyError> {
    let Some(fields) = value.as_object() else { return invalid("reconcile response payload") };
    let Some(echoed) = text(fields, "clientId") else { return invalid("reconcile response payload") };
    let cursor = fields.get("cursor").and_then(Value::as_str).and_then(Cursor::decode);
    let Some(cursor) = cursor else { return invalid("reconcile cursor") };
    if trimmed(echoed) != client_id.as_str() {
        return Err(ReplyError::OtherClient);
    }
    Ok((cursor, fields.get("lastReconciledWriteIds").cloned().unwrap_or(Value::Null)))
}

fn item(index: usize, value: &Value) -> Result<FeedItem, ReplyError> {
    let Some(fields) = value.as_object() else { return invalid(format!("items[{index}]")) };
    let wrong = |name: &str| ReplyError::Invalid(format!("items[{index}].{name}"));
    let required = |name: &str| text(fields, name).map(str::to_owned).ok_or_else(|| wrong(name));
    let nullable = |name: &str| match fields.get(name) {
        Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        _ => Err(wrong(name)),
    };
    let op_id = required("opId")?;
    let item_id = required("itemId")?;
    let op_type = OpType::parse(&required("opType")?).ok_or_else(|| wrong("opType"))?;
    let principal_type = word(nullable("principalType")?, PrincipalType::parse);
    let principal_type = principal_type.ok_or_else(|| wrong("principalType"))?;
    let principal_id = nullable("principalId")?;
    let access_level = word(nullable("accessLevel")?, AccessLevel::parse);
    let access_level = access_level.ok_or_else(|| wrong("accessLevel"))?;
    let read = FeedItem {
        op_id,
        item_id,
        op_type,
        principal_type,
        principal_id,
        access_level,
        parent_id: nullable("parentId")?,
        child_id: nullable("childId")?,
        actor_id: nullable("actorId")?,
        source_table: required("sourceTable")?,
        source_id: required("sourceId")?,
        occurred_at: required("occurredAt")?,
    };
    if read.time().is_none() {
        return Err(wrong("occurredAt"));
    }
    if !op_type.is_acl() && !PulledItem::of(&read).is_link() {
        return invalid(format!("link payload at items[{index}]"));
    }
    Ok(read)
}

/// The word that a text is, if there is one; the outer `None`: it is another.
fn word<T>(text: Option<String>, parse: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    match text {
        None => Some(None),
        Some(text) => parse(&text).map(Some),
    }
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    fields.get(name)?.as_str().filter(|text| !trimmed(text).is_empty())
}
