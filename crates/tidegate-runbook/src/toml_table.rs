//! Tables of a TOML block: every key is asked for by name, and what nobody asked for is an error.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::Diagnostic;
use crate::digest::Parts;
use crate::duration::parse_duration;
use crate::names::Name;
use crate::source::Span;
use crate::text::SourceText;
use crate::vocabulary::edit_distance;

/// A text with its place.
#[derive(Clone, Debug)]
pub(crate) struct Spelt {
    pub(crate) text: String,
    pub(crate) span: Span,
}

/// What stands under a key that takes a list of truths or more.
pub(crate) enum Switch<'t, 'a> {
    /// A list of true and false; `None` if it is none, which has been reported.
    Truths(Option<Vec<bool>>),
    /// A table.
    Table(TomlTable<'t, 'a>),
}

/// One TOML table, being read.
pub(crate) struct TomlTable<'t, 'a> {
    source: &'t SourceText<'a>,
    offset: usize,
    what: String,
    place: Span,
    table: &'t DeTable<'a>,
    asked: Vec<&'static str>,
}

/// Parses the text in `range`; every syntax error is reported, and what could be read is returned.
pub(crate) fn parse<'a>(
    source: &SourceText<'a>,
    range: Range<usize>,
    diagnostics: &mut Vec<Diagnostic>,
) -> (DeTable<'a>, bool) {
    let text = source.slice(range.clone());
    let (table, errors) = DeTable::parse_recoverable(text);
    let whole = !errors.is_empty();
    for error in errors {
        let place = error.span().unwrap_or(0..0);
        let end = place.end.min(text.len());
        let start = place.start.min(end);
        diagnostics.push(Diagnostic::error(
            "toml-syntax",
            source.span(range.start + start..range.start + end),
            format!("this is not TOML: {}", error.message().lines().collect::<Vec<_>>().join("; ")),
            "mend the line; texts stand in quotes, one `key = value` a line",
        ));
    }
    (table.into_inner(), !whole)
}

/// A digest of what a table says: keys in their alphabetic order, values decoded. Comments and layout do not count.
pub(crate) fn digest(table: &DeTable<'_>) -> [u8; 32] {
    let mut parts = Parts::default();
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by(|(left, _), (right, _)| left.get_ref().cmp(right.get_ref()));
    for (name, value) in entries {
        parts.add(name.get_ref().as_bytes()).add(value_digest(value.get_ref()));
    }
    parts.finish()
}

fn value_digest(value: &DeValue<'_>) -> [u8; 32] {
    let mut parts = Parts::default();
    parts.add(value.type_str());
    match value {
        DeValue::String(text) => parts.add(text.as_bytes()),
        DeValue::Integer(integer) => parts.add(integer.as_str()).add(integer.radix().to_be_bytes()),
        DeValue::Float(float) => parts.add(float.as_str()),
        DeValue::Boolean(truth) => parts.add([u8::from(*truth)]),
        DeValue::Datetime(time) => parts.add(time.to_string()),
        DeValue::Array(items) => parts.list(items.iter().map(|item| value_digest(item.get_ref()))),
        DeValue::Table(table) => parts.add(digest(table)),
    };
    parts.finish()
}

impl<'t, 'a> TomlTable<'t, 'a> {
    /// The table of a whole block. `what` names it in messages, such as "the `@stage` block".
    pub(crate) fn new(
        source: &'t SourceText<'a>,
        offset: usize,
        what: impl Into<String>,
        place: Span,
        table: &'t DeTable<'a>,
    ) -> Self {
        Self { source, offset, what: what.into(), place, table, asked: Vec::new() }
    }

    fn span(&self, range: Range<usize>) -> Span {
        self.source.span(self.offset + range.start..self.offset + range.end)
    }

    /// Where the table stands.
    pub(crate) fn place(&self) -> &Span {
        &self.place
    }

    fn value(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'a>>> {
        self.asked.push(key);
        self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }

    /// Whether a key is there; it counts as asked for.
    pub(crate) fn has(&mut self, key: &'static str) -> bool {
        self.value(key).is_some()
    }

    fn wrong_type(&self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) -> Diagnostic {
        Diagnostic::error(
            "toml-type",
            self.span(value.span()),
            format!("`{key}` of {} is {}, not {wanted}", self.what, article(value.get_ref().type_str())),
            format!("write {wanted}"),
        )
    }

    /// A text.
    pub(crate) fn text(&mut self, key: &'static str, diagnostics: &mut Vec<Diagnostic>) -> Option<Spelt> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some(Spelt { text: text.to_string(), span: self.span(value.span()) }),
            _ => {
                diagnostics.push(self.wrong_type(key, value, "a text in quotes"));
                None
            }
        }
    }

    /// A text that is an id.
    pub(crate) fn name(
        &mut self,
        key: &'static str,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<(Name, Span)> {
        let spelt = self.text(key, diagnostics)?;
        read_name(spelt, diagnostics)
    }

    /// A list of texts; a single text counts as a list of one.
    pub(crate) fn texts(&mut self, key: &'static str, diagnostics: &mut Vec<Diagnostic>) -> Vec<Spelt> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let single = std::slice::from_ref(value);
        let items: &[Spanned<DeValue<'_>>] = match value.get_ref() {
            DeValue::Array(items) => items,
            DeValue::String(_) => single,
            _ => {
                diagnostics.push(self.wrong_type(key, value, "a list of texts"));
                return Vec::new();
            }
        };
        let mut texts = Vec::new();
        for item in items {
            match item.get_ref() {
                DeValue::String(text) => {
                    texts.push(Spelt { text: text.to_string(), span: self.span(item.span()) });
                }
                _ => diagnostics.push(self.wrong_type(key, item, "a text in quotes")),
            }
        }
        texts
    }

    /// A list of ids.
    pub(crate) fn names(
        &mut self,
        key: &'static str,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Vec<(Name, Span)> {
        let texts = self.texts(key, diagnostics);
        texts.into_iter().filter_map(|spelt| read_name(spelt, diagnostics)).collect()
    }

    /// `true` or `false`; false when the key is absent.
    pub(crate) fn boolean(&mut self, key: &'static str, diagnostics: &mut Vec<Diagnostic>) -> bool {
        match self.value(key).map(|value| (value, value.get_ref())) {
            None => false,
            Some((_, DeValue::Boolean(truth))) => *truth,
            Some((value, _)) => {
                diagnostics.push(self.wrong_type(key, value, "true or false"));
                false
            }
        }
    }

    /// A list of true and false.
    pub(crate) fn booleans(
        &mut self,
        key: &'static str,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Vec<bool>> {
        let value = self.value(key)?;
        self.truths(key, value, diagnostics)
    }

    fn truths(
        &self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Vec<bool>> {
        let DeValue::Array(items) = value.get_ref() else {
            diagnostics.push(self.wrong_type(key, value, "a list of true and false"));
            return None;
        };
        let mut truths = Vec::new();
        for item in items {
            let DeValue::Boolean(truth) = item.get_ref() else {
                diagnostics.push(self.wrong_type(key, item, "true or false"));
                return None;
            };
            truths.push(*truth);
        }
        Some(truths)
    }

    /// All keys, each with a list of true and false or with a table, in the order in which the page has them.
    pub(crate) fn switches(&self, diagnostics: &mut Vec<Diagnostic>) -> Vec<(Spelt, Switch<'t, 'a>)> {
        let mut switches = Vec::new();
        for (name, value) in self.in_order() {
            let switch = match value.get_ref() {
                DeValue::Table(table) => {
                    let what = format!("`{}`", name.text);
                    Switch::Table(TomlTable::new(self.source, self.offset, what, name.span.clone(), table))
                }
                _ => Switch::Truths(self.truths(&name.text, value, diagnostics)),
            };
            switches.push((name, switch));
        }
        switches
    }

    /// Whether the table has no key.
    pub(crate) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The tables in a list, in order.
    pub(crate) fn list_of_tables(
        &mut self,
        key: &'static str,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Vec<TomlTable<'t, 'a>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let DeValue::Array(items) = value.get_ref() else {
            diagnostics.push(self.wrong_type(key, value, "a list of tables"));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items {
            match item.get_ref() {
                DeValue::Table(table) => tables.push(TomlTable::new(
                    self.source,
                    self.offset,
                    format!("an entry of `{key}`"),
                    self.span(item.span()),
                    table,
                )),
                _ => diagnostics.push(self.wrong_type(key, item, "a table in braces")),
            }
        }
        tables
    }

    /// A whole number from `least` to `most`.
    pub(crate) fn integer(
        &mut self,
        key: &'static str,
        least: u64,
        most: u64,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<(u64, Span)> {
        let value = self.value(key)?;
        let wanted = if most == u64::MAX {
            format!("a whole number of at least {least}")
        } else {
            format!("a whole number from {least} to {most}")
        };
        let DeValue::Integer(integer) = value.get_ref() else {
            diagnostics.push(self.wrong_type(key, value, &wanted));
            return None;
        };
        let span = self.span(value.span());
        match u64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) if (least..=most).contains(&number) => Some((number, span)),
            _ => {
                diagnostics.push(Diagnostic::error(
                    "toml-value",
                    span,
                    format!("`{key}` of {} is {integer}", self.what),
                    format!("write {wanted}"),
                ));
                None
            }
        }
    }

    /// A span of time above zero, such as `"5m"`.
    pub(crate) fn duration(
        &mut self,
        key: &'static str,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Duration> {
        let spelt = self.text(key, diagnostics)?;
        match parse_duration(&spelt.text) {
            Ok(duration) if duration > Duration::ZERO => Some(duration),
            outcome => {
                let message = outcome.err().map_or_else(
                    || format!("`{key}` of {} is no time at all", self.what),
                    |error| error.to_string(),
                );
                let help = "write whole numbers with their unit, such as \"90s\" or \"2h30m\"";
                diagnostics.push(Diagnostic::error("duration-malformed", spelt.span, message, help));
                None
            }
        }
    }

    /// A value of any simple type, as text.
    pub(crate) fn scalar(&mut self, key: &'static str, diagnostics: &mut Vec<Diagnostic>) -> Option<Spelt> {
        let value = self.value(key)?;
        self.scalar_text(key, value, diagnostics)
    }

    /// A list of values of any simple type, as texts.
    pub(crate) fn scalars(&mut self, key: &'static str, diagnostics: &mut Vec<Diagnostic>) -> Vec<Spelt> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let DeValue::Array(items) = value.get_ref() else {
            diagnostics.push(self.wrong_type(key, value, "a list"));
            return Vec::new();
        };
        items.iter().filter_map(|item| self.scalar_text(key, item, diagnostics)).collect()
    }

    fn scalar_text(
        &self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Spelt> {
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(integer) => match i128::from_str_radix(integer.as_str(), integer.radix()) {
                Ok(number) => number.to_string(),
                Err(_) => integer.to_string(),
            },
            DeValue::Float(float) => float.as_str().to_owned(),
            DeValue::Boolean(truth) => truth.to_string(),
            DeValue::Datetime(time) => time.to_string(),
            DeValue::Array(_) | DeValue::Table(_) => {
                diagnostics.push(self.wrong_type(key, value, "one value"));
                return None;
            }
        };
        Some(Spelt { text, span: self.span(value.span()) })
    }

    /// A table under a key.
    pub(crate) fn table(
        &mut self,
        key: &'static str,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<TomlTable<'t, 'a>> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(TomlTable::new(
                self.source,
                self.offset,
                format!("`[{key}]`"),
                self.key_span(key),
                table,
            )),
            _ => {
                diagnostics.push(self.wrong_type(key, value, "a table"));
                None
            }
        }
    }

    /// The tables under a key, by their own keys, in the order in which the page has them.
    pub(crate) fn tables(
        &mut self,
        key: &'static str,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Vec<(Spelt, TomlTable<'t, 'a>)> {
        let Some(outer) = self.table(key, diagnostics) else { return Vec::new() };
        let mut tables = Vec::new();
        for (name, value) in outer.in_order() {
            match value.get_ref() {
                DeValue::Table(table) => {
                    let what = format!("`[{key}.{}]`", name.text);
                    let place = name.span.clone();
                    tables.push((name, TomlTable::new(self.source, self.offset, what, place, table)));
                }
                _ => diagnostics.push(outer.wrong_type(&name.text, value, "a table")),
            }
        }
        tables
    }

    /// All keys with texts as their values, in the order in which the page has them.
    pub(crate) fn all_texts(self, diagnostics: &mut Vec<Diagnostic>) -> Vec<(Spelt, Spelt)> {
        let mut texts = Vec::new();
        for (name, value) in self.in_order() {
            match value.get_ref() {
                DeValue::String(text) => {
                    texts.push((name, Spelt { text: text.to_string(), span: self.span(value.span()) }));
                }
                _ => diagnostics.push(self.wrong_type(&name.text, value, "a text in quotes")),
            }
        }
        texts
    }

    fn in_order(&self) -> Vec<(Spelt, &'t Spanned<DeValue<'a>>)> {
        let mut entries: Vec<_> = self.table.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        entries
            .into_iter()
            .map(|(name, value)| {
                (Spelt { text: name.get_ref().to_string(), span: self.span(name.span()) }, value)
            })
            .collect()
    }

    fn key_span(&self, key: &str) -> Span {
        let found = self.table.iter().find(|(name, _)| name.get_ref() == key);
        found.map_or_else(|| self.place.clone(), |(name, _)| self.span(name.span()))
    }

    /// Reports a key that is missing.
    pub(crate) fn missing(&self, key: &str, example: &str, diagnostics: &mut Vec<Diagnostic>) {
        diagnostics.push(Diagnostic::error(
            "key-missing",
            self.place.clone(),
            format!("{} has no `{key}`", self.what),
            format!("write `{key} = {example}`"),
        ));
    }

    /// Reports every key that was not asked for.
    pub(crate) fn finish(self, diagnostics: &mut Vec<Diagnostic>) {
        for (name, _) in self.in_order() {
            if self.asked.iter().any(|asked| *asked == name.text) {
                continue;
            }
            let near = self.asked.iter().find(|asked| edit_distance(asked, &name.text) <= 2);
            let help = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None if self.asked.is_empty() => "remove it: no key is known here".to_owned(),
                None => {
                    let mut known: Vec<&str> = Vec::new();
                    for asked in &self.asked {
                        if !known.contains(asked) {
                            known.push(asked);
                        }
                    }
                    format!("known here: {}", known.join(", "))
                }
            };
            diagnostics.push(Diagnostic::error(
                "unknown-key",
                name.span,
                format!("{} has no key `{}`", self.what, name.text),
                help,
            ));
        }
    }
}

fn article(type_name: &str) -> String {
    let an = type_name.starts_with(['a', 'i']);
    format!("{} {type_name}", if an { "an" } else { "a" })
}

fn read_name(spelt: Spelt, diagnostics: &mut Vec<Diagnostic>) -> Option<(Name, Span)> {
    match Name::parse(&spelt.text) {
        Ok(name) => Some((name, spelt.span)),
        Err(error) => {
            diagnostics.push(Diagnostic::error(
                "id-malformed",
                spelt.span,
                error.to_string(),
                "write lower-case letters, digits and underscores",
            ));
            None
        }
    }
}
