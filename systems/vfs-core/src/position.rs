//! The server's positions: one total order over both feeds.

use std::fmt;

use crate::cursor::Cursor;
use crate::timestamp::Timestamp;

/// A place in the server's order: the epoch of the feed, and a sequence number that never repeats.
///
/// Its id is `EEEE-SSSSSSSSSSSSSSSS`, four and sixteen digits, so that the order of the bytes is the order of the
/// positions. It is what `vfs_position_id` makes in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The epoch, 1 to 9999: a restore begins a new one.
    pub epoch: u16,
    /// The sequence number, 1 to 10^16 − 1.
    pub seq: u64,
}

/// The largest epoch whose id has four digits.
pub const EPOCH_MAX: u16 = 9_999;

/// The largest sequence number whose id has sixteen digits.
pub const SEQ_MAX: u64 = 9_999_999_999_999_999;

impl Position {
    /// Its id, 21 bytes.
    #[must_use]
    pub fn id(self) -> String {
        self.to_string()
    }

    /// Reads an id; `None`: it is not one of a position.
    #[must_use]
    pub fn parse(id: &str) -> Option<Self> {
        let (epoch, seq) = match id.as_bytes().split_at_checked(4)? {
            (epoch, [b'-', seq @ ..]) if seq.len() == 16 => (number(epoch)?, number(seq)?),
            _ => return None,
        };
        Some(Self { epoch: u16::try_from(epoch).ok()?, seq })
    }

    /// The cursor that stands at it.
    #[must_use]
    pub fn at(self, changed_at: Timestamp) -> Cursor {
        Cursor { changed_at, change_id: self.id() }
    }
}

/// The number that digits are, 16 of them at most.
fn number(digits: &[u8]) -> Option<u64> {
    digits
        .iter()
        .try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0')))
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:016}", self.epoch, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_has_a_fixed_width_and_nothing_else_is_one() {
        let id = Position { epoch: 1, seq: 42 }.id();
        assert_eq!(id, "0001-0000000000000042");
        for other in [
            "",
            "1-42",
            "0001-42",
            "0001-00000000000000+2",
            "0001-0000000000000042 ",
            "0001x0000000000000042",
            "op-1",
        ] {
            assert_eq!(Position::parse(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn the_order_of_ids_is_that_of_positions(
            a in (1..=EPOCH_MAX, 0..=SEQ_MAX),
            b in (1..=EPOCH_MAX, 0..=SEQ_MAX),
        ) {
            let a = Position { epoch: a.0, seq: a.1 };
            let b = Position { epoch: b.0, seq: b.1 };
            prop_assert_eq!(a.id().cmp(&b.id()), a.cmp(&b));
            prop_assert_eq!(Position::parse(&a.id()), Some(a));
        }
    }
}
