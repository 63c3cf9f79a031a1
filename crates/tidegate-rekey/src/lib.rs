//! Moves records of a key-value store from keys that hold a user's *name* to keys that hold the user's *id*.
//!
//! Names are not unique, change, and differ in case; so records under them are copied with care. A record is copied
//! only if it is provably the subject's; over what stands at the new key only if it is newer, and what is overwritten
//! is saved; with its metadata and its end to the second; and not again once it was removed there. No run removes or
//! changes a legacy key: only [`Rekey::clean`] removes, of who is done.
//!
//! | question | answered by |
//! |---|---|
//! | which keys, and what in their values follows? | a [`Plan`] of [`Rule`]s, with the system's own [`Rewrite`] |
//! | whose, under which names? | a [`Subject`], whose names the caller has proved |
//! | who else could mean a name? | [`Claims`] |
//! | what becomes of one record? | [`judge`]: pure, a [`Case`] in, a [`Verdict`] out |
//! | what would a run do? | [`Rekey::dry`], which writes nothing but the subject's [`State`] |
//! | do it | [`Rekey::apply`], within [`Bounds`]; again, until its [`Report`] says `done` |
//! | what is left? what is there? | [`Rekey::remaining`]; [`Rekey::owned`] |
//! | what is nobody's for certain? | [`Rekey::quarantined`], decided by [`Rekey::resolve`] |
//! | stop everything | put anything at [`STOP_KEY`] in the journal's namespace |
//!
//! A batch is one atomic write: the copies, each on condition that neither record changed since it was read; what the
//! ledger learns from it; what was overwritten; the place to go on from; the numbers; and the lease, whose loss keeps
//! the whole batch from being written. A run may die between any two operations, and the next one goes on.
//!
//! # The journal
//!
//! All of it stands under `migration:<id>:` in the plan's journal namespace, and belongs into any snapshot with the
//! records it is about: without the ledger, what was removed at its new key would be copied again.
//!
//! | key | what it holds |
//! |---|---|
//! | `state` | [`State`] |
//! | `lease` | who writes: holder, until, epoch, beat |
//! | `cursor:<rule>:<n>` | the last record that was processed under the n-th spelling; gone at the end of a pass |
//! | `ledger:<n>` | what each batch settled: rule, both keys, the legacy version, SHA-256 of the bytes |
//! | `recovery:<hash>:<version>` | a record that was overwritten: bytes (base64), metadata, end |
//! | `quarantine:<hash>` | a record that was not provably the subject's, and why |
//! | `resolution:<hash>` | what was decided on a record, by whom, why, for which bytes |
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//!
//! use async_trait::async_trait;
//! use bytes::Bytes;
//! use tidegate_rekey::{Bounds, Claims, Kind, Plain, Plan, Rekey, Rule, Subject};
//! use tidegate_store::kv::sqlite::SqliteKv;
//! use tidegate_store::kv::{Change, Condition, Key, Kv, KvError, Namespace, Write};
//!
//! /// A system with one account.
//! #[derive(Debug)]
//! struct OnlyJames;
//!
//! #[async_trait]
//! impl Claims for OnlyJames {
//!     async fn claimants(&self, spelling: &str) -> Result<Vec<String>, KvError> {
//!         Ok(if spelling.eq_ignore_ascii_case("james") { vec!["u-1".to_owned()] } else { Vec::new() })
//!     }
//!     async fn longer_names(&self, _spelling: &str) -> Result<Vec<String>, KvError> {
//!         Ok(Vec::new())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = std::env::temp_dir().join(format!("rekey-{}", uuid::Uuid::new_v4()));
//! # std::fs::create_dir(&directory)?;
//! let store: Kv = Arc::new(SqliteKv::open(&directory.join("kv.db"))?);
//! let (logs, journal) = (Namespace::new("LOGS")?, Namespace::new("MIGRATIONS")?);
//! store.write(Write {
//!     namespace: logs.clone(),
//!     key: Key::new("trip:James:1")?,
//!     change: Change::Put {
//!         value: Bytes::from_static(br#"{"id":"1","userId":"James","updatedAt":"2026-02-02T10:00:00Z"}"#),
//!         metadata: None,
//!         expires_at: None,
//!     },
//!     condition: Condition::Absent,
//! }).await?;
//!
//! let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
//! let trips = Rule {
//!     name: "trips".to_owned(),
//!     namespace: logs.clone(),
//!     kind: Kind::Prefixed { prefix: "trip:".to_owned() },
//!     owner_pointers: texts(&["/userId", "/backup/userId"]),
//!     proof_pointers: texts(&["/userId", "/backup/userId"]),
//!     key_pointers: Vec::new(),
//!     metadata_key_pointers: Vec::new(),
//!     clock_pointers: texts(&["/updatedAt", "/createdAt"]),
//!     opaque: false,
//! };
//! let plan = Arc::new(Plan::new(vec![trips], journal, Arc::new(Plain))?);
//! let rekey = Rekey::new(Arc::clone(&store), plan, Arc::new(OnlyJames))?;
//! let james = Subject::new("u-1", texts(&["James", "james"]))?;
//!
//! let dry = rekey.dry(&james).await?;
//! assert_eq!(dry.migrated, 1);
//!
//! // The numbers that somebody has looked at are those that the run is held to.
//! let bounds = Bounds { batch: 500, iterations: 50, held_to: Some(dry.counts) };
//! let report = rekey.apply(&james, bounds, "jane@example.com").await?;
//! assert!(report.done && report.stopped.is_none());
//!
//! let moved = store.get(&logs, &Key::new("trip:u-1:1")?).await?.ok_or("it was not copied")?;
//! assert_eq!(&moved.value[..], br#"{"id":"1","userId":"u-1","updatedAt":"2026-02-02T10:00:00Z"}"#);
//! # drop((rekey, store));
//! # std::fs::remove_dir_all(&directory)?;
//! # Ok(())
//! # }
//! ```

mod apply;
mod asking;
mod body;
mod change_clock;
mod claims;
mod clean;
mod counts;
pub mod crash;
mod decisions;
mod document;
mod draft;
mod error;
mod foreground;
mod in_place;
mod json_text;
mod judging;
mod known;
mod lease;
mod payload;
mod plan;
mod reason;
mod rekey;
mod report;
mod rewrite;
mod rule;
mod run;
mod state;
mod stream;
mod subject;
mod verdict;
mod writer;

pub use claims::{Answers, Claim, Claims};
pub use counts::{Counts, Difference, RuleCounts};
pub use decisions::{Quarantined, Resolution, Resolved};
pub use error::RekeyError;
pub use foreground::{Foreground, InFlight};
pub use in_place::{InPlaceMemory, InPlaceOwners};
pub use plan::{BATCH_RECORDS_MAX, Bounds, ITERATIONS_MAX, Plan, RULES_MAX};
pub use reason::{Reason, Refusal};
pub use rekey::{LEASE_DEFAULT, Rekey, STOP_KEY};
pub use report::{Cleaned, LISTED_MAX, Report, Stopped};
pub use rewrite::{Plain, Rewrite};
pub use rule::{Kind, Rule};
pub use state::{Pass, State};
pub use subject::{ID_MAX_BYTES, SPELLINGS_MAX, Subject};
pub use verdict::{Case, Copied, Copy, Decided, Verdict, judge};
