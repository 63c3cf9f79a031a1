//! The body of a kv block: one statement a line.

use std::ops::Range;

use crate::block::Block;
use crate::diagnostic::Diagnostic;
use crate::digest::Parts;
use crate::draft::{Handing, ValueUse};
use crate::expect;
use crate::expectation::JsonOperator;
use crate::kv::{KvBody, KvColumn, KvCondition, KvRead, KvStatement};
use crate::kv_line::{self, Word};
use crate::names::Name;
use crate::template::{self, TemplateSink};
use crate::text::{Line, SourceText};
use crate::value::TextTemplate;

/// Most statements of one block.
const STATEMENTS_MAX: usize = 100;

/// Whether a namespace can have this name.
pub(crate) fn is_namespace(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    !text.is_empty() && text.len() <= NAMESPACE_BYTES_MAX && text.chars().all(legal)
}
/// Most conditions of one `where`.
const CONDITIONS_MAX: usize = 16;
/// Most columns of one `list`.
const COLUMNS_MAX: usize = 32;
/// Most keys that a `limit` may let through: as many as a run keeps.
const LIMIT_MAX: u64 = 10_000;
/// Longest name of a namespace, in bytes.
const NAMESPACE_BYTES_MAX: usize = 64;
/// Longest name of a column, in bytes, as PostgreSQL has it.
const COLUMN_BYTES_MAX: usize = 63;

const STATEMENTS: &str = "write get NAMESPACE KEY [/pointer], missing NAMESPACE KEY, count NAMESPACE PREFIX [where …], \
     or list NAMESPACE PREFIX [where …] [columns …] [limit n]";

