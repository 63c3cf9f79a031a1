//! What is legal: columns, rows, and the moves between rows.

use std::collections::HashSet;

use crate::stage::{Side, Stage};

/// Columns of one set.
pub const COLUMNS_MAX: usize = 32;
/// Rows of one set.
pub const ROWS_MAX: usize = 64;
/// Moves of one set.
pub const MOVES_MAX: usize = 512;
/// Bytes of a set's, column's or row's name.
pub const NAME_BYTES_MAX: usize = 63;

/// A flag set as somebody declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagSet {
    /// The name that applications and runbooks know it by.
    pub name: String,
    /// Names of the flags.
    pub columns: Vec<String>,
    /// The legal combinations.
    pub rows: Vec<Row>,
    /// The legal moves between rows.
    pub moves: Vec<Move>,
    /// The name of the row that rules when the set is declared first.
    pub initial: String,
}

/// A legal combination of a set's flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// One value for each column, in their order.
    pub values: Vec<bool>,
    /// The side whose row a write to both sides locks first.
    pub lock_first: Side,
}

/// A legal move.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Move {
    /// The row that rules before.
    pub from: String,
    /// The row that rules afterwards.
    pub to: String,
}

/// What is wrong with a declaration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeclarationError {
    /// A name is empty, too long, or holds a character that is invisible.
    #[error(
        "'{0}' is no name for a flag set, column or row: 1 to {NAME_BYTES_MAX} bytes without control characters"
    )]
    BadName(String),
    /// There are too few or too many of something.
    #[error("{what}: {found}; a flag set has {least} to {most}")]
    Count {
        /// Columns, rows or moves.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// The fewest allowed.
        least: usize,
        /// The most allowed.
        most: usize,
    },
    /// Two columns have one name.
    #[error("column '{0}' is declared twice; give each column its own name")]
    DuplicateColumn(String),
    /// Two rows have one name.
    #[error("row '{0}' is declared twice; give each row its own name")]
    DuplicateRow(String),
    /// Two rows say the same.
    #[error("rows '{0}' and '{1}' have the same values and lock order; keep one of them")]
    EqualRows(String, String),
    /// A row has not one value for each column.
    #[error("row '{row}' has {found} values for {columns} columns; give it one for each")]
    Width {
        /// The row.
        row: String,
        /// Its values.
        found: usize,
        /// The set's columns.
        columns: usize,
    },
    /// A move or the initial row names no row.
    #[error("'{0}' is no row of the set; declare it or correct the name")]
    UnknownRow(String),
    /// A move leads nowhere.
    #[error("the move from '{0}' to itself moves nothing; remove it")]
    SelfMove(String),
    /// A move is declared twice.
    #[error("the move from '{0}' to '{1}' is declared twice; remove one")]
    DuplicateMove(String, String),
}

impl FlagSet {
    /// The row of this name.
    #[must_use]
    pub fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// Where the moves from this row lead, in the order of their declaration.
    #[must_use]
    pub fn moves_from(&self, row: &str) -> Vec<&str> {
        self.moves.iter().filter(|step| step.from == row).map(|step| step.to.as_str()).collect()
    }

    /// The stage of a row; `None` for an unknown row, and for every row of a set that is no switch set.
    #[must_use]
    pub fn stage(&self, row: &str) -> Option<Stage> {
        let row = self.row(row)?;
        Stage::of(&self.columns, &row.values, row.lock_first)
    }

    /// Everything that is wrong with the declaration; empty if nothing is.
    #[must_use]
    pub fn check(&self) -> Vec<DeclarationError> {
        let mut errors = Vec::new();
        for (what, found, least, most) in [
            ("columns", self.columns.len(), 1, COLUMNS_MAX),
            ("rows", self.rows.len(), 1, ROWS_MAX),
            ("moves", self.moves.len(), 0, MOVES_MAX),
        ] {
            if !(least..=most).contains(&found) {
                errors.push(DeclarationError::Count { what, found, least, most });
            }
        }
        let row_names = self.rows.iter().map(|row| &row.name);
        let names = std::iter::once(&self.name).chain(&self.columns).chain(row_names);
        errors
            .extend(names.filter(|name| !is_name(name)).map(|name| DeclarationError::BadName(name.clone())));
        self.check_columns(&mut errors);
        self.check_rows(&mut errors);
        self.check_moves(&mut errors);
        errors
    }

    fn check_columns(&self, errors: &mut Vec<DeclarationError>) {
        let mut seen = HashSet::new();
        for column in &self.columns {
            if !seen.insert(column) {
                errors.push(DeclarationError::DuplicateColumn(column.clone()));
            }
        }
    }

