//! Operations of the store at which a test may end the process, to prove that a run survives it.
//!
//! Built only with the feature `crash-points`; without it [`open`] opens the store and nothing else.
//!
//! | variable | means |
//! |---|---|
//! | `TIDEGATE_CRASH=store:NAME:NTH` | the process aborts in place of the n-th operation of this name |
//! | `TIDEGATE_CRASH_TRACE=FILE` | each operation appends such a line when it is asked for |
//! | `TIDEGATE_CRASH_NOW=SECOND` | the store's clock shows this second of Unix time: a dead run's lease need not be waited for |
//!
//! In place of an operation is also behind the one before it: nothing but the store outlives the process, and between two
//! operations nothing changes it.

use tidegate_store::kv::{Kv, KvError};

/// The store at this address.
///
/// # Errors
/// As [`tidegate_store::kv::open`].
#[cfg(not(feature = "crash-points"))]
pub async fn open(url: &str) -> Result<Kv, KvError> {
    tidegate_store::kv::open(url).await
}

#[cfg(feature = "crash-points")]
pub use mortal::open;

#[cfg(feature = "crash-points")]
mod mortal {
    use std::io::Write as _;
    use std::path::Path;
    use std::sync::{Arc, Mutex, PoisonError};

    use tidegate_store::kv::UnixSecond;
    use tidegate_store::kv::around::{Around, Operation};
    use tidegate_store::kv::clock::SetClock;
    use tidegate_store::kv::redis::RedisKv;
    use tidegate_store::kv::sqlite::SqliteKv;

    use super::{Kv, KvError};

    /// The store at this address, in which the process dies where the environment says so.
    ///
    /// # Errors
    /// As [`tidegate_store::kv::open`].
    pub async fn open(url: &str) -> Result<Kv, KvError> {
        let inner: Kv = match now() {
            None => tidegate_store::kv::open(url).await?,
            Some(now) => {
                let clock = Arc::new(SetClock::new(now));
                match url.strip_prefix("sqlite:") {
                    Some(path) => Arc::new(SqliteKv::open_with_clock(Path::new(path), clock)?),
                    None => Arc::new(RedisKv::open_with_clock(url, clock).await?),
                }
            }
        };
        let traces = std::env::var_os("TIDEGATE_CRASH_TRACE").is_some();
        let dies = std::env::var("TIDEGATE_CRASH").is_ok_and(|wanted| wanted.starts_with("store:"));
        Ok(if traces || dies { Arc::new(Mortal { inner, counts: Mutex::default() }) } else { inner })
    }

    fn now() -> Option<UnixSecond> {
        let second = std::env::var("TIDEGATE_CRASH_NOW").ok()?;
        // A test that cannot say the time must not run by another one.
        second.parse().map_or_else(|_| std::process::abort(), |second| Some(UnixSecond(second)))
    }

    /// A store in which the process dies.
    #[derive(Debug)]
    struct Mortal {
        inner: Kv,
        counts: Mutex<[u64; 4]>,
    }

    impl Mortal {
        /// Ends the process here if a test asked for it.
        fn point(&self, operation: Operation) {
            let nth = {
                let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(count) = counts.get_mut(operation as usize) else { return };
                *count += 1;
                *count
            };
            let point = format!("store:{}:{nth}", operation.name());
            if let Some(path) = std::env::var_os("TIDEGATE_CRASH_TRACE") {
                let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
                if file.and_then(|mut file| writeln!(file, "{point}")).is_err() {
                    std::process::abort();
                }
            }
            if std::env::var("TIDEGATE_CRASH").is_ok_and(|wanted| wanted == point) {
                std::process::abort();
            }
        }
    }

    impl Around for Mortal {
        fn within(&self) -> &Kv {
            &self.inner
        }

        async fn around<T: Send>(
            &self,
            operation: Operation,
            _size: usize,
            make: impl Future<Output = Result<T, KvError>> + Send,
        ) -> Result<T, KvError> {
            self.point(operation);
            make.await
        }
    }
}
