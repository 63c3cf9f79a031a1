//! Who else could mean the same name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use async_trait::async_trait;
use tidegate_store::kv::KvError;

use crate::RekeyError;

/// What a system knows of its accounts' names.
#[async_trait]
pub trait Claims: Send + Sync + Debug {
    /// The ids of all accounts that may claim this spelling: as user name, as display name, in any case, or because it
    /// is their id.
    async fn claimants(&self, spelling: &str) -> Result<Vec<String>, KvError>;

    /// Other accounts' spellings that start with `<spelling>:`. A key of `a:b` starts like one of `a`.
    async fn longer_names(&self, spelling: &str) -> Result<Vec<String>, KvError>;

    /// Both for several spellings, in their order. A system that looks at all its accounts for an answer looks once.
    async fn of_all(&self, spellings: &[String]) -> Result<Vec<Claim>, KvError> {
        let mut all = Vec::with_capacity(spellings.len());
        for spelling in spellings {
            let claimants = self.claimants(spelling).await?.into_iter().collect();
            all.push(Claim { claimants, longer_names: self.longer_names(spelling).await? });
        }
        Ok(all)
    }
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
    /// Asks for those of the spellings that were not asked for yet.
    pub(crate) async fn learn(
        &mut self,
        claims: &dyn Claims,
        spellings: BTreeSet<&str>,
    ) -> Result<(), RekeyError> {
        let new = spellings.into_iter().filter(|spelling| !self.0.contains_key(*spelling));
        let new: Vec<String> = new.map(str::to_owned).collect();
        if new.is_empty() {
            return Ok(());
        }
        let told = claims.of_all(&new).await;
        let told = told.map_err(|source| RekeyError::Claims { spelling: new.join(", "), source })?;
        self.0.extend(new.into_iter().zip(told));
        Ok(())
    }
}
