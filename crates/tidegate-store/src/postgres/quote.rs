//! The only functions that put a name or a value into SQL text.
//!
//! Values are bound wherever PostgreSQL can bind. Utility statements (`SET LOCAL`, `LOCK TABLE`, `ALTER …`) cannot:
//! for those there are [`quote_identifier`] and [`quote_literal`], and no other.
//!
//! PostgreSQL text holds no NUL. A NUL in the argument is kept in the result, never dropped, and the driver refuses
//! to send a text that holds one: a value is sent as it is or not at all.

/// Quotes a name so that the server reads exactly this identifier: always with double quotes.
#[must_use]
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a value as a string constant that reads the same under either `standard_conforming_strings`.
///
/// A value with a backslash becomes an escape string, ` E'…'`, with a space in front so that it cannot join a word
/// before it.
#[must_use]
pub fn quote_literal(value: &str) -> String {
    let doubled = value.replace('\'', "''");
    if doubled.contains('\\') {
        format!(" E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

/// A table or other object's name, with its schema where one was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QualifiedName {
    /// The schema; `None` where the search path decides.
    pub schema: Option<String>,
    /// The name within the schema.
    pub name: String,
}

impl QualifiedName {
    /// The name as SQL text, each part quoted.
    #[must_use]
    pub fn quoted(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", quote_identifier(schema), quote_identifier(&self.name)),
            None => quote_identifier(&self.name),
        }
    }
}

/// A text that is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is not a table name: write name or schema.name, in double quotes where it is not plain lower case"
)]
pub struct QualifiedNameError {
    /// The text as given.
    pub text: String,
}

/// Reads `name`, `schema.name` and their quoted forms, folding what is not quoted to lower case as the server does.
///
/// # Errors
/// Refuses empty parts, more than two parts, characters that an unquoted name cannot hold, and NUL.
pub fn parse_qualified_name(text: &str) -> Result<QualifiedName, QualifiedNameError> {
    let refused = || QualifiedNameError { text: text.to_owned() };
    let (first, rest) = take_part(text.trim()).ok_or_else(refused)?;
    if rest.is_empty() {
        return Ok(QualifiedName { schema: None, name: first });
    }
    let rest = rest.strip_prefix('.').ok_or_else(refused)?;
    match take_part(rest) {
        Some((name, "")) => Ok(QualifiedName { schema: Some(first), name }),
        _ => Err(refused()),
    }
}

fn take_part(text: &str) -> Option<(String, &str)> {
    let (part, rest) = match text.strip_prefix('"') {
        Some(inside) => take_quoted(inside)?,
        None => {
            let end = text.find('.').unwrap_or(text.len());
            let (part, rest) = text.split_at(end);
            let starts_well =
                part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii());
            let goes_on_well =
                part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '$') || !c.is_ascii());
            if !(starts_well && goes_on_well) {
                return None;
            }
            (part.to_ascii_lowercase(), rest)
        }
    };
    (!part.is_empty() && !part.contains('\0')).then_some((part, rest))
}

fn take_quoted(inside: &str) -> Option<(String, &str)> {
    let mut part = String::new();
    let mut rest = inside;
    loop {
        let (before, after) = rest.split_once('"')?;
        part.push_str(before);
        match after.strip_prefix('"') {
            Some(again) => {
                part.push('"');
                rest = again;
            }
            None => return Some((part, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{parse_qualified_name, quote_identifier, quote_literal};

    #[test]
    fn quoting_doubles_quotes_and_escapes_backslashes() {
        assert_eq!(quote_identifier(r#"a"b"#), r#""a""b""#);
        assert_eq!(quote_literal("it's"), "'it''s'");
        assert_eq!(quote_literal(r"\'; DROP"), r" E'\\''; DROP'");
    }

    #[test]
    fn names_fold_unless_quoted_and_print_back() {
        for (text, quoted) in [
            ("Ledger", r#""ledger""#),
            ("public.Ledger", r#""public"."ledger""#),
            (r#""Odd.Name"."say ""hi""""#, r#""Odd.Name"."say ""hi""""#),
            (" _a$1 ", r#""_a$1""#),
        ] {
            let name = parse_qualified_name(text).unwrap();
            assert_eq!(name.quoted(), quoted);
            assert_eq!(parse_qualified_name(&name.quoted()).unwrap(), name);
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in
            ["", ".", "a.", ".a", "a.b.c", "1a", "a b", "a;b", r#""a"#, r#""""#, r#""a"b"#, "a-b", "\"a\0\""]
        {
            assert!(parse_qualified_name(text).is_err(), "{text:?}");
        }
    }
}
