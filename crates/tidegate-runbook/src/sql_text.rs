//! Reads SQL text: values out, statements apart, syntax checked, effects told.
//!
//! Spans and text stay those of the source: for the syntax check, each value is covered by a stand-in of the same length.

mod do_nothing;
mod scan;

use std::borrow::Cow;

use squawk_lexer::{TokenKind, tokenize};
use squawk_syntax::{Parse, SourceFile, SyntaxNode};

use crate::diagnostic::{Diagnostic, Severity};
use crate::source::{SourcePath, Span};
use crate::sql::{Effect, RelationRef, SqlBody, SqlPiece, SqlStatement};
use crate::sql_effect::effect_of;
pub(crate) use do_nothing::without_do_nothing;
use scan::{Found, ValueForm, scan};

/// Most stack that parsing one statement may take, in hundreds of bytes, as [`scan`] estimates it. Threads have 2 MiB.
const DEPTH_MAX: usize = 12_000;

/// Reads the statements of `text`, which starts at byte `offset` of `path`.
///
/// What is wrong with the text goes to `diagnostics`: `sql-syntax`, `value-name`, `sql-too-deep`. Statements are
/// returned all the same, so that other rules can speak of them.
pub(crate) fn parse_statements(
    text: &str,
    path: &SourcePath,
    offset: usize,
    diagnostics: &mut Vec<Diagnostic>,
) -> SqlBody {
    let mut place = Place { text, path, offset, diagnostics };
    let statements = scan(text).iter().filter_map(|found| place.statement(found)).collect();
    SqlBody { statements }
}

/// Reads `:{id}` or `:{id.part}`, where it stands alone.
pub(crate) fn relation_ref(text: &str) -> Option<RelationRef> {
    scan::relation(text.strip_prefix(":{")?.strip_suffix('}')?).ok()
}

/// The statement with a stand-in of the same length for each value, comments blanked: position by position the text
/// that was written, for readers that know no values and obey no comments.
pub(crate) fn with_stand_ins(statement: &SqlStatement) -> String {
    let mut text = String::new();
    for piece in &statement.pieces {
        let (form, written) = written_form(piece);
        match form {
            Some(form) => text.push_str(&stand_in(&written, form, BindAs::Parameter)),
            None => text.push_str(&written),
        }
    }
    let mut blanked = String::with_capacity(text.len());
    for token in tokenize(&text) {
        let written = text.get(blanked.len()..blanked.len() + token.len as usize).unwrap_or_default();
        match token.kind {
            TokenKind::LineComment | TokenKind::BlockComment { .. } => {
                blanked.push_str(&" ".repeat(written.len()))
            }
            _ => blanked.push_str(written),
        }
    }
    blanked
}

/// The place of each piece of the statement that is a value, in its source.
pub(crate) fn value_spans(statement: &SqlStatement) -> impl Iterator<Item = (&SqlPiece, Span)> {
    let mut at = statement.span.range.start;
    statement.pieces.iter().filter_map(move |piece| {
        let (form, written) = written_form(piece);
        let start = at;
        at += written.len();
        form.map(|_| (piece, Span { path: statement.span.path.clone(), range: start..start + written.len() }))
    })
}

/// A piece as the page writes it.
fn written_form(piece: &SqlPiece) -> (Option<ValueForm>, Cow<'_, str>) {
    match piece {
        SqlPiece::Text(text) => (None, Cow::Borrowed(text)),
        SqlPiece::Bind(value) => (Some(ValueForm::Bind), format!(":{value}").into()),
        SqlPiece::Literal(value) => (Some(ValueForm::Literal), format!(":'{value}'").into()),
        SqlPiece::Identifier(value) => (Some(ValueForm::Identifier), format!(":\"{value}\"").into()),
        SqlPiece::Relation(name) => (Some(ValueForm::Relation), format!(":{{{name}}}").into()),
    }
}

