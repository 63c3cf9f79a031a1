//! SQL files as a rule sees them: tables with their columns, and what has a comment.

use std::collections::BTreeSet;

/// A table that a file makes, or a column that it adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// `table` or `table.column`, in lower case, without quotes.
    pub(crate) name: String,
    /// Whether it is a column.
    pub(crate) is_column: bool,
    /// Its line, from 1.
    pub(crate) line: usize,
}

/// First words of a table's elements that are no columns.
const CONSTRAINTS: [&str; 7] = ["constraint", "primary", "unique", "check", "foreign", "exclude", "like"];

/// The tables that a file makes and their columns, in order, best effort: temporary tables, partitions and tables made
/// by a query are left out.
pub(crate) fn made(sql: &str) -> Vec<Named> {
    let clean = without_comments_and_bodies(sql);
    let mut found = Vec::new();
    for (start, statement) in statements(&clean) {
        let words: Vec<&str> = statement.split_whitespace().take(6).collect();
        let lower = words.join(" ").to_ascii_lowercase();
        let line = line_of(&clean, start);
        if let Some(rest) =
            lower.strip_prefix("create table ").or_else(|| lower.strip_prefix("create unlogged table "))
        {
            let rest = rest.strip_prefix("if not exists ").unwrap_or(rest);
            let name = rest.split([' ', '(']).next().unwrap_or_default().replace('"', "");
            let Some(open) = statement.find('(') else { continue };
            let head = statement.get(..open).unwrap_or_default().to_ascii_lowercase();
            if head.contains(" partition of ") || head.contains(" as ") {
                continue;
            }
            found.push(Named { name: name.clone(), is_column: false, line });
            for (at, element) in elements(&statement, open) {
                let first = element.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
                let first = first.replace('"', "");
                if !first.is_empty() && !CONSTRAINTS.contains(&first.as_str()) {
                    let line = line_of(&clean, start + at);
                    found.push(Named { name: format!("{name}.{first}"), is_column: true, line });
                }
            }
        } else if let Some(rest) = lower.strip_prefix("alter table ") {
            let rest = rest.strip_prefix("only ").unwrap_or(rest);
            let table = rest.split(' ').next().unwrap_or_default().replace('"', "");
            found.extend(added_columns(&statement).into_iter().map(|(at, column)| Named {
                name: format!("{table}.{column}"),
                is_column: true,
                line: line_of(&clean, start + at),
            }));
        }
    }
    found
}

/// Everything that has a comment: `table`, `table.column`, in lower case, without quotes.
pub(crate) fn commented(sql: &str) -> BTreeSet<String> {
    let clean = without_comments_and_bodies(sql);
    let words: Vec<String> =
        clean.split_whitespace().map(|word| word.to_ascii_lowercase().replace('"', "")).collect();
    words
        .windows(4)
        .filter_map(|window| match window {
            [comment, on, kind, name] if comment == "comment" && on == "on" => {
                (kind == "table" || kind == "column").then(|| name.clone())
            }
            _ => None,
        })
        .collect()
}

/// The columns that an ALTER TABLE adds, with their places in the statement.
fn added_columns(statement: &str) -> Vec<(usize, String)> {
    let lower = statement.to_ascii_lowercase();
    lower
        .match_indices("add column ")
        .map(|(at, mark)| {
            let rest = lower.get(at + mark.len()..).unwrap_or_default().trim_start();
            let rest = rest.strip_prefix("if not exists ").unwrap_or(rest);
            (at, rest.split_whitespace().next().unwrap_or_default().replace('"', ""))
        })
        .collect()
}

/// The statements with their places.
fn statements(clean: &str) -> Vec<(usize, String)> {
    let mut start = 0;
    let mut found = Vec::new();
    for piece in clean.split(';') {
        let blank = piece.len() - piece.trim_start().len();
        found.push((start + blank, piece.trim().to_owned()));
        start += piece.len() + 1;
    }
    found
}

/// The elements between the parentheses that open at `open`, with their places.
fn elements(statement: &str, open: usize) -> Vec<(usize, String)> {
    let mut depth = 0_i32;
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut current = String::new();
    let mut start = open + 1;
    for (at, c) in statement.char_indices().filter(|(at, _)| *at >= open) {
        match c {
            '(' if depth == 0 => depth = 1,
            ',' if depth == 1 => {
                found.push((start, std::mem::take(&mut current)));
                start = at + 1;
            }
            ')' if depth == 1 => break,
            _ => {
                depth += i32::from(c == '(') - i32::from(c == ')');
                if current.is_empty() && c.is_whitespace() {
                    start = at + 1;
                    continue;
                }
                current.push(c);
            }
        }
    }
    found.push((start, current));
    found
}

fn line_of(text: &str, at: usize) -> usize {
    text.get(..at).unwrap_or_default().matches('\n').count() + 1
}

/// The SQL with comments, texts and dollar-quoted bodies blanked; places and lines are kept.
fn without_comments_and_bodies(sql: &str) -> String {
    let mut clean = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if first == '\'' {
            rest.get(1..).and_then(|inside| inside.find('\'')).map_or(rest.len(), |end| end + 2)
        } else if let Some(tag) = dollar_tag(rest) {
            rest.get(tag.len()..)
                .and_then(|inside| inside.find(tag))
                .map_or(rest.len(), |end| end + 2 * tag.len())
        } else {
            clean.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            continue;
        };
        let (gone, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        for c in gone.chars() {
            // As many bytes as there were, so that places stay.
            clean.extend(if c == '\n' { vec!['\n'] } else { vec![' '; c.len_utf8()] });
        }
        rest = after;
    }
    clean
}

/// The `$tag$` that a dollar-quoted body begins with.
fn dollar_tag(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('$')?;
    let end = inside.find('$')?;
    let name = inside.get(..end)?;
    let valid = name.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    valid.then(|| text.get(..end + 2)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_columns_are_found_with_their_lines() {
        let sql = "-- CREATE TABLE no (x int);\nCREATE TABLE app.lot (\n  id uuid, -- a, b\n  \"Kind\" text CHECK (kind IN ('a', 'b')),\n  PRIMARY KEY (id)\n);\nALTER TABLE app.lot ADD COLUMN IF NOT EXISTS more int;\nCREATE TEMP TABLE t (y int);";
        let found: Vec<_> = made(sql).into_iter().map(|named| (named.name, named.line)).collect();
        let expected = [("app.lot", 2), ("app.lot.id", 3), ("app.lot.kind", 4), ("app.lot.more", 7)];
        assert_eq!(found, expected.map(|(name, line)| (name.to_owned(), line)));
    }

    #[test]
    fn bodies_of_functions_make_nothing() {
        assert!(made("DO $x$ BEGIN CREATE TABLE inner_one (a int); END $x$;").is_empty());
    }

    #[test]
    fn comments_on_tables_and_columns_are_found() {
        let sql = "COMMENT ON TABLE app.lot IS 'x; y';\nCOMMENT ON COLUMN app.lot.\"Kind\" IS $$z$$;";
        let expected = ["app.lot".to_owned(), "app.lot.kind".to_owned()];
        assert_eq!(commented(sql), BTreeSet::from(expected));
    }
}
