//! Texts with values in them: `{{a}}`, `{{a.b}}`.

use std::ops::Range;

use crate::diagnostic::Diagnostic;
use crate::draft::{Handing, ValueUse};
use crate::source::Span;
use crate::value::{TextPiece, TextTemplate, ValueRef};

/// Where findings about a template and its values go.
pub(crate) struct TemplateSink<'s> {
    pub(crate) uses: &'s mut Vec<ValueUse>,
    pub(crate) diagnostics: &'s mut Vec<Diagnostic>,
}

/// Reads a text. `span` turns a range of `text` into a place in the source.
pub(crate) fn parse(
    text: &str,
    span: impl Fn(Range<usize>) -> Span,
    handing: Handing,
    sink: &mut TemplateSink<'_>,
) -> TextTemplate {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut at = 0_usize;
    while let Some(open) = rest.find("{{") {
        let (before, after) = rest.split_at_checked(open).unwrap_or((rest, ""));
        if !before.is_empty() {
            pieces.push(TextPiece::Text(before.to_owned()));
        }
        let inner = after.get(2..).unwrap_or_default();
        let close = inner.find("}}");
        let name = close.and_then(|close| inner.get(..close)).unwrap_or_default();
        let length = close.map_or(2, |close| close + 4);
        match ValueRef::parse(name) {
            Some(value) => {
                sink.uses.push(ValueUse {
                    value: value.clone(),
                    span: span(at + open..at + open + length),
                    handing,
                });
                pieces.push(TextPiece::Value(value));
            }
            None => sink.diagnostics.push(Diagnostic::error(
                "value-malformed",
                span(at + open..at + open + length),
                "`{{` begins a value, but no name and `}}` follow",
                "write {{name}} or {{step.column}}, without spaces",
            )),
        }
        at += open + length;
        rest = after.get(length..).unwrap_or_default();
    }
    if !rest.is_empty() {
        pieces.push(TextPiece::Text(rest.to_owned()));
    }
    TextTemplate { pieces }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourcePath;

    fn read(text: &str) -> (TextTemplate, Vec<String>, usize) {
        let (mut uses, mut diagnostics) = (Vec::new(), Vec::new());
        let span = |range| Span { path: SourcePath("a.md".into()), range };
        let mut sink = TemplateSink { uses: &mut uses, diagnostics: &mut diagnostics };
        let template = parse(text, span, Handing::InText, &mut sink);
        let places = uses.iter().map(|used| text[used.span.range.clone()].to_owned()).collect();
        (template, places, diagnostics.len())
    }

    #[test]
    fn values_are_found_with_their_places() {
        let (template, places, faults) = read("a {{b}}{{c.d}} e");
        assert_eq!(places, ["{{b}}", "{{c.d}}"]);
        assert_eq!(template.pieces.len(), 4);
        assert_eq!(faults, 0);
    }

    #[test]
    fn a_value_without_end_or_name_is_a_finding() {
        for text in ["{{", "{{a", "{{}}", "{{ a }}", "{{A}}", "{{a.b.c}}", "é{{é}}"] {
            assert_eq!(read(text).2, 1, "{text}");
        }
        assert_eq!(read("{ \"a\": { \"b\": 1 }}").2, 0);
    }
}
