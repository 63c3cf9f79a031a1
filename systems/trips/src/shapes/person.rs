//! One user of the keyspace, and the keys that its shape asks for.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use tidegate_store::kv::{Change, Key, KvError, Namespace, UnixSecond, Write};

use super::{ALWAYS, Random, SHAPES, Shape, trip};
use crate::keyspace;

const FIRST_NAMES: [&str; 8] = ["James", "Ana", "Björn", "Chidi", "Dana", "Elif", "Farid", "Grace"];
/// Seconds after which a tombstone ends: thirty days.
const TOMBSTONE_SECONDS: i64 = 2_592_000;
/// Seconds after which a session of the sync ends: two days.
const SESSION_SECONDS: i64 = 172_800;
const OLD: &str = "2026-01-01T09:00:00Z";
const NEW: &str = "2026-02-02T09:00:00Z";

/// What an apply makes of a user's keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Expected {
    /// Copied, or in place rewritten.
    pub migrated: u64,
    /// Left, as that under the id is newer.
    pub skipped_newer: u64,
    /// Of one time and different.
    pub conflicts: u64,
    /// Not provably the user's.
    pub quarantined: u64,
    /// Cannot be read.
    pub failed: u64,
    /// Live trips under the id afterwards.
    pub live_trips: u64,
}

pub(super) struct Person {
    pub(super) id: String,
    pub(super) user_name: String,
    pub(super) name: String,
    pub(super) expected: Expected,
    pub(super) writes: Vec<Write>,
    shape: Shape,
    now: UnixSecond,
    at: usize,
}

impl Person {
    pub(super) fn new(at: usize, shape: Shape, now: UnixSecond, random: &mut Random) -> Person {
        let first = FIRST_NAMES.iter().copied().cycle().nth(at / SHAPES.len()).unwrap_or("James");
        let user_name = format!("user{at}");
        let name = match shape {
            Shape::OtherName | Shape::Tombstones | Shape::Synced | Shape::Trash | Shape::Counters => {
                format!("{first} Nr {at}")
            }
            // Another user is called what stands before the colon: the one before.
            Shape::Colon => format!("{first} Nr {}:log:{at}", at.saturating_sub(1)),
            Shape::CaseVariants => format!("{first}{at}"),
            Shape::SharedName => format!("Shared {at}"),
            Shape::SharedNameToo => format!("Shared {}", at.saturating_sub(1)),
            _ => user_name.clone(),
        };
        let id = random.uuid();
        Person { id, user_name, name, expected: Expected::default(), writes: Vec::new(), shape, now, at }
    }

    /// The core, the user name's index and the statistics. A core of old has fields that nobody knows any more.
    pub(super) fn write_core(&mut self, password_hash: &str) -> Result<(), KvError> {
        let mut core = json!({
            "id": self.id, "username": self.user_name, "email": format!("{}@example.org", self.user_name),
            "password": password_hash, "plan": "free", "name": self.name, "createdAt": "2025-06-01T00:00:00Z",
            "resetToken": null,
        });
        if self.shape == Shape::Passkeys
            && let Some(fields) = core.as_object_mut()
        {
            fields.insert("stripeCustomerId".to_owned(), json!(format!("cus_{}", self.at)));
        }
        let id = self.id.clone();
        self.put(keyspace::users(), format!("user:{id}"), &core)?;
        let index = format!("idx:username:{}", self.user_name.to_lowercase());
        self.raw(keyspace::users(), index, id.into_bytes(), None, None)
    }

    pub(super) fn write_shape(&mut self, random: &mut Random) -> Result<(), KvError> {
        let name = self.name.clone();
        let plain = 1 + random.below(4);
        match self.shape {
            Shape::Canonical => {
                let id = self.id.clone();
                for n in 0..plain {
                    self.record("trip", &id, &format!("t{n}"), OLD)?;
                    self.expected.live_trips += 1;
                }
                return Ok(());
            }
            Shape::SharedName | Shape::SharedNameToo => {
                // The same key cannot be both users'; each of the two has left one.
                let record = format!("of-{}", self.user_name);
                self.record("trip", &name, &record, OLD)?;
                // The listing of one name finds what both have left.
                self.expected.quarantined += 2;
                let user_name = self.user_name.clone();
                self.record("trip", &user_name, "own", OLD)?;
                self.moved(true);
                return Ok(());
            }
            _ => {
                for n in 0..plain {
                    self.record("trip", &name, &format!("t{n}"), OLD)?;
                    self.moved(true);
                }
                for kind in ["expense", "mileage"] {
                    self.record(kind, &name, "x1", OLD)?;
                    self.moved(false);
                }
            }
        }
        match self.shape {
            Shape::CaseVariants => self.case_variants(),
            Shape::Tombstones => self.tombstones(),
            Shape::NewerLegacy => self.two_copies(NEW, OLD),
            Shape::NewerCanonical => self.two_copies(OLD, NEW),
            Shape::SameTime => self.two_copies(OLD, OLD),
            Shape::Corrupt => {
                self.expected.failed += 1;
                self.raw(
                    keyspace::logs(),
                    format!("trip:{name}:bad"),
                    b"{\"id\":\"bad\",".to_vec(),
                    None,
                    None,
                )
            }
            Shape::WrongOwner => {
                self.expected.quarantined += 1;
                let body = trip("not-mine", "somebody else", OLD);
                self.put(keyspace::logs(), format!("trip:{name}:not-mine"), &body)
            }
            Shape::Synced => self.synced(),
            Shape::Trash => self.trash(),
            Shape::Counters => self.counters(),
            Shape::Passkeys => self.passkeys(),
            _ => Ok(()),
        }
    }

