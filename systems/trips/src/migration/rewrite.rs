//! Names that stand inside of ids.
//!
//! A synced trip's id was `hns_<owner>_<YYYY-MM-DD>` with the owner's name in it. A sync that runs under the user's id
//! makes `hns_<id>_<YYYY-MM-DD>`: an id that keeps the name would be a second trip of that day. So the id follows, in
//! the key, in the record, in a tombstone's backup and where mileage points at the trip.

use serde_json::Value;
use tidegate_rekey::{Rewrite, Rule, Subject};

/// Where ids of synced trips stand in a record.
const ID_POINTERS: [&str; 4] = ["/id", "/backup/id", "/tripId", "/backup/tripId"];

/// What the ids of synced trips start with.
const SYNCED: &str = "hns_";

/// The rewrites of this system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SyncedIds;

impl Rewrite for SyncedIds {
    fn record_id(&self, rule: &Rule, subject: &Subject, _spelling: &str, record: &str) -> String {
        match has_ids(rule) {
            true => synced_id(subject, record).unwrap_or_else(|| record.to_owned()),
            false => record.to_owned(),
        }
    }

    fn may_change(&self, rule: &Rule, text: &str) -> bool {
        has_ids(rule) && text.contains(SYNCED)
    }

    fn changes(&self, rule: &Rule, _subject: &Subject, _spelling: &str, body: &Value) -> bool {
        let is_synced = |pointer: &&str| {
            body.pointer(pointer).and_then(Value::as_str).is_some_and(|id| id.starts_with(SYNCED))
        };
        has_ids(rule) && ID_POINTERS.iter().any(is_synced)
    }

    fn body(&self, rule: &Rule, subject: &Subject, _spelling: &str, body: &mut Value) {
        if !has_ids(rule) {
            return;
        }
        rename_ids(&subject.id, &subject.spellings, body);
    }
}

/// Gives the ids of synced trips in a record the user's id.
pub(crate) fn rename_ids(id: &str, spellings: &[String], body: &mut Value) {
    for pointer in ID_POINTERS {
        if let Some(Value::String(found)) = body.pointer_mut(pointer)
            && let Some(renamed) = renamed(id, spellings, found)
        {
            *found = renamed;
        }
    }
}

/// The ids that a synced trip of the user may have had under a name; none: this is no such id.
pub(crate) fn former_ids(id: &str, spellings: &[String], record: &str) -> Vec<String> {
    let date = record.strip_prefix(SYNCED).and_then(|rest| rest.strip_prefix(id)?.strip_prefix('_'));
    let date = date.filter(|date| date.len() == "YYYY-MM-DD".len() && is_date(date));
    date.map_or_else(Vec::new, |date| spellings.iter().map(|name| format!("hns_{name}_{date}")).collect())
}

fn has_ids(rule: &Rule) -> bool {
    matches!(
        rule.name.as_str(),
        super::rules::TRIPS | super::rules::EXPENSES | super::rules::MILEAGE | super::rules::TRASH
    )
}

/// The id that a synced trip of this subject has from now on; none: this is no such id.
///
/// The whole id must be `hns_`, one of the spellings, `_` and a date. A spelling that is the start of another one, or
/// that has `_` or `:` in it, is no danger: what stands between the two known ends is compared as a whole.
#[must_use]
pub fn synced_id(subject: &Subject, id: &str) -> Option<String> {
    renamed(&subject.id, &subject.spellings, id)
}

/// As [`synced_id`], of an id of the user with these spellings.
pub(crate) fn renamed(id: &str, spellings: &[String], record: &str) -> Option<String> {
    let rest = record.strip_prefix(SYNCED)?;
    let at = rest.len().checked_sub("_YYYY-MM-DD".len())?;
    let (owner, date) = (rest.get(..at)?, rest.get(at..)?.strip_prefix('_')?);
    let is_spelling = spellings.iter().any(|spelling| spelling == owner);
    (is_spelling && is_date(date)).then(|| format!("hns_{id}_{date}"))
}

fn is_date(text: &str) -> bool {
    text.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn james() -> Subject {
        let spellings = ["James", "james", "ja_mes", "a:b"].map(str::to_owned).to_vec();
        Subject::new("u-1".to_owned(), spellings).unwrap()
    }

    #[test]
    fn a_synced_id_with_any_spelling_of_the_owner_gets_the_users_id() {
        for owner in ["James", "james", "ja_mes", "a:b"] {
            let renamed = synced_id(&james(), &format!("hns_{owner}_2026-02-03"));
            assert_eq!(renamed.as_deref(), Some("hns_u-1_2026-02-03"), "{owner}");
        }
    }

    #[test]
    fn an_id_that_is_not_wholly_of_that_form_stays() {
        for id in [
            "hns_Jame_2026-02-03",
            "hns_James2_2026-02-03",
            "hns_u-1_2026-02-03",
            "hns_James_2026-2-03",
            "hns_James_2026-02-03x",
            "x_hns_James_2026-02-03",
            "hns_",
            "hns__2026-02-03",
            "James",
            "hns_é_2026-02-0é",
        ] {
            assert_eq!(synced_id(&james(), id), None, "{id}");
        }
    }
}
