//! What every store of [`KvStore`](super::KvStore) must do, as named cases that run against a real one.
//!
//! Each case has a namespace of its own, named for it, so that all may run in one store; it must be empty before. A
//! case that finds something wrong says what it did, what it expected and what it found.

mod batches;
mod conditions;
mod expiring;
mod limits;
mod listing;
mod together;
mod values;

use std::fmt::Debug;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::clock::SetClock;
use super::{
    Change, Condition, Entry, Key, Kv, KvError, Namespace, UnixSecond, Version, Write, Written, WrittenAll,
};

/// The second at which each case begins.
pub const BEGIN: UnixSecond = UnixSecond(1_800_000_000);

/// A store to examine.
#[derive(Debug, Clone)]
pub struct Made {
    /// It.
    pub store: Kv,
    /// The same store, opened a second time.
    pub other: Kv,
    /// The clock of both.
    pub clock: Arc<SetClock>,
}

/// A case that a store does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The case's name.
    pub case: &'static str,
    /// What was wrong.
    pub what: String,
}

/// The names of all cases.
#[must_use]
pub fn cases() -> Vec<&'static str> {
    CASES.iter().map(|(name, _)| *name).collect()
}

/// Runs every case against a store that `make` makes for it; none found: the store is as it should be.
pub async fn check(make: impl AsyncFn() -> Made) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (case, run) in CASES {
        let made = make().await;
        made.clock.set(BEGIN);
        let examined = match Examined::new(made, case) {
            Ok(examined) => run(examined).await,
            Err(broken) => Err(broken),
        };
        if let Err(Broken(what)) = examined {
            findings.push(Finding { case, what });
        }
    }
    findings
}

type Case = (&'static str, fn(Examined) -> BoxFuture<'static, Verdict>);

macro_rules! case {
    ($module:ident :: $name:ident) => {
        (stringify!($name), |examined| Box::pin($module::$name(examined)))
    };
}

const CASES: &[Case] = &[
    case!(values::a_put_stands_as_it_was_given),
    case!(values::a_put_replaces_metadata_and_expiry),
    case!(values::a_reading_answers_in_the_order_of_its_keys),
    case!(values::namespaces_are_apart),
    case!(values::deleting_nothing_is_no_error),
    case!(values::nothing_asked_is_nothing_answered),
    case!(conditions::absence_is_kept),
    case!(conditions::a_version_is_kept),
    case!(conditions::versions_never_repeat),
    case!(expiring::an_entry_expires_at_its_second),
    case!(expiring::an_expiry_that_has_passed_leaves_nothing),
    case!(expiring::what_has_expired_is_absent_for_conditions),
    case!(listing::a_listing_is_ordered_by_bytes),
    case!(listing::a_prefix_has_bounds),
    case!(listing::pages_hold_every_key_once),
    case!(listing::a_page_goes_on_behind_a_key_that_is_gone),
    case!(listing::a_page_passes_over_what_has_expired),
    case!(batches::a_batch_is_all_or_nothing),
    case!(batches::a_batch_may_span_namespaces),
    case!(batches::keeping_is_a_condition_alone),
    case!(batches::each_write_is_judged_for_itself),
    case!(limits::what_is_too_much_is_refused_before_anything_is_written),
    case!(limits::the_largest_is_taken),
    case!(limits::pages_and_readings_have_a_limit),
    case!(limits::a_reading_ends_before_its_bytes_are_too_many),
    case!(together::two_handles_see_one_store),
    case!(together::counters_are_exact),
    case!(together::one_of_many_makes_an_absent_key),
    case!(together::a_batch_is_seen_whole),
];

/// Why a case was not passed.
#[derive(Debug)]
struct Broken(String);

type Verdict = Result<(), Broken>;

impl From<KvError> for Broken {
    fn from(error: KvError) -> Self {
        Self(format!("the store answered with an error: {error}"))
    }
}

/// Breaks the case where a statement does not hold.
fn holds(statement: bool, what: impl FnOnce() -> String) -> Verdict {
    if statement { Ok(()) } else { Err(Broken(what())) }
}

