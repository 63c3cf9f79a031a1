//! What one request, or one transaction, goes by from its beginning to its end.

use tidegate_flags::{Entered, Side, Stage};

use crate::environment::Environment;

/// The row that ruled when a request began, or when a transaction entered the barrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    epoch: u64,
    row: Option<String>,
    columns: Vec<String>,
    values: Vec<bool>,
    stage: Option<Stage>,
}

impl Snapshot {
    pub(crate) fn of_environment(environment: &Environment) -> Snapshot {
        Snapshot {
            epoch: 0,
            row: None,
            columns: environment.columns().to_vec(),
            values: environment.values().to_vec(),
            stage: environment.stage(),
        }
    }

    pub(crate) fn of_row(row: Entered) -> Snapshot {
        let stage = row.stage();
        Snapshot { epoch: row.epoch, row: Some(row.row), columns: row.columns, values: row.values, stage }
    }

    /// The row's epoch; 0 where the environment rules.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The row's name; `None` where the environment rules.
    #[must_use]
    pub fn row(&self) -> Option<&str> {
        self.row.as_deref()
    }

    /// The stage. For a set that is no switch set everything is on the old side.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage.unwrap_or(Stage::OLD)
    }

    /// The side that a write to both sides locks first.
    #[must_use]
    pub fn lock_first(&self) -> Side {
        self.stage().lock_first
    }

    /// The value of a column; `None`: the set has no such column.
    #[must_use]
    pub fn is_on(&self, column: &str) -> Option<bool> {
        self.columns.iter().zip(&self.values).find(|(name, _)| *name == column).map(|(_, value)| *value)
    }

    /// What it is called in figures: the row's name, or `environment`.
    pub(crate) fn label(&self) -> &str {
        self.row.as_deref().unwrap_or("environment")
    }
}
