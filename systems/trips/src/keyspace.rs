//! Every key of the service. An owner in a key is the user's id; before the migration it was one of the user's names.

use serde_json::Value;
use tidegate_store::kv::{Change, Condition, Key, KvError, Namespace, Write};

/// Keys that begin so are of tools, in every namespace: the service neither lists nor removes them.
pub const RESERVED_PREFIX: &str = "tidegate:";

/// Whether reads look at legacy keys, in [`migrations`].
pub const DUAL_READ_KEY: &str = "migration:dual_read";

/// The field of an account with the display names that it had before.
pub(crate) const FORMER_NAMES: &str = "formerNames";

/// The field of an account with the spellings under which records stood already when it took them: they are not its own.
pub(crate) const FOREIGN_NAMES: &str = "foreignNames";

/// How long a tombstone stays: 30 days.
pub const TOMBSTONE_SECONDS: i64 = 2_592_000;

/// How long somebody stays signed in: 7 days.
pub const SESSION_SECONDS: i64 = 604_800;

macro_rules! namespaces {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $name() -> Namespace {
                fixed($text)
            }
        )*

        /// All of them.
        #[must_use]
        pub fn all() -> Vec<Namespace> {
            vec![$(fixed($text)),*]
        }
    };
}

namespaces! {
    /// Trips, and what is counted of a user.
    logs = "BETA_LOGS_KV";
    /// Expenses.
    expenses = "BETA_EXPENSES_KV";
    /// Mileage. The binding was spelled `BETA_MILLAGE_KV` at first; what stands there is taken over.
    mileage = "BETA_MILEAGE_KV";
    /// What was deleted before tombstones stood in place.
    trash = "BETA_TRASH_KV";
    /// What the sync of orders keeps of a user.
    hughesnet = "BETA_HUGHESNET_KV";
    /// Orders.
    hughesnet_orders = "BETA_HUGHESNET_ORDERS_KV";
    /// Settings.
    user_settings = "BETA_USER_SETTINGS_KV";
    /// Accounts.
    users = "BETA_USERS_KV";
    /// Sessions and tokens.
    sessions = "BETA_SESSIONS_KV";
    /// The migration's own, and the audit trail.
    migrations = "BETA_MIGRATIONS_KV";
    /// Indexes.
    index = "TRIP_INDEX";
}

#[expect(clippy::expect_used, reason = "the names above are letters and `_`")]
fn fixed(name: &str) -> Namespace {
    Namespace::new(name).expect("a namespace's name")
}

/// Where mileage was kept under the binding's first spelling; [`crate::mileage`] takes it over.
#[must_use]
pub fn former_mileage() -> Namespace {
    fixed("BETA_MILLAGE_KV")
}

/// `user:U`
pub(crate) fn user(id: &str) -> Result<Key, KvError> {
    Key::new(format!("user:{id}"))
}

/// `idx:username:<lower>`
pub(crate) fn user_name(name: &str) -> Result<Key, KvError> {
    Key::new(format!("idx:username:{}", name.to_lowercase()))
}

/// `idx:email:<lower>`
pub(crate) fn email(address: &str) -> Result<Key, KvError> {
    Key::new(format!("idx:email:{}", address.to_lowercase()))
}

/// `deletion:U`, while the account is being deleted
pub(crate) fn deletion(id: &str) -> Result<Key, KvError> {
    Key::new(format!("deletion:{id}"))
}

/// A write that is refused once the deletion of the account has begun; for a batch.
pub(crate) fn unless_deleted(id: &str) -> Result<Write, KvError> {
    let key = deletion(id)?;
    Ok(Write { namespace: users(), key, change: Change::Keep, condition: Condition::Absent })
}

/// `migration:U:lease`, of the one run that copies the user's keys
pub(crate) fn lease(id: &str) -> Result<Key, KvError> {
    Key::new(format!("migration:{id}:lease"))
}

/// `settings:U`
pub(crate) fn settings(owner: &str) -> Result<Key, KvError> {
    Key::new(format!("settings:{owner}"))
}

/// `authenticators:U`
pub(crate) fn authenticators(owner: &str) -> Result<Key, KvError> {
    Key::new(format!("authenticators:{owner}"))
}

/// `meta:user:U:trip_count`
pub(crate) fn trip_count(id: &str) -> Result<Key, KvError> {
    Key::new(format!("meta:user:{id}:trip_count"))
}

/// `meta:user:U:index_dirty`
pub(crate) fn index_dirty(id: &str) -> Result<Key, KvError> {
    Key::new(format!("meta:user:{id}:index_dirty"))
}

/// Whose storage a stored account's keys are: its id and nothing else. An account without one has none.
#[must_use]
pub fn storage_id(core: &Value) -> &str {
    core.get("id").and_then(Value::as_str).unwrap_or_default()
}

/// Every name under which records of this account may stand, for reading them; never for writing one.
///
/// The display name as it is and in lower case; the user name as it is, in lower case, in upper case, and with a
/// capital first; display names of before, which stay the account's; none of those that were somebody else's when the
/// account took them.
#[must_use]
pub fn legacy_spellings_of(id: &str, core: &Value) -> Vec<String> {
    let text = |field: &str| core.get(field).and_then(Value::as_str).unwrap_or_default();
    let (name, user_name) = (text("name"), text("username"));
    let lower = user_name.to_lowercase();
    let mut first = lower.chars();
    let capital: String = first.next().into_iter().flat_map(char::to_uppercase).chain(first).collect();
    let list = |field: &str| core.get(field).and_then(Value::as_array).into_iter().flatten();
    let former = list(FORMER_NAMES).filter_map(Value::as_str);
    let former = former.flat_map(|name| [name.to_owned(), name.to_lowercase()]);
    let not_own: Vec<&str> = list(FOREIGN_NAMES).filter_map(Value::as_str).collect();
    let mut spellings: Vec<String> = Vec::new();
    for spelling in [
        name.to_owned(),
        name.to_lowercase(),
        user_name.to_owned(),
        lower.clone(),
        user_name.to_uppercase(),
        capital,
    ]
    .into_iter()
    .chain(former)
    {
        let is_own = !spelling.is_empty() && spelling != id && !not_own.contains(&spelling.as_str());
        if is_own && !spellings.contains(&spelling) {
            spellings.push(spelling);
        }
    }
    spellings
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn storage_is_of_the_id_and_of_nothing_else() {
        assert_eq!(storage_id(&json!({ "name": "James", "token": "t" })), "");
        assert_eq!(storage_id(&json!({ "id": "u1", "name": "James" })), "u1");
    }

    #[test]
    fn spellings_are_distinct_and_never_the_id() {
        let core = json!({ "id": "u1", "name": "James B", "username": "jAmes" });
        let spellings = legacy_spellings_of("u1", &core);
        assert_eq!(spellings, ["James B", "james b", "jAmes", "james", "JAMES", "James"]);
        assert_eq!(legacy_spellings_of("u1", &json!({ "name": "u1", "username": "u1" })), ["U1"]);
        assert!(legacy_spellings_of("u1", &json!({})).is_empty());
        let renamed = json!({ "name": "Jim", "formerNames": ["James"], "foreignNames": ["jim"] });
        assert_eq!(legacy_spellings_of("u1", &renamed), ["Jim", "James", "james"]);
    }
}
