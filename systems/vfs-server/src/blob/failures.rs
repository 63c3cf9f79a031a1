//! How often the object store failed us, by what it said.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use super::classify::ObjectCode;

/// Codes that are told apart; a store has fewer.
const CODES_MAX: usize = 64;

/// Of the whole process, which is what an instance is.
pub(crate) static FAILURES: Failures = Failures(Mutex::new(BTreeMap::new()));

/// Attempts that failed.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<BTreeMap<String, Count>>);

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    tried_again: u64,
    given_up: u64,
}

impl Failures {
    /// Counts an attempt that failed, and whether another one follows.
    pub(super) fn note(&self, code: &ObjectCode, again: bool) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = code.name();
        let is_told = counts.len() < CODES_MAX || counts.contains_key(name);
        let count = counts.entry(if is_told { name } else { "other" }.to_owned()).or_default();
        let kind = if again { &mut count.tried_again } else { &mut count.given_up };
        *kind = kind.saturating_add(1);
    }

    /// The figures in the text format of Prometheus.
    pub(crate) fn to_prometheus(&self) -> String {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut text = String::from(
            "# HELP vfs_blob_store_failures_total Attempts at the object store that failed, by its code.\n\
             # TYPE vfs_blob_store_failures_total counter\n",
        );
        for (code, count) in &counts {
            // A code may be anything that an answer says.
            let code: String = code.chars().filter(|c| !c.is_control() && !['"', '\\'].contains(c)).collect();
            for (then, count) in [("tried_again", count.tried_again), ("given_up", count.given_up)] {
                // Writing to a String cannot fail.
                let _ = writeln!(
                    text,
                    "vfs_blob_store_failures_total{{code=\"{code}\",then=\"{then}\"}} {count}"
                );
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_by_code_and_what_was_done_then() {
        let failures = Failures::default();
        failures.note(&ObjectCode::SlowDown, true);
        failures.note(&ObjectCode::SlowDown, true);
        failures.note(&ObjectCode::SlowDown, false);
        failures.note(&ObjectCode::Other("a\"b\n".to_owned()), false);
        let text = failures.to_prometheus();
        for line in [
            "vfs_blob_store_failures_total{code=\"SlowDown\",then=\"tried_again\"} 2\n",
            "vfs_blob_store_failures_total{code=\"SlowDown\",then=\"given_up\"} 1\n",
            "vfs_blob_store_failures_total{code=\"ab\",then=\"given_up\"} 1\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn what_a_store_makes_up_is_counted_together() {
        let failures = Failures::default();
        for n in 0..CODES_MAX + 5 {
            failures.note(&ObjectCode::Other(n.to_string()), false);
        }
        let text = failures.to_prometheus();
        assert!(text.contains("{code=\"other\",then=\"given_up\"} 5\n"), "{text}");
    }
}
