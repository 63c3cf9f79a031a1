//! Backfills among other steps: what keeps their source still or mirrored, and the comparison that a repair is for.

use crate::columns;
use crate::diagnostic::Diagnostic;
use crate::draft::Draft;
use crate::flag_rules::as_move;
use crate::front::Front;
use crate::names::Name;
use crate::runbook::{FlagRow, FlagSet, Side};
use crate::scope::{Named, Placed, Scope};
use crate::source::Span;
use crate::sql::ObjectName;
use crate::step::{Action, Backfill, BackfillSource, Migrate};
use crate::text::SourceText;

/// Checks every backfill.
pub(crate) fn check(
    page: &SourceText<'_>,
    front: &Front,
    scope: &Scope<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    for placed in &scope.steps {
        let Some(Action::Backfill(backfill)) = placed.draft.step.as_ref().map(|step| &step.action) else {
            continue;
        };
        let head = page.span(placed.draft.head.clone());
        match &backfill.source {
            BackfillSource::Differences(kept) => {
                repair(scope, placed.draft, &kept.step, head, diagnostics);
            }
            BackfillSource::Table(table) => after(front, scope, placed, backfill, table, diagnostics),
        }
    }
}

/// A repair requires its comparison, so that it is not done on differences of long ago.
fn repair(
    scope: &Scope<'_>,
    draft: &Draft,
    comparison: &Name,
    head: Span,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let Some(entry) = scope.get(comparison) else { return };
    let required = draft.mentioned("requires").any(|mention| {
        let stage = scope.get(&mention.name).is_some_and(|required| match required.named {
            Named::Stage { first, .. } => {
                required.list == entry.list && (first..=required.index).contains(&entry.index)
            }
            Named::Step(_) | Named::Way => false,
        });
        stage || &mention.name == comparison
    });
    if !required {
        diagnostics.push(Diagnostic::error(
            "source-not-required",
            head,
            format!("the differences of `{comparison}` are mended, and the step does not require it"),
            format!("add `-- @requires {comparison}`"),
        ));
    }
}

/// The step that `@after` names must concern the source.
fn after(
    front: &Front,
    scope: &Scope<'_>,
    placed: &Placed<'_>,
    backfill: &Backfill,
    source: &str,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let Some(mention) = placed.draft.mentioned("after").next() else { return };
    let Some(Named::Step(named)) = scope.get(&mention.name).map(|entry| entry.named) else { return };
    let (message, help) = match named.step.as_ref().map(|step| &step.action) {
        Some(Action::Seal(seal)) if !covers(&seal.tables, source) => (
            format!("the seal `{}` does not cover the source {source}", mention.name),
            format!("add {source} to its `tables`, or name another seal"),
        ),
        Some(Action::Seal(seal)) => {
            if let Some(target) = sealed_target(&seal.tables, backfill) {
                diagnostics.push(Diagnostic::error(
                    "after-seals-target",
                    mention.span.clone(),
                    format!("the seal `{}` refuses what this writes to {target}", mention.name),
                    format!(
                        "to fill columns of {source} in place, let the application write both and name the `@flags` step \
                         that says so (its set has {source} under `old` and no `new`); or seal the source alone"
                    ),
                ));
            }
            return;
        }
        Some(Action::Migrate(migrate)) => match filled_by(migrate, backfill, source) {
            Some((message, help)) => (format!("`{}` {message}", mention.name), help),
            None => return,
        },
        Some(Action::Flags(_)) => {
            let Some(moved) = as_move(named).filter(|_| front.flags_whole) else { return };
            let set = front.flags.iter().find(|set| set.name == moved.set);
            let Some((set, row)) = set.and_then(|set| Some((set, set.row(&moved.to)?))) else { return };
            let Some(why) = unfit(set, row, source) else { return };
            (format!("`{}` moves to the row `{}`, {}", mention.name, row.name, why.0), why.1)
        }
        _ => return,
    };
    let target = backfill.body.effect.writes.first().map(ToString::to_string).unwrap_or_default();
    let why = format!("{message}: what is written while this copies would be lost in {target}");
    diagnostics.push(Diagnostic::error("after-unfit", mention.span.clone(), why, help));
}