    fn case_variants(&mut self) -> Result<(), KvError> {
        let lower = self.name.to_lowercase();
        self.record("trip", &lower, "lower", OLD)?;
        self.moved(true);
        // A display name is probed as it is and in lower case; in upper case only the user name is.
        let user_upper = self.user_name.to_uppercase();
        self.record("trip", &user_upper, "upper", OLD)?;
        self.moved(true);
        // One record in two spellings: the newer of the two remains, and both are read.
        self.record("trip", &lower, "both", NEW)?;
        let name = self.name.clone();
        self.record("trip", &name, "both", OLD)?;
        self.moved(true);
        self.expected.migrated += 1;
        Ok(())
    }

    fn tombstones(&mut self) -> Result<(), KvError> {
        let name = self.name.clone();
        for (record, seconds) in [("gone", TOMBSTONE_SECONDS), ("ending", 120)] {
            let key = format!("trip:{name}:{record}");
            let until = UnixSecond(self.now.0 + seconds);
            let body = json!({
                "id": record, "userId": name, "deleted": true, "deletedAt": NEW, "deletedBy": name,
                "metadata": { "deletedAt": NEW, "deletedBy": name, "originalKey": key },
                "backup": trip(record, &name, OLD), "createdAt": "2026-01-01T08:00:00Z", "updatedAt": NEW,
            });
            let metadata = json!({ "originalKey": key, "userId": name });
            self.raw(
                keyspace::logs(),
                key,
                body.to_string().into_bytes(),
                Some(metadata.to_string()),
                Some(until),
            )?;
            self.moved(false);
        }
        Ok(())
    }

    fn two_copies(&mut self, legacy: &str, canonical: &str) -> Result<(), KvError> {
        let (id, name) = (self.id.clone(), self.name.clone());
        self.put(keyspace::logs(), format!("trip:{name}:twice"), &trip("twice", &name, legacy))?;
        let mut body = trip("twice", &id, canonical);
        if let Some(notes) = body.get_mut("notes") {
            *notes = Value::from("under the id");
        }
        self.put(keyspace::logs(), format!("trip:{id}:twice"), &body)?;
        self.expected.live_trips += 1;
        match legacy.cmp(canonical) {
            std::cmp::Ordering::Greater => self.expected.migrated += 1,
            std::cmp::Ordering::Less => self.expected.skipped_newer += 1,
            std::cmp::Ordering::Equal => self.expected.conflicts += 1,
        }
        Ok(())
    }

