//! Attaching a staged blob: what is asked, and what is decided in which order.

use serde_json::Value;
use thiserror::Error;

use crate::blob_stage::{RelationKind, StageStatus};
use crate::cursor::Cursor;
use crate::id::{ClientId, ItemId, UserId, trimmed};
use crate::operation::AccessLevel;
use crate::reconcile::ReconcileState;
use crate::timestamp::Timestamp;
use crate::write_ids::{WriteIdMap, WriteIdMapError};

/// How far the caller's client must have come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequiredVisibility {
    /// Which client.
    pub client_id: ClientId,
    /// Up to where.
    pub cursor: Cursor,
    /// Which writes.
    pub write_ids: WriteIdMap,
}

/// A request to attach a stage, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachRequest {
    /// Which stage.
    pub staging_id: ItemId,
    /// To what.
    pub item_id: ItemId,
    /// As what.
    pub relation_kind: RelationKind,
    /// How far the client must have come; `None`: that does not matter.
    pub visibility: Option<RequiredVisibility>,
}

/// Why a stage is not attached. [`AttachRefusal::status`] and the text are what is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AttachRefusal {
    /// No stage is named.
    #[error("stagingId is required")]
    StagingId,
    /// No item is named, or the kind is unknown.
    #[error("itemId is required")]
    ItemId,
    /// Visibility is required of no client.
    #[error("clientId is required when reconcile guardrails are provided")]
    ClientIdRequired,
    /// A client's id that is none.
    #[error("clientId must not contain \":\"")]
    ClientId,
    /// Visibility is required up to nowhere.
    #[error("requiredCursor is required when reconcile guardrails are provided")]
    CursorRequired,
    /// A cursor that is none.
    #[error("Invalid requiredCursor")]
    Cursor,
    /// The map of writes.
    #[error(transparent)]
    WriteIds(#[from] WriteIdMapError),
    /// There is no such stage.
    #[error("Blob staging not found")]
    NotFound,
    /// What is stored contradicts itself; [`Flaw`] says how, for the log.
    #[error("Failed to attach staged blob")]
    Stored(Flaw),
    /// The stage is another's, or the caller may not write the item.
    #[error("Forbidden")]
    Forbidden,
    /// It is attached, abandoned, or was so meanwhile.
    #[error("Blob staging is no longer attachable")]
    NotAttachable,
    /// Its time is over.
    #[error("Blob staging has expired")]
    Expired,
    /// There is no such item, or none that the caller sees.
    #[error("Item not found")]
    ItemNotFound,
    /// The caller's client has not come far enough.
    #[error("Client reconcile state is behind required visibility")]
    Behind,
    /// The blob's id is that of something else.
    #[error("Blob object id conflicts with existing VFS object")]
    BlobIdConflict,
    /// The item has the blob as another kind.
    #[error("Blob is already attached with a different relation kind")]
    OtherKind,
}

/// How stored data contradict themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Flaw {
    /// The stage has no blob.
    #[error("the stage has no blob")]
    NoBlob,
    /// The stage has no owner.
    #[error("the stage has no owner")]
    NoOwner,
    /// The stage's time of expiry is none.
    #[error("the stage's expiry is no time")]
    Expiry,
    /// The client's cursor is none.
    #[error("the client's stored cursor is none")]
    ClientCursor,
    /// The client's map of writes is none.
    #[error("the client's stored write ids are no map")]
    ClientWriteIds,
    /// The link that was in the way is not there.
    #[error("the existing link is gone")]
    LinkGone,
    /// The link says not as what it attaches.
    #[error("the existing link has no relation kind")]
    LinkKind,
    /// The link's time is none.
    #[error("the existing link has no time")]
    LinkTime,
}

impl AttachRefusal {
    /// The status of the answer.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::StagingId
            | Self::ItemId
            | Self::ClientIdRequired
            | Self::ClientId
            | Self::CursorRequired
            | Self::Cursor
            | Self::WriteIds(_) => 400,
            Self::Forbidden => 403,
            Self::NotFound | Self::ItemNotFound => 404,
            Self::NotAttachable | Self::Expired | Self::Behind | Self::BlobIdConflict | Self::OtherKind => {
                409
            }
            Self::Stored(_) => 500,
        }
    }
}

impl AttachRequest {
    /// Reads a request: the stage of its path, and its body.
    ///
    /// # Errors
    /// What is wrong with it first: the stage, the item and the kind, then the required visibility.
    pub fn parse(staging_id: &str, body: &Value) -> Result<Self, AttachRefusal> {
        let staging_id = ItemId::parse(staging_id).map_err(|_| AttachRefusal::StagingId)?;
        let item_id = ItemId::from_value(body.get("itemId")).ok_or(AttachRefusal::ItemId)?;
        let relation_kind = match body.get("relationKind") {
            None | Some(Value::Null) => Some(RelationKind::File),
            Some(kind) => kind.as_str().map(trimmed).and_then(RelationKind::parse),
        };
        let relation_kind = relation_kind.ok_or(AttachRefusal::ItemId)?;
        Ok(Self { staging_id, item_id, relation_kind, visibility: visibility(body)? })
    }
}

fn visibility(body: &Value) -> Result<Option<RequiredVisibility>, AttachRefusal> {
    let field = |name: &str| body.get(name).filter(|value| !value.is_null());
    let text = |name: &str| field(name).and_then(Value::as_str).map(trimmed).filter(|text| !text.is_empty());
    let (client_id, cursor) = (field("clientId"), field("requiredCursor"));
    let write_ids = field("requiredLastReconciledWriteIds");
    if client_id.is_none() && cursor.is_none() && write_ids.is_none() {
        return Ok(None);
    }
    let client_id = text("clientId").ok_or(AttachRefusal::ClientIdRequired)?;
    let client_id = ClientId::parse(client_id).map_err(|_| AttachRefusal::ClientId)?;
    let cursor = text("requiredCursor").ok_or(AttachRefusal::CursorRequired)?;
    let cursor = Cursor::decode(cursor).ok_or(AttachRefusal::Cursor)?;
    Ok(Some(RequiredVisibility { client_id, cursor, write_ids: WriteIdMap::parse_field(write_ids)? }))
}

