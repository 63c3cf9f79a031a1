//! Every word that may follow `@`, and where it may stand.

/// The languages in which steps are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Language {
    Sql,
    Toml,
    Http,
    Kv,
    Sh,
    Text,
}

impl Language {
    /// Reads the info string of a fence.
    pub(crate) fn parse(info: &str) -> Option<Self> {
        Some(match info {
            "sql" => Self::Sql,
            "toml" => Self::Toml,
            "http" => Self::Http,
            "kv" => Self::Kv,
            "sh" => Self::Sh,
            "text" => Self::Text,
            _ => return None,
        })
    }

    /// The info string.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sql => "sql",
            Self::Toml => "toml",
            Self::Http => "http",
            Self::Kv => "kv",
            Self::Sh => "sh",
            Self::Text => "text",
        }
    }

    /// What begins a comment line.
    pub(crate) fn comment(self) -> &'static str {
        match self {
            Self::Sql => "--",
            Self::Toml | Self::Http | Self::Kv | Self::Sh | Self::Text => "#",
        }
    }
}

/// The verbs of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Verb {
    Record,
    Check,
    Backup,
    Restore,
    Migrate,
    Seal,
    Retire,
    Evict,
    Watch,
    Confirm,
    Command,
    Compare,
    Backfill,
    Flags,
    Rekey,
}

use Language::{Http, Kv, Sh, Sql, Text, Toml};
use Verb::{
    Backfill, Backup, Check, Command, Compare, Confirm, Evict, Flags, Migrate, Record, Rekey, Restore,
    Retire, Seal, Watch,
};

const ALL_VERBS: [Verb; 15] = [
    Record, Check, Compare, Backup, Restore, Migrate, Backfill, Rekey, Flags, Seal, Retire, Evict, Watch,
    Confirm, Command,
];

impl Verb {
    /// Reads the word after `@`.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        ALL_VERBS.into_iter().find(|verb| verb.name() == word)
    }

    /// The word after `@`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Record => "record",
            Check => "check",
            Backup => "backup",
            Restore => "restore",
            Migrate => "migrate",
            Seal => "seal",
            Retire => "retire",
            Evict => "evict",
            Watch => "watch",
            Confirm => "confirm",
            Command => "command",
            Compare => "compare",
            Backfill => "backfill",
            Flags => "flags",
            Rekey => "rekey",
        }
    }

    /// The languages in which it may be written.
    pub(crate) fn languages(self) -> &'static [Language] {
        match self {
            Record => &[Sql, Http, Kv],
            Watch => &[Sql, Http],
            Check => &[Sql, Http, Kv, Sh],
            Backup | Restore | Seal | Retire | Evict | Flags | Rekey => &[Toml],
            Migrate | Compare | Backfill => &[Sql],
            Confirm => &[Text],
            Command => &[Sh, Http],
        }
    }

    /// Whether it leaves stores as they are.
    pub(crate) fn is_read_only(self) -> bool {
        matches!(self, Record | Check | Compare | Watch | Confirm)
    }

    /// Whether its outcome is committed with its effect, in a transaction on the home store.
    pub(crate) fn has_gate(self) -> bool {
        matches!(self, Migrate | Backfill | Flags | Seal | Retire | Restore)
    }
}

/// Blocks that are no steps but ours: `@runbook`, `@stage`, `@way`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Frame {
    Runbook,
    Stage,
    Way,
}

impl Frame {
    /// Reads the word after `@`.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Runbook, Self::Stage, Self::Way].into_iter().find(|frame| frame.name() == word)
    }

    /// The word after `@`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Runbook => "runbook",
            Self::Stage => "stage",
            Self::Way => "way",
        }
    }
}

/// The word that marks a block as an example, which is prose.
pub(crate) const EXAMPLE: &str = "example";

/// Every word that may stand in a block's first line.
pub(crate) fn head_words() -> impl Iterator<Item = &'static str> {
    ALL_VERBS
        .into_iter()
        .map(Verb::name)
        .chain([Frame::Runbook, Frame::Stage, Frame::Way].into_iter().map(Frame::name))
        .chain([EXAMPLE])
}

