//! Who else could mean the same name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use async_trait::async_trait;
use tidegate_store::kv::KvError;

/// What a system knows of its accounts' names.
#[async_trait]
pub trait Claims: Send + Sync + Debug {
    /// The ids of all accounts that may claim this spelling: as user name, as display name, in any case, or because it
    /// is their id.
    async fn claimants(&self, spelling: &str) -> Result<Vec<String>, KvError>;

    /// Other accounts' spellings that start with `<spelling>:`. A key of `a:b` starts like one of `a`.
    async fn longer_names(&self, spelling: &str) -> Result<Vec<String>, KvError>;
}

/// The answer for one spelling.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claim {
    /// Ids of the accounts that may claim it.
    pub claimants: BTreeSet<String>,
    /// Longer names that start with it and a colon.
    pub longer_names: Vec<String>,
}

/// The answers of one run, by spelling.
#[derive(Debug, Clone, Default)]
pub struct Answers(pub BTreeMap<String, Claim>);

impl Answers {
    /// Asks for a spelling, once.
    pub(crate) async fn learn(&mut self, claims: &dyn Claims, spelling: &str) -> Result<(), KvError> {
        if !self.0.contains_key(spelling) {
            let claimants = claims.claimants(spelling).await?.into_iter().collect();
            let longer_names = claims.longer_names(spelling).await?;
            self.0.insert(spelling.to_owned(), Claim { claimants, longer_names });
        }
        Ok(())
    }
}
