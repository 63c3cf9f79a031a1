//! A keyspace as it was before the migration, with everything in it that makes one go wrong. For tests, demonstrations
//! and trying things out; the same seed writes the same keys.

mod person;

use serde::Serialize;
use serde_json::{Value, json};
use tidegate_store::kv::{Condition, Kv, KvError, Write};

pub use person::Expected;
use person::Person;

/// The most users of one keyspace.
pub const USERS_MAX: usize = 100_000;
/// Writes of one batch.
const BATCH: usize = 500;

/// What is awkward about a user's keys. The shapes follow one another, user by user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Nothing: trips, expenses and mileage under one name.
    Plain,
    /// Everything stands under a display name that is not the user name.
    OtherName,
    /// The display name has colons and another user's name before the first.
    Colon,
    /// One name in three spellings, one record in two of them.
    CaseVariants,
    /// Tombstones, one of which ends soon.
    Tombstones,
    /// The copy under the name is newer than that under the id.
    NewerLegacy,
    /// The copy under the id is newer.
    NewerCanonical,
    /// Both copies are of one time and differ.
    SameTime,
    /// One value is no JSON.
    Corrupt,
    /// One record names somebody else.
    WrongOwner,
    /// Synced trips with the name in their ids, and all that the sync keeps.
    Synced,
    /// The former trash, whose metadata holds the former key.
    Trash,
    /// Monthly counts, a count under a session's token, an index under the name.
    Counters,
    /// Passkeys and a customer number.
    Passkeys,
    /// Everything stands under the id already.
    Canonical,
    /// The display name is also that of another user; two follow one another.
    SharedName,
    /// The second of the two.
    SharedNameToo,
}

/// All shapes, in their order.
pub const SHAPES: [Shape; 17] = [
    Shape::Plain,
    Shape::OtherName,
    Shape::Colon,
    Shape::CaseVariants,
    Shape::Tombstones,
    Shape::NewerLegacy,
    Shape::NewerCanonical,
    Shape::SameTime,
    Shape::Corrupt,
    Shape::WrongOwner,
    Shape::Synced,
    Shape::Trash,
    Shape::Counters,
    Shape::Passkeys,
    Shape::Canonical,
    Shape::SharedName,
    Shape::SharedNameToo,
];

/// A user of the keyspace.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seeded {
    /// The id.
    pub id: String,
    /// The user name; the password is that of [`seed`].
    pub user_name: String,
    /// The display name, under which legacy keys stand.
    pub name: String,
    /// What is awkward.
    pub shape: Shape,
    /// What an apply makes of it.
    pub expected: Expected,
}

/// Writes the keyspace of so many users. `password_hash` goes into every core as it is.
///
/// # Errors
/// [`KvError`]; then some of it may be written.
pub async fn seed(store: &Kv, password_hash: &str, users: usize, seed: u64) -> Result<Vec<Seeded>, KvError> {
    if users > USERS_MAX {
        return Err(KvError::TooMany { what: "users", count: users, limit: USERS_MAX });
    }
    let now = store.now().await?;
    let mut random = Random(seed);
    let mut seeded = Vec::with_capacity(users);
    let mut writes: Vec<Write> = Vec::new();
    for (at, shape) in SHAPES.iter().copied().cycle().take(users).enumerate() {
        let mut person = Person::new(at, shape, now, &mut random);
        person.write_core(password_hash)?;
        person.write_shape(&mut random)?;
        if shape == Shape::Colon
            && let Some(before) = seeded.last_mut()
        {
            // Whoever is called what stands before the colon finds these keys in a listing, too.
            let before: &mut Seeded = before;
            before.expected.quarantined += person.expected.migrated;
        }
        seeded.push(Seeded {
            id: person.id.clone(),
            user_name: person.user_name.clone(),
            name: person.name.clone(),
            shape,
            expected: person.expected,
        });
        writes.append(&mut person.writes);
        while writes.len() >= BATCH {
            let rest = writes.split_off(BATCH);
            store.write_each(&writes).await?;
            writes = rest;
        }
    }
    if !writes.is_empty() {
        store.write_each(&writes).await?;
    }
    Ok(seeded)
}

/// What a trip looks like.
#[must_use]
pub fn trip(id: &str, owner: &str, updated_at: &str) -> Value {
    let date = updated_at.get(..10).unwrap_or("2026-01-01");
    json!({
        "id": id, "userId": owner, "date": date, "startAddress": "Depot", "endAddress": "Pier 4",
        "totalMiles": 12.5, "notes": "$& stays", "createdAt": "2026-01-01T08:00:00Z", "updatedAt": updated_at,
    })
}

/// Random numbers that follow from a seed.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn uuid(&mut self) -> String {
        uuid::Builder::from_random_bytes(
            ((u128::from(self.next()) << 64) | u128::from(self.next())).to_be_bytes(),
        )
        .into_uuid()
        .to_string()
    }
}

/// A write that stands whatever was there.
const ALWAYS: Condition = Condition::Always;
