//! Accounts: made, signed in to, changed. The stored account is a JSON object; what this service does not know of it, the
//! role among it, stays as it is through every write.

use std::sync::LazyLock;

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use tidegate_store::kv::{Change, Condition, Entry, Key, Write, WrittenAll};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::app::{App, AppError};
use crate::{deletion, keyspace, waiting};

/// Fewest characters of a password, and most bytes.
const PASSWORD_CHARS_MIN: usize = 8;
const PASSWORD_BYTES_MAX: usize = 1024;
/// Most characters of a display name.
const NAME_CHARS_MAX: usize = 100;
/// Most display names that an account can have had before.
pub const FORMER_NAMES_MAX: usize = 5;
/// Tries of a write that others are in the way of.
const TRIES_MAX: usize = 16;

/// A stored account.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its id.
    pub id: String,
    /// All of it.
    pub core: Map<String, Value>,
    entry: Entry,
}

impl Account {
    /// The account as a JSON value.
    #[must_use]
    pub fn value(&self) -> Value {
        Value::Object(self.core.clone())
    }

    fn text(&self, name: &str) -> &str {
        self.core.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn texts(&self, name: &str) -> Vec<String> {
        let list = self.core.get(name).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// What is shown as the user's name: the display name, else the user name.
    #[must_use]
    pub fn shown_name(&self) -> &str {
        match self.text("name") {
            "" => self.text("username"),
            name => name,
        }
    }

    /// What others may know of it: no password, whatever else it holds.
    #[must_use]
    pub fn public(&self) -> Value {
        json!({
            "id": self.id, "username": self.text("username"), "email": self.text("email"),
            "name": self.shown_name(), "plan": self.text("plan"),
        })
    }
}

/// Somebody who wants an account.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// 3 to 64 letters, digits, `_`, `-` and `.`; unique in any case.
    pub user_name: String,
    /// Unique in any case.
    pub email: String,
    /// What is shown; not unique.
    pub name: String,
    /// At least 8 characters.
    pub password: String,
}

/// The account of this id.
///
/// # Errors
/// [`AppError::Corrupt`] where it is no object or names another id.
pub async fn by_id(app: &App, id: &str) -> Result<Option<Account>, AppError> {
    let Ok(key) = keyspace::user(id) else { return Ok(None) };
    let Some(entry) = app.store().get(&keyspace::users(), &key).await? else { return Ok(None) };
    let corrupt = |message: &str| AppError::Corrupt { key: key.to_string(), message: message.to_owned() };
    let Ok(Value::Object(core)) = serde_json::from_slice(&entry.value) else {
        return Err(corrupt("it is no JSON object"));
    };
    if core.get("id").and_then(Value::as_str) != Some(id) {
        return Err(corrupt("it names another id than its key"));
    }
    Ok(Some(Account { id: id.to_owned(), core, entry }))
}

/// The account of this user name, in any case.
///
/// # Errors
/// [`AppError`].
pub async fn by_name(app: &App, user_name: &str) -> Result<Option<Account>, AppError> {
    let Ok(key) = keyspace::user_name(user_name) else { return Ok(None) };
    let Some(entry) = app.store().get(&keyspace::users(), &key).await? else { return Ok(None) };
    let text = String::from_utf8_lossy(&entry.value).into_owned();
    // Older ones hold the id itself, newer ones a JSON string.
    by_id(app, serde_json::from_str::<String>(&text).unwrap_or(text).trim()).await
}

/// Makes an account. User name and address are claimed in the same batch: of two who want one at once, one gets it.
///
/// # Errors
/// [`AppError::Refused`].
pub async fn sign_up(app: &App, new: NewUser) -> Result<Account, AppError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if !(3..=64).contains(&new.user_name.len()) || !new.user_name.chars().all(legal) {
        return refuse("a user name has 3 to 64 letters, digits, `_`, `-` and `.`");
    }
    // A user name that reads like an id would be taken for one.
    if Uuid::try_parse(&new.user_name).is_ok() {
        return refuse("a user name cannot have the form of an id");
    }
    if !new.email.contains('@') || new.email.len() > 254 || new.email.chars().any(char::is_whitespace) {
        return refuse("the address is none");
    }
    must_be_name(&new.name)?;
    let password = hashed(new.password).await?;
    let id = Uuid::new_v4().to_string();
    let mut core = json!({
        "id": id, "username": new.user_name, "email": new.email, "password": password, "plan": "free",
        "name": new.name, "createdAt": now(app).await?,
    });
    let foreign = taken(app, &id, &core, &[]).await?;
    if !foreign.is_empty()
        && let Some(fields) = core.as_object_mut()
    {
        fields.insert(keyspace::FOREIGN_NAMES.to_owned(), json!(foreign));
    }
    let users = keyspace::users();
    let claim = |key: Key, value: String| Write {
        namespace: users.clone(),
        key,
        change: Change::Put { value: Bytes::from(value), metadata: None, expires_at: None },
        condition: Condition::Absent,
    };
    let writes = [
        claim(keyspace::user_name(&new.user_name)?, id.clone()),
        claim(keyspace::email(&new.email)?, id.clone()),
        claim(keyspace::user(&id)?, core.to_string()),
    ];
    match app.store().write_all(&writes).await? {
        WrittenAll::Done(_) => {}
        WrittenAll::Refused { index: 0, .. } => return refuse("the user name is taken"),
        WrittenAll::Refused { .. } => return refuse("the address is taken"),
    }
    by_id(app, &id).await?.ok_or(AppError::Absent { what: "the new account".to_owned() })
}

