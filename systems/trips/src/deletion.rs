//! An account and everything of it, removed: the keys of the id, the keys of every name that is provably the user's, both
//! indexes, sessions and tokens. The audit trail stays.
//!
//! A marker is written first and removed last: a deletion that was cut off is taken up again, and nobody signs in or writes
//! a record meanwhile. Records under a name that another account may claim too stay where they are: nobody can say whose
//! they are, and whoever is left with the name does not get them by it.

use bytes::Bytes;
use serde_json::{Value, json};
use tidegate_store::kv::{Change, Condition, Key, Namespace, PAGE_MAX, Write};

use crate::app::{App, AppError};
use crate::index::{self, RECORDS_MAX};
use crate::record::Kind;
use crate::{keyspace, scan, session, token, user};

/// Most deletions that are taken up at a start.
const RESUMED_MAX: usize = 10_000;

/// Whether this account is being deleted.
///
/// # Errors
/// [`AppError`].
pub async fn is_under_way(app: &App, id: &str) -> Result<bool, AppError> {
    Ok(app.store().get(&keyspace::users(), &keyspace::deletion(id)?).await?.is_some())
}

/// Deletes an account.
///
/// # Errors
/// [`AppError`]; called again it goes on.
///
/// # Idempotence
/// What is gone is gone; a second call finds nothing.
pub async fn delete(app: &App, id: &str) -> Result<(), AppError> {
    // Names are looked at before anything is gone that they follow from.
    if let Some(account) = user::by_id(app, id).await? {
        let own = app.user_claims().own_now(id, &account.value()).await?;
        let is_own = |name: &String| own.iter().any(|(known, _)| known == name);
        let mut shared = keyspace::legacy_spellings_of(id, &account.value());
        shared.retain(|name| !is_own(name));
        app.user_claims().release(&shared).await?;
        let noted = json!({ "core": account.value(), "own": own });
        let put = Change::Put { value: Bytes::from(noted.to_string()), metadata: None, expires_at: None };
        one(app, keyspace::users(), keyspace::deletion(id)?, put).await?;
    }
    resume(app, id).await
}

/// Takes up all deletions that were cut off; how many.
///
/// # Errors
/// [`AppError`].
pub async fn resume_all(app: &App) -> Result<usize, AppError> {
    let listed = app.store().list_all(&keyspace::users(), "deletion:", RESUMED_MAX).await?;
    let ids: Vec<String> = listed
        .iter()
        .filter_map(|listed| listed.key.as_str().strip_prefix("deletion:"))
        .map(str::to_owned)
        .collect();
    for id in &ids {
        resume(app, id).await?;
    }
    Ok(ids.len())
}

async fn resume(app: &App, id: &str) -> Result<(), AppError> {
    let key = keyspace::deletion(id)?;
    let Some(entry) = app.store().get(&keyspace::users(), &key).await? else { return Ok(()) };
    let noted: Value = serde_json::from_slice(&entry.value)
        .map_err(|error| AppError::Corrupt { key: key.to_string(), message: error.to_string() })?;
    let own: Vec<(String, Vec<String>)> =
        noted.get("own").and_then(|own| serde_json::from_value(own.clone()).ok()).unwrap_or_default();
    // A migration that runs loses its lease and writes nothing more.
    remove(app, &keyspace::migrations(), vec![keyspace::lease(id)?]).await?;
    session::end_all(app, id, None).await?;
    let tokens = token::keys(app, id).await?;
    remove(app, &keyspace::sessions(), tokens).await?;
    prefix(app, &keyspace::sessions(), &format!("tokens:{id}:"), &[]).await?;
    let names: Vec<&str> = own.iter().map(|(name, _)| name.as_str()).chain([id]).collect();
    let owners =
        own.iter().map(|(name, longer)| (name.as_str(), longer.as_slice())).chain([(id, [].as_slice())]);
    for (owner, longer) in owners {
        of_owner(app, owner, longer, &names).await?;
    }
    in_place(app, &keyspace::trash(), "trash:", "/userId", &names).await?;
    in_place(app, &keyspace::hughesnet_orders(), "hns:order:", "/ownerId", &names).await?;
    links(app, &names).await?;
    let text = |pointer: &str| noted.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    // From here on no migration of this user can begin; what one wrote before it lost its lease goes now.
    remove(app, &keyspace::users(), vec![keyspace::user(id)?]).await?;
    prefix(app, &keyspace::migrations(), &format!("migration:{id}:"), &[]).await?;
    of_owner(app, id, &[], &names).await?;
    let mut keys = vec![Key::new(format!("user:stats:{id}"))?];
    for claimed in [keyspace::user_name(text("/core/username")), keyspace::email(text("/core/email"))] {
        let claimed = claimed?;
        let held = app.store().get(&keyspace::users(), &claimed).await?;
        // Somebody else may have taken it since.
        if held.is_some_and(|entry| String::from_utf8_lossy(&entry.value).trim_matches('"') == id) {
            keys.push(claimed);
        }
    }
    remove(app, &keyspace::users(), keys).await?;
    remove(app, &keyspace::users(), vec![key]).await
}