/// Breaks the case where two are not equal.
fn equal<T: PartialEq + Debug>(what: &str, found: T, expected: T) -> Verdict {
    holds(found == expected, || format!("{what}: {found:?}; expected: {expected:?}"))
}

/// A store under a case.
#[derive(Debug, Clone)]
struct Examined {
    made: Made,
    namespace: Namespace,
}

impl Examined {
    fn new(made: Made, case: &str) -> Result<Self, Broken> {
        let name: String = case.chars().take(56).collect();
        Ok(Self { made, namespace: Namespace::new(name)? })
    }

    /// Another namespace of the same case.
    fn beside(&self, suffix: &str) -> Result<Namespace, Broken> {
        Ok(Namespace::new(format!("{}{suffix}", self.namespace))?)
    }

    fn put(&self, key: &str, value: &[u8], condition: Condition) -> Result<Write, Broken> {
        self.put_until(key, value, None, condition)
    }

    fn put_until(
        &self,
        key: &str,
        value: &[u8],
        expires_at: Option<UnixSecond>,
        condition: Condition,
    ) -> Result<Write, Broken> {
        let change = Change::Put { value: value.to_vec().into(), metadata: None, expires_at };
        Ok(Write { namespace: self.namespace.clone(), key: Key::new(key)?, change, condition })
    }

    fn delete(&self, key: &str, condition: Condition) -> Result<Write, Broken> {
        Ok(Write { change: Change::Delete, ..self.put(key, b"", condition)? })
    }

    fn keep(&self, key: &str, condition: Condition) -> Result<Write, Broken> {
        Ok(Write { change: Change::Keep, ..self.put(key, b"", condition)? })
    }

    async fn entry(&self, key: &str) -> Result<Option<Entry>, Broken> {
        Ok(self.made.store.get(&self.namespace, &Key::new(key)?).await?)
    }

    async fn value(&self, key: &str) -> Result<Option<Vec<u8>>, Broken> {
        Ok(self.entry(key).await?.map(|entry| entry.value.to_vec()))
    }

    /// The keys of a whole listing, in pages of this length.
    async fn listed(&self, prefix: &str, limit: usize) -> Result<Vec<String>, Broken> {
        let mut keys: Vec<Key> = Vec::new();
        // More pages than this cannot be needed by any case.
        for _ in 0..10_000 {
            let page = self.made.store.list(&self.namespace, prefix, keys.last(), limit).await?;
            holds(page.entries.len() <= limit, || {
                format!("a page of at most {limit} has {} entries", page.entries.len())
            })?;
            holds(page.complete || !page.entries.is_empty(), || {
                "a page that is not the last is empty".to_owned()
            })?;
            keys.extend(page.entries.into_iter().map(|listed| listed.key));
            if page.complete {
                return Ok(keys.iter().map(Key::to_string).collect());
            }
        }
        Err(Broken(format!("a listing of `{prefix}` does not end")))
    }

    /// Makes one write, which must be made; the version that then stands.
    async fn done(&self, what: &str, write: Write) -> Result<Option<Version>, Broken> {
        match self.made.store.write(write).await? {
            Written::Done(version) => Ok(version),
            refused @ Written::Refused(_) => {
                Err(Broken(format!("{what}: {refused:?}; expected: it is made")))
            }
        }
    }

    /// As [`Examined::done`], of a put.
    async fn version(&self, what: &str, write: Write) -> Result<Version, Broken> {
        let version = self.done(what, write).await?;
        version.ok_or_else(|| Broken(format!("{what}: it was made and has no version")))
    }

    /// Makes one write, which must be refused.
    async fn refused(&self, what: &str, write: Write, found: Option<Version>) -> Verdict {
        equal(what, self.made.store.write(write).await?, Written::Refused(found))
    }

    async fn all(&self, writes: &[Write]) -> Result<WrittenAll, Broken> {
        Ok(self.made.store.write_all(writes).await?)
    }
}