/// Where the text stands, and where findings go.
struct Place<'a> {
    text: &'a str,
    path: &'a SourcePath,
    offset: usize,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl Place<'_> {
    fn span(&self, start: usize, end: usize) -> Span {
        Span { path: self.path.clone(), range: self.offset + start..self.offset + end }
    }

    fn report(&mut self, code: &'static str, start: usize, end: usize, message: String, help: String) {
        let span = Some(self.span(start, end));
        self.diagnostics.push(Diagnostic {
            code,
            severity: Severity::Error,
            message,
            span,
            related: None,
            help,
        });
    }

    fn statement(&mut self, found: &Found) -> Option<SqlStatement> {
        let text = self.text.get(found.range.clone())?;
        for value in &found.values {
            if let Err(reason) = &value.piece {
                let message =
                    format!("no value can have the name in {:?}", self.text.get(value.range.clone())?);
                let help = format!("{reason}; write a space after the colon if no value is meant");
                self.report("value-name", value.range.start, value.range.end, message, help);
            }
        }
        let effect = if found.depth > DEPTH_MAX {
            let message = "this statement nests deeper than can be read".to_owned();
            let help = "split it, or move the inner parts into WITH queries".to_owned();
            self.report("sql-too-deep", found.range.start, found.range.end, message, help);
            unread(text)
        } else {
            self.effect(text, found)
        };
        Some(SqlStatement {
            pieces: self.pieces(found),
            span: self.span(found.range.start, found.range.end),
            effect,
        })
    }

    fn effect(&mut self, text: &str, found: &Found) -> Effect {
        let (parse, errors) = parse_covered(text, found, BindAs::Parameter);
        let Some(error) = errors.first().filter(|_| !is_known_gap(text)) else {
            let Some(mut effect) = only_statement(&parse).map(|node| effect_of(&node)) else {
                return unread(text);
            };
            // What could only be read in part may do more than its words tell.
            effect.opaque |= !errors.is_empty();
            return effect;
        };
        // PostgreSQL's grammar takes no parameter in most commands. If a literal or a name in its place would do, the
        // rule `bind-in-utility` says so better than a syntax error.
        if found.values.iter().any(|value| value.form == ValueForm::Bind) {
            for stand_in in [BindAs::Literal, BindAs::Name] {
                let (parse, errors) = parse_covered(text, found, stand_in);
                let effect =
                    only_statement(&parse).filter(|_| errors.is_empty()).map(|node| effect_of(&node));
                if let Some(effect) = effect.filter(|effect| !effect.bindable) {
                    return effect;
                }
            }
        }
        let start = usize::from(error.range().start()).min(text.len());
        let (start, end) = visible(text, start, usize::from(error.range().end()));
        let message = format!("this is not PostgreSQL's SQL: {}", readable(error.message()));
        let base = found.range.start;
        self.report("sql-syntax", base + start, base + end, message, syntax_help(text, start, found));
        unread(text)
    }

    fn pieces(&self, found: &Found) -> Vec<SqlPiece> {
        let mut pieces = Vec::with_capacity(found.values.len() * 2 + 1);
        let mut at = found.range.start;
        for value in &found.values {
            let Ok(piece) = &value.piece else { continue };
            pieces.extend(self.text_piece(at, value.range.start));
            pieces.push(piece.clone());
            at = value.range.end;
        }
        pieces.extend(self.text_piece(at, found.range.end));
        pieces
    }

    fn text_piece(&self, start: usize, end: usize) -> Option<SqlPiece> {
        let text = self.text.get(start..end).filter(|text| !text.is_empty())?;
        Some(SqlPiece::Text(text.to_owned()))
    }
}

/// What stands in for `:a` while the syntax is checked.
#[derive(Clone, Copy)]
enum BindAs {
    Parameter,
    Literal,
    Name,
}

fn parse_covered(
    text: &str,
    found: &Found,
    bind_as: BindAs,
) -> (Parse<SourceFile>, Vec<squawk_syntax::syntax_error::SyntaxError>) {
    let mut covered = text.to_owned();
    cover(&mut covered, found.range.start, found, bind_as);
    let parse = SourceFile::parse(&covered);
    let errors = parse.errors();
    (parse, errors)
}

