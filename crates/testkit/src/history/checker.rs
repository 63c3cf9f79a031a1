//! Whether one store that does one thing at a time could have given a register's answers.

use std::collections::HashMap;

use super::operation::{Fate, Moment, Read, Register, Seen, Write};
use super::verdict::{Violation, Wrong};

/// Judges one register. Pure: the same notes give the same violations, in whatever order they were taken.
#[must_use]
pub fn check(register: &Register) -> Vec<Violation> {
    let mut writes: Vec<&Write> = register.writes.iter().collect();
    writes.sort_by_key(|write| (write.version, write.began));
    let mut reads: Vec<&Read> = register.reads.iter().collect();
    reads.sort_by_key(|read| (read.began, read.ended));
    let order = Order::of(&writes);
    let mut violations = twice_acknowledged(&writes);
    let mut floor = Floor::of(&writes, &reads, &order);
    for read in reads {
        let floor = floor.at(read.began);
        violations.extend(judge(read, floor, &order));
    }
    violations
}

/// Two writes that were both acknowledged as the same version: each was told that it alone came next.
fn twice_acknowledged(writes: &[&Write]) -> Vec<Violation> {
    let acknowledged: Vec<&&Write> = writes.iter().filter(|write| write.fate == Fate::Acknowledged).collect();
    let pairs = acknowledged.windows(2);
    pairs
        .filter_map(|pair| match pair {
            [one, two] if one.version == two.version => Some(Violation {
                wrong: Wrong::Duplicated,
                what: format!("two writes were acknowledged as version {}", one.version),
            }),
            _ => None,
        })
        .collect()
}

/// A register's writes by version and by value.
struct Order<'a> {
    by_value: HashMap<u64, &'a Write>,
    /// Those that may have happened and delete, oldest version first.
    deletions: Vec<&'a Write>,
    /// Those that were acknowledged, oldest version first.
    acknowledged: Vec<&'a Write>,
}

impl<'a> Order<'a> {
    fn of(writes: &[&'a Write]) -> Self {
        let mut by_value: HashMap<u64, &'a Write> = HashMap::new();
        for write in writes {
            if let Some(value) = write.value {
                by_value.insert(value, write);
            }
        }
        let is_deletion = |write: &&&Write| write.value.is_none() && write.fate != Fate::Refused;
        let is_acknowledged = |write: &&&Write| write.fate == Fate::Acknowledged;
        Self {
            by_value,
            deletions: writes.iter().filter(is_deletion).copied().collect(),
            acknowledged: writes.iter().filter(is_acknowledged).copied().collect(),
        }
    }

    /// Whether the register may be absent to a read that ends then and must not be behind a version.
    fn may_be_absent(&self, floor: u64, ended: Moment) -> bool {
        let newer = self.deletions.iter().rev().take_while(|write| write.version >= floor);
        floor == 0 || newer.into_iter().any(|write| write.began <= ended)
    }

    /// Whether another write was acknowledged as this one's version.
    fn is_taken(&self, write: &Write) -> bool {
        let newer = self.acknowledged.iter().rev().take_while(|other| other.version >= write.version);
        newer.into_iter().any(|other| other.version == write.version && other.value != write.value)
    }

    /// Whether a deletion newer than a version was acknowledged before a moment.
    fn is_deleted_since(&self, version: u64, moment: Moment) -> bool {
        let newer = self.acknowledged.iter().rev().take_while(|write| write.version > version);
        newer.into_iter().any(|write| write.value.is_none() && write.ended < moment)
    }
}

/// The newest version that a read must not be behind: what was acknowledged, or seen by another, before it began.
struct Floor {
    /// Moments from which a version holds, oldest first.
    raised: std::vec::IntoIter<(Moment, u64)>,
    next: Option<(Moment, u64)>,
    version: u64,
}

impl Floor {
    fn of(writes: &[&Write], reads: &[&Read], order: &Order<'_>) -> Self {
        let acknowledged = writes.iter().filter(|write| write.fate == Fate::Acknowledged);
        let mut raised: Vec<(Moment, u64)> = acknowledged.map(|write| (write.ended, write.version)).collect();
        for read in reads {
            let versions = read.seen.iter().filter_map(|seen| order.by_value.get(&seen.value));
            raised.extend(versions.map(|write| (read.ended, write.version)));
        }
        raised.sort_unstable();
        let mut raised = raised.into_iter();
        let next = raised.next();
        Self { raised, next, version: 0 }
    }

