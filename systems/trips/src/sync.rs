//! Trips that are made of orders, and the single keys of a user: what the sync keeps, and passkeys.
//!
//! A day's trip has the id `hns_<id of the user>_<day>`, so that a second sync of a day makes no second one. Before the
//! migration a name stood in the place of the id: while such a trip is readable, it is the day's trip.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tidegate_store::kv::{Change, Condition, Entry, Key, Namespace, PAGE_MAX, UnixSecond, Write, WrittenAll};

use crate::app::{App, AppError};
use crate::keyspace;
use crate::reading::Reader;
use crate::record::{self, Kind};
use crate::user;

/// Most orders of one sync, and of one answer.
pub const ORDERS_MAX: usize = 100;
/// Most keys of orders that are looked at for one answer.
const ORDERS_SEEN_MAX: usize = 20 * PAGE_MAX;
/// How long a session with the provider stays: two days.
const SESSION_SECONDS: i64 = 172_800;
/// Most passkeys of one answer.
const PASSKEYS_MAX: usize = 100;

fn key(what: &str, owner: &str) -> Result<Key, AppError> {
    Ok(Key::new(format!("hns:{what}:{owner}"))?)
}

fn put(
    namespace: Namespace,
    key: Key,
    value: &Value,
    until: Option<UnixSecond>,
    condition: Condition,
) -> Write {
    let change = Change::Put { value: Bytes::from(value.to_string()), metadata: None, expires_at: until };
    Write { namespace, key, change, condition }
}

fn told(entry: &Entry) -> Value {
    serde_json::from_slice(&entry.value).unwrap_or_default()
}

/// The entry at the id, else at the first of the names that has one.
async fn single(
    app: &App,
    user: &Reader,
    namespace: &Namespace,
    begins: &str,
) -> Result<Option<Entry>, AppError> {
    let owners = [user.id().to_owned()].into_iter().chain(user.names());
    let keys: Vec<Key> = owners.filter_map(|owner| Key::new(format!("{begins}{owner}")).ok()).collect();
    let found = app.store().get_many(namespace, &keys).await?;
    let first = found.into_iter().enumerate().find_map(|(place, entry)| Some((place, entry?)));
    if first.as_ref().is_some_and(|(place, _)| *place > 0) {
        app.metrics().legacy_reads(1);
    }
    Ok(first.map(|(_, entry)| entry))
}

/// What is kept of a user: settings, data, whether there is a secret, when the session ends (Unix seconds), and orders,
/// at most [`ORDERS_MAX`]. The secret itself is never told.
///
/// # Errors
/// [`AppError::Store`].
pub async fn kept(app: &App, user: &Reader) -> Result<Value, AppError> {
    let namespace = keyspace::hughesnet();
    let settings = single(app, user, &namespace, "hns:settings:").await?;
    let data = single(app, user, &namespace, "hns:db:").await?;
    let session = single(app, user, &namespace, "hns:session:").await?;
    let secret = single(app, user, &namespace, "hns:cred:").await?;
    let (orders, complete) = orders(app, user).await?;
    Ok(json!({
        "settings": settings.as_ref().map(told),
        "db": data.as_ref().map(told),
        "hasSession": session.is_some(),
        "sessionEndsAt": session.and_then(|entry| entry.expires_at).map(|at| at.0),
        "hasSecret": secret.is_some(),
        "orders": orders,
        "ordersComplete": complete,
    }))
}

/// The orders of a user; false where there may be more.
async fn orders(app: &App, user: &Reader) -> Result<(Vec<Value>, bool), AppError> {
    let namespace = keyspace::hughesnet_orders();
    let mut owners = user.names();
    owners.push(user.id().to_owned());
    let (mut found, mut seen, mut after) = (Vec::new(), 0, None);
    loop {
        let page = app.store().list(&namespace, "hns:order:", after.as_ref(), PAGE_MAX).await?;
        let keys: Vec<Key> = page.entries.into_iter().map(|listed| listed.key).collect();
        for entry in app.store().get_many(&namespace, &keys).await?.iter().flatten() {
            let body = told(entry);
            if owner_of(&body).is_some_and(|owner| owners.iter().any(|own| own == owner)) {
                if found.len() == ORDERS_MAX {
                    return Ok((found, false));
                }
                found.push(body.get("order").cloned().unwrap_or_default());
            }
        }
        seen += keys.len();
        after = keys.into_iter().last();
        if page.complete || seen >= ORDERS_SEEN_MAX {
            return Ok((found, page.complete));
        }
    }
}

