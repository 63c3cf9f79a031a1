//! Which ranges of the source are still to be copied, and who copies which.

use std::collections::VecDeque;

use tidegate_store::postgres::Session;

use crate::error::StepError;
use crate::verb::backfill::chunk::Done;
use crate::verb::backfill::ground::Ground;
use crate::verb::backfill::key::Key;

/// A range of keys: after the one, up to and with the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    /// `None`: from the beginning.
    pub(super) after: Option<Key>,
    pub(super) upto: Key,
}

/// What is still to be copied.
pub(super) struct Allotment {
    open: VecDeque<Range>,
    /// Ranges at work.
    at_work: usize,
    /// Whether the whole numbers of the newest range were keys, most of them.
    dense: bool,
}

impl Allotment {
    /// The gaps that the chunks which are done leave below the end.
    ///
    /// Their order is the source's own: only the server knows how keys of a type and collation follow each other.
    pub(super) async fn new(
        session: &Session,
        ground: &Ground,
        done: Vec<Done>,
        upto: Key,
    ) -> Result<Self, StepError> {
        let ordered = ground.in_order(session, done).await?;
        Ok(Self { open: gaps(&ordered, upto), at_work: 0, dense: false })
    }

    /// Takes the next range, with at most `rows` rows; `None` if none is open.
    pub(super) async fn take(
        &mut self,
        session: &Session,
        ground: &Ground,
        rows: u32,
    ) -> Result<Option<Range>, StepError> {
        let Some(range) = self.open.front().cloned() else { return Ok(None) };
        let stepped = if self.dense { ground.key.step(&range, rows) } else { None };
        let end = match stepped {
            Some(upto) => Some(upto),
            None => ground.nth_key(session, &range, rows).await?,
        };
        let taken = match end {
            Some(upto) if upto != range.upto => {
                let rest = Range { after: Some(upto.clone()), upto: range.upto.clone() };
                if let Some(front) = self.open.front_mut() {
                    *front = rest;
                }
                Range { after: range.after, upto }
            }
            _ => {
                self.open.pop_front();
                range
            }
        };
        self.at_work += 1;
        Ok(Some(taken))
    }

    /// A range that was taken is copied, or given back in pieces.
    fn finish(&mut self) {
        self.at_work = self.at_work.saturating_sub(1);
    }

    /// A range that was taken is copied.
    ///
    /// Where the keys are whole numbers and few are left out, the end of the next range is found by counting: to look
    /// for it costs a tenth of what copying costs. A gap, or rows that were passed over, and the next one is looked for.
    pub(super) fn copied(&mut self, ground: &Ground, range: &Range, written: u64) {
        self.finish();
        self.dense = ground.key.width(range).is_some_and(|width| written >= width / 2);
    }

    /// A range that was taken is given back, in pieces: each is copied by itself.
    pub(super) fn give_back(&mut self, pieces: Vec<Range>) {
        self.finish();
        for piece in pieces.into_iter().rev() {
            self.open.push_front(piece);
        }
    }

    /// Whether anything is not yet copied.
    pub(super) fn is_left(&self) -> bool {
        !self.open.is_empty() || self.at_work > 0
    }

    /// Whether others are at work, who may give ranges back.
    pub(super) fn is_at_work(&self) -> bool {
        self.at_work > 0
    }
}

/// What ordered chunks leave open.
fn gaps(ordered: &[Done], upto: Key) -> VecDeque<Range> {
    let mut open = VecDeque::new();
    let mut reached: Option<Key> = None;
    for chunk in ordered {
        if chunk.after != reached
            && let Some(begins) = &chunk.after
        {
            open.push_back(Range { after: reached.clone(), upto: begins.clone() });
        }
        reached = Some(chunk.upto.clone());
    }
    if reached.as_ref() != Some(&upto) {
        open.push_back(Range { after: reached, upto });
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        vec![text.to_owned()]
    }

    fn done(after: Option<&str>, upto: &str) -> Done {
        Done { after: after.map(key), upto: key(upto), written: 1 }
    }

    #[test]
    fn gaps_are_what_the_chunks_leave() {
        let range = |after: Option<&str>, upto: &str| Range { after: after.map(key), upto: key(upto) };
        assert_eq!(gaps(&[], key("9")), [range(None, "9")]);
        assert_eq!(gaps(&[done(None, "3"), done(Some("3"), "9")], key("9")), []);
        assert_eq!(
            gaps(&[done(Some("2"), "3"), done(Some("5"), "6")], key("9")),
            [range(None, "2"), range(Some("3"), "5"), range(Some("6"), "9")]
        );
    }
}
