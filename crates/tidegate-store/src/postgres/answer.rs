//! What a statement answers, as text.

/// The answer to one statement of a text that was run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// Names of the columns; empty for a statement that returns no rows.
    pub columns: Vec<String>,
    /// Rows of values in the server's text form; `None` is NULL.
    pub rows: Vec<Vec<Option<String>>>,
    /// Rows returned or changed, as the server counts them; 0 where it counts none.
    pub affected: u64,
}

impl Answer {
    /// The value where there is exactly one row of exactly one column; the inner `None` is NULL.
    #[must_use]
    pub fn single(&self) -> Option<Option<&str>> {
        match self.rows.as_slice() {
            [row] => match row.as_slice() {
                [value] => Some(value.as_deref()),
                _ => None,
            },
            _ => None,
        }
    }
}