fn owner_of(body: &Value) -> Option<&str> {
    body.get("ownerId").and_then(Value::as_str)
}

/// Keeps the settings of the sync, under the id.
///
/// # Errors
/// [`AppError`].
pub async fn put_settings(
    app: &App,
    user: &Reader,
    mut given: Map<String, Value>,
) -> Result<Value, AppError> {
    given.insert("updatedAt".to_owned(), json!(user::now(app).await?));
    let value = Value::Object(given);
    let write = put(keyspace::hughesnet(), key("settings", user.id())?, &value, None, Condition::Always);
    made(app, user, vec![write]).await?;
    Ok(value)
}

/// Takes in orders and makes the trip of their day; what was taken in before is so once.
///
/// # Errors
/// [`AppError::Refused`] where an order has no id, is somebody else's, or there are too many; nothing is written then.
///
/// # Idempotence
/// The trip is made first. A sync that was cut off is made again and does the rest.
pub async fn run(app: &App, user: &Reader, date: Option<&str>, orders: &[Value]) -> Result<Value, AppError> {
    let refused = |why: &str| Err(AppError::Refused(why.to_owned()));
    let now = app.store().now().await?;
    let date = match date {
        Some(date) => date.to_owned(),
        None => user::now(app).await?.chars().take(10).collect(),
    };
    if date.len() != 10 || date.parse::<jiff::civil::Date>().is_err() {
        return refused("date must be a day such as 2026-03-01");
    }
    if orders.len() > ORDERS_MAX {
        return refused("a sync takes at most 100 orders");
    }
    let mut ids: Vec<&str> = Vec::new();
    for order in orders {
        match order.get("id").and_then(Value::as_str) {
            Some(id) if !id.is_empty() && id.len() <= 200 && !ids.contains(&id) => ids.push(id),
            _ => return refused("each order has an id of 1 to 200 bytes, each another one"),
        }
    }
    let mut writes = taken_in(app, user, orders, &ids).await?;
    let (trip, created) = trip(app, user, &date, &ids).await?;
    writes.extend(noted(app, user, &date, &ids, now).await?);
    made(app, user, writes).await?;
    Ok(json!({ "trip": trip, "created": created, "orders": ids.len() }))
}

/// The writes of the orders; those of the user that are there already stay the user's.
async fn taken_in(app: &App, user: &Reader, orders: &[Value], ids: &[&str]) -> Result<Vec<Write>, AppError> {
    let namespace = keyspace::hughesnet_orders();
    let keys: Vec<Key> = ids.iter().map(|id| key("order", id)).collect::<Result<_, _>>()?;
    let mut owners = user.names();
    owners.push(user.id().to_owned());
    let mut writes = Vec::new();
    for ((key, entry), order) in keys.iter().zip(app.store().get_many(&namespace, &keys).await?).zip(orders) {
        let condition = match &entry {
            None => Condition::Absent,
            Some(entry) => {
                let body = told(entry);
                if owner_of(&body).is_none_or(|owner| owners.iter().all(|own| own != owner)) {
                    return Err(AppError::Refused(format!("the order at {key} is not this user's")));
                }
                Condition::Version(entry.version)
            }
        };
        let stored_at = user::now(app).await?;
        let body = json!({ "ownerId": user.id(), "storedAt": stored_at, "order": order });
        writes.push(put(namespace.clone(), key.clone(), &body, None, condition));
    }
    Ok(writes)
}

