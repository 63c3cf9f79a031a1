//! All rules of a system, checked.

use std::collections::BTreeSet;
use std::sync::Arc;

use tidegate_store::kv::Namespace;

use crate::{Counts, RekeyError, Rewrite, Rule};

/// Most rules of one plan.
pub const RULES_MAX: usize = 32;
/// Most records of one batch.
pub const BATCH_RECORDS_MAX: usize = 500;
/// Most batches of one run.
pub const ITERATIONS_MAX: usize = 1_000_000;

/// What is moved in one system.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Families of keys, in the order in which they are visited.
    pub rules: Vec<Rule>,
    /// Where the journal is kept, under `migration:`.
    pub journal: Namespace,
    /// The system's own rewrites.
    pub rewrite: Arc<dyn Rewrite>,
}

impl Plan {
    /// A plan of these rules.
    ///
    /// # Errors
    /// [`RekeyError::BadRule`]: a name is bad or there twice, a prefix is empty or starts with another one of its
    /// namespace or lies in the journal, a pointer is none, a rule in place is opaque or proves by a pointer that it
    /// does not rewrite, or there are more than [`RULES_MAX`].
    pub fn new(rules: Vec<Rule>, journal: Namespace, rewrite: Arc<dyn Rewrite>) -> Result<Self, RekeyError> {
        let plan = Self { rules, journal, rewrite };
        plan.check()?;
        Ok(plan)
    }

    pub(crate) fn check(&self) -> Result<(), RekeyError> {
        let mut names = BTreeSet::new();
        for (index, rule) in self.rules.iter().enumerate() {
            let refused = |reason: String| Err(RekeyError::BadRule { rule: rule.name.clone(), reason });
            if index >= RULES_MAX {
                return refused(format!("a plan has at most {RULES_MAX} rules"));
            }
            if Namespace::new(rule.name.as_str()).is_err() {
                return refused("a name has 1 to 64 letters, digits, `_` and `-`".to_owned());
            }
            if !names.insert(rule.name.as_str()) {
                return refused("there are two of this name".to_owned());
            }
            if rule.prefix().is_empty() || rule.prefix().contains('\0') {
                return refused("its prefix is empty or has U+0000 in it".to_owned());
            }
            let is_nested =
                |prefix: &str| prefix.starts_with(rule.prefix()) || rule.prefix().starts_with(prefix);
            if rule.namespace == self.journal && is_nested("migration:") {
                return refused("its keys are the journal's".to_owned());
            }
            let mut others = self.rules.iter().take(index).filter(|other| other.namespace == rule.namespace);
            if let Some(other) = others.find(|other| is_nested(other.prefix())) {
                return refused(format!("its prefix and that of `{}` are one within the other", other.name));
            }
            if let Some(pointer) = pointers(rule).find(|pointer| !is_pointer(pointer)) {
                return refused(format!("`{pointer}` is no JSON pointer; write `/field`"));
            }
            let into_body = pointers(rule).count() - rule.metadata_key_pointers.len();
            if rule.opaque && (into_body > 0 || rule.is_in_place()) {
                return refused("it is opaque, so that no pointer leads into it".to_owned());
            }
            if rule.is_in_place() {
                if rule.proof_pointers.is_empty() {
                    return refused(
                        "it is in place, so that a pointer must say whose a record is".to_owned(),
                    );
                }
                if let Some(left) = rule.proof_pointers.iter().find(|at| !rule.owner_pointers.contains(at)) {
                    return refused(format!(
                        "`{left}` would name the old owner for ever: it is not rewritten"
                    ));
                }
            }
        }
        Ok(())
    }
}

fn pointers(rule: &Rule) -> impl Iterator<Item = &String> {
    let lists = [
        &rule.owner_pointers,
        &rule.proof_pointers,
        &rule.key_pointers,
        &rule.metadata_key_pointers,
        &rule.clock_pointers,
    ];
    lists.into_iter().flatten()
}

fn is_pointer(text: &str) -> bool {
    let is_escaped = |after: &str| after.starts_with(['0', '1']);
    text.starts_with('/') && text.split('~').skip(1).all(is_escaped)
}

/// How far one run may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Records of one batch, 1 to [`BATCH_RECORDS_MAX`]. A batch holds fewer where its writes would be more than a
    /// store takes at once: 497 records that are plainly copied.
    pub batch: usize,
    /// Batches, 1 to [`ITERATIONS_MAX`]. Those that are small because the run gives way count by their records.
    pub iterations: usize,
    /// Where given, the run first judges all records, and writes nothing unless these are the numbers.
    pub held_to: Option<Counts>,
}

impl Bounds {
    pub(crate) fn check(&self) -> Result<(), RekeyError> {
        let within = |what, given, limit| match (1..=limit).contains(&given) {
            true => Ok(()),
            false => Err(RekeyError::BadBounds { what, given, limit }),
        };
        within("the batch", self.batch, BATCH_RECORDS_MAX)?;
        within("the number of iterations", self.iterations, ITERATIONS_MAX)
    }
}
