//! `POST /v1/vfs/blobs/stage`: a blob is announced, with its bytes or without.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use jiff::Timestamp as Instant;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use tidegate_store::postgres::{Session, ToSql, Type};
use vfs_core::Timestamp;
use vfs_core::blob_stage::StageStatus;

use super::config::Patience;
use super::content::must_fit;
use super::key::BlobId;
use super::rows::{self, BLOB_NOT_FOUND, StageRow};
use super::storing;
use super::{content_type, failed, id_or_refusal};
use crate::app::App;
use crate::auth::Caller;
use crate::db::{Trouble, transact};
use crate::http::{Answer, ApiError, JsonBody, required};

const REQUIRED: &str = "blobId and expiresAt are required";
const ALREADY: &str = "Blob staging already exists";
const FAILED_TO_STAGE: &str = "Failed to stage blob";
const FAILED_TO_PERSIST: &str = "Failed to persist blob data";

/// The alphabet of RFC 4648 §4; padding may be left out, bits beyond the last byte must be zero.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A request, read.
struct Wanted {
    staging_id: BlobId,
    blob_id: BlobId,
    expires_at: Timestamp,
    data: Option<Data>,
}

struct Data {
    bytes: Bytes,
    content_type: String,
    digest: String,
}

impl Wanted {
    fn read(body: &Json, now: Timestamp) -> Result<Wanted, ApiError> {
        let missing = || ApiError::bad(REQUIRED);
        let blob_id = required(body, "blobId").ok_or_else(missing)?;
        let expires_at =
            required(body, "expiresAt").and_then(|text| text.parse().ok()).ok_or_else(missing)?;
        let data = optional(body, "dataBase64")?;
        let content_type = match optional(body, "contentType")? {
            Some(text) => Some(content_type(text).ok_or_else(missing)?),
            None => None,
        };
        let blob_id = id_or_refusal("blobId", blob_id)?;
        let staging_id = match required(body, "stagingId") {
            Some(text) => id_or_refusal("stagingId", text)?,
            None => id_or_refusal("stagingId", &uuid::Uuid::new_v4().to_string())?,
        };
        if expires_at <= now {
            return Err(ApiError::bad("expiresAt must be in the future"));
        }
        let data = match data {
            None => None,
            Some(text) => {
                let bytes = decoded(text).ok_or_else(|| ApiError::bad("dataBase64 must be valid base64"))?;
                let content_type =
                    content_type.unwrap_or_else(|| super::store::CONTENT_TYPE_DEFAULT.to_owned());
                let digest = hex(&Sha256::digest(&bytes));
                Some(Data { bytes, content_type, digest })
            }
        };
        Ok(Wanted { staging_id, blob_id, expires_at, data })
    }

    /// Whether a stage is what this request would make, or has made before.
    fn is(&self, stage: &StageRow, user: &str) -> bool {
        let digest = self.data.as_ref().map(|data| data.digest.as_str());
        let kept = stage.text("sha256");
        stage.owner_id.as_deref() == Some(user)
            && stage.blob_id == self.blob_id.as_str()
            && stage.time("expiresAt") == Some(self.expires_at)
            // What was not told by one of them cannot differ.
            && (digest.is_none() || kept.is_none() || digest == kept)
    }

    fn answer(&self, staged_at: Timestamp) -> Answer {
        let body = json!({
            "stagingId": self.staging_id.as_str(),
            "blobId": self.blob_id.as_str(),
            "status": StageStatus::Staged.as_str(),
            "stagedAt": staged_at.to_string(),
            "expiresAt": self.expires_at.to_string(),
        });
        Answer::new(StatusCode::CREATED, body)
    }
}

/// An optional text: absent, null, or a string that is not empty.
fn optional<'a>(body: &'a Json, name: &str) -> Result<Option<&'a str>, ApiError> {
    match body.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) if !text.trim().is_empty() => Ok(Some(text)),
        Some(_) => Err(ApiError::bad(REQUIRED)),
    }
}