    fn synced(&mut self) -> Result<(), KvError> {
        let name = self.name.clone();
        let synced = format!("hns_{name}_2026-01-05");
        self.put(keyspace::logs(), format!("trip:{name}:{synced}"), &trip(&synced, &name, OLD))?;
        self.moved(true);
        let mileage = json!({
            "id": synced, "tripId": synced, "userId": name, "date": "2026-01-05", "miles": 12.5,
            "createdAt": OLD, "updatedAt": OLD,
        });
        self.put(keyspace::mileage(), format!("mileage:{name}:{synced}"), &mileage)?;
        let deleted = format!("hns_{name}_2026-01-06");
        let until = UnixSecond(self.now.0 + TOMBSTONE_SECONDS);
        let body = json!({
            "id": deleted, "userId": name, "deleted": true, "deletedAt": NEW, "deletedBy": name,
            "metadata": { "originalKey": format!("trip:{name}:{deleted}") },
            "backup": trip(&deleted, &name, OLD), "createdAt": OLD, "updatedAt": NEW,
        });
        let key = format!("trip:{name}:{deleted}");
        self.raw(keyspace::logs(), key, body.to_string().into_bytes(), None, Some(until))?;
        let settings = json!({ "pay": 40, "updatedAt": OLD });
        self.put(keyspace::hughesnet(), format!("hns:settings:{name}"), &settings)?;
        let known = json!({ "orders": { "O1": { "city": "Kiel" } }, "updatedAt": OLD });
        self.put(keyspace::hughesnet(), format!("hns:db:{name}"), &known)?;
        let session = json!({ "cookie": "c=1", "updatedAt": OLD });
        let until = UnixSecond(self.now.0 + SESSION_SECONDS);
        let session = session.to_string().into_bytes();
        self.raw(keyspace::hughesnet(), format!("hns:session:{name}"), session, None, Some(until))?;
        let secret = vec![0, 159, 146, 150, u8::try_from(self.at % 251).unwrap_or(0)];
        self.raw(keyspace::hughesnet(), format!("hns:cred:{name}"), secret, None, None)?;
        let order = json!({ "ownerId": name, "storedAt": 1_767_225_600_000_i64, "order": { "id": "O1" } });
        self.put(keyspace::hughesnet_orders(), format!("hns:order:O{}", self.at), &order)?;
        let preferences = json!({ "theme": "dark", "updatedAt": OLD });
        self.put(keyspace::user_settings(), format!("settings:{name}"), &preferences)?;
        // Mileage, a tombstone, settings, what the sync knows, its session, its secret, an order, the user's settings.
        self.expected.migrated += 8;
        Ok(())
    }

    fn trash(&mut self) -> Result<(), KvError> {
        let name = self.name.clone();
        let original = format!("trip:{name}:t0");
        let until = UnixSecond(self.now.0 + TOMBSTONE_SECONDS);
        let body = json!({
            "id": "t0", "userId": name, "metadata": { "originalKey": original },
            "backup": trip("t0", &name, OLD), "updatedAt": OLD,
        });
        let metadata = json!({ "originalKey": original, "deletedAt": OLD });
        let key = format!("trash:{}", self.at);
        self.raw(
            keyspace::trash(),
            key,
            body.to_string().into_bytes(),
            Some(metadata.to_string()),
            Some(until),
        )?;
        self.moved(false);
        Ok(())
    }

    fn counters(&mut self) -> Result<(), KvError> {
        let (id, name) = (self.id.clone(), self.name.clone());
        for (owner, month, count) in [(&name, "2026-01", 7), (&name, "2026-02", 3), (&id, "2026-02", 5)] {
            let key = format!("meta:user:{owner}:monthly_count:{month}");
            self.raw(keyspace::logs(), key, count.to_string().into_bytes(), None, None)?;
        }
        let index = format!("index:{}:head", name.replace('%', "%25").replace(':', "%3A"));
        self.put(keyspace::index(), index, &json!({ "live": { "trip": 9 }, "months": { "2026-01": 7 } }))?;
        let token = format!("token-{}", self.at);
        self.raw(keyspace::logs(), format!("meta:user:{token}:trip_count"), b"9".to_vec(), None, None)?;
        self.raw(keyspace::logs(), format!("meta:user:{name}:index_dirty"), b"1".to_vec(), None, None)
    }

    fn passkeys(&mut self) -> Result<(), KvError> {
        let (name, credential) = (self.name.clone(), format!("cred-{}", self.at));
        let passkeys = json!([{ "credentialID": credential, "counter": 3, "transports": ["usb"] }]);
        self.put(keyspace::users(), format!("authenticators:{name}"), &passkeys)?;
        self.moved(false);
        self.raw(keyspace::users(), format!("credential:{credential}"), name.into_bytes(), None, None)
    }

    fn record(&mut self, kind: &str, owner: &str, record: &str, updated_at: &str) -> Result<(), KvError> {
        let namespace = match kind {
            "trip" => keyspace::logs(),
            "expense" => keyspace::expenses(),
            _ => keyspace::mileage(),
        };
        self.put(namespace, format!("{kind}:{owner}:{record}"), &trip(record, owner, updated_at))
    }

    fn moved(&mut self, live_trip: bool) {
        self.expected.migrated += 1;
        self.expected.live_trips += u64::from(live_trip);
    }

    fn put(&mut self, namespace: Namespace, key: String, value: &Value) -> Result<(), KvError> {
        self.raw(namespace, key, value.to_string().into_bytes(), None, None)
    }

    fn raw(
        &mut self,
        namespace: Namespace,
        key: String,
        value: Vec<u8>,
        metadata: Option<String>,
        expires_at: Option<UnixSecond>,
    ) -> Result<(), KvError> {
        let change = Change::Put { value: Bytes::from(value), metadata, expires_at };
        self.writes.push(Write { namespace, key: Key::new(key)?, change, condition: ALWAYS });
        Ok(())
    }
}
