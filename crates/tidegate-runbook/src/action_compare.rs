//! `compare`: two queries, row by row, by key.

use std::ops::Range;

use crate::action_sql::{Part, sql};
use crate::block::Property;
use crate::columns;
use crate::diagnostic::Diagnostic;
use crate::meaning::sql_tokens_digest;
use crate::sql::SqlStatement;
use crate::step::{AcceptedDifference, Action, Compare, CompareMode, Equality};
use crate::step_reader::Reader;
use crate::vocabulary::AGAINST;

/// Differences at which a comparison without `@at-most` stops counting.
const AT_MOST_DEFAULT: u32 = 10_000;

/// Most differences that a page may have kept.
const AT_MOST_MAX: u32 = 1_000_000;

/// `compare`
pub(crate) fn compare(reader: &mut Reader<'_, '_>) -> Option<Action> {
    let key = key(reader);
    let mode = mode(reader);
    let equal = equal(reader);
    let expect_differences = expect_differences(reader);
    let settle = reader.duration("settle");
    let at_most = reader.count("at-most", AT_MOST_MAX).unwrap_or(AT_MOST_DEFAULT);
    let accepted = accepted(reader, key.as_ref().map(Vec::len));
    let body = reader.block.body.clone();
    let Some(divider) = reader.block.divider(AGAINST).cloned() else {
        if reader.block.content < body.end {
            reader.diagnostics.push(Diagnostic::error(
                "against-missing",
                reader.page.span(reader.block.head.clone()),
                "the comparison has one side only",
                "write the second query below a line `-- @against`",
            ));
        }
        return None;
    };
    let left = query(reader, body.start..divider.range.start, &divider.range, "above");
    let right = query(reader, divider.next..body.end, &divider.range, "below");
    let (left, right) = (left?, right?);
    let key = key?;
    Some(Action::Compare(Compare {
        left,
        right,
        key,
        mode,
        equal,
        expect_differences,
        settle,
        at_most,
        accepted,
    }))
}

/// `@key a, b`; without it rows could not be told apart.
fn key(reader: &mut Reader<'_, '_>) -> Option<Vec<String>> {
    let Some(property) = reader.property("key") else {
        reader.diagnostics.push(Diagnostic::error(
            "key-columns-missing",
            reader.page.span(reader.block.head.clone()),
            "nothing says by which columns rows of the two queries belong together",
            "add `-- @key id`: columns of the first query that are unique in each",
        ));
        return None;
    };
    columns::read(reader, &property)
}

fn mode(reader: &mut Reader<'_, '_>) -> CompareMode {
    let Some(property) = reader.property("mode") else { return CompareMode::default() };
    match property.text {
        "equal" => CompareMode::Equal,
        "contained" => CompareMode::Contained,
        other => {
            reader.refuse(
                &property,
                format!("{other:?} is no mode of a comparison"),
                "write equal or contained",
            );
            CompareMode::default()
        }
    }
}

fn equal(reader: &mut Reader<'_, '_>) -> Equality {
    let Some(property) = reader.property("equal") else { return Equality::default() };
    match property.text {
        "text" => Equality::Text,
        "values" => Equality::Values,
        other => {
            reader.refuse(&property, format!("{other:?} is no way to compare"), "write text or values");
            Equality::default()
        }
    }
}

/// `@expect differences`; equality is expected without a word.
fn expect_differences(reader: &mut Reader<'_, '_>) -> bool {
    let block = reader.block;
    let mut first: Option<&Property<'_>> = None;
    for property in block.all("expect") {
        if property.text != "differences" {
            reader.diagnostics.push(Diagnostic::error(
                "expectation-unfit",
                property.span.clone(),
                format!("`{}` is not expected of a comparison", property.text),
                "leave it out: a comparison expects no difference; `@expect differences` keeps what differs instead",
            ));
        } else if let Some(first) = first {
            reader.diagnostics.push(
                Diagnostic::error(
                    "expectation-conflict",
                    property.span.clone(),
                    "`differences` is expected twice",
                    "keep one",
                )
                .with_related(first.span.clone(), "the other"),
            );
        } else {
            first = Some(property);
        }
    }
    first.is_some()
}

