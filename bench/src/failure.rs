//! Why a figure could not be taken.

use std::fmt;

/// Why a figure could not be taken, as a sentence.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// A failure in these words.
    pub fn new(what: impl fmt::Display) -> Self {
        Self(what.to_string())
    }

    /// For `map_err`: what was done, and why it did not work.
    pub fn of<E: fmt::Display>(doing: &str) -> impl FnOnce(E) -> Self {
        move |error| Self(format!("could not {doing}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<testkit::Error> for Failure {
    fn from(error: testkit::Error) -> Self {
        Self::new(error)
    }
}
