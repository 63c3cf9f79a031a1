//! Where is what read and written, as a row of a switch set says.

use std::fmt;

/// One of two schemas, or two stores, that hold the same records while one replaces the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// What is replaced.
    Old,
    /// What replaces it.
    New,
}

impl Side {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Side {
        match self {
            Side::Old => Side::New,
            Side::New => Side::Old,
        }
    }

    /// `old` or `new`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Side::Old => "old",
            Side::New => "new",
        }
    }

    /// Reads what [`Side::name`] prints.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Side> {
        match name {
            "old" => Some(Side::Old),
            "new" => Some(Side::New),
            _ => None,
        }
    }

    fn of(new: bool) -> Side {
        if new { Side::New } else { Side::Old }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the columns `reads`, `writes` and `dual` of a switch set mean together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stage {
    /// The side that is read.
    pub reads: Side,
    /// The side that is written first, and whose result counts.
    pub primary: Side,
    /// The side that gets a copy of what the primary holds after the write.
    pub mirror: Option<Side>,
    /// The side whose row a write to both sides locks first.
    pub lock_first: Side,
}

impl Stage {
    /// Everything on the old side.
    pub const OLD: Stage =
        Stage { reads: Side::Old, primary: Side::Old, mirror: None, lock_first: Side::Old };

    /// Reads a row. `None` unless `reads`, `writes` and `dual` are among the columns, each with a value.
    ///
    /// A side that is read must get every write, so a mirror runs where reads and writes differ, whatever `dual` says.
    #[must_use]
    pub fn of<S: AsRef<str>>(columns: &[S], values: &[bool], lock_first: Side) -> Option<Stage> {
        if columns.len() != values.len() {
            return None;
        }
        let value = |wanted: &str| {
            columns.iter().zip(values).find(|(name, _)| name.as_ref() == wanted).map(|(_, value)| *value)
        };
        let (reads, writes, dual) = (value("reads")?, value("writes")?, value("dual")?);
        let primary = Side::of(writes);
        let mirror = (dual || reads != writes).then(|| primary.other());
        Some(Stage { reads: Side::of(reads), primary, mirror, lock_first })
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reads {}, writes {}", self.reads, self.primary)?;
        match self.mirror {
            Some(side) => write!(f, ", mirrors to {side}, locks {} first", self.lock_first),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Side::{New, Old};
    use super::{Side, Stage};

    const COLUMNS: [&str; 3] = ["reads", "writes", "dual"];

    /// Every combination: reads, writes, dual; the side that is read, the primary, the mirror.
    const TABLE: [([bool; 3], Side, Side, Option<Side>); 8] = [
        ([false, false, false], Old, Old, None),
        ([false, false, true], Old, Old, Some(New)),
        ([false, true, false], Old, New, Some(Old)),
        ([false, true, true], Old, New, Some(Old)),
        ([true, false, false], New, Old, Some(New)),
        ([true, false, true], New, Old, Some(New)),
        ([true, true, false], New, New, None),
        ([true, true, true], New, New, Some(Old)),
    ];

    #[test]
    fn every_combination_has_its_stage_under_either_lock_order() {
        for (values, reads, primary, mirror) in TABLE {
            for lock_first in [Old, New] {
                let stage = Stage::of(&COLUMNS, &values, lock_first);
                assert_eq!(stage, Some(Stage { reads, primary, mirror, lock_first }), "{values:?}");
            }
        }
    }

    #[test]
    fn the_side_that_is_read_gets_every_write() {
        for (values, ..) in TABLE {
            let stage = Stage::of(&COLUMNS, &values, Old).unwrap();
            assert!(stage.primary == stage.reads || stage.mirror == Some(stage.reads), "{values:?}");
            assert_ne!(stage.mirror, Some(stage.primary), "{values:?}");
        }
    }

    #[test]
    fn columns_are_found_by_name_and_all_three_are_needed() {
        let stage = Stage::of(&["dual", "other", "writes", "reads"], &[true, true, false, true], New);
        assert_eq!(stage, Stage::of(&COLUMNS, &[true, false, true], New));
        assert_eq!(Stage::of(&["reads", "writes"], &[true, true], Old), None);
        assert_eq!(Stage::of(&COLUMNS, &[true, true], Old), None);
        assert_eq!(Stage::of(&["accept_workspace_id"], &[true], Old), None);
    }

    #[test]
    fn a_stage_says_what_it_does() {
        let both = Stage::of(&COLUMNS, &[true, false, true], New).unwrap();
        assert_eq!(both.to_string(), "reads new, writes old, mirrors to new, locks new first");
        assert_eq!(Stage::OLD.to_string(), "reads old, writes old");
    }
}
