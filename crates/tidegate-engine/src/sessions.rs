//! Sessions of the database, for people.

use tidegate_store::postgres::sessions::{Activity, Backend};

/// One line about a session: who, from what, in which state, since when, doing what.
#[must_use]
pub fn describe(backend: &Backend) -> String {
    let activity = match backend.activity {
        Some(Activity::Active) => "active",
        Some(Activity::Idle) => "idle",
        Some(Activity::IdleInTransaction) => "idle in transaction",
        Some(Activity::IdleInFailedTransaction) => "idle in a failed transaction",
        Some(Activity::Other) | None => "state unknown",
    };
    let since = backend
        .transaction_age
        .or(backend.activity_age)
        .map_or(String::new(), |age| format!(" for {} s", age.as_secs()));
    let query = backend.query_head.as_deref().map_or(String::new(), |query| format!(": {query}"));
    format!(
        "process {} of {} ({}), {activity}{since}{query}",
        backend.pid,
        backend.user.as_deref().unwrap_or("an unknown role"),
        backend.application_name.as_deref().filter(|name| !name.is_empty()).unwrap_or("unnamed"),
    )
}
