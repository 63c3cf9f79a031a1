//! Two things timed in turns: A B A B, so that a machine that drifts drifts for both.

use std::time::Duration;

use crate::{Failure, Spread};

/// Pairs that are taken unless the command line says otherwise.
const PAIRS: usize = 7;

/// Fewest pairs that make a figure.
const FEWEST: usize = 5;

/// Timed runs of A and of B, the warm-up left out.
#[derive(Debug, Default)]
pub struct Pairs {
    a: Vec<f64>,
    b: Vec<f64>,
}

/// The number of pairs from the command line: none, or one number of at least 5.
///
/// # Errors
/// When there is something else.
pub fn pairs_wanted() -> Result<usize, Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = match words.as_slice() {
        [] => Some(PAIRS),
        [word] => word.parse().ok().filter(|number| *number >= FEWEST),
        _ => None,
    };
    number.ok_or_else(|| {
        Failure::new(format!("usage: the number of pairs, {FEWEST} or more; {PAIRS} if left out"))
    })
}

impl Pairs {
    /// Runs one pair to warm up and then `count` pairs. Each run prepares for itself and gives the time that counts.
    ///
    /// # Errors
    /// The first failure of a run.
    pub fn take(
        count: usize,
        mut a: impl FnMut() -> Result<Duration, Failure>,
        mut b: impl FnMut() -> Result<Duration, Failure>,
    ) -> Result<Self, Failure> {
        let mut pairs = Self::default();
        for turn in 0..=count {
            let (of_a, of_b) = (a()?.as_secs_f64(), b()?.as_secs_f64());
            let note = if turn == 0 { "  warm-up, not counted" } else { "" };
            eprintln!("pair {turn}: A {of_a:.3} s, B {of_b:.3} s, A/B {:.3}{note}", of_a / of_b);
            if turn > 0 {
                pairs.a.push(of_a);
                pairs.b.push(of_b);
            }
        }
        Ok(pairs)
    }

    /// Seconds of A.
    #[must_use]
    pub fn a(&self) -> Option<Spread> {
        Spread::of(&self.a)
    }

    /// Seconds of B.
    #[must_use]
    pub fn b(&self) -> Option<Spread> {
        Spread::of(&self.b)
    }

    /// A divided by B, pair by pair.
    #[must_use]
    pub fn ratio(&self) -> Option<Spread> {
        Spread::of(&self.a.iter().zip(&self.b).map(|(a, b)| a / b).collect::<Vec<_>>())
    }

    /// How many pairs were counted.
    #[must_use]
    pub fn count(&self) -> usize {
        self.a.len()
    }
}