    /// The floor at a moment. Moments must not go back from call to call.
    fn at(&mut self, moment: Moment) -> u64 {
        while let Some((from, version)) = self.next.filter(|(from, _)| *from < moment) {
            debug_assert!(from < moment);
            self.version = self.version.max(version);
            self.next = self.raised.next();
        }
        self.version
    }
}

fn judge(read: &Read, floor: u64, order: &Order<'_>) -> Vec<Violation> {
    if read.seen.is_empty() {
        if order.may_be_absent(floor, read.ended) {
            return Vec::new();
        }
        let what = format!("{} found nothing, where version {floor} or a newer one must be", read.reader);
        return vec![Violation { wrong: Wrong::Lost, what }];
    }
    let mut violations: Vec<Violation> =
        read.seen.iter().filter_map(|seen| judge_value(read, seen, floor, order)).collect();
    if read.seen.len() > 1 {
        let what = format!("{} found it {} times", read.reader, read.seen.len());
        violations.push(Violation { wrong: Wrong::Duplicated, what });
    }
    violations
}

fn judge_value(read: &Read, seen: &Seen, floor: u64, order: &Order<'_>) -> Option<Violation> {
    let (reader, value) = (read.reader, seen.value);
    let wrong = |wrong, what: String| Some(Violation { wrong, what: format!("{reader} {what}") });
    let Some(write) = order.by_value.get(&value) else {
        return wrong(Wrong::Invented, format!("found {value:x}, which nobody wrote"));
    };
    let version = write.version;
    if write.fate == Fate::Refused {
        return wrong(Wrong::Invented, format!("found version {version}, which was refused"));
    }
    if write.began > read.ended {
        return wrong(Wrong::Invented, format!("found version {version} before it was sent"));
    }
    if let Some(shown) = seen.version.filter(|shown| *shown != version) {
        return wrong(Wrong::Duplicated, format!("found version {version} under version {shown}"));
    }
    if order.is_taken(write) {
        return wrong(Wrong::Lost, format!("found another value than was acknowledged as version {version}"));
    }
    if version >= floor {
        return None;
    }
    if order.is_deleted_since(version, read.began) {
        return wrong(Wrong::Resurrected, format!("found version {version} after its deletion"));
    }
    let kind = if read.last { Wrong::Lost } else { Wrong::Stale };
    wrong(kind, format!("found version {version}, where version {floor} or a newer one must be"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::operation::{Fate, Moment, Read, Register, Seen, Write};
    use super::{Wrong, check};

    fn at(milliseconds: u64) -> Moment {
        Moment::after(Duration::from_millis(milliseconds))
    }

    /// The value of a version, so that tests name one of the two.
    fn value(version: u64) -> u64 {
        version + 1000
    }

    fn write(version: u64, began: u64, ended: u64, fate: Fate) -> Write {
        Write { version, value: Some(value(version)), began: at(began), ended: at(ended), fate }
    }

    fn deletion(version: u64, began: u64, ended: u64, fate: Fate) -> Write {
        Write { value: None, ..write(version, began, ended, fate) }
    }

    fn read(version: Option<u64>, began: u64, ended: u64) -> Read {
        let seen = version.map(|version| Seen { value: value(version), version: None });
        Read {
            reader: "v2",
            began: at(began),
            ended: at(ended),
            seen: seen.into_iter().collect(),
            last: false,
        }
    }

    fn wrongs(writes: &[Write], reads: &[Read]) -> Vec<Wrong> {
        let register = Register { writes: writes.to_vec(), reads: reads.to_vec() };
        check(&register).into_iter().map(|violation| violation.wrong).collect()
    }

    const ACK: Fate = Fate::Acknowledged;

    #[test]
    fn a_read_may_find_what_stands_when_it_begins_or_comes_while_it_lasts() {
        let writes = [write(1, 0, 10, ACK), write(2, 20, 30, ACK), deletion(3, 40, 50, ACK)];
        let reads = [
            read(None, 0, 5),
            read(Some(1), 5, 9),
            read(Some(1), 11, 25),
            read(Some(2), 11, 25),
            read(Some(2), 31, 60),
            read(None, 45, 60),
            read(None, 51, 60),
        ];
        for one in &reads {
            assert_eq!(wrongs(&writes, std::slice::from_ref(one)), [], "{one:?}");
        }
    }

    #[test]
    fn an_acknowledged_write_that_is_not_there_is_lost() {
        let writes = [write(1, 0, 10, ACK)];
        assert_eq!(wrongs(&writes, &[read(None, 11, 12)]), [Wrong::Lost]);
        let writes = [write(1, 0, 10, ACK), write(2, 20, 30, ACK)];
        let last = Read { last: true, ..read(Some(1), 31, 32) };
        assert_eq!(wrongs(&writes, &[last]), [Wrong::Lost]);
    }

    #[test]
    fn a_deletion_that_came_before_explains_no_absence() {
        let writes = [write(1, 0, 10, ACK), deletion(2, 11, 12, ACK), write(3, 20, 30, ACK)];
        assert_eq!(wrongs(&writes, &[read(None, 31, 32)]), [Wrong::Lost]);
        assert_eq!(wrongs(&writes, &[read(None, 13, 32)]), []);
    }

    #[test]
    fn what_was_deleted_and_is_there_again_is_resurrected() {
        let writes = [write(1, 0, 10, ACK), deletion(2, 20, 30, ACK)];
        assert_eq!(wrongs(&writes, &[read(Some(1), 31, 40)]), [Wrong::Resurrected]);
        let created_again = [writes[0], writes[1], write(3, 50, 60, ACK)];
        assert_eq!(wrongs(&created_again, &[read(Some(1), 61, 70)]), [Wrong::Resurrected]);
        assert_eq!(wrongs(&created_again, &[read(Some(3), 61, 70)]), []);
    }

    #[test]
    fn an_older_value_after_a_newer_one_was_acknowledged_is_stale() {
        let writes = [write(1, 0, 10, ACK), write(2, 20, 30, ACK)];
        assert_eq!(wrongs(&writes, &[read(Some(1), 31, 40)]), [Wrong::Stale]);
    }

    #[test]
    fn an_older_value_after_a_newer_one_was_seen_is_stale() {
        let writes = [write(1, 0, 10, ACK), write(2, 20, 90, Fate::Unknown)];
        assert_eq!(wrongs(&writes, &[read(Some(2), 31, 40), read(Some(1), 41, 50)]), [Wrong::Stale]);
        assert_eq!(wrongs(&writes, &[read(Some(2), 31, 40), read(Some(1), 35, 50)]), []);
    }

    #[test]
    fn an_unknown_write_may_have_happened_or_not() {
        let writes =
            [write(1, 0, 10, ACK), write(2, 20, 30, Fate::Unknown), deletion(3, 40, 50, Fate::Unknown)];
        for found in [Some(1), Some(2), None] {
            assert_eq!(wrongs(&writes, &[read(found, 60, 70)]), [], "{found:?}");
        }
        let followed = [writes[0], writes[1], write(3, 40, 50, ACK)];
        assert_eq!(wrongs(&followed, &[read(Some(2), 60, 70)]), [Wrong::Stale]);
    }

    #[test]
    fn what_was_refused_or_never_sent_is_invented() {
        let writes = [write(1, 0, 10, ACK), write(2, 20, 30, Fate::Refused), write(3, 80, 90, ACK)];
        assert_eq!(wrongs(&writes, &[read(Some(2), 31, 40)]), [Wrong::Invented]);
        assert_eq!(wrongs(&writes, &[read(Some(3), 31, 40)]), [Wrong::Invented]);
        assert_eq!(wrongs(&writes, &[read(Some(9), 31, 40)]), [Wrong::Invented]);
        assert_eq!(wrongs(&writes, &[read(Some(1), 31, 40)]), []);
        let deletion_refused = [writes[0], deletion(2, 20, 30, Fate::Refused)];
        assert_eq!(wrongs(&deletion_refused, &[read(None, 31, 40)]), [Wrong::Lost]);
    }

    #[test]
    fn a_value_that_is_there_twice_or_under_another_version_is_duplicated() {
        let writes = [write(1, 0, 10, ACK), write(2, 20, 30, ACK)];
        let seen = |version| Seen { value: value(2), version: Some(version) };
        let twice = Read { seen: vec![seen(2), seen(2)], ..read(None, 31, 40) };
        assert_eq!(wrongs(&writes, &[twice]), [Wrong::Duplicated]);
        let elsewhere = Read { seen: vec![seen(3)], ..read(None, 31, 40) };
        assert_eq!(wrongs(&writes, &[elsewhere]), [Wrong::Duplicated]);
        let right = Read { seen: vec![seen(2)], ..read(None, 31, 40) };
        assert_eq!(wrongs(&writes, &[right]), []);
    }

    #[test]
    fn two_writes_that_were_both_told_to_be_the_next_are_duplicated() {
        let other = Write { value: Some(7), ..write(1, 0, 12, ACK) };
        assert_eq!(wrongs(&[write(1, 0, 10, ACK), other], &[]), [Wrong::Duplicated]);
        let refused = Write { fate: Fate::Refused, ..other };
        assert_eq!(wrongs(&[write(1, 0, 10, ACK), refused], &[]), []);
    }

    #[test]
    fn a_value_of_unknown_outcome_in_the_place_of_an_acknowledged_one_means_that_that_is_lost() {
        let other = Write { value: Some(7), ..write(1, 0, 12, Fate::Unknown) };
        let writes = [write(1, 0, 10, ACK), other];
        assert_eq!(wrongs(&writes, &[read(Some(1), 20, 30)]), []);
        let found = Read { seen: vec![Seen { value: 7, version: Some(1) }], ..read(None, 20, 30) };
        assert_eq!(wrongs(&writes, &[found]), [Wrong::Lost]);
    }

    #[test]
    fn the_order_in_which_things_were_noted_does_not_matter() {
        let mut writes = vec![write(1, 0, 10, ACK), write(2, 20, 30, ACK), deletion(3, 40, 50, ACK)];
        let mut reads = vec![read(Some(1), 31, 35), read(Some(2), 51, 55), read(None, 51, 55)];
        let expected = wrongs(&writes, &reads);
        assert_eq!(expected, [Wrong::Stale, Wrong::Resurrected]);
        writes.reverse();
        reads.reverse();
        assert_eq!(wrongs(&writes, &reads).len(), expected.len());
    }
}
