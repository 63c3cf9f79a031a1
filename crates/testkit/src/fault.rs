//! What a [`Proxy`](crate::Proxy) can be told to do to a connection.

use std::time::Duration;

/// One fault. Each fires once, on the first connection where it applies, and is then spent.
///
/// A statement is matched when it is *executed*: a simple query, or the execution of a prepared statement whose text
/// was sent earlier on the same connection. `text` is searched for anywhere in the statement, upper or lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The connection is closed before the statement is executed: the server never sees it run.
    DropBefore {
        /// Part of the statement.
        text: String,
    },
    /// The statement is executed to its end (up to the server's *ready for query*), then the connection is closed
    /// before any of its answer reaches the client. With `COMMIT` as text this is a commit whose outcome the client
    /// cannot know.
    DropAnswerOf {
        /// Part of the statement.
        text: String,
    },
    /// The statement is executed to its end, but its answer stays in the proxy until
    /// [`Proxy::release`](crate::Proxy::release); the connection stays open.
    HoldAnswerOf {
        /// Part of the statement.
        text: String,
    },
    /// The statement is passed on only after a delay.
    DelayBefore {
        /// Part of the statement.
        text: String,
        /// How long it waits.
        by: Duration,
    },
    /// The next connection on which the server says anything is closed when the client has got this many more bytes,
    /// in the middle of a message if it falls so.
    CutAfter {
        /// Bytes that still pass.
        bytes: usize,
    },
}

impl Fault {
    /// [`Fault::DropBefore`] of statements that contain `text`.
    #[must_use]
    pub fn drop_before(text: &str) -> Self {
        Self::DropBefore { text: text.to_owned() }
    }

    /// [`Fault::DropAnswerOf`] statements that contain `text`.
    #[must_use]
    pub fn drop_answer_of(text: &str) -> Self {
        Self::DropAnswerOf { text: text.to_owned() }
    }

    /// [`Fault::HoldAnswerOf`] statements that contain `text`.
    #[must_use]
    pub fn hold_answer_of(text: &str) -> Self {
        Self::HoldAnswerOf { text: text.to_owned() }
    }

    /// Whether this fault waits for this statement.
    pub(crate) fn applies_to(&self, statement: &str) -> bool {
        match self {
            Self::DropBefore { text }
            | Self::DropAnswerOf { text }
            | Self::HoldAnswerOf { text }
            | Self::DelayBefore { text, .. } => {
                statement.to_ascii_lowercase().contains(&text.to_ascii_lowercase())
            }
            Self::CutAfter { .. } => false,
        }
    }
}

/// The faults of one proxy that have not fired yet.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    armed: Vec<Armed>,
    fired: usize,
}

#[derive(Debug)]
struct Armed {
    fault: Fault,
    /// How many matching statements still pass.
    pass: usize,
}

impl Faults {
    pub(crate) fn arm(&mut self, fault: Fault, pass: usize) {
        self.armed.push(Armed { fault, pass });
    }

    pub(crate) fn disarm(&mut self) {
        self.armed.clear();
    }

    pub(crate) fn fired(&self) -> usize {
        self.fired
    }

    /// The fault that this statement sets off, if any.
    pub(crate) fn for_statement(&mut self, statement: &str) -> Option<Fault> {
        let mut found = None;
        for (position, armed) in self.armed.iter_mut().enumerate() {
            if !armed.fault.applies_to(statement) {
                continue;
            }
            if armed.pass == 0 {
                found = Some(position);
                break;
            }
            armed.pass -= 1;
        }
        self.fire(found?)
    }

    /// The bytes after which the connection that asks is cut, if a cut is armed.
    pub(crate) fn cut(&mut self) -> Option<usize> {
        let position = self.armed.iter().position(|armed| matches!(armed.fault, Fault::CutAfter { .. }))?;
        match self.fire(position)? {
            Fault::CutAfter { bytes } => Some(bytes),
            _ => None,
        }
    }

    fn fire(&mut self, position: usize) -> Option<Fault> {
        self.fired += 1;
        (position < self.armed.len()).then(|| self.armed.remove(position).fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_fires_once_at_the_occurrence_it_was_armed_for() {
        let mut faults = Faults::default();
        faults.arm(Fault::drop_before("commit"), 1);
        assert_eq!(faults.for_statement("SELECT 1"), None);
        assert_eq!(faults.for_statement("COMMIT"), None);
        assert_eq!(faults.for_statement("COMMIT"), Some(Fault::drop_before("commit")));
        assert_eq!(faults.for_statement("COMMIT"), None);
        assert_eq!(faults.fired(), 1);
    }

    #[test]
    fn a_cut_is_not_set_off_by_a_statement() {
        let mut faults = Faults::default();
        faults.arm(Fault::CutAfter { bytes: 3 }, 0);
        assert_eq!(faults.for_statement(""), None);
        assert_eq!(faults.cut(), Some(3));
        assert_eq!(faults.cut(), None);
    }
}
