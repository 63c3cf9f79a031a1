//! Reads `@expect` lines.

use crate::block::{Block, Property};
use crate::diagnostic::Diagnostic;
use crate::draft::{Handing, ValueUse};
use crate::expectation::{Expectation, JsonOperand, JsonOperator};
use crate::source::Span;
use crate::template::{self, TemplateSink};
use crate::vocabulary::Language;

/// Reads every `@expect` of a block.
pub(crate) fn read_all(
    block: &Block<'_>,
    uses: &mut Vec<ValueUse>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Expectation> {
    let mut read: Vec<(Expectation, Span)> = Vec::new();
    for property in block.all("expect") {
        let Some(expectation) = read_one(block.language, property, uses, diagnostics) else { continue };
        let rival = read.iter().find(|(earlier, _)| {
            *earlier == expectation || !matches!(expectation, Expectation::Json { .. }) && excludes(earlier)
        });
        if let Some((earlier, place)) = rival {
            diagnostics.push(
                Diagnostic::error(
                    "expectation-conflict",
                    property.span.clone(),
                    format!("`{expectation}` beside `{earlier}`: both would have to hold"),
                    "keep one; several `@expect` lines make sense for `json` only",
                )
                .with_related(place.clone(), "the other"),
            );
            continue;
        }
        read.push((expectation, property.span.clone()));
    }
    read.into_iter().map(|(expectation, _)| expectation).collect()
}

fn excludes(expectation: &Expectation) -> bool {
    !matches!(expectation, Expectation::Json { .. })
}

fn read_one(
    language: Language,
    property: &Property<'_>,
    uses: &mut Vec<ValueUse>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Expectation> {
    let text = property.text;
    let (word, rest) = split_word(text);
    let owners: &[Language] = match word {
        "zero" | "true" | "empty" => &[Language::Sql, Language::Kv],
        "error" => &[Language::Sql],
        "status" => &[Language::Http],
        "json" => &[Language::Http, Language::Kv],
        "exit" => &[Language::Sh],
        _ => &[],
    };
    if !owners.contains(&language) {
        let known = match language {
            Language::Sql => "zero, true, empty, error CODE [\"text\"]",
            Language::Http => "status N, json /pointer OP value",
            Language::Kv => "zero, true, empty, json /pointer OP value",
            Language::Sh => "exit N",
            Language::Toml | Language::Text => "nothing",
        };
        diagnostics.push(Diagnostic::error(
            "expectation-unfit",
            property.span.clone(),
            format!("{} cannot expect `{text}`", language.name()),
            format!("known in {}: {known}", language.name()),
        ));
        return None;
    }
    let parsed = match word {
        "zero" if rest.is_empty() => Some(Expectation::Zero),
        "true" if rest.is_empty() => Some(Expectation::True),
        "empty" if rest.is_empty() => Some(Expectation::Empty),
        "error" => read_error(rest),
        "status" => rest.parse().ok().filter(|code| (100..=599).contains(code)).map(Expectation::Status),
        "exit" => rest.parse().ok().filter(|code| (0..=255).contains(code)).map(Expectation::Exit),
        "json" => read_json(rest, &property.span, uses, diagnostics),
        _ => None,
    };
    if parsed.is_none() {
        let form = match word {
            "error" => "error CODE or error CODE \"text\", where CODE is five digits or upper-case letters",
            "status" => "status N, where N is from 100 to 599",
            "exit" => "exit N, where N is from 0 to 255",
            "json" => {
                "json /pointer OP value, where OP is one of = != < <= > >= with a JSON value, or `exists` alone"
            }
            _ => "the word alone",
        };
        diagnostics.push(Diagnostic::error(
            "expectation-malformed",
            property.span.clone(),
            format!("`{text}` is no expectation"),
            format!("write {form}"),
        ));
    }
    parsed
}

/// The first word and the rest, without spaces between.
fn split_word(text: &str) -> (&str, &str) {
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim()),
        None => (text, ""),
    }
}

fn read_error(rest: &str) -> Option<Expectation> {
    let (sqlstate, message) = split_word(rest);
    let is_state = sqlstate.len() == 5
        && sqlstate.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    if !is_state {
        return None;
    }
    let message = if message.is_empty() { None } else { Some(quoted(message)?) };
    Some(Expectation::Error { sqlstate: sqlstate.to_owned(), message })
}

/// A text in double quotes, with JSON's escapes; not empty.
pub(crate) fn quoted(text: &str) -> Option<String> {
    serde_json::from_str::<String>(text).ok().filter(|text| !text.trim().is_empty())
}

/// Whether `text` is a JSON pointer (RFC 6901).
pub(crate) fn is_pointer(text: &str) -> bool {
    let escapes_hold = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    (text.is_empty() || text.starts_with('/')) && escapes_hold
}

fn read_json(
    rest: &str,
    span: &Span,
    uses: &mut Vec<ValueUse>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Expectation> {
    let (pointer, rest) = split_word(rest);
    if !pointer.starts_with('/') || !is_pointer(pointer) {
        return None;
    }
    let (operator, operand) = split_word(rest);
    let operator = if operator == "exists" {
        operand.is_empty().then_some(JsonOperator::Exists)?
    } else {
        comparison(operator, read_operand(operand, span, uses, diagnostics)?)?
    };
    Some(Expectation::Json { pointer: pointer.to_owned(), operator })
}

/// `OP value` of a comparison; `None` for an operator that is none, or an order against what has none.
pub(crate) fn comparison(operator: &str, operand: JsonOperand) -> Option<JsonOperator> {
    let orders = matches!(operator, "<" | "<=" | ">" | ">=");
    if orders && matches!(&operand, JsonOperand::Json(value) if !value.is_number()) {
        return None;
    }
    Some(match operator {
        "=" => JsonOperator::Equal(operand),
        "!=" => JsonOperator::NotEqual(operand),
        "<" => JsonOperator::Less(operand),
        "<=" => JsonOperator::LessOrEqual(operand),
        ">" => JsonOperator::Greater(operand),
        ">=" => JsonOperator::GreaterOrEqual(operand),
        _ => return None,
    })
}

/// A value to compare with: JSON, or a text with values in it.
pub(crate) fn read_operand(
    text: &str,
    span: &Span,
    uses: &mut Vec<ValueUse>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<JsonOperand> {
    let json = serde_json::from_str::<serde_json::Value>(text);
    let with_values = match &json {
        Ok(serde_json::Value::String(string)) if string.contains("{{") => Some(string.clone()),
        Ok(_) => None,
        Err(_) if text.starts_with("{{") && text.ends_with("}}") => Some(text.to_owned()),
        Err(_) => return None,
    };
    match with_values {
        None => json.ok().map(JsonOperand::Json),
        Some(template) => {
            let mut sink = TemplateSink { uses, diagnostics };
            let template = template::parse(&template, |_| span.clone(), Handing::InText, &mut sink);
            Some(JsonOperand::Template(template))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_follow_the_rfc() {
        for text in ["", "/", "/a/0/b", "/a~0b/~1"] {
            assert!(is_pointer(text), "{text}");
        }
        for text in ["a", "/a~", "/a~2"] {
            assert!(!is_pointer(text), "{text}");
        }
    }

    #[test]
    fn an_error_has_a_state_and_perhaps_a_text() {
        assert!(read_error("42501").is_some());
        assert!(read_error("P0001 \"app \\\"x\\\"\"").is_some());
        for text in ["", "4250", "p0001", "42501 text", "42501 \"\"", "42501 \"a\" b"] {
            assert!(read_error(text).is_none(), "{text}");
        }
    }
}
