//! What is in a dump: its table of contents, read and left in part.

use std::collections::BTreeSet;

/// What `pg_restore --list` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    /// Entries that a restore replays.
    pub(crate) entries: u64,
    /// Tables whose rows are in it, by the object id they had.
    pub(crate) tables: Vec<u32>,
    /// The list without what is left out, for `pg_restore --use-list`.
    pub(crate) list: String,
}

/// Object id of the catalog of triggers, which is the same in every database.
const TRIGGER_CATALOG: u32 = 2620;

/// Reads a list and leaves out these triggers.
///
/// An entry is `number; catalog object KIND schema name owner`, a comment begins with `;`.
pub(crate) fn read(listed: &str, triggers_left_out: &BTreeSet<u32>) -> Contents {
    let mut contents = Contents::default();
    for line in listed.lines() {
        let Some((catalog, object, rest)) = entry(line) else {
            contents.keep(line);
            continue;
        };
        if catalog == TRIGGER_CATALOG && triggers_left_out.contains(&object) || is_word_on_a_seal(rest) {
            continue;
        }
        contents.entries += 1;
        if rest.starts_with("TABLE DATA ") {
            contents.tables.push(object);
        }
        contents.keep(line);
    }
    contents
}

impl Contents {
    fn keep(&mut self, line: &str) {
        self.list.push_str(line);
        self.list.push('\n');
    }
}

fn entry(line: &str) -> Option<(u32, u32, &str)> {
    let (number, rest) = line.split_once("; ")?;
    number.parse::<u32>().ok()?;
    let (catalog, rest) = rest.split_once(' ')?;
    let (object, rest) = rest.split_once(' ')?;
    Some((catalog.parse().ok()?, object.parse().ok()?, rest))
}

/// A comment on a trigger that is left out would find nothing to stand on.
fn is_word_on_a_seal(rest: &str) -> bool {
    rest.starts_with("COMMENT ")
        && (rest.contains(" TRIGGER tidegate_seal ON ") || rest.contains(" TRIGGER tidegate_seal_stray ON "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "\
;
; Archive created at 2026-01-01
216; 1259 16392 TABLE public odd name; FROM stdin own
3347; 0 16392 TABLE DATA public odd name; FROM stdin own
3354; 0 0 SEQUENCE SET public t_a_seq own
3202; 2620 16396 TRIGGER public t tidegate_seal own
3203; 2620 16397 TRIGGER public t other own
3355; 0 0 COMMENT public TRIGGER tidegate_seal ON t own
";

    #[test]
    fn triggers_are_left_out_by_their_object_id() {
        let contents = read(LISTED, &BTreeSet::from([16396]));
        assert_eq!(contents.entries, 4);
        assert_eq!(contents.tables, [16392]);
        assert!(!contents.list.contains("tidegate_seal"), "{}", contents.list);
        assert!(contents.list.contains("t other own"), "{}", contents.list);
        assert!(contents.list.starts_with(";\n; Archive"), "{}", contents.list);
    }
}