/// The account of these words, or `None`. It takes as long for a user who is not there.
///
/// # Errors
/// [`AppError`].
pub async fn sign_in(app: &App, user_name: &str, password: String) -> Result<Option<Account>, AppError> {
    let account = by_name(app, user_name).await?;
    if let Some(account) = &account {
        waiting::is_of(app, &account.id);
    }
    let stored = account.as_ref().map_or(NOBODY.as_str(), |account| account.text("password")).to_owned();
    let is_right = verified(password, stored).await;
    let open = match &account {
        Some(account) if is_right => !deletion::is_under_way(app, &account.id).await?,
        _ => false,
    };
    Ok(account.filter(|_| open))
}

/// Gives a user a new password.
///
/// # Errors
/// [`AppError::Refused`] where the old one is wrong.
pub async fn change_password(app: &App, id: &str, old: String, new: String) -> Result<(), AppError> {
    let account = known(app, id).await?;
    if !verified(old, account.text("password").to_owned()).await {
        return refuse("the password is wrong");
    }
    let hash = hashed(new).await?;
    edit(app, id, |core| {
        core.insert("password".to_owned(), json!(hash));
    })
    .await
}

/// Gives a user another display name. Records under the former one stay the user's; records that stand under the new one
/// already do not become so.
///
/// # Errors
/// [`AppError::Refused`], also where there were [`FORMER_NAMES_MAX`] names before.
pub async fn change_name(app: &App, id: &str, name: &str) -> Result<(), AppError> {
    must_be_name(name)?;
    let account = known(app, id).await?;
    let before = keyspace::legacy_spellings_of(id, &account.value());
    let mut former = account.texts(keyspace::FORMER_NAMES);
    let old = account.text("name").to_owned();
    if old != name && !old.is_empty() && !former.contains(&old) {
        former.push(old);
    }
    if former.len() > FORMER_NAMES_MAX {
        return refuse("the name was changed too often");
    }
    let mut new = account.core.clone();
    new.insert("name".to_owned(), json!(name));
    new.insert(keyspace::FORMER_NAMES.to_owned(), json!(former));
    let mut foreign = account.texts(keyspace::FOREIGN_NAMES);
    foreign.extend(taken(app, id, &Value::Object(new.clone()), &before).await?);
    if !foreign.is_empty() {
        new.insert(keyspace::FOREIGN_NAMES.to_owned(), json!(foreign));
    }
    // Names depend on one another, so this is made on what was read or not at all.
    if replaced(app, id, new, &account.entry).await? {
        return Ok(());
    }
    Err(AppError::Contended { what: format!("the account {id}"), tries: 1 })
}

