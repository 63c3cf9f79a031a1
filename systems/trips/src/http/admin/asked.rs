//! Who asks, and what.

use axum::http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};
use tidegate_rekey::RekeyError;
use tidegate_store::kv::KvError;

use super::{App, Arc};
use crate::audit::AuditError;
use crate::http::identity;
use crate::http::reply::Failure;
use crate::migration::cohort::USERS_MAX;
use crate::migration::{Actor, Migration, MigrationError};

/// Characters of one input that names a user.
const INPUT_CHARS_MAX: usize = 200;

/// 503: accounts cannot be read.
fn unavailable() -> Failure {
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, "Users KV not available")
}

/// 500.
pub(super) fn internal(error: &str) -> Failure {
    Failure::new(StatusCode::INTERNAL_SERVER_ERROR, error)
}

impl From<MigrationError> for Failure {
    fn from(error: MigrationError) -> Failure {
        let status = match &error {
            MigrationError::Refused(_) => StatusCode::CONFLICT,
            MigrationError::Rekey(RekeyError::NotQuarantined { .. }) => StatusCode::NOT_FOUND,
            MigrationError::Rekey(RekeyError::ChangedSince { .. } | RekeyError::Held { .. }) => {
                StatusCode::CONFLICT
            }
            MigrationError::Audit(AuditError::Month { .. }) => StatusCode::BAD_REQUEST,
            MigrationError::Store(KvError::BadKey { .. } | KvError::BadNamespace { .. })
            | MigrationError::Audit(AuditError::Store(KvError::BadKey { .. })) => StatusCode::BAD_REQUEST,
            MigrationError::Store(_) | MigrationError::Audit(_) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Failure::new(status, &error.sentence())
    }
}

/// An administrator, and what the migration works with.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) migration: Arc<Migration>,
    pub(super) actor: Actor,
}

/// Lets an administrator in.
pub(super) async fn admit(app: &Arc<App>, headers: &HeaderMap) -> Result<Admitted, Failure> {
    let forbidden = || Failure::new(StatusCode::FORBIDDEN, "Forbidden");
    let asker = identity::asker(app, headers).await.map_err(|_| unavailable())?;
    let asker = asker.filter(|asker| asker.has_scope("admin")).ok_or_else(forbidden)?;
    let migration = Migration::new(app)?;
    match migration.is_admin(&asker.user_id).await {
        Ok(true) => {}
        Ok(false) => return Err(forbidden()),
        Err(_) => return Err(unavailable()),
    }
    // A token's name is its owner's to choose: it must not pass for somebody's id or for the system.
    let name = if asker.session_id.is_some() { asker.name } else { format!("token:{}", asker.name) };
    let actor = Actor { name, user_id: asker.user_id, ip: asker.ip };
    Ok(Admitted { migration: Arc::new(migration), actor })
}

/// A body that is an object.
#[derive(Debug)]
pub(super) struct Asked(Map<String, Value>);

impl Asked {
    pub(super) fn read(body: &[u8]) -> Result<Asked, Failure> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Asked(fields)),
            Ok(_) => Err(Failure::bad("No users specified")),
            Err(_) => Err(Failure::bad("Invalid JSON")),
        }
    }

    pub(super) fn field(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// The users of the request, as they were given.
    pub(super) fn users(&self) -> Result<Vec<String>, Failure> {
        let listed = self.0.get("users").and_then(Value::as_array).filter(|users| !users.is_empty());
        let listed = listed.ok_or_else(|| Failure::bad("No users specified"))?;
        if listed.len() > USERS_MAX {
            return Err(Failure::bad(&format!(
                "{} users; at most {USERS_MAX} are taken at once",
                listed.len()
            )));
        }
        let text = |user: &Value| {
            user.as_str()
                .filter(|text| !text.is_empty() && text.chars().count() <= INPUT_CHARS_MAX)
                .map(str::to_owned)
        };
        let users: Option<Vec<String>> = listed.iter().map(text).collect();
        users.ok_or_else(|| Failure::bad("users must be user names or ids"))
    }

    /// A flag; not there: false. A text or a number is no flag: `"false"` must not be taken for yes.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Failure> {
        match self.0.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(Failure::bad(&format!("{name} must be true or false"))),
        }
    }

    pub(super) fn needed_flag(&self, name: &str) -> Result<bool, Failure> {
        match self.0.get(name) {
            Some(Value::Bool(flag)) => Ok(*flag),
            _ => Err(Failure::bad(&format!("{name} must be true or false"))),
        }
    }

    /// A text that is not empty.
    pub(super) fn text(&self, name: &str) -> Result<String, Failure> {
        let text = self.0.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
        text.map(str::to_owned).ok_or_else(|| Failure::bad(&format!("{name} is missing")))
    }
}
