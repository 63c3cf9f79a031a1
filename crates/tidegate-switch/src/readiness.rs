//! Why an instance takes no requests, or should get none.

use std::time::Duration;

/// Why an instance takes no requests, or should get none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// The database has not answered yet.
    #[error("flag set '{set}' has not been read yet{}", because(last.as_deref()))]
    NotYet {
        /// The set.
        set: String,
        /// What the last attempt failed with.
        last: Option<String>,
    },
    /// It has not answered for so long that others may take this instance for gone.
    #[error(
        "flag set '{set}' was last read {} ms ago, too long to go by it{}",
        since.as_millis(), because(last.as_deref())
    )]
    LeaseLost {
        /// The set.
        set: String,
        /// How long ago it was read.
        since: Duration,
        /// What the last attempt failed with.
        last: Option<String>,
    },
    /// The environment contradicts the row. Requests are served by the row.
    #[error(
        "the environment contradicts flag set '{set}': {contradiction}; correct the variables and start again, or move \
         the set"
    )]
    Override {
        /// The set.
        set: String,
        /// What contradicts.
        contradiction: String,
    },
    /// The instance is ending.
    #[error("the instance is ending")]
    Stopping,
}

fn because(last: Option<&str>) -> String {
    last.map_or_else(String::new, |last| format!(": {last}"))
}