/// The spellings of an account, but those it had, under which records stand: they are somebody else's.
async fn taken(app: &App, id: &str, core: &Value, had: &[String]) -> Result<Vec<String>, AppError> {
    let mut taken = Vec::new();
    for spelling in keyspace::legacy_spellings_of(id, core) {
        if !had.contains(&spelling) && app.user_claims().has_records(&spelling).await? {
            taken.push(spelling);
        }
    }
    Ok(taken)
}

/// Changes fields of a stored account and leaves all others.
async fn edit(app: &App, id: &str, change: impl Fn(&mut Map<String, Value>)) -> Result<(), AppError> {
    for _try in 0..TRIES_MAX {
        let mut account = known(app, id).await?;
        change(&mut account.core);
        if replaced(app, id, account.core, &account.entry).await? {
            return Ok(());
        }
    }
    Err(AppError::Contended { what: format!("the account {id}"), tries: TRIES_MAX })
}

/// Puts an account in the place of what was read; false where another was faster.
async fn replaced(app: &App, id: &str, core: Map<String, Value>, read: &Entry) -> Result<bool, AppError> {
    let write = Write {
        namespace: keyspace::users(),
        key: keyspace::user(id)?,
        change: Change::Put {
            value: Bytes::from(Value::Object(core).to_string()),
            metadata: read.metadata.clone(),
            expires_at: read.expires_at,
        },
        condition: Condition::Version(read.version),
    };
    Ok(matches!(app.store().write_all(&[write]).await?, WrittenAll::Done(_)))
}

async fn known(app: &App, id: &str) -> Result<Account, AppError> {
    by_id(app, id).await?.ok_or(AppError::Absent { what: "the account".to_owned() })
}

fn must_be_name(name: &str) -> Result<(), AppError> {
    let is_legal = !name.trim().is_empty()
        && name.chars().count() <= NAME_CHARS_MAX
        && !name.chars().any(|c| c.is_control() || c == ':');
    if is_legal { Ok(()) } else { refuse("a name has 1 to 100 characters, no colon and no line end") }
}

fn refuse<T>(why: &str) -> Result<T, AppError> {
    Err(AppError::Refused(why.to_owned()))
}

pub(crate) async fn now(app: &App) -> Result<String, AppError> {
    Ok(jiff::Timestamp::from_second(app.store().now().await?.0).unwrap_or_default().to_string())
}

/// A hash that no password has, so that a user who is not there takes as long.
static NOBODY: LazyLock<String> = LazyLock::new(|| hash(&Uuid::new_v4().to_string()).unwrap_or_default());

/// The hash of a password, for programs that make accounts.
///
/// # Errors
/// [`AppError::Refused`] where it is too short or too long.
pub async fn hashed(password: String) -> Result<String, AppError> {
    if password.chars().count() < PASSWORD_CHARS_MIN || password.len() > PASSWORD_BYTES_MAX {
        return refuse("a password has at least 8 characters and at most 1024 bytes");
    }
    let _permit = HASHING.acquire().await;
    let hash = tokio::task::spawn_blocking(move || hash(&password)).await.ok().flatten();
    hash.ok_or_else(|| AppError::Refused("the password could not be hashed".to_owned()))
}

/// Hashes that are computed at once: each takes 19 MiB.
static HASHING: Semaphore = Semaphore::const_new(4);

async fn verified(password: String, stored: String) -> bool {
    let _permit = HASHING.acquire().await;
    let check = move || {
        PasswordHash::new(&stored)
            .is_ok_and(|known| Argon2::default().verify_password(password.as_bytes(), &known).is_ok())
    };
    tokio::task::spawn_blocking(check).await.unwrap_or(false)
}

/// argon2id with 19 MiB and two passes, as OWASP's password storage cheat sheet has it.
fn hash(password: &str) -> Option<String> {
    let mut salt = [0_u8; 16];
    getrandom::fill(&mut salt).ok()?;
    let salt = SaltString::encode_b64(&salt).ok()?;
    let params = Params::new(19_456, 2, 1, None).ok()?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    Some(argon2.hash_password(password.as_bytes(), &salt).ok()?.to_string())
}
