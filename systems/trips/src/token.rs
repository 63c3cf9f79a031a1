//! Tokens of programs: named, with scopes, revocable. Only their hash is stored.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tidegate_store::kv::{Change, Condition, Key, Write, WrittenAll};

use crate::app::{App, AppError};
use crate::{keyspace, user};

/// Most tokens of one user.
const TOKENS_MAX: usize = 100;
/// Characters of a token's id: the first of its hash.
const ID_CHARS: usize = 12;
/// Most characters of a token's name.
const NAME_CHARS_MAX: usize = 60;
/// What a token may be for.
pub const SCOPES: [&str; 2] = ["admin", "trips"];

/// A token as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Token {
    /// By which it is told apart and revoked.
    pub id: String,
    /// Whose it is.
    pub user_id: String,
    /// What its owner calls it.
    pub name: String,
    /// What it is for.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: String,
}

fn stored(token: &str) -> Result<Key, AppError> {
    let hash = Sha256::digest(token.as_bytes());
    Ok(Key::new(format!("token:{}", URL_SAFE_NO_PAD.encode(hash)))?)
}

fn of_user(user: &str) -> String {
    format!("tokens:{user}:")
}

/// Makes a token: what the program sends, which is told this once, and what is stored.
///
/// # Errors
/// [`AppError::Refused`].
pub async fn issue(
    app: &App,
    user_id: &str,
    name: &str,
    scopes: &[String],
) -> Result<(String, Token), AppError> {
    let is_legal = !name.trim().is_empty()
        && name.chars().count() <= NAME_CHARS_MAX
        && !name.chars().any(char::is_control);
    if !is_legal {
        return Err(AppError::Refused("a token has a name of 1 to 60 characters".to_owned()));
    }
    if scopes.is_empty() || !scopes.iter().all(|scope| SCOPES.contains(&scope.as_str())) {
        return Err(AppError::Refused(format!("scopes are {}", SCOPES.join(" and "))));
    }
    if list(app, user_id).await?.len() >= TOKENS_MAX {
        return Err(AppError::Refused(format!("there are {TOKENS_MAX} tokens already; revoke one")));
    }
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| AppError::Refused(format!("no random bytes: {error}")))?;
    let secret = format!("trips_{}", URL_SAFE_NO_PAD.encode(bytes));
    let key = stored(&secret)?;
    let id = key.as_str().chars().skip(6).take(ID_CHARS).collect::<String>();
    let token = Token {
        id: id.clone(),
        user_id: user_id.to_owned(),
        name: name.to_owned(),
        scopes: scopes.to_vec(),
        created_at: user::now(app).await?,
    };
    let put = |key: Key, value: String| Write {
        namespace: keyspace::sessions(),
        key,
        change: Change::Put { value: Bytes::from(value), metadata: None, expires_at: None },
        condition: Condition::Absent,
    };
    let writes = [
        keyspace::unless_deleted(user_id)?,
        put(Key::new(format!("{}{id}", of_user(user_id)))?, json!({ "key": key.as_str() }).to_string()),
        put(key, json!(token).to_string()),
    ];
    match app.store().write_all(&writes).await? {
        WrittenAll::Done(_) => Ok((secret, token)),
        WrittenAll::Refused { .. } => Err(AppError::Contended { what: "a token".to_owned(), tries: 1 }),
    }
}

/// The token that a program sent.
///
/// # Errors
/// [`AppError::Store`].
pub async fn find(app: &App, sent: &str) -> Result<Option<Token>, AppError> {
    let found = app.store().get(&keyspace::sessions(), &stored(sent)?).await?;
    Ok(found.and_then(|entry| serde_json::from_slice(&entry.value).ok()))
}

/// The tokens of a user.
///
/// # Errors
/// [`AppError`].
pub async fn list(app: &App, user: &str) -> Result<Vec<Token>, AppError> {
    let keys = keys(app, user).await?;
    let found = app.store().get_many(&keyspace::sessions(), &keys).await?;
    Ok(found.into_iter().flatten().filter_map(|entry| serde_json::from_slice(&entry.value).ok()).collect())
}

/// Where the tokens of a user stand.
pub(crate) async fn keys(app: &App, user: &str) -> Result<Vec<Key>, AppError> {
    let sessions = keyspace::sessions();
    let listed = app.store().list_all(&sessions, &of_user(user), TOKENS_MAX * 2).await?;
    let pointers: Vec<Key> = listed.into_iter().map(|listed| listed.key).collect();
    let found = app.store().get_many(&sessions, &pointers).await?;
    let key = |value: &[u8]| {
        let pointer: serde_json::Value = serde_json::from_slice(value).ok()?;
        Key::new(pointer.get("key")?.as_str()?).ok()
    };
    Ok(found.into_iter().flatten().filter_map(|entry| key(&entry.value)).collect())
}

/// Revokes a token; false where there is none of that id.
///
/// # Errors
/// [`AppError`].
pub async fn revoke(app: &App, user: &str, id: &str) -> Result<bool, AppError> {
    let pointer = Key::new(format!("{}{id}", of_user(user)))?;
    let mut keys: Vec<Key> = keys(app, user).await?;
    let is_it = |key: &Key| {
        key.as_str().strip_prefix("token:").and_then(|hash| hash.get(..ID_CHARS)).is_some_and(|own| own == id)
    };
    keys.retain(is_it);
    let is_there = !keys.is_empty();
    let delete = |key: Key| Write {
        namespace: keyspace::sessions(),
        key,
        change: Change::Delete,
        condition: Condition::Always,
    };
    let writes: Vec<Write> = keys.into_iter().chain([pointer]).map(delete).collect();
    app.store().write_all(&writes).await?;
    Ok(is_there)
}
