//! Three-valued verdicts.

use std::fmt;

/// What a check found. Only `Pass` lets anything go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Pass,
    /// It does not hold; the text says what was found.
    Fail(String),
    /// It could not be told; the text says why.
    Unknown(String),
}

impl Verdict {
    /// Whether it holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        *self == Self::Pass
    }

    /// Whether it could not be told.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }

    /// What is said of something with this verdict: `does not hold`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pass => "holds",
            Self::Fail(_) => "does not hold",
            Self::Unknown(_) => "is unknown",
        }
    }

    /// What was found, or why nothing was; empty where it holds.
    #[must_use]
    pub fn found(&self) -> &str {
        match self {
            Self::Pass => "",
            Self::Fail(found) | Self::Unknown(found) => found,
        }
    }

    /// The first that does not hold: a fail before an unknown.
    #[must_use]
    pub fn worst(verdicts: impl IntoIterator<Item = Self>) -> Self {
        let mut worst = Self::Pass;
        for verdict in verdicts {
            match (&worst, &verdict) {
                (Self::Pass, _) | (Self::Unknown(_), Self::Fail(_)) => worst = verdict,
                _ => {}
            }
        }
        worst
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass => f.write_str("pass"),
            Self::Fail(found) => f.write_str(found),
            Self::Unknown(why) => write!(f, "unknown: {why}"),
        }
    }
}