    fn check_rows(&self, errors: &mut Vec<DeclarationError>) {
        let mut seen: Vec<&Row> = Vec::new();
        for row in &self.rows {
            if row.values.len() != self.columns.len() {
                let (found, columns) = (row.values.len(), self.columns.len());
                errors.push(DeclarationError::Width { row: row.name.clone(), found, columns });
            }
            if seen.iter().any(|other| other.name == row.name) {
                errors.push(DeclarationError::DuplicateRow(row.name.clone()));
            } else if let Some(other) =
                seen.iter().find(|other| other.values == row.values && other.lock_first == row.lock_first)
            {
                errors.push(DeclarationError::EqualRows(other.name.clone(), row.name.clone()));
            }
            seen.push(row);
        }
    }

    fn check_moves(&self, errors: &mut Vec<DeclarationError>) {
        let mut seen = HashSet::new();
        let ends = self.moves.iter().flat_map(|step| [&step.from, &step.to]);
        let mut unknown: Vec<&String> =
            std::iter::once(&self.initial).chain(ends).filter(|name| self.row(name).is_none()).collect();
        unknown.sort();
        unknown.dedup();
        errors.extend(unknown.into_iter().map(|name| DeclarationError::UnknownRow(name.clone())));
        for step in &self.moves {
            if step.from == step.to {
                errors.push(DeclarationError::SelfMove(step.from.clone()));
            }
            if !seen.insert(step) {
                errors.push(DeclarationError::DuplicateMove(step.from.clone(), step.to.clone()));
            }
        }
    }

    /// The rows and moves as JSON, for people and programs that look at the table.
    pub(crate) fn declared(&self) -> String {
        let rows: Vec<_> = self
            .rows
            .iter()
            .map(|row| {
                serde_json::json!({"name": row.name, "values": row.values, "lock_first": row.lock_first.name()})
            })
            .collect();
        let moves: Vec<_> =
            self.moves.iter().map(|step| serde_json::json!({"from": step.from, "to": step.to})).collect();
        serde_json::json!({"initial": self.initial, "rows": rows, "moves": moves}).to_string()
    }
}

fn is_name(name: &str) -> bool {
    !name.trim().is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::{DeclarationError, FlagSet, Move, Row};
    use crate::stage::Side;

    fn row(name: &str, values: &[bool]) -> Row {
        Row { name: name.to_owned(), values: values.to_vec(), lock_first: Side::Old }
    }

    fn step(from: &str, to: &str) -> Move {
        Move { from: from.to_owned(), to: to.to_owned() }
    }

    fn good() -> FlagSet {
        FlagSet {
            name: "switch".to_owned(),
            columns: vec!["on".to_owned()],
            rows: vec![row("off", &[false]), row("on", &[true])],
            moves: vec![step("off", "on"), step("on", "off")],
            initial: "off".to_owned(),
        }
    }

    #[test]
    fn a_sound_declaration_has_no_errors_and_says_where_it_leads() {
        let mut set = good();
        assert_eq!(set.check(), []);
        assert_eq!(set.moves_from("off"), ["on"]);
        assert_eq!(set.stage("on"), None);
        set.rows.push(Row { lock_first: Side::New, ..row("on_new_first", &[true]) });
        assert_eq!(set.check(), []);
    }

    type Slip<'a> = &'a dyn Fn(&mut FlagSet);

    #[test]
    fn each_slip_is_named() {
        let slips: [(Slip<'_>, DeclarationError); 9] = [
            (&|set| set.name.clear(), DeclarationError::BadName(String::new())),
            (
                &|set| set.rows.clear(),
                DeclarationError::Count { what: "rows", found: 0, least: 1, most: super::ROWS_MAX },
            ),
            (&|set| set.rows.push(row("on", &[true])), DeclarationError::DuplicateRow("on".to_owned())),
            (
                &|set| set.rows.push(row("same", &[true])),
                DeclarationError::EqualRows("on".to_owned(), "same".to_owned()),
            ),
            (
                &|set| set.rows.push(row("wide", &[true, false])),
                DeclarationError::Width { row: "wide".to_owned(), found: 2, columns: 1 },
            ),
            (&|set| set.initial = "nowhere".to_owned(), DeclarationError::UnknownRow("nowhere".to_owned())),
            (&|set| set.moves.push(step("on", "there")), DeclarationError::UnknownRow("there".to_owned())),
            (&|set| set.moves.push(step("on", "on")), DeclarationError::SelfMove("on".to_owned())),
            (
                &|set| set.moves.push(step("on", "off")),
                DeclarationError::DuplicateMove("on".to_owned(), "off".to_owned()),
            ),
        ];
        for (slip, expected) in slips {
            let mut set = good();
            slip(&mut set);
            assert!(set.check().contains(&expected), "{expected:?} not in {:?}", set.check());
        }
        let mut set = good();
        set.columns.push("on".to_owned());
        assert!(set.check().contains(&DeclarationError::DuplicateColumn("on".to_owned())));
    }
}