/// Why a migration's trigger does not keep what the backfill fills: nothing, if it makes one on the table that is filled.
fn filled_by(migrate: &Migrate, backfill: &Backfill, source: &str) -> Option<(String, String)> {
    let mut made = migrate.body.statements.iter().flat_map(|statement| &statement.effect.creates);
    if !made.any(|object| object.kind == "trigger" && may_mean(object, source)) {
        return Some((
            format!("makes no trigger on {source}"),
            format!(
                "name the migration that makes a trigger BEFORE INSERT OR UPDATE ON {source} FOR EACH ROW"
            ),
        ));
    }
    let in_place = |written: &ObjectName| may_mean(written, source);
    (!backfill.body.effect.writes.first().is_some_and(in_place)).then(|| {
        (
            format!("makes a trigger, which fills columns of {source} and of no other table"),
            format!("UPDATE {source} in place, or name a `@flags` step that mirrors writes"),
        )
    })
}

/// Whether an object's table can be the one that is written so.
fn may_mean(object: &ObjectName, table: &str) -> bool {
    let Some((schema, name)) = columns::table(table) else { return true };
    object.name == name && object.schema.as_ref().zip(schema.as_ref()).is_none_or(|(one, other)| one == other)
}

/// The table that the copy writes and the seal names. Of a pattern it is not known here what it will mean.
fn sealed_target(sealed: &[String], backfill: &Backfill) -> Option<String> {
    let named: Vec<String> = sealed.iter().filter(|pattern| !pattern.contains('*')).cloned().collect();
    let written = backfill.body.effect.writes.iter().map(ToString::to_string);
    written.into_iter().find(|target| covers(&named, target))
}

/// Why rows of the source are not safe to copy in a row of a set, and what to do.
fn unfit(set: &FlagSet, row: &FlagRow, source: &str) -> Option<(String, String)> {
    if mirrors(set, row) == Some(false) {
        let help = "name a move to a row in which `dual` is true, or `reads` and `writes` differ";
        return Some(("in which no write is mirrored".into(), help.into()));
    }
    let side = if covers(&set.old, source) {
        Side::Old
    } else if covers(&set.new, source) {
        Side::New
    } else {
        return None;
    };
    let word = |side| if side == Side::Old { "old" } else { "new" };
    (side != row.lock_first).then(|| {
        let (mine, first) = (word(side), word(row.lock_first));
        (
            format!("in which a write locks the {first} side first, and {source} is of the {mine} side"),
            format!("move to a row with `lock_first = \"{mine}\"` first, or a row deleted meanwhile would come back"),
        )
    })
}

/// Whether a row mirrors writes to the other schema; `None` if the set is none that says so.
fn mirrors(set: &FlagSet, row: &FlagRow) -> Option<bool> {
    let value = |column: &str| {
        let at = set.columns.iter().position(|name| name.as_str() == column)?;
        row.values.get(at).copied()
    };
    let (reads, writes, dual) = (value("reads")?, value("writes")?, value("dual")?);
    Some(dual || reads != writes)
}

/// Whether one of these tables or patterns can mean the source.
fn covers(patterns: &[String], source: &str) -> bool {
    let Some((schema, name)) = columns::table(source) else { return true };
    patterns.iter().any(|pattern| {
        let (pattern_schema, pattern_name) = match pattern.split_once('.') {
            Some((schema, name)) => (Some(schema), name),
            None => (None, pattern.as_str()),
        };
        let schema_fits = match (pattern_schema, &schema) {
            (Some(pattern), Some(schema)) => matches(pattern, schema),
            _ => true,
        };
        schema_fits && matches(pattern_name, &name)
    })
}

/// Whether `text` fits a pattern in which `*` stands for any characters. Letter case is left to the catalog.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_lowercase(), text.to_lowercase());
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut left) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match left.find(part).and_then(|at| left.get(at + part.len()..)) {
            Some(after) => left = after,
            None => return false,
        }
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_characters() {
        for (pattern, text) in
            [("*", "a"), ("a*", "abc"), ("*c", "abc"), ("a*c*e", "abcde"), ("A", "a"), ("a*", "a")]
        {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a", "ab"), ("a*c", "ab"), ("a*a", "a"), ("*b*", "ac")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