/// A stage as it is stored: the registry's row of type `blobStage` with its link to itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredStage<'a> {
    /// The child of the link.
    pub blob_id: &'a str,
    /// The registry's owner.
    pub owner_id: Option<&'a str>,
    /// The link's wrapped session key.
    pub tag: &'a str,
    /// `expiresAt` of the link's metadata, where it is a text.
    pub expires_at: Option<&'a str>,
}

/// A client's state as it is stored under `crdt:` and its id.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredClientState<'a> {
    /// The time of its cursor; `None`: it is none.
    pub changed_at: Option<Timestamp>,
    /// The change of its cursor.
    pub change_id: &'a str,
    /// Its map of writes.
    pub write_ids: &'a Value,
}

/// What is stored when a stage is to be attached, read under locks.
#[derive(Debug, Clone, PartialEq)]
pub struct AttachFacts<'a> {
    /// The stage; `None`: there is none.
    pub stage: Option<StoredStage<'a>>,
    /// What the caller may do with the item; `None`: there is none, or the caller does not see it. An owner counts as
    /// [`AccessLevel::Admin`].
    pub item_access: Option<AccessLevel>,
    /// The state of the client of whom visibility is required; `None`: there is none.
    pub client: Option<StoredClientState<'a>>,
}

/// A stage that may be attached, as far as its own rows say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachable {
    /// The blob.
    pub blob_id: ItemId,
    /// Its time ends then.
    pub expires_at: Timestamp,
}

/// Decides whether a stage may be attached, before anything is written.
///
/// In this order: there is such a stage; it has a blob and an owner; the owner is the caller; it is still staged; it
/// has a time of expiry, which is not over; the caller sees the item, and may write it; and the caller's client has
/// come as far as is required.
///
/// # Errors
/// The first of these that does not hold.
pub fn admit(
    request: &AttachRequest,
    caller: &UserId,
    facts: &AttachFacts<'_>,
    now: Timestamp,
) -> Result<Attachable, AttachRefusal> {
    let stage = facts.stage.as_ref().ok_or(AttachRefusal::NotFound)?;
    let blob_id = ItemId::parse(stage.blob_id).map_err(|_| AttachRefusal::Stored(Flaw::NoBlob))?;
    let owner_id = stage.owner_id.map(trimmed).filter(|owner_id| !owner_id.is_empty());
    if owner_id.ok_or(AttachRefusal::Stored(Flaw::NoOwner))? != caller.as_str() {
        return Err(AttachRefusal::Forbidden);
    }
    if StageStatus::of_tag(stage.tag) != StageStatus::Staged {
        return Err(AttachRefusal::NotAttachable);
    }
    let expires_at = stage.expires_at.and_then(|text| text.parse::<Timestamp>().ok());
    let expires_at = expires_at.ok_or(AttachRefusal::Stored(Flaw::Expiry))?;
    if expires_at <= now {
        return Err(AttachRefusal::Expired);
    }
    match facts.item_access {
        None => return Err(AttachRefusal::ItemNotFound),
        Some(AccessLevel::Read) => return Err(AttachRefusal::Forbidden),
        Some(AccessLevel::Write | AccessLevel::Admin) => {}
    }
    if let Some(required) = &request.visibility {
        see(required, facts.client.as_ref())?;
    }
    Ok(Attachable { blob_id, expires_at })
}

fn see(required: &RequiredVisibility, client: Option<&StoredClientState<'_>>) -> Result<(), AttachRefusal> {
    let client = client.ok_or(AttachRefusal::Behind)?;
    let cursor = client.changed_at.and_then(|changed_at| Cursor::new(changed_at, client.change_id));
    let cursor = cursor.ok_or(AttachRefusal::Stored(Flaw::ClientCursor))?;
    if client.write_ids.is_null() {
        return Err(AttachRefusal::Stored(Flaw::ClientWriteIds));
    }
    let last_reconciled_write_ids =
        WriteIdMap::parse(client.write_ids).map_err(|_| AttachRefusal::Stored(Flaw::ClientWriteIds))?;
    let state = ReconcileState { cursor, last_reconciled_write_ids };
    if state.dominates(&required.cursor, &required.write_ids) { Ok(()) } else { Err(AttachRefusal::Behind) }
}

/// The link between the item and the blob, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLink<'a> {
    /// Its wrapped session key.
    pub tag: &'a str,
    /// `relationKind` of its metadata, where it is a text.
    pub relation_kind: Option<&'a str>,
    /// When it was made; `None`: it has no time.
    pub created_at: Option<Timestamp>,
}

/// Decides whether a link that was in the way is the one that is wanted, and since when it is there.
///
/// # Errors
/// It is gone, says no kind in its metadata or its tag, says another, or has no time; in this order.
pub fn adopt(wanted: RelationKind, link: Option<&StoredLink<'_>>) -> Result<Timestamp, AttachRefusal> {
    let link = link.ok_or(AttachRefusal::Stored(Flaw::LinkGone))?;
    let kind = link.relation_kind.and_then(RelationKind::parse).or_else(|| RelationKind::of_tag(link.tag));
    if kind.ok_or(AttachRefusal::Stored(Flaw::LinkKind))? != wanted {
        return Err(AttachRefusal::OtherKind);
    }
    link.created_at.ok_or(AttachRefusal::Stored(Flaw::LinkTime))
}