/// What may follow a property's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Argument {
    /// Nothing.
    None,
    /// Something.
    Needed,
}

/// One property: its word and where it may stand.
#[derive(Debug)]
pub(crate) struct PropertyRule {
    pub(crate) word: &'static str,
    pub(crate) argument: Argument,
    /// May stand more than once in a step.
    pub(crate) repeats: bool,
    pub(crate) verbs: &'static [Verb],
    pub(crate) languages: &'static [Language],
}

const ALL_LANGUAGES: &[Language] = &[Sql, Toml, Http, Kv, Sh, Text];
const STORED: &[Language] = &[Sql, Toml, Http, Kv];
const ASKING: &[Verb] = &[Record, Check, Watch];
const JUDGING: &[Verb] = &[Check, Watch];
const CHANGING: &[Verb] =
    &[Backup, Restore, Migrate, Backfill, Rekey, Flags, Seal, Retire, Evict, Command, Confirm];
const ENSURING: &[Verb] = &[Migrate, Backfill, Rekey, Flags, Seal, Retire, Restore, Command];

const fn rule(
    word: &'static str,
    argument: Argument,
    repeats: bool,
    verbs: &'static [Verb],
    languages: &'static [Language],
) -> PropertyRule {
    PropertyRule { word, argument, repeats, verbs, languages }
}

