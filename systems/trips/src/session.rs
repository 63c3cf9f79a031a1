//! Who is signed in. A session ends by the store's clock, seven days after it began.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tidegate_store::kv::{Change, Condition, Key, UnixSecond, Write, WrittenAll};
use uuid::Uuid;

use crate::app::{App, AppError};
use crate::keyspace;
use crate::user::Account;

/// Most sessions of one user that are ended at once.
const SESSIONS_MAX: usize = 10_000;

/// A session as it is stored. What it says of a role is nobody's business: the stored account is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The user.
    pub id: String,
    /// What is shown.
    #[serde(default)]
    pub name: String,
    /// The address.
    #[serde(default)]
    pub email: String,
    /// The plan.
    #[serde(default)]
    pub plan: String,
}

fn of_user(id: &str) -> String {
    format!("active_sessions:{id}:")
}

/// Begins a session; its id is what the cookie holds.
///
/// # Errors
/// [`AppError::Absent`] where the account is being deleted.
pub async fn begin(app: &App, account: &Account) -> Result<String, AppError> {
    let public = account.public();
    let text =
        |name: &str| public.get(name).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    let session =
        Session { id: account.id.clone(), name: text("name"), email: text("email"), plan: text("plan") };
    let session_id = Uuid::new_v4().to_string();
    let until = UnixSecond(app.store().now().await?.0 + keyspace::SESSION_SECONDS);
    let put = |key: Key, value: Vec<u8>| Write {
        namespace: keyspace::sessions(),
        key,
        change: Change::Put { value: Bytes::from(value), metadata: None, expires_at: Some(until) },
        condition: Condition::Always,
    };
    let writes = [
        keyspace::unless_deleted(&account.id)?,
        put(Key::new(session_id.as_str())?, json!(session).to_string().into_bytes()),
        put(Key::new(format!("{}{session_id}", of_user(&account.id)))?, Vec::new()),
    ];
    match app.store().write_all(&writes).await? {
        WrittenAll::Done(_) => Ok(session_id),
        WrittenAll::Refused { .. } => Err(AppError::Absent { what: "the account".to_owned() }),
    }
}

/// The session of this id.
///
/// # Errors
/// [`AppError::Store`]. One that cannot be read is none.
pub async fn find(app: &App, session_id: &str) -> Result<Option<Session>, AppError> {
    if Uuid::try_parse(session_id).is_err() {
        return Ok(None);
    }
    let Ok(key) = Key::new(session_id) else { return Ok(None) };
    let found = app.store().get(&keyspace::sessions(), &key).await?;
    Ok(found.and_then(|entry| serde_json::from_slice(&entry.value).ok()))
}

/// Ends a session.
///
/// # Errors
/// [`AppError`].
pub async fn end(app: &App, session_id: &str, user: &str) -> Result<(), AppError> {
    let keys = [Key::new(session_id)?, Key::new(format!("{}{session_id}", of_user(user)))?];
    let writes: Vec<Write> = keys.into_iter().map(delete).collect();
    app.store().write_all(&writes).await?;
    Ok(())
}

/// Ends all sessions of a user but one.
///
/// # Errors
/// [`AppError`].
pub async fn end_all(app: &App, user: &str, but: Option<&str>) -> Result<(), AppError> {
    let prefix = of_user(user);
    for listed in app.store().list_all(&keyspace::sessions(), &prefix, SESSIONS_MAX).await? {
        let session_id = listed.key.as_str().strip_prefix(&prefix).unwrap_or_default();
        if Some(session_id) != but && !session_id.is_empty() {
            end(app, session_id, user).await?;
        }
    }
    Ok(())
}

fn delete(key: Key) -> Write {
    Write { namespace: keyspace::sessions(), key, change: Change::Delete, condition: Condition::Always }
}
