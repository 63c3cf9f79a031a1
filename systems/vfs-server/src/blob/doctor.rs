//! Asking the object store for everything that the server will ask of it, one after the other.

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use serde::Serialize;

use super::classify::{ObjectCode, ObjectError, Retryability};
use super::config::Provider;
use super::key::BlobId;
use super::store::BlobStore;

/// What the probe holds.
const PROBE: &[u8] = b"vfs-server doctor storage";

/// One question and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What was tried.
    pub check: &'static str,
    /// Whether it went well.
    pub ok: bool,
    /// What the store said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// Puts, reads, lists and deletes one object under the prefix. `name` makes its id its own.
pub async fn examine(store: &BlobStore, name: &str) -> Vec<Finding> {
    let Ok(id) = BlobId::parse(&format!("doctor-{name}")) else { return Vec::new() };
    let mut findings = Vec::new();
    let put = store.put(&id, "text/plain", Bytes::from_static(PROBE)).await;
    let was_put = put.is_ok();
    findings.push(finding(store, "put", "s3:PutObject", put));
    if was_put {
        findings.push(finding(store, "read", "s3:GetObject", read(store, &id).await));
        findings.push(finding(store, "list", "s3:ListBucket", listed(store, &id).await));
        findings.push(finding(store, "delete", "s3:DeleteObject", store.delete(&id).await));
    } else {
        findings.push(finding(store, "list", "s3:ListBucket", first(store).await));
    }
    findings
}

async fn read(store: &BlobStore, id: &BlobId) -> Result<(), ObjectError> {
    let object = store.get(id, None).await?;
    let pieces: Vec<Bytes> = object.body.try_collect().await?;
    if pieces.concat() == PROBE {
        Ok(())
    } else {
        Err(wrong("the object's bytes are not those that were put"))
    }
}

async fn listed(store: &BlobStore, id: &BlobId) -> Result<(), ObjectError> {
    let mut objects = store.list();
    while let Some(object) = objects.next().await {
        if object?.0 == *id {
            return Ok(());
        }
    }
    Err(wrong("the object that was put is not listed"))
}

async fn first(store: &BlobStore) -> Result<(), ObjectError> {
    store.list().next().await.transpose().map(|_| ())
}

fn wrong(message: &str) -> ObjectError {
    let code = ObjectCode::Other("WrongAnswer".to_owned());
    ObjectError { code, attempts: 1, message: message.to_owned(), after_doubt: false }
}

fn finding(
    store: &BlobStore,
    check: &'static str,
    permission: &str,
    result: Result<(), ObjectError>,
) -> Finding {
    let Err(error) = result else { return Finding { check, ok: true, code: None, advice: None } };
    let place = store.config().place();
    let advice = match (&error.code, &store.config().provider) {
        (ObjectCode::AccessDenied, Provider::S3(_)) => format!(
            "allow {permission} in {place}; if it is allowed, check VFS_BLOB_S3_ACCESS_KEY_ID and VFS_BLOB_S3_SECRET_ACCESS_KEY"
        ),
        (ObjectCode::AccessDenied, Provider::File { .. }) => {
            format!("let this user read and write in {place} (VFS_BLOB_FILE_ROOT)")
        }
        (ObjectCode::Other(code), _) if code == "NoSuchBucket" => {
            format!("there is no {place}; check VFS_BLOB_S3_BUCKET and VFS_BLOB_S3_REGION")
        }
        (ObjectCode::ConnectionLost | ObjectCode::Timeout, _) => {
            format!("{place} does not answer ({}); check VFS_BLOB_S3_ENDPOINT", error.message)
        }
        (code, _) if code.retryability() != Retryability::NotRetryable => {
            format!(
                "{place} fails for now ({}); look again in a minute, and at the store itself if it stays so",
                error.message
            )
        }
        _ => format!("{place}: {}", error.message),
    };
    Finding { check, ok: false, code: Some(error.code.name().to_owned()), advice: Some(advice) }
}