fn accepted(reader: &mut Reader<'_, '_>, width: Option<usize>) -> Vec<AcceptedDifference> {
    let block = reader.block;
    let mut accepted: Vec<AcceptedDifference> = Vec::new();
    for property in block.all("accept") {
        let message = match accept(property.text) {
            None => "this accepts no difference: texts in quotes come first, then the reason".to_owned(),
            Some(found) if found.key.is_empty() => "this does not say which row is accepted".to_owned(),
            Some(found) if width.is_some_and(|width| width != found.key.len()) => format!(
                "this gives {} where the key has {} columns",
                counted(found.key.len(), "text"),
                width.unwrap_or_default()
            ),
            Some(found) if found.reason.is_empty() => {
                "this gives no reason why the difference is acceptable".to_owned()
            }
            Some(found) if accepted.iter().any(|known| known.key == found.key) => {
                "this row is accepted twice".to_owned()
            }
            Some(found) => {
                accepted.push(found);
                continue;
            }
        };
        reader.diagnostics.push(Diagnostic::error(
            "accept-malformed",
            property.span.clone(),
            message,
            "write one text in quotes for each column of `@key`, then the reason: `@accept \"17\" \"eu\" why`",
        ));
    }
    accepted
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("one {what}") } else { format!("{count} {what}s") }
}

/// Texts in quotes, with JSON's escapes, then a reason.
pub(crate) fn accept(text: &str) -> Option<AcceptedDifference> {
    let mut key = Vec::new();
    let mut rest = text;
    while rest.starts_with('"') {
        let mut texts = serde_json::Deserializer::from_str(rest).into_iter::<String>();
        key.push(texts.next()?.ok()?);
        let after = rest.get(texts.byte_offset()..)?;
        if !after.is_empty() && !after.starts_with(char::is_whitespace) {
            return None;
        }
        rest = after.trim_start();
    }
    Some(AcceptedDifference { key, reason: rest.trim().to_owned() })
}

/// One side of the comparison.
fn query(
    reader: &mut Reader<'_, '_>,
    range: Range<usize>,
    divider: &Range<usize>,
    side: &str,
) -> Option<SqlStatement> {
    let text = reader.page.slice(range.clone());
    reader.bodies.push(sql_tokens_digest(text));
    let part = Part { path: reader.page.path.clone(), text, offset: range.start };
    let found = reader.diagnostics.len();
    let body = sql(reader, &part);
    let unread = reader.diagnostics.len() > found;
    if let Some(second) = body.statements.get(1) {
        reader.diagnostics.push(Diagnostic::error(
            "one-statement",
            second.span.clone(),
            format!("one query stands {side} `@against`, and this is a second statement"),
            "give each comparison a step of its own",
        ));
    }
    let Some(statement) = body.statements.into_iter().next() else {
        reader.diagnostics.push(Diagnostic::error(
            "body-empty",
            reader.page.span(divider.clone()),
            format!("no query stands {side} `@against`"),
            "write one query on each side",
        ));
        return None;
    };
    if !unread && !matches!(statement.effect.command.as_str(), "SELECT" | "VALUES" | "TABLE") {
        reader.diagnostics.push(Diagnostic::error(
            "compare-not-query",
            statement.span.clone(),
            format!("{} is no query whose rows could be compared", statement.effect.command),
            "write a SELECT, VALUES or TABLE",
        ));
    }
    Some(statement)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_keys_are_quoted_and_a_reason_follows() {
        let found = accept(r#""17" "e\"u  x" known since March"#).unwrap();
        assert_eq!(found.key, ["17", "e\"u  x"]);
        assert_eq!(found.reason, "known since March");
        assert_eq!(accept("\"\" why").unwrap().key, [""]);
        assert_eq!(accept("why").unwrap().key.len(), 0);
        assert_eq!(accept("\"a\"").unwrap().reason, "");
        for text in ["\"a", "\"a\"b", "\"a\\x\" why"] {
            assert!(accept(text).is_none(), "{text}");
        }
    }
}