fn decoded(text: &str) -> Option<Bytes> {
    let text: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    BASE64.decode(text).ok().filter(|bytes| !bytes.is_empty()).map(Bytes::from)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Stages a blob.
pub(super) async fn stage(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(body, _place): JsonBody,
) -> Result<Answer, ApiError> {
    let now = rows::now().map_err(|trouble| trouble.or(FAILED_TO_STAGE))?;
    let wanted = Wanted::read(&body, now)?;
    let user = caller.user_id();
    if let Some(data) = &wanted.data {
        must_fit(&app, &wanted.blob_id)?;
        let admitted = in_admission(&app, &wanted, user);
        if let Some(staged_at) = admitted.await.map_err(|trouble| trouble.or(FAILED_TO_STAGE))? {
            return Ok(wanted.answer(staged_at));
        }
        let store = app.blobs().map_err(|error| failed("put", &wanted.blob_id, &error, FAILED_TO_PERSIST))?;
        let put = store.put(&wanted.blob_id, &data.content_type, data.bytes.clone()).await;
        put.map_err(|error| failed("put", &wanted.blob_id, &error, FAILED_TO_PERSIST))?;
    }
    let staged = in_staging(&app, &wanted, user);
    match staged.await {
        Ok(staged_at) => Ok(wanted.answer(staged_at)),
        Err(trouble) => {
            if wanted.data.is_some() && matches!(trouble, Trouble::Refused(_)) {
                storing::give_up(&app, &wanted.blob_id, user).await;
            }
            Err(match trouble.sqlstate() {
                Some("23503") => ApiError::not_found(BLOB_NOT_FOUND),
                Some("23505") => ApiError::conflict(ALREADY),
                _ => trouble.or(FAILED_TO_STAGE),
            })
        }
    }
}

async fn in_admission(app: &App, wanted: &Wanted, user: &str) -> Result<Option<Timestamp>, Trouble> {
    let session = app.pool().get_to_write().await?;
    let session: &Session = &session;
    let patience = app.patience();
    transact!(session, "blob_admit", "", { admit(session, wanted, user, &patience).await })
}

async fn in_staging(app: &App, wanted: &Wanted, user: &str) -> Result<Timestamp, Trouble> {
    let session = app.pool().get_to_write().await?;
    let session: &Session = &session;
    transact!(session, "blob_stage", "", { write(session, wanted, user).await })
}

/// When the same request has staged it before; if none has, whether the user may write the object.
async fn admit(
    session: &Session,
    wanted: &Wanted,
    user: &str,
    patience: &Patience,
) -> Result<Option<Timestamp>, Trouble> {
    if let Some(staged_at) = repeated(session, wanted, user).await? {
        return Ok(Some(staged_at));
    }
    storing::admit(session, &wanted.blob_id, user, patience).await?;
    Ok(None)
}

/// When the same request has staged it before; refuses another one of the same staging id.
async fn repeated(session: &Session, wanted: &Wanted, user: &str) -> Result<Option<Timestamp>, Trouble> {
    match rows::find_stage(session, wanted.staging_id.as_str()).await? {
        Some(stage) if wanted.is(&stage, user) => Ok(Some(stage.created_at)),
        Some(_) => Err(ApiError::conflict(ALREADY).into()),
        None => Ok(None),
    }
}

/// Writes the stage. Returns when it was staged.
async fn write(session: &Session, wanted: &Wanted, user: &str) -> Result<Timestamp, Trouble> {
    let (staging, blob) = (wanted.staging_id.as_str(), wanted.blob_id.as_str());
    let items = rows::lock_items(session, &[blob, staging]).await?;
    let found = items.iter().find(|item| item.id == blob);
    match found {
        Some(item) => storing::may_write(session, item, &wanted.blob_id, user).await?,
        None if wanted.data.is_none() => return Err(rows::no_blob(session).await),
        None => {}
    }
    if let Some(staged_at) = repeated(session, wanted, user).await? {
        return Ok(staged_at);
    }
    let now = rows::now()?;
    // The stage first: who waits here for somebody else's stage of this id holds no position of the feeds yet.
    if !rows::insert_item(session, staging, "blobStage", user, now).await? {
        return match repeated(session, wanted, user).await? {
            Some(staged_at) => Ok(staged_at),
            None => Err(ApiError::conflict(ALREADY).into()),
        };
    }
    if wanted.data.is_some() {
        storing::register(session, &wanted.blob_id, user, now).await?;
    }
    let mut meta = json!({
        "status": StageStatus::Staged.as_str(),
        "expiresAt": wanted.expires_at.to_string(),
    });
    if let (Some(data), Json::Object(fields)) = (&wanted.data, &mut meta) {
        fields.insert("sha256".to_owned(), Json::String(data.digest.clone()));
    }
    let (tag, at) = (StageStatus::Staged.tag(), Instant::from(now));
    let parameters: [(&(dyn ToSql + Sync), Type); 5] = [
        (&staging, Type::TEXT),
        (&blob, Type::TEXT),
        (&tag, Type::TEXT),
        (&meta, Type::JSONB),
        (&at, Type::TIMESTAMPTZ),
    ];
    session.execute_prepared(include_str!("sql/insert_stage_link.sql"), &parameters).await?;
    Ok(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &Json) -> Result<Wanted, ApiError> {
        Wanted::read(body, Timestamp::from_millisecond(1_000).unwrap())
    }

    #[test]
    fn base64_is_strict_but_for_blanks_and_padding() {
        for (text, bytes) in
            [("aGk=", &b"hi"[..]), ("aGk", b"hi"), (" a\nGk= ", b"hi"), ("+/+/", b"\xfb\xff\xbf")]
        {
            assert_eq!(decoded(text).unwrap(), bytes, "{text}");
        }
        for text in ["", "  ", "=", "aGk==x", "-_-_", "aGl=", "a", "a*=="] {
            assert_eq!(decoded(text), None, "{text}");
        }
    }

    #[test]
    fn refusals_come_in_their_order() {
        let good = "2100-01-01T00:00:00.000Z";
        for (body, text) in [
            (json!(null), REQUIRED),
            (json!([1]), REQUIRED),
            (json!({ "blobId": " ", "expiresAt": good }), REQUIRED),
            (json!({ "blobId": "b" }), REQUIRED),
            (json!({ "blobId": "b", "expiresAt": "soon" }), REQUIRED),
            (json!({ "blobId": "b", "expiresAt": good, "dataBase64": "" }), REQUIRED),
            (json!({ "blobId": "b", "expiresAt": good, "contentType": 7 }), REQUIRED),
            (json!({ "blobId": "b", "expiresAt": good, "contentType": "a\nb" }), REQUIRED),
            (
                json!({ "blobId": "b", "expiresAt": "1970-01-01T00:00:01Z", "dataBase64": "*" }),
                "expiresAt must be in the future",
            ),
            (
                json!({ "blobId": "b", "expiresAt": good, "dataBase64": "*" }),
                "dataBase64 must be valid base64",
            ),
            (
                json!({ "blobId": "../b", "expiresAt": good }),
                "blobId must not contain \"/\", \"\\\" or control characters",
            ),
            (
                json!({ "blobId": "b", "expiresAt": good, "stagingId": ".." }),
                "stagingId must not be \".\" or \"..\"",
            ),
        ] {
            let error = read(&body).err().unwrap();
            assert_eq!((error.status(), error.error()), (StatusCode::BAD_REQUEST, text), "{body}");
        }
    }

    #[test]
    fn a_staging_id_that_is_none_is_replaced() {
        let good = "2100-01-01T00:00:00.000Z";
        for id in [json!(null), json!(7), json!("  ")] {
            let wanted = read(&json!({ "blobId": "b", "expiresAt": good, "stagingId": id })).unwrap();
            assert_eq!(wanted.staging_id.as_str().len(), 36);
        }
    }
}
