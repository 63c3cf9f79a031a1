//! What was claimed, and whether it held.

use std::time::Duration;

/// What was claimed, and whether it held.
#[derive(Debug, Default)]
pub(crate) struct Proof {
    claims: Vec<Claim>,
}

#[derive(Debug)]
struct Claim {
    what: String,
    held: bool,
}

impl Proof {
    /// Notes a claim, and shows it where it was looked at.
    pub(crate) fn claim(&mut self, held: bool, what: impl Into<String>) {
        let what = what.into();
        println!("  {} {what}", mark(held));
        self.claims.push(Claim { what, held });
    }

    /// Whether everything held so far.
    pub(crate) fn holds(&self) -> bool {
        self.claims.iter().all(|claim| claim.held)
    }

    /// Says it all again, with the time that it took and that it should have taken at most, if that is known.
    pub(crate) fn print(&self, took: Duration, bound: Option<Duration>) {
        crate::words::heading("The proof");
        for claim in &self.claims {
            println!("  {} {}", mark(claim.held), claim.what);
        }
        let late = bound.filter(|bound| took > *bound);
        let late =
            late.map_or_else(String::new, |bound| format!(", which is more than {} s", bound.as_secs()));
        println!("\n  {:.1} s since the build{late}.", took.as_secs_f64());
    }
}

fn mark(held: bool) -> &'static str {
    if held { "✓" } else { "✗ DID NOT HOLD:" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_claim_that_does_not_hold_is_enough() {
        let mut proof = Proof::default();
        assert!(proof.holds());
        proof.claim(true, "one");
        assert!(proof.holds());
        proof.claim(false, "two");
        proof.claim(true, "three");
        assert!(!proof.holds());
    }
}