/// Every property of this version.
pub(crate) static PROPERTIES: &[PropertyRule] = &[
    rule("requires", Argument::Needed, true, &ALL_VERBS, ALL_LANGUAGES),
    rule("ensures", Argument::Needed, true, ENSURING, ALL_LANGUAGES),
    rule("unless", Argument::Needed, false, CHANGING, ALL_LANGUAGES),
    rule("conserves", Argument::Needed, true, &[Migrate, Retire], ALL_LANGUAGES),
    rule("role", Argument::Needed, false, &[Record, Check, Compare, Watch, Migrate, Backfill], &[Sql]),
    rule("login", Argument::Needed, false, ASKING, &[Sql]),
    rule("store", Argument::Needed, false, &ALL_VERBS, STORED),
    rule("via", Argument::Needed, false, ASKING, &[Sql]),
    rule(
        "timeout",
        Argument::Needed,
        false,
        &[
            Record, Check, Compare, Backup, Restore, Migrate, Backfill, Rekey, Flags, Seal, Retire, Evict,
            Watch, Command,
        ],
        ALL_LANGUAGES,
    ),
    rule(
        "valid",
        Argument::Needed,
        false,
        &[
            Record, Check, Compare, Backup, Restore, Migrate, Backfill, Rekey, Flags, Seal, Retire, Evict,
            Confirm, Command,
        ],
        ALL_LANGUAGES,
    ),
    rule("says", Argument::Needed, false, &ALL_VERBS, ALL_LANGUAGES),
    rule("evidence", Argument::Needed, false, &[Record, Check, Compare, Watch], &[Sql, Kv]),
    rule("waive", Argument::Needed, true, &ALL_VERBS, ALL_LANGUAGES),
    rule("rows", Argument::None, false, &[Record], &[Sql]),
    rule("at", Argument::Needed, false, &[Record], &[Sql]),
    rule("value", Argument::Needed, true, &[Record, Check, Command], &[Http]),
    rule("expect", Argument::Needed, true, &[Check, Compare, Watch, Command], ALL_LANGUAGES),
    rule("within", Argument::Needed, false, &[Check], ALL_LANGUAGES),
    rule("attempt", Argument::None, false, &[Check], &[Sql]),
    rule("each", Argument::None, false, &[Check], &[Sql]),
    rule("over", Argument::Needed, false, JUDGING, &[Sql]),
    rule("only", Argument::Needed, false, &[Check], ALL_LANGUAGES),
    rule("harmless", Argument::Needed, false, JUDGING, &[Http, Sh]),
    rule("version", Argument::Needed, false, &[Migrate, Backfill, Retire], ALL_LANGUAGES),
    rule("file", Argument::Needed, false, &[Migrate], &[Sql]),
    rule("outside-transaction", Argument::None, false, &[Migrate], &[Sql]),
    rule("every", Argument::Needed, false, &[Watch], ALL_LANGUAGES),
    rule("from", Argument::Needed, false, &[Watch], ALL_LANGUAGES),
    rule("until", Argument::Needed, false, &[Watch], ALL_LANGUAGES),
    rule("trips-after", Argument::Needed, false, &[Watch], ALL_LANGUAGES),
    rule("unknown-after", Argument::Needed, false, &[Watch], ALL_LANGUAGES),
    rule("on-trip", Argument::Needed, false, &[Watch], ALL_LANGUAGES),
    rule("approvers", Argument::Needed, true, &[Confirm], &[Text]),
    rule("not-actor", Argument::None, false, &[Confirm], &[Text]),
    rule("key", Argument::Needed, false, &[Compare, Backfill], &[Sql]),
    rule("mode", Argument::Needed, false, &[Compare], &[Sql]),
    rule("equal", Argument::Needed, false, &[Compare], &[Sql]),
    rule("settle", Argument::Needed, false, &[Compare], &[Sql]),
    rule("at-most", Argument::Needed, false, &[Compare], &[Sql]),
    rule("accept", Argument::Needed, true, &[Compare], &[Sql]),
    rule("source", Argument::Needed, false, &[Backfill], &[Sql]),
    rule("after", Argument::Needed, false, &[Backfill], &[Sql]),
    rule("reads", Argument::Needed, true, &[Backfill], &[Sql]),
    rule("workers", Argument::Needed, false, &[Backfill], &[Sql]),
    rule("target", Argument::Needed, false, &[Backfill], &[Sql]),
    rule("rows", Argument::Needed, false, &[Backfill], &[Sql]),
    rule("throttle", Argument::Needed, true, &[Backfill], &[Sql]),
    rule("for-each", Argument::Needed, false, &[Check, Command], &[Http]),
    rule("wave", Argument::Needed, false, &[Check, Command], &[Http]),
    rule("max-failure-rate", Argument::Needed, false, &[Check, Command], &[Http]),
    rule("between-waves", Argument::Needed, false, &[Check, Command], &[Http]),
    rule("for-each", Argument::Needed, false, &[Rekey], &[Toml]),
    rule("wave", Argument::Needed, false, &[Rekey], &[Toml]),
    rule("max-failure-rate", Argument::Needed, false, &[Rekey], &[Toml]),
    rule("between-waves", Argument::Needed, false, &[Rekey], &[Toml]),
];

/// The mark that divides a migration from its inverse.
pub(crate) const UNDO: &str = "undo";

/// The mark that divides the setup of a check with `@each` from what is judged.
pub(crate) const SETUP: &str = "setup";

/// The mark that divides the two queries of a comparison.
pub(crate) const AGAINST: &str = "against";

/// A mark that divides the body of an sql block, and the verb whose body that is.
pub(crate) fn divider(word: &str) -> Option<(&'static str, Verb)> {
    [(UNDO, Migrate), (SETUP, Check), (AGAINST, Compare)].into_iter().find(|(known, _)| *known == word)
}

/// Words that belong to later versions of the language and begin blocks.
const LATER: [&str; 1] = ["for_each"];

/// The rules of a property, by its word: one, or one for each form that it has under different verbs.
pub(crate) fn properties(word: &str) -> impl Iterator<Item = &'static PropertyRule> {
    PROPERTIES.iter().filter(move |rule| rule.word == word)
}

/// Whether `word` is one that this language uses anywhere after `@`.
pub(crate) fn is_ours(word: &str) -> bool {
    divider(word).is_some() || properties(word).next().is_some() || head_words().any(|head| head == word)
}