/// Everything that stands under one owner, but not what stands under longer names, and not a record that names somebody
/// else: it waits for a decision, or was given to that one and is not copied yet.
async fn of_owner(app: &App, owner: &str, longer: &[String], names: &[&str]) -> Result<(), AppError> {
    for kind in Kind::ALL {
        let begins = |name: &str| format!("{}{name}:", kind.prefix());
        let longer: Vec<String> = longer.iter().map(|name| begins(name)).collect();
        if owner == names.last().copied().unwrap_or_default() {
            prefix(app, &kind.namespace(), &begins(owner), &longer).await?;
            continue;
        }
        let mut gone = Vec::new();
        scan::each(app.store().as_ref(), &kind.namespace(), &begins(owner), |key, entry| {
            let body = serde_json::from_slice::<Value>(&entry.value).unwrap_or_default();
            let mut named = ["/userId", "/backup/userId"].iter().filter_map(|at| body.pointer(at)?.as_str());
            let is_longer = longer.iter().any(|longer| key.as_str().starts_with(longer.as_str()));
            if !is_longer && named.all(|named| names.contains(&named)) {
                gone.push(key);
            }
            Ok(())
        })
        .await?;
        remove(app, &kind.namespace(), gone).await?;
    }
    let longer: Vec<String> = longer.iter().map(|name| format!("meta:user:{name}:")).collect();
    prefix(app, &keyspace::logs(), &format!("meta:user:{owner}:"), &longer).await?;
    // A name so long that there can be no key of it has none.
    let begins = ["hns:settings:", "hns:db:", "hns:session:", "hns:cred:", "lock:sync:"];
    let keys = begins.into_iter().filter_map(|begins| Key::new(format!("{begins}{owner}")).ok()).collect();
    remove(app, &keyspace::hughesnet(), keys).await?;
    remove(app, &keyspace::user_settings(), keyspace::settings(owner).into_iter().collect()).await?;
    remove(app, &keyspace::users(), keyspace::authenticators(owner).into_iter().collect()).await?;
    index::wipe(app.store().as_ref(), owner).await?;
    Ok(())
}

/// Keys of links whose value is one of the owner's names.
async fn links(app: &App, names: &[&str]) -> Result<(), AppError> {
    let users = keyspace::users();
    for begins in ["credential:", "idx:credential:", "stripe:customer:"] {
        let mut gone = Vec::new();
        scan::each(app.store().as_ref(), &users, begins, |key, entry| {
            let value = String::from_utf8_lossy(&entry.value).into_owned();
            if names.contains(&value.trim_matches('"')) {
                gone.push(key);
            }
            Ok(())
        })
        .await?;
        remove(app, &users, gone).await?;
    }
    Ok(())
}

/// Keys that say nothing of their owner, by their bodies.
async fn in_place(
    app: &App,
    namespace: &Namespace,
    begins: &str,
    pointer: &str,
    names: &[&str],
) -> Result<(), AppError> {
    let mut gone = Vec::new();
    scan::each(app.store().as_ref(), namespace, begins, |key, entry| {
        let body: Option<Value> = serde_json::from_slice(&entry.value).ok();
        let owner = body.as_ref().and_then(|body| body.pointer(pointer)).and_then(Value::as_str);
        if owner.is_some_and(|owner| names.contains(&owner)) {
            gone.push(key);
        }
        Ok(())
    })
    .await?;
    remove(app, namespace, gone).await
}

/// All keys of a prefix but those of longer ones.
async fn prefix(app: &App, namespace: &Namespace, begins: &str, longer: &[String]) -> Result<(), AppError> {
    let listed = app.store().list_all(namespace, begins, RECORDS_MAX).await?;
    let keys = listed.into_iter().map(|listed| listed.key);
    let gone =
        keys.filter(|key| !longer.iter().any(|longer| key.as_str().starts_with(longer.as_str()))).collect();
    remove(app, namespace, gone).await
}

async fn remove(app: &App, namespace: &Namespace, keys: Vec<Key>) -> Result<(), AppError> {
    let delete = |key: &Key| Write {
        namespace: namespace.clone(),
        key: key.clone(),
        change: Change::Delete,
        condition: Condition::Always,
    };
    for keys in keys.chunks(PAGE_MAX) {
        let writes: Vec<Write> = keys.iter().map(delete).collect();
        app.store().write_each(&writes).await?;
    }
    Ok(())
}

async fn one(app: &App, namespace: Namespace, key: Key, change: Change) -> Result<(), AppError> {
    app.store().write_each(&[Write { namespace, key, change, condition: Condition::Always }]).await?;
    Ok(())
}
