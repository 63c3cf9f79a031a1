//! `@throttle`: what makes a backfill slow down.

use crate::action_backfill::{one_query, time};
use crate::block::Property;
use crate::diagnostic::Diagnostic;
use crate::step::Throttle;
use crate::step_reader::Reader;

/// Most sessions that may wait before a backfill slows down.
const WAITERS_MAX: u32 = 100_000;

/// Most throttles of one step.
const THROTTLES_MAX: usize = 32;

/// Every `@throttle` of the step.
pub(crate) fn read_all(reader: &mut Reader<'_, '_>) -> Vec<Throttle> {
    let block = reader.block;
    let mut throttles: Vec<Throttle> = Vec::new();
    for property in block.all("throttle") {
        let Some(throttle) = read(reader, property) else {
            reader.diagnostics.push(Diagnostic::error(
                "throttle-malformed",
                property.span.clone(),
                format!("`{}` is nothing to slow down for", property.text),
                "write `replica-lag 5s`, `lock-waiters 3`, `autovacuum`, `canary 50ms SELECT …` or `sql SELECT …`",
            ));
            continue;
        };
        let alone =
            matches!(throttle, Throttle::ReplicaLag(_) | Throttle::LockWaiters(_) | Throttle::Autovacuum);
        let same = |known: &Throttle| std::mem::discriminant(known) == std::mem::discriminant(&throttle);
        if alone && throttles.iter().any(same) || throttles.len() == THROTTLES_MAX {
            reader.diagnostics.push(Diagnostic::error(
                "duplicate-property",
                property.span.clone(),
                format!("this throttle stands there twice, or more than {THROTTLES_MAX} do"),
                "keep one of each kind; `canary` and `sql` may have several queries",
            ));
            continue;
        }
        throttles.push(throttle);
    }
    throttles
}

fn read(reader: &mut Reader<'_, '_>, property: &Property<'_>) -> Option<Throttle> {
    let (word, rest) = word(property.text);
    let offset = |rest: &str| property.span.range.start + property.text.len() - rest.len();
    match word {
        "replica-lag" => Some(Throttle::ReplicaLag(time(rest)?)),
        "lock-waiters" => {
            let waiters = rest.parse().ok().filter(|waiters| *waiters <= WAITERS_MAX)?;
            Some(Throttle::LockWaiters(waiters))
        }
        "autovacuum" => rest.is_empty().then_some(Throttle::Autovacuum),
        "canary" => {
            let (limit, text) = self::word(rest);
            let limit = time(limit)?;
            Some(Throttle::Canary { limit, query: one_query(reader, text, offset(text))? })
        }
        "sql" => one_query(reader, rest, offset(rest)).map(Throttle::Sql),
        _ => None,
    }
}

/// The first word and what follows it, which ends where `text` ends.
fn word(text: &str) -> (&str, &str) {
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (text, text.get(text.len()..).unwrap_or_default()),
    }
}