/// A sentence for an unknown word's help: what may have been meant.
pub(crate) fn did_you_mean(word: &str, known: impl Iterator<Item = &'static str>) -> String {
    if LATER.contains(&word) {
        return format!("`@{word}` is not part of this version of the language");
    }
    let mut best: Option<(usize, &'static str)> = None;
    let mut all = Vec::new();
    for candidate in known {
        all.push(candidate);
        let distance = edit_distance(&word.to_lowercase(), candidate);
        if distance <= distance_allowed(candidate) && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    let meant = || MEANT.iter().find(|(other, meant)| *other == word.to_lowercase() && all.contains(meant));
    match best {
        Some((_, candidate)) => format!("did you mean `@{candidate}`?"),
        None => match meant() {
            Some((_, meant)) => format!("did you mean `@{meant}`? known here: {}", all.join(", ")),
            None => format!("known here: {}", all.join(", ")),
        },
    }
}

/// What others call it.
const MEANT: [(&str, &str); 22] = [
    ("approve", "confirm"),
    ("assert", "check"),
    ("copy", "backfill"),
    ("ddl", "migrate"),
    ("diff", "compare"),
    ("drop", "retire"),
    ("dump", "backup"),
    ("exec", "command"),
    ("freeze", "seal"),
    ("gate", "confirm"),
    ("kill", "evict"),
    ("lock", "seal"),
    ("monitor", "watch"),
    ("pause", "confirm"),
    ("precheck", "check"),
    ("query", "record"),
    ("run", "command"),
    ("shell", "command"),
    ("sql", "migrate"),
    ("test", "check"),
    ("validate", "check"),
    ("verify", "check"),
];

/// Whether `word` is one of the words that begin a block, or looks like a misspelt one.
pub(crate) fn resembles_head(word: &str) -> bool {
    let lower = word.to_lowercase();
    LATER.iter().any(|later| *later == lower)
        || head_words().any(|head| edit_distance(&lower, head) <= distance_allowed(head))
}

fn distance_allowed(word: &str) -> usize {
    match word.len() {
        0..=3 => 0,
        4..=5 => 1,
        _ => 2,
    }
}

/// Edit distance in which two neighbours that changed places count once. Words longer than any of ours are far.
pub(crate) fn edit_distance(left: &str, right: &str) -> usize {
    const CHARS_MAX: usize = 64;
    let left: Vec<char> = left.chars().take(CHARS_MAX).collect();
    let right: Vec<char> = right.chars().take(CHARS_MAX).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, a) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, b) in right.iter().enumerate() {
            let at = |cells: &[usize], place: usize| cells.get(place).copied().unwrap_or(usize::MAX / 2);
            let mut least = (at(&above, column) + usize::from(a != b))
                .min(at(&above, column + 1) + 1)
                .min(at(&current, column) + 1);
            let swapped =
                row > 0 && column > 0 && left.get(row - 1) == Some(b) && right.get(column - 1) == Some(a);
            if swapped {
                least = least.min(at(&before, column - 1) + 1);
            }
            current.push(least);
        }
        before = std::mem::replace(&mut above, current);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_recognised_and_far_ones_are_not() {
        assert_eq!(edit_distance("chekc", "check"), 1);
        assert_eq!(edit_distance("", "check"), 5);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert!(resembles_head("Check") && resembles_head("migrat") && resembles_head("backfill"));
        assert!(!resembles_head("param") && !resembles_head("staticmethod") && !resembles_head("alice"));
        assert_eq!(did_you_mean("requries", PROPERTIES.iter().map(|r| r.word)), "did you mean `@requires`?");
    }

    #[test]
    fn what_others_call_a_verb_is_understood() {
        assert!(
            did_you_mean("Verify", head_words()).starts_with("did you mean `@check`? known here: record, ")
        );
        assert!(did_you_mean("gate", head_words()).starts_with("did you mean `@confirm`?"));
        for (other, meant) in MEANT {
            assert!(head_words().all(|known| known != other) && head_words().any(|known| known == meant));
            assert!(did_you_mean(other, head_words()).starts_with("did you mean "), "{other}");
        }
        assert!(did_you_mean("verify", PROPERTIES.iter().map(|r| r.word)).starts_with("known here: "));
    }
}