/// Writes stand-ins over the values of `found` in `text`, which starts at `base` of the text that was scanned.
fn cover(text: &mut String, base: usize, found: &Found, bind_as: BindAs) {
    for value in &found.values {
        let range = value.range.start.saturating_sub(base)..value.range.end.saturating_sub(base);
        let Some(written) = text.get(range.clone()) else { continue };
        let stand_in = stand_in(written, value.form, bind_as);
        text.replace_range(range, &stand_in);
    }
}

/// A text of the same length in bytes that is a parameter, a string or a name.
fn stand_in(written: &str, form: ValueForm, bind_as: BindAs) -> String {
    let inner = written.len().saturating_sub(2);
    match (form, bind_as) {
        (ValueForm::Bind, BindAs::Parameter) => format!("$1{}", " ".repeat(inner)),
        (ValueForm::Bind, BindAs::Name) => format!("vv{}", "v".repeat(inner)),
        (ValueForm::Bind, BindAs::Literal) | (ValueForm::Literal, _) => format!("'{}'", "v".repeat(inner)),
        // `:"a"` and `:{a}` both become `":a"`, so that the name can be told from a real one.
        (ValueForm::Identifier | ValueForm::Relation, _) => {
            let name = written.trim_matches([':', '"', '{', '}']);
            format!("\":{name}\"")
        }
    }
}

fn only_statement(parse: &Parse<SourceFile>) -> Option<SyntaxNode> {
    parse.syntax_node().children().next()
}

/// The effect of a statement that could not be read. It is already refused; other rules shall not pile up on it.
fn unread(text: &str) -> Effect {
    Effect { command: leading_word(text), reads_only: true, bindable: true, ..Effect::default() }
}

fn leading_word(text: &str) -> String {
    text.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default().to_ascii_uppercase()
}

/// Commands that PostgreSQL has and the checker does not. Better no finding than a false one.
fn is_known_gap(text: &str) -> bool {
    let mut words = text
        .split_ascii_whitespace()
        .map(str::to_ascii_uppercase)
        .filter(|word| word != "OR" && word != "REPLACE");
    let start = (words.next(), words.next());
    matches!((start.0.as_deref(), start.1.as_deref()), (Some("CREATE"), Some("TRUSTED" | "PROCEDURAL")))
}

/// A range that can be shown: never empty, on character boundaries, on the last character when it points past the end.
fn visible(text: &str, start: usize, end: usize) -> (usize, usize) {
    if end > start && text.get(start..end).is_some() {
        return (start, end);
    }
    let mut start = start;
    while start > 0 && (start >= text.len() || !text.is_char_boundary(start)) {
        start -= 1;
    }
    let length = text.get(start..).and_then(|rest| {
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        if word > 0 { Some(word) } else { rest.chars().next().map(char::len_utf8) }
    });
    (start, start + length.unwrap_or(0))
}

/// The checker's message with its token names (`CREATE_KW`, `L_PAREN`) as a reader knows them.
fn readable(message: &str) -> String {
    let words = message.split(' ').map(|word| match word.trim_end_matches(',') {
        "IDENT" => word.replace("IDENT", "a name"),
        "ERROR" => word.replace("ERROR", "an unknown character"),
        "EOF" => word.replace("EOF", "the end"),
        "L_PAREN" => word.replace("L_PAREN", "'('"),
        "R_PAREN" => word.replace("R_PAREN", "')'"),
        "COMMA" => word.replace("COMMA", "','"),
        "SEMICOLON" => word.replace("SEMICOLON", "';'"),
        keyword if keyword.ends_with("_KW") => word.replace("_KW", ""),
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

fn syntax_help(text: &str, at: usize, found: &Found) -> String {
    if text.get(at..).is_some_and(|rest| rest.starts_with('\\')) {
        return "psql's backslash commands are not SQL: write what they do in SQL, or in a step of its own"
            .to_owned();
    }
    if found.values.iter().any(|value| value.form == ValueForm::Bind) {
        return "mend the statement; `:a` can stand only where a value can: write :\"a\" for a name and :'a' for a string"
            .to_owned();
    }
    "mend the statement; a statement ends at a semicolon that stands outside brackets and quotes".to_owned()
}

#[cfg(test)]
mod tests;