/// The statements that could be read; `None` if one could not.
pub(crate) fn read(
    page: &SourceText<'_>,
    block: &Block<'_>,
    uses: &mut Vec<ValueUse>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<KvBody> {
    let mut body = KvBody::default();
    let mut whole = true;
    let mut sink = TemplateSink { uses, diagnostics };
    for line in page.lines(block.content..block.body.end) {
        if line.text.trim().is_empty() || line.text.starts_with('#') {
            continue;
        }
        let lead = line.text.len() - line.text.trim_start().len();
        let range = line.range.start + lead..line.range.start + line.text.trim_end().len();
        if body.statements.len() == STATEMENTS_MAX {
            sink.diagnostics.push(Diagnostic::error(
                "kv-malformed",
                page.span(range),
                format!("more than {STATEMENTS_MAX} statements stand in one block"),
                "split the step",
            ));
            return None;
        }
        match statement(page, &line, range, &mut sink) {
            Some(statement) => body.statements.push(statement),
            None => whole = false,
        }
    }
    whole.then_some(body)
}

/// The digest of a body's words: comments, empty lines and how many spaces stand between words carry no meaning.
pub(crate) fn digest(text: &str) -> [u8; 32] {
    let mut parts = Parts::default();
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    for line in lines {
        match kv_line::words(line) {
            Ok(words) => parts.list(words.iter().map(|word| word.raw)),
            Err(_) => parts.list([line]),
        };
    }
    parts.finish()
}

fn statement(
    page: &SourceText<'_>,
    line: &Line<'_>,
    range: Range<usize>,
    sink: &mut TemplateSink<'_>,
) -> Option<KvStatement> {
    let words = match kv_line::words(line.text) {
        Ok(words) => words,
        Err(broken) => {
            sink.diagnostics.push(Diagnostic::error(
                "kv-malformed",
                page.span(line.range.start + broken.0..range.end),
                "these quotes hold no text",
                "close them, put a space behind them, and escape as JSON does: \\\" and \\\\",
            ));
            return None;
        }
    };
    let mut reader = LineReader { page, start: line.range.start, whole: range.clone(), words, at: 0, sink };
    let (name, report) = reader.prefix()?;
    let read = reader.read()?;
    reader.finish()?;
    Some(KvStatement { name, report, read, span: page.span(range) })
}

struct LineReader<'l, 'p, 's, 'd> {
    page: &'l SourceText<'p>,
    /// Where the line begins in the page.
    start: usize,
    /// The line without spaces around it, in the page.
    whole: Range<usize>,
    words: Vec<Word<'l>>,
    at: usize,
    sink: &'s mut TemplateSink<'d>,
}

impl<'l> LineReader<'l, '_, '_, '_> {
    fn peek(&self) -> Option<&Word<'l>> {
        self.words.get(self.at)
    }

    fn next(&mut self) -> Option<Word<'l>> {
        let word = self.words.get(self.at).cloned();
        self.at += usize::from(word.is_some());
        word
    }

    /// Takes the next word if it is this one.
    fn take(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|next| next.is(word));
        self.at += usize::from(found);
        found
    }

    /// Where a word stands in the page.
    fn place(&self, word: &Word<'_>) -> Range<usize> {
        self.start + word.range.start..self.start + word.range.end
    }

    /// Reports what is wrong at a word, or with the line where the word is missing.
    fn fail<T>(&mut self, word: Option<&Word<'_>>, message: String, help: impl Into<String>) -> Option<T> {
        let place = word.map_or_else(|| self.whole.clone(), |word| self.place(word));
        self.sink.diagnostics.push(Diagnostic::error("kv-malformed", self.page.span(place), message, help));
        None
    }

    /// `name =`, or `report`.
    fn prefix(&mut self) -> Option<(Option<Name>, bool)> {
        if self.take("report") {
            return Some((None, true));
        }
        if !self.words.get(1).is_some_and(|word| word.is("=")) {
            return Some((None, false));
        }
        let word = self.next()?;
        self.at += 1;
        let name = match Name::parse(word.text()) {
            Ok(name) if word.quoted.is_none() => name,
            Ok(_) => return self.fail(Some(&word), "a name stands without quotes".into(), "remove them"),
            Err(error) => {
                let help = "name it with lower-case letters, digits and underscores";
                return self.fail(Some(&word), error.to_string(), help);
            }
        };
        if let Some(report) = self.peek().filter(|word| word.is("report")).cloned() {
            let message = format!("a `report` is told and not kept, so `{name}` would name nothing");
            return self.fail(Some(&report), message, "remove the name, or the word `report`");
        }
        Some((Some(name), false))
    }

    fn read(&mut self) -> Option<KvRead> {
        let Some(word) = self.next() else {
            return self.fail(None, "nothing is read here".into(), STATEMENTS);
        };
        let known = ["get", "missing", "count", "list"].into_iter().any(|known| word.is(known));
        if !known {
            return self.fail(Some(&word), format!("{:?} is nothing that can be read", word.raw), STATEMENTS);
        }
        let namespace = self.namespace(word.raw)?;
        match word.raw {
            "get" => {
                let key = self.key(word.raw)?;
                let pointer = match self.peek() {
                    Some(_) => Some(self.pointer("get")?),
                    None => None,
                };
                Some(KvRead::Get { namespace, key, pointer })
            }
            "missing" => Some(KvRead::Missing { namespace, key: self.key(word.raw)? }),
            "count" => {
                let prefix = self.key_prefix(word.raw)?;
                let conditions = if self.take("where") { self.conditions()? } else { Vec::new() };
                Some(KvRead::Count { namespace, prefix, conditions })
            }
            _ => {
                let prefix = self.key_prefix(word.raw)?;
                let conditions = if self.take("where") { self.conditions()? } else { Vec::new() };
                let columns = if self.take("columns") { self.columns()? } else { Vec::new() };
                let limit = if self.take("limit") { Some(self.limit()?) } else { None };
                Some(KvRead::List { namespace, prefix, conditions, columns, limit })
            }
        }
    }

    fn finish(&mut self) -> Option<()> {
        let Some(word) = self.next() else { return Some(()) };
        let message = format!("{:?} does not belong here", word.raw);
        self.fail(Some(&word), message, format!("{STATEMENTS}; in this order, and in quotes what has spaces"))
    }

    fn namespace(&mut self, statement: &str) -> Option<String> {
        let Some(word) = self.next() else {
            return self.fail(None, format!("`{statement}` names no namespace"), STATEMENTS);
        };
        let text = word.text();
        if !is_namespace(text) {
            let message = format!("{:?} cannot be a namespace", word.raw);
            return self.fail(Some(&word), message, "1 to 64 letters, digits, `_` and `-`, and no values");
        }
        Some(text.to_owned())
    }

    fn key(&mut self, statement: &str) -> Option<TextTemplate> {
        match self.next() {
            Some(word) if !word.text().is_empty() => Some(self.template(&word)),
            word => self.fail(word.as_ref(), format!("`{statement}` names no key"), STATEMENTS),
        }
    }

    fn key_prefix(&mut self, statement: &str) -> Option<TextTemplate> {
        match self.next() {
            Some(word) if !["where", "columns", "limit"].into_iter().any(|known| word.is(known)) => {
                Some(self.template(&word))
            }
            word => self.fail(
                word.as_ref(),
                format!("`{statement}` says nothing that its keys begin with"),
                "write it before the rest, or `\"\"` for all keys of the namespace",
            ),
        }
    }

    fn template(&mut self, word: &Word<'_>) -> TextTemplate {
        let place = self.place(word);
        let span = |part: Range<usize>| match word.quoted {
            // Escapes make a quoted text shorter than its place in the page.
            Some(_) => self.page.span(place.clone()),
            None => self.page.span(place.start + part.start..place.start + part.end),
        };
        template::parse(word.text(), span, Handing::InText, self.sink)
    }

    fn pointer(&mut self, statement: &str) -> Option<String> {
        let word = self.next();
        match &word {
            Some(word) if word.text().starts_with('/') && expect::is_pointer(word.text()) => {
                Some(word.text().to_owned())
            }
            _ => {
                let found =
                    word.as_ref().map_or("nothing follows".into(), |word| format!("{:?} is none", word.raw));
                let message = format!("`{statement}` takes a pointer, and {found}");
                self.fail(
                    word.as_ref(),
                    message,
                    "write `/name/of/the/field`, with `~1` for `/` and `~0` for `~`",
                )
            }
        }
    }

    fn conditions(&mut self) -> Option<Vec<KvCondition>> {
        let mut conditions = Vec::new();
        loop {
            if conditions.len() == CONDITIONS_MAX {
                let word = self.peek().cloned();
                let message = format!("more than {CONDITIONS_MAX} conditions stand in one `where`");
                return self.fail(word.as_ref(), message, "remove some");
            }
            let pointer = self.pointer("where")?;
            let operator = self.operator()?;
            conditions.push(KvCondition { pointer, operator });
            if !self.take("and") {
                return Some(conditions);
            }
        }
    }

    fn operator(&mut self) -> Option<JsonOperator> {
        const HELP: &str = "write one of = != < <= > >= with a JSON value or `{{a}}` (a number or `{{a}}` for an order), or `exists` alone";
        let Some(operator) = self.next() else {
            return self.fail(None, "a condition ends behind its pointer".into(), HELP);
        };
        if operator.is("exists") {
            return Some(JsonOperator::Exists);
        }
        let Some(value) = self.next() else {
            return self.fail(Some(&operator), format!("nothing follows {:?}", operator.raw), HELP);
        };
        let span = self.page.span(self.place(&value));
        let read = expect::read_operand(value.raw, &span, self.sink.uses, self.sink.diagnostics)
            .filter(|_| operator.quoted.is_none())
            .and_then(|operand| expect::comparison(operator.raw, operand));
        match read {
            Some(operator) => Some(operator),
            None => {
                let message = format!("`{} {}` compares nothing", operator.raw, value.raw);
                self.fail(Some(&value), message, HELP)
            }
        }
    }

    fn columns(&mut self) -> Option<Vec<KvColumn>> {
        let mut columns: Vec<KvColumn> = Vec::new();
        loop {
            let word = self.peek().cloned();
            let pointer = self.pointer("columns")?;
            let name = column_name(&pointer);
            if name.is_empty() || name.len() > COLUMN_BYTES_MAX {
                let message = format!("a column named after {pointer:?} would have no name, or one too long");
                return self.fail(word.as_ref(), message, "point to a field whose path has 1 to 63 bytes");
            }
            if name == "key" || columns.iter().any(|column| column.name == name) {
                let message = format!("there would be two columns `{name}`");
                let help = "columns are named after their pointers, in lower case, and the first is `key`";
                return self.fail(word.as_ref(), message, help);
            }
            columns.push(KvColumn { name, pointer });
            if columns.len() > COLUMNS_MAX {
                let message = format!("more than {COLUMNS_MAX} columns are read");
                return self.fail(word.as_ref(), message, "remove some");
            }
            if self.peek().is_none_or(|word| !word.text().starts_with('/')) {
                return Some(columns);
            }
        }
    }

    fn limit(&mut self) -> Option<u64> {
        let word = self.next();
        let limit = word.as_ref().filter(|word| word.quoted.is_none()).and_then(|word| word.raw.parse().ok());
        match limit {
            Some(limit) if (1..=LIMIT_MAX).contains(&limit) => Some(limit),
            _ => {
                let message = format!("`limit` takes a whole number from 1 to {LIMIT_MAX}");
                self.fail(word.as_ref(), message, "write digits only")
            }
        }
    }
}

/// `/backup/userId` as `backup_userid`: a name that SQL needs no quotes for, if the fields have none.
fn column_name(pointer: &str) -> String {
    let parts: Vec<String> =
        pointer.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
    parts.join("_").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_named_after_their_pointers() {
        assert_eq!(column_name("/backup/userId"), "backup_userid");
        assert_eq!(column_name("/a~1b~0"), "a/b~");
        assert_eq!(column_name("/"), "");
    }

    #[test]
    fn layout_and_comments_carry_no_meaning_and_words_do() {
        let plain = digest("count logs trip: where /a = 1\nget logs k\n");
        assert_eq!(digest("\n# why\n  count  logs\ttrip: where /a = 1\r\n\nget logs k"), plain);
        assert_ne!(digest("count logs trip: where /a = \"1\"\nget logs k\n"), plain);
        assert_ne!(digest("count logs trip: where /a = 1 get logs k\n"), plain);
    }
}
