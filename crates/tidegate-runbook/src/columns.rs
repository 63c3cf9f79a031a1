//! Lists of columns and names of tables in properties, folded as PostgreSQL folds them.

use crate::block::Property;
use crate::step_reader::Reader;

/// Most columns of one key.
const KEY_COLUMNS_MAX: usize = 32;

/// PostgreSQL cuts names at this many bytes.
const NAME_BYTES_MAX: usize = 63;

/// Reads `a, "B c"`: at least one column, none twice.
pub(crate) fn read(reader: &mut Reader<'_, '_>, property: &Property<'_>) -> Option<Vec<String>> {
    let word = property.rule.word;
    let Some(columns) = split(property.text) else {
        let message = format!("`@{word}` is no list of columns");
        reader.refuse(property, message, "write names with commas between, such as `id, region`");
        return None;
    };
    let twice = columns.iter().enumerate().find(|(at, name)| columns.iter().take(*at).any(|n| n == *name));
    if let Some((_, name)) = twice {
        reader.refuse(property, format!("the column {name:?} stands in `@{word}` twice"), "keep one");
        return None;
    }
    if columns.len() > KEY_COLUMNS_MAX {
        let message = format!("`@{word}` has more than {KEY_COLUMNS_MAX} columns");
        reader.refuse(property, message, "name those that make a row unique");
        return None;
    }
    Some(columns)
}

/// The columns of `a, "B c"`; `None` if the text is no such list.
pub(crate) fn split(text: &str) -> Option<Vec<String>> {
    let mut columns = Vec::new();
    let mut rest = text;
    loop {
        let (name, after) = identifier(rest.trim_start())?;
        columns.push(name);
        let after = after.trim_start();
        if after.is_empty() {
            return Some(columns);
        }
        rest = after.strip_prefix(',')?;
    }
}

/// The schema, if one is written, and the name of `table` or `schema.table`.
pub(crate) fn table(text: &str) -> Option<(Option<String>, String)> {
    let (first, rest) = identifier(text)?;
    if rest.is_empty() {
        return Some((None, first));
    }
    let (name, rest) = identifier(rest.strip_prefix('.')?)?;
    rest.is_empty().then_some((Some(first), name))
}

/// A name at the start of `text`, and what follows it.
fn identifier(text: &str) -> Option<(String, &str)> {
    let (name, rest) = match text.strip_prefix('"') {
        Some(quoted) => quoted_identifier(quoted)?,
        None => {
            let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
            let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
            let (name, rest) = text.split_at_checked(end)?;
            if name.starts_with(|c: char| c.is_ascii_digit() || c == '$') {
                return None;
            }
            (name.to_ascii_lowercase(), rest)
        }
    };
    (!name.is_empty() && name.len() <= NAME_BYTES_MAX).then_some((name, rest))
}

/// What follows an opening quote, up to the closing one; a doubled quote is one of the name.
fn quoted_identifier(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"')?;
        name.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((name, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_folded_and_quoted_ones_kept() {
        assert_eq!(split("Id, \"Re \"\"gion\",b_2").unwrap(), ["id", "Re \"gion", "b_2"]);
        for text in ["", "a,", ",a", "a b", "a;b", "\"a", "\"\"", "1a", "a.b", "count(*)"] {
            assert_eq!(split(text), None, "{text}");
        }
    }

    #[test]
    fn tables_have_at_most_a_schema() {
        assert_eq!(table("Orders"), Some((None, "orders".into())));
        assert_eq!(table("app.\"Orders\""), Some((Some("app".into()), "Orders".into())));
        for text in ["", "a.", ".a", "a.b.c", "a b", "public.*", "a, b"] {
            assert_eq!(table(text), None, "{text}");
        }
    }
}