/// The day's trip, and whether it was made now. One that was deleted is not made again.
async fn trip(app: &App, user: &Reader, date: &str, orders: &[&str]) -> Result<(String, bool), AppError> {
    let own = format!("hns_{}_{date}", user.id());
    let named = user.names().into_iter().map(|name| format!("hns_{name}_{date}"));
    for record in [own.clone()].into_iter().chain(named) {
        match user.get(app, Kind::Trip, &record).await {
            Ok(_) => return Ok((record, false)),
            Err(AppError::Absent { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let given = json!({ "id": own, "date": date, "source": "hughesnet", "orders": orders });
    let given = given.as_object().cloned().unwrap_or_default();
    match record::create(app, user, Kind::Trip, &given).await {
        Ok(_) => Ok((own, true)),
        // Another sync of the day was faster.
        Err(AppError::Refused(_)) => Ok((own, false)),
        Err(error) => Err(error),
    }
}

/// What the sync notes of itself: the days of orders, and a session that ends. A session that is there is the provider's
/// and stays as it is.
async fn noted(
    app: &App,
    user: &Reader,
    date: &str,
    orders: &[&str],
    now: UnixSecond,
) -> Result<Vec<Write>, AppError> {
    let namespace = keyspace::hughesnet();
    let standing = app.store().get(&namespace, &key("db", user.id())?).await?;
    let condition = standing.as_ref().map_or(Condition::Absent, |entry| Condition::Version(entry.version));
    let data = match standing {
        Some(entry) => Some(entry),
        None => single(app, user, &namespace, "hns:db:").await?,
    };
    let mut data = data.as_ref().map(told).and_then(|data| data.as_object().cloned()).unwrap_or_default();
    data.extend(orders.iter().map(|order| ((*order).to_owned(), json!(date))));
    let at = user::now(app).await?;
    data.insert("updatedAt".to_owned(), json!(at));
    let data = Value::Object(data);
    let mut writes = vec![put(namespace.clone(), key("db", user.id())?, &data, None, condition)];
    if single(app, user, &namespace, "hns:session:").await?.is_none() {
        let (key, until) = (key("session", user.id())?, Some(UnixSecond(now.0 + SESSION_SECONDS)));
        writes.push(put(namespace, key, &json!({ "updatedAt": at }), until, Condition::Absent));
    }
    Ok(writes)
}

async fn made(app: &App, user: &Reader, mut writes: Vec<Write>) -> Result<(), AppError> {
    writes.insert(0, keyspace::unless_deleted(user.id())?);
    match app.store().write_all(&writes).await? {
        WrittenAll::Done(_) => Ok(()),
        WrittenAll::Refused { index: 0, .. } => Err(AppError::Absent { what: "the account".to_owned() }),
        WrittenAll::Refused { .. } => {
            Err(AppError::Contended { what: "what the sync keeps".to_owned(), tries: 1 })
        }
    }
}

/// The passkeys of a user, and whether a key of each credential names the user's id.
///
/// # Errors
/// [`AppError::Store`].
pub async fn passkeys(app: &App, user: &Reader) -> Result<Value, AppError> {
    let users = keyspace::users();
    let stored = single(app, user, &users, "authenticators:").await?;
    let listed = stored.as_ref().map(told).and_then(|list| list.as_array().cloned()).unwrap_or_default();
    let mut all = Vec::new();
    for passkey in listed.iter().take(PASSKEYS_MAX) {
        let id = ["credentialID", "credentialId", "id"].iter().find_map(|name| passkey.get(*name)?.as_str());
        let Some(id) = id else { continue };
        let keys: Vec<Key> = ["credential:", "idx:credential:"]
            .iter()
            .filter_map(|begins| Key::new(format!("{begins}{id}")).ok())
            .collect();
        let owners = app.store().get_many(&users, &keys).await?;
        let is_linked = owners.iter().flatten().any(|entry| is_text(entry, user.id()));
        all.push(json!({ "credential": id, "linked": is_linked }));
    }
    Ok(json!({ "authenticators": all }))
}

/// Older values hold the text itself, newer ones a JSON string.
fn is_text(entry: &Entry, text: &str) -> bool {
    let stored = String::from_utf8_lossy(&entry.value);
    stored == text || serde_json::from_str::<String>(&stored).is_ok_and(|stored| stored == text)
}
