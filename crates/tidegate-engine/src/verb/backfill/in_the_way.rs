//! Whether rows of the source are expected to be in the target already.
//!
//! `ON CONFLICT … DO NOTHING` doubles what it costs to write a row, for the sake of rows that are there already. While
//! there are none, chunks are written without it; one that meets a row is rolled back and written as the page says.

use std::cell::Cell;

/// So many chunks are at most written as the page says before the next is tried without.
const CHUNKS_MAX: u32 = 64;

/// What the chunks before it tell of the next one.
#[derive(Debug)]
pub(super) struct InTheWay {
    /// Chunks that are still written as the page says.
    left: Cell<u32>,
    /// How many it will be when the next one meets a row: twice as many each time.
    next: Cell<u32>,
}

impl InTheWay {
    /// Nothing is known: none is expected.
    pub(super) fn new() -> Self {
        Self { left: Cell::new(0), next: Cell::new(1) }
    }

    /// Whether the next chunk is expected to meet a row.
    pub(super) fn expected(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }

    /// A chunk met one.
    pub(super) fn met(&self) {
        self.left.set(self.next.get());
        self.next.set((self.next.get() * 2).min(CHUNKS_MAX));
    }

    /// A chunk that might have met one met none.
    pub(super) fn met_none(&self) {
        self.next.set(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_every_chunk_meets_a_row_few_are_tried_in_vain() {
        let known = InTheWay::new();
        let mut in_vain = 0;
        for _ in 0..1_000 {
            if !known.expected() {
                in_vain += 1;
                known.met();
            }
        }
        assert_eq!(in_vain, 21);
        while known.expected() {}
        known.met_none();
        assert!(!known.expected());
        known.met();
        assert!(known.expected());
        assert!(!known.expected());
    }
}
