//! Both stores pass the kit, and stores with a planted fault do not.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use testkit::Redis;
use tidegate_store::kv::clock::SetClock;
use tidegate_store::kv::conformance::{BEGIN, Finding, Made, cases, check};
use tidegate_store::kv::redis::RedisKv;
use tidegate_store::kv::sqlite::SqliteKv;
use tidegate_store::kv::{
    Change, Condition, Entry, Key, Kv, KvError, KvStore, Listed, Namespace, Page, Properties, UnixSecond,
    Version, Write, Written, WrittenAll,
};

/// A directory with a new SQLite store for each case.
struct Files(PathBuf, AtomicU64);

impl Files {
    fn new(name: &str) -> Self {
        let directory =
            std::env::temp_dir().join(format!("tidegate-conformance-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir(&directory).unwrap();
        Self(directory, AtomicU64::new(0))
    }

    fn made(&self) -> Made {
        let path = self.0.join(format!("store{}", self.1.fetch_add(1, Ordering::SeqCst)));
        let clock = Arc::new(SetClock::new(BEGIN));
        let open = || -> Kv { Arc::new(SqliteKv::open_with_clock(&path, clock.clone()).unwrap()) };
        Made { store: open(), other: open(), clock: clock.clone() }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_store_passes() {
    let files = Files::new("sqlite");
    assert_eq!(check(async || files.made()).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_redis_store_passes() {
    let redis = Redis::start().await.unwrap();
    let make = async || {
        let clock = Arc::new(SetClock::new(BEGIN));
        let open = async || {
            let store: Kv = Arc::new(RedisKv::open_with_clock(&redis.url(), clock.clone()).await.unwrap());
            store
        };
        Made { store: open().await, other: open().await, clock: clock.clone() }
    };
    assert_eq!(check(make).await, []);
}

/// What a wrong store does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    ConditionsAreIgnored,
    ExpiresASecondLate,
    ExpiresOnlyWhenRead,
    ListingSkipsAtAPageBorder,
    ListingIsByLetters,
    BatchIsHalfDone,
    MetadataAreKept,
    VersionsStartAnewAfterADeletion,
    LargeValuesAreTaken,
    ReadingsHaveNoBound,
    LastPageIsNeverComplete,
}

/// A store with a planted fault.
#[derive(Debug)]
struct Planted {
    store: Kv,
    clock: Arc<SetClock>,
    wrong: Wrong,
}

impl Planted {
    async fn bent(&self, write: &Write) -> Result<Write, KvError> {
        let mut write = write.clone();
        if self.wrong == Wrong::ConditionsAreIgnored {
            write.condition = Condition::Always;
        }
        if let Change::Put { expires_at, metadata, value } = &mut write.change {
            match self.wrong {
                Wrong::ExpiresASecondLate => {
                    *expires_at = expires_at.map(|at| UnixSecond(at.0.saturating_add(1)))
                }
                Wrong::MetadataAreKept if metadata.is_none() => {
                    let standing = self.store.get(&write.namespace, &write.key).await?;
                    *metadata = standing.and_then(|entry| entry.metadata);
                }
                Wrong::LargeValuesAreTaken => value.truncate(1 << 20),
                _ => {}
            }
        }
        Ok(write)
    }

    fn at_the_second(&self, expires_at: Option<UnixSecond>) -> Option<UnixSecond> {
        match self.wrong {
            Wrong::ExpiresASecondLate => expires_at.map(|at| UnixSecond(at.0 - 1)),
            _ => expires_at,
        }
    }
}

#[async_trait]
impl KvStore for Planted {
    fn properties(&self) -> Properties {
        self.store.properties()
    }

    async fn now(&self) -> Result<UnixSecond, KvError> {
        self.store.now().await
    }

    async fn get_some(&self, namespace: &Namespace, keys: &[Key]) -> Result<Vec<Option<Entry>>, KvError> {
        let entries = match self.wrong {
            Wrong::ReadingsHaveNoBound => self.store.get_many(namespace, keys).await?,
            _ => self.store.get_some(namespace, keys).await?,
        };
        let bent = entries.into_iter().map(|entry| {
            entry.map(|entry| Entry {
                expires_at: self.at_the_second(entry.expires_at),
                version: if self.wrong == Wrong::VersionsStartAnewAfterADeletion {
                    Version(entry.value.len() as u64)
                } else {
                    entry.version
                },
                ..entry
            })
        });
        Ok(bent.collect())
    }

    async fn list(
        &self,
        namespace: &Namespace,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Page, KvError> {
        let clock = self.clock.clone();
        if self.wrong == Wrong::ExpiresOnlyWhenRead {
            // The listing is by a clock that lags behind.
            let now = tidegate_store::kv::clock::Clock::now(&*clock);
            clock.set(BEGIN);
            let page = self.store.list(namespace, prefix, after, limit).await;
            clock.set(now);
            return page;
        }
        let mut page = self.store.list(namespace, prefix, after, limit).await?;
        match self.wrong {
            Wrong::ListingSkipsAtAPageBorder if after.is_some() && page.entries.len() > 1 => {
                page.entries.remove(0);
            }
            Wrong::ListingIsByLetters => {
                page.entries.sort_by_key(|listed: &Listed| listed.key.as_str().to_lowercase());
            }
            Wrong::LastPageIsNeverComplete if page.entries.len() == limit => page.complete = false,
            _ => {}
        }
        for listed in &mut page.entries {
            listed.expires_at = self.at_the_second(listed.expires_at);
        }
        Ok(page)
    }

    async fn write_each(&self, writes: &[Write]) -> Result<Vec<Written>, KvError> {
        let mut bent = Vec::new();
        for write in writes {
            bent.push(self.bent(write).await?);
        }
        let mut written = self.store.write_each(&bent).await?;
        if self.wrong == Wrong::VersionsStartAnewAfterADeletion {
            for (write, written) in bent.iter().zip(&mut written) {
                if let (Change::Put { value, .. }, Written::Done(Some(version))) = (&write.change, written) {
                    *version = Version(value.len() as u64);
                }
            }
        }
        Ok(written)
    }

    async fn write_all(&self, writes: &[Write]) -> Result<WrittenAll, KvError> {
        let mut bent = Vec::new();
        for write in writes {
            bent.push(self.bent(write).await?);
        }
        let all = self.store.write_all(&bent).await?;
        if let (WrittenAll::Refused { index, .. }, Wrong::BatchIsHalfDone) = (&all, self.wrong) {
            self.store.write_each(&bent[..*index]).await?;
        }
        Ok(all)
    }
}

async fn findings(wrong: Wrong) -> Vec<Finding> {
    let files = Files::new(&format!("{wrong:?}"));
    check(async || {
        let made = files.made();
        let bent = |store| -> Kv { Arc::new(Planted { store, clock: made.clock.clone(), wrong }) };
        Made { store: bent(made.store), other: bent(made.other), clock: made.clock.clone() }
    })
    .await
}

async fn is_caught(wrong: Wrong, by: &str) {
    assert!(cases().contains(&by), "{by} is no case");
    let findings = findings(wrong).await;
    assert!(
        findings.iter().any(|finding| finding.case == by),
        "{wrong:?} was not caught by {by}: {findings:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_ignores_conditions_is_caught() {
    let findings = findings(Wrong::ConditionsAreIgnored).await;
    for case in ["absence_is_kept", "a_version_is_kept", "counters_are_exact", "a_batch_is_all_or_nothing"] {
        assert!(findings.iter().any(|finding| finding.case == case), "{case}: {findings:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_expires_a_second_late_is_caught() {
    is_caught(Wrong::ExpiresASecondLate, "an_entry_expires_at_its_second").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_lists_what_has_expired_is_caught() {
    is_caught(Wrong::ExpiresOnlyWhenRead, "a_page_passes_over_what_has_expired").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_that_skips_a_key_at_a_page_border_is_caught() {
    is_caught(Wrong::ListingSkipsAtAPageBorder, "pages_hold_every_key_once").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_in_another_order_is_caught() {
    is_caught(Wrong::ListingIsByLetters, "a_listing_is_ordered_by_bytes").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_says_that_more_follow_although_none_do_is_caught() {
    is_caught(Wrong::LastPageIsNeverComplete, "pages_hold_every_key_once").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_is_half_done_is_caught() {
    is_caught(Wrong::BatchIsHalfDone, "a_batch_is_all_or_nothing").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_that_outlive_a_put_are_caught() {
    is_caught(Wrong::MetadataAreKept, "a_put_replaces_metadata_and_expiry").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_that_come_again_are_caught() {
    is_caught(Wrong::VersionsStartAnewAfterADeletion, "versions_never_repeat").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_cuts_what_is_too_large_is_caught() {
    is_caught(Wrong::LargeValuesAreTaken, "what_is_too_much_is_refused_before_anything_is_written").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_reads_any_number_of_bytes_at_once_is_caught() {
    is_caught(Wrong::ReadingsHaveNoBound, "a_reading_ends_before_its_bytes_are_too_many").await;
}
