//! A key-value store that is written only while the lease is held.
//!
//! The store knows nothing of the lease. So each write holds the fence on the home store meanwhile, in a transaction of
//! its own: whoever takes the lease over waits for that write, and after it this runner writes no more. Where a takeover
//! ends the fence's connection instead of waiting, the one write that is under way may still be made; its conditions are
//! on what was seen at its keys.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tidegate_store::kv::around::{Around, Operation};
use tidegate_store::kv::{Kv, KvError};
use tidegate_store::postgres::Session;
use tokio::sync::Mutex;

use crate::error::StepError;
use crate::job::Job;
use crate::lease;

/// A store behind the fence.
pub(crate) struct FencedKeys {
    keys: Kv,
    home: Mutex<Session>,
    begin: String,
    epoch: u64,
    lost: AtomicBool,
}

impl FencedKeys {
    /// The step's store, to be changed.
    ///
    /// # Errors
    /// [`StepError::Door`] where the store cannot be opened, or cannot do what a step that changes it relies on.
    pub(crate) async fn open(job: Job<'_>) -> Result<Arc<Self>, StepError> {
        let keys = job.doors.keys_to_change(job.store()).await?;
        let home = job.doors.connect_home(&job.application()).await?;
        let lock_timeout = job.program.runbook.limits.lock_timeout.as_millis();
        Ok(Arc::new(Self {
            keys,
            home: Mutex::new(home),
            begin: format!("BEGIN; SET LOCAL lock_timeout = {lock_timeout}"),
            epoch: job.epoch,
            lost: AtomicBool::new(false),
        }))
    }

    /// What became of a write: the lease's loss is told as such.
    pub(crate) fn told(&self, error: StepError) -> StepError {
        if self.lost.load(Ordering::Relaxed) { StepError::Fenced } else { error }
    }

    async fn fenced<T>(&self, write: impl Future<Output = Result<T, KvError>> + Send) -> Result<T, KvError> {
        let home = self.home.lock().await;
        let refused = |message: String| KvError::Unavailable { store: format!("{self:?}"), message };
        let held = match home.run(&self.begin).await {
            Ok(_) => lease::fence(&home, self.epoch).await,
            Err(failure) => Err(failure),
        };
        match held {
            Ok(Some(_)) => {}
            Ok(None) => {
                self.lost.store(true, Ordering::Relaxed);
                home.run("ROLLBACK").await.map_err(|failure| refused(failure.to_string()))?;
                return Err(refused("another runner took the lease".to_owned()));
            }
            Err(failure) => {
                return Err(refused(format!("whether the lease is still held is not known: {failure}")));
            }
        }
        let written = write.await;
        // Where this fails the next write finds out why.
        if let Err(failure) = home.run("COMMIT").await {
            tracing::debug!(%failure, "the fence of a write was not given back");
        }
        written
    }
}

impl fmt::Debug for FencedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.keys.fmt(f)
    }
}

impl Around for FencedKeys {
    fn within(&self) -> &Kv {
        &self.keys
    }

    async fn around<T: Send>(
        &self,
        operation: Operation,
        _size: usize,
        make: impl Future<Output = Result<T, KvError>> + Send,
    ) -> Result<T, KvError> {
        if operation.writes() { self.fenced(make).await } else { make.await }
    }
}

#[cfg(test)]
mod tests {
    use tidegate_store::kv::sqlite::SqliteKv;
    use tidegate_store::kv::{Change, Condition, Key, KvStore as _, Namespace, Write, WrittenAll};

    use super::*;
    use crate::verb::backup::ground::{Deployment, Ground};

    const PAGE: &str = "# Keys

```toml
# @runbook ground
[stores.db]
kind = \"postgres\"
url = \"$HOME_URL\"
[stores.keys]
kind = \"kv\"
url = \"$KEYS_URL\"
[parameters]
file = { type = \"path\" }
```

## Copy

```toml
# @backup copied
# @store keys
file = \"{{file}}\"
namespaces = [\"logs\"]
```
";

    #[tokio::test]
    async fn nothing_is_written_once_another_runner_has_the_lease() {
        let mut ground = Ground::with_page(Deployment::Su, "SELECT 1", PAGE).await;
        let path = ground.folder.join("keys.db");
        let own = SqliteKv::open(&path).unwrap();
        ground.lead("KEYS_URL", format!("sqlite:{}", path.display()));
        let fenced = FencedKeys::open(ground.job("copied")).await.unwrap();
        let namespace = Namespace::new("logs").unwrap();
        let write = |key: &str| Write {
            namespace: namespace.clone(),
            key: Key::new(key).unwrap(),
            change: Change::Put { value: "1".into(), metadata: None, expires_at: None },
            condition: Condition::Absent,
        };
        fenced.write_each(&[write("a")]).await.unwrap();
        assert!(matches!(fenced.write_all(&[write("b")]).await.unwrap(), WrittenAll::Done(_)));
        ground.home.run("UPDATE tidegate.lease SET epoch = epoch + 1").await.unwrap();
        let error = fenced.write_each(&[write("c")]).await.unwrap_err();
        assert!(error.to_string().contains("another runner took the lease"), "{error}");
        let told = fenced.told(StepError::refused("x", "y"));
        assert!(matches!(told, StepError::Fenced), "{told}");
        assert!(fenced.write_all(&[write("d")]).await.is_err());
        let there = own.list(&namespace, "", None, 10).await.unwrap().entries;
        let there: Vec<&str> = there.iter().map(|one| one.key.as_str()).collect();
        assert_eq!(there, ["a", "b"]);
    }
}
