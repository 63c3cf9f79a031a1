//! What a `report` tells: counts and keys, and of values only what a pointer or column asks for.

use tidegate_runbook::{KvRead, KvStatement};
use tidegate_store::kv::Kv;

use super::{At, Found, KvQuestion, keys, pointer, read};
use crate::digest::Digest;

/// Most keys that one report names.
const KEYS_TOLD_MAX: usize = 100;

/// Most characters of one line.
const LINE_CHARACTERS_MAX: usize = 1_000;

/// The lines of one report; the first says what was read. A store that does not answer is told, too.
pub(super) async fn lines(statement: &KvStatement, store: &Kv, question: &KvQuestion<'_>) -> Vec<String> {
    let word = statement.read.word();
    let (place, found) = match read(statement, store, question).await {
        Ok(read) => read,
        Err(why) => return vec![bounded(format!("{word}: could not be told: {why}"))],
    };
    let told = match found {
        Found::Missing(true) => "nothing stands there".to_owned(),
        Found::Missing(false) => "it is there".to_owned(),
        Found::At(At::Nothing) => "nothing stands there".to_owned(),
        Found::At(At::NoField) => format!("it has nothing at {}", pointer(statement)),
        Found::At(At::Field(json)) => format!("{} is {json}", pointer(statement)),
        Found::At(At::Whole(entry)) => {
            format!("{} bytes, digest {}", entry.value.len(), Digest::of(&entry.value).short())
        }
        Found::Keys(listing) if matches!(statement.read, KvRead::List { .. }) => {
            let mut lines = vec![bounded(format!("list {place}: {}", keys(listing.count)))];
            let columns = &listing.relation.columns;
            for row in listing.relation.rows.iter().take(KEYS_TOLD_MAX) {
                let mut cells = columns.iter().zip(row).map(|((name, _), cell)| (name, cell.as_deref()));
                let key = cells.next().and_then(|(_, key)| key).unwrap_or_default();
                let cells: Vec<String> =
                    cells.map(|(name, cell)| format!(" {name} = {}", cell.unwrap_or("NULL"))).collect();
                lines.push(bounded(format!("{key}{}", cells.join(","))));
            }
            let more = usize::try_from(listing.count).unwrap_or(usize::MAX).saturating_sub(KEYS_TOLD_MAX);
            if more > 0 {
                lines.push(format!("and {more} more"));
            }
            return lines;
        }
        Found::Keys(listing) => keys(listing.count),
    };
    vec![bounded(format!("{word} {place}: {told}"))]
}

fn bounded(line: String) -> String {
    match line.char_indices().nth(LINE_CHARACTERS_MAX) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line,
    }
}
