//! Values and relations that steps hand to each other, and how they enter SQL and texts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidegate_runbook::{
    Name, ParameterType, RelationRef, SourcePath, SqlPiece, SqlStatement, TextPiece, TextTemplate, ValueRef,
};
use tidegate_store::postgres::{quote_identifier, quote_literal};

/// One value with its PostgreSQL type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// As `format_type` prints it.
    pub type_name: String,
    /// The type's text output; `None` is NULL.
    pub text: Option<String>,
    /// Never written anywhere.
    pub secret: bool,
}

/// Rows that a step kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// Names and types.
    pub columns: Vec<(String, String)>,
    /// Texts; `None` is NULL.
    pub rows: Vec<Vec<Option<String>>>,
}

/// Everything a text may ask for by name.
#[derive(Clone, Debug, Default)]
pub struct Values {
    scalars: BTreeMap<ValueRef, Value>,
    relations: BTreeMap<RelationRef, Relation>,
}

/// A text asks for a value that is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueMissing {
    /// The step that keeps it was not run, or keeps no such column.
    #[error(
        "the value {0} is not there: the step that keeps it has not run, or its answer has no such column"
    )]
    Scalar(ValueRef),
    /// The step that keeps the rows was not run.
    #[error(
        "the rows of {0} are not there: the step that keeps them has not run, or its evidence was deleted"
    )]
    Relation(RelationRef),
    /// A NULL where a text is needed.
    #[error("the value {0} is NULL where a text is needed")]
    Null(ValueRef),
    /// A secret would be written out.
    #[error("the value {0} is secret and may be bound only, never written into a text")]
    Secret(ValueRef),
}

/// A statement ready to be sent by the simple protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RenderedSql {
    /// The text. Bound values are read from transaction-local settings, so that they never stand in it.
    pub text: String,
    /// Settings to be made first, in the same transaction: name and value.
    pub settings: Vec<(String, String)>,
    /// Whether one of the settings is a secret.
    pub holds_secret: bool,
    /// The text that the statement stands in.
    pub path: Option<SourcePath>,
    /// Where each piece of the source begins: character in `text`, byte in the source.
    origin: Vec<(usize, usize)>,
    /// Settings of a statement beside it, whose names are taken.
    settings_before: usize,
}

impl RenderedSql {
    /// The byte in the source of the statement that a character position (from 0) of the sent text comes from.
    #[must_use]
    pub fn source_offset(&self, character: usize) -> Option<usize> {
        let (begins, source) = self.origin.iter().rev().find(|(begins, _)| *begins <= character)?;
        let into: usize = self.text.chars().skip(*begins).take(character - begins).map(char::len_utf8).sum();
        Some(source + into)
    }
}

impl Values {
    /// Keeps a value.
    pub fn set(&mut self, name: ValueRef, value: Value) {
        self.scalars.insert(name, value);
    }

    /// Takes over everything that `other` holds.
    pub(crate) fn take_over(&mut self, other: Self) {
        self.scalars.extend(other.scalars);
        self.relations.extend(other.relations);
    }

    /// Keeps rows.
    pub fn set_relation(&mut self, name: RelationRef, relation: Relation) {
        self.relations.insert(name, relation);
    }

    /// Drops what a step kept.
    pub fn forget(&mut self, step: &Name) {
        self.scalars.retain(|name, _| &name.root != step || name.field.is_none());
        self.relations.retain(|name, _| &name.step != step);
    }

    /// A value by name.
    ///
    /// # Errors
    /// [`ValueMissing::Scalar`] if there is none.
    pub fn get(&self, name: &ValueRef) -> Result<&Value, ValueMissing> {
        self.scalars.get(name).ok_or_else(|| ValueMissing::Scalar(name.clone()))
    }

    /// Rows by name.
    ///
    /// # Errors
    /// [`ValueMissing::Relation`] if there are none.
    pub fn relation(&self, name: &RelationRef) -> Result<&Relation, ValueMissing> {
        self.relations.get(name).ok_or_else(|| ValueMissing::Relation(name.clone()))
    }

    /// All secrets, for redaction.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.scalars.values().filter(|value| value.secret).filter_map(|value| value.text.as_deref())
    }

    /// A statement with its values put in.
    ///
    /// # Errors
    /// [`ValueMissing`] for the first value or relation that is not there or may not be written.
    pub fn sql(&self, statement: &SqlStatement) -> Result<RenderedSql, ValueMissing> {
        self.sql_with(statement, &[], &[])
    }

    /// As [`Self::sql`], for a statement that stands beside `other` in one transaction: their settings have other names.
    ///
    /// # Errors
    /// As [`Self::sql`].
    pub(crate) fn sql_beside(
        &self,
        statement: &SqlStatement,
        other: &RenderedSql,
    ) -> Result<RenderedSql, ValueMissing> {
        let beside = RenderedSql { settings_before: other.settings.len(), ..RenderedSql::default() };
        self.render(beside, statement, &[], &[])
    }

    /// As [`Self::sql`], with more in front of the statement: kept relations, then queries of the form `name AS (…)`,
    /// which may read them.
    ///
    /// # Errors
    /// As [`Self::sql`].
    pub(crate) fn sql_with<'a>(
        &self,
        statement: &'a SqlStatement,
        relations: &[&'a RelationRef],
        queries: &[&str],
    ) -> Result<RenderedSql, ValueMissing> {
        self.render(RenderedSql::default(), statement, relations, queries)
    }

    fn render<'a>(
        &self,
        mut rendered: RenderedSql,
        statement: &'a SqlStatement,
        relations: &[&'a RelationRef],
        queries: &[&str],
    ) -> Result<RenderedSql, ValueMissing> {
        rendered.path = Some(statement.span.path.clone());
        let mut relations = relations.to_vec();
        let mut source = statement.span.range.start;
        for piece in &statement.pieces {
            match piece {
                SqlPiece::Text(text) => {
                    rendered.origin.push((rendered.text.chars().count(), source));
                    rendered.text.push_str(text);
                    source += text.len();
                }
                SqlPiece::Bind(name) => {
                    let value = self.get(name)?;
                    rendered.holds_secret |= value.secret;
                    let setting = value.text.as_ref().map(|text| rendered.setting(text));
                    rendered.text.push_str(&typed(setting.as_deref(), &value.type_name));
                    source += name.to_string().len() + 1;
                }
                SqlPiece::Literal(name) => {
                    rendered.text.push_str(&quote_literal(self.writable(name)?));
                    source += name.to_string().len() + 3;
                }
                SqlPiece::Identifier(name) => {
                    rendered.text.push_str(&quote_identifier(self.writable(name)?));
                    source += name.to_string().len() + 3;
                }
                SqlPiece::Relation(name) => {
                    let shown = name.to_string();
                    rendered.text.push_str(&quote_identifier(&shown));
                    if !relations.contains(&name) {
                        relations.push(name);
                    }
                    source += shown.len() + 3;
                }
            }
        }
        if !relations.is_empty() || !queries.is_empty() {
            self.put_in_front(&mut rendered, &relations, queries)?;
        }
        Ok(rendered)
    }

    /// A text with its values put in, each passed through `encode`.
    ///
    /// # Errors
    /// [`ValueMissing`] for the first value that is not there, is NULL, or is secret while `secrets_allowed` is false.
    pub fn text(
        &self,
        template: &TextTemplate,
        secrets_allowed: bool,
        encode: impl Fn(&str) -> String,
    ) -> Result<String, ValueMissing> {
        let mut text = String::new();
        for piece in &template.pieces {
            match piece {
                TextPiece::Text(plain) => text.push_str(plain),
                TextPiece::Value(name) => {
                    let value = self.get(name)?;
                    if value.secret && !secrets_allowed {
                        return Err(ValueMissing::Secret(name.clone()));
                    }
                    text.push_str(&encode(
                        value.text.as_deref().ok_or_else(|| ValueMissing::Null(name.clone()))?,
                    ));
                }
            }
        }
        Ok(text)
    }

    fn writable(&self, name: &ValueRef) -> Result<&str, ValueMissing> {
        let value = self.get(name)?;
        if value.secret {
            return Err(ValueMissing::Secret(name.clone()));
        }
        value.text.as_deref().ok_or_else(|| ValueMissing::Null(name.clone()))
    }

    fn put_in_front(
        &self,
        rendered: &mut RenderedSql,
        names: &[&RelationRef],
        queries: &[&str],
    ) -> Result<(), ValueMissing> {
        let mut ctes = Vec::new();
        for name in names {
            let relation =
                self.relations.get(*name).ok_or_else(|| ValueMissing::Relation((*name).clone()))?;
            ctes.push(rendered.cte(name, relation));
        }
        ctes.extend(queries.iter().map(|cte| (*cte).to_owned()));
        let ctes = ctes.join(", ");
        let words = WithClause::of(&rendered.text);
        let (at, inserted) = match words {
            WithClause::At(at) => (at, format!(" {ctes},")),
            WithClause::None(at) => (at, format!("WITH {ctes} ")),
        };
        let characters_before = rendered.text.get(..at).map_or(0, |text| text.chars().count());
        let characters_inserted = inserted.chars().count();
        rendered.text.insert_str(at, &inserted);
        // The piece that was split goes on after the insertion.
        let split = rendered.origin.iter().rev().find(|(begins, _)| *begins <= characters_before).map(
            |(begins, source)| {
                (characters_before + characters_inserted, source + at.min(at - *begins.min(&at)))
            },
        );
        for (begins, _) in &mut rendered.origin {
            if *begins > characters_before {
                *begins += characters_inserted;
            }
        }
        if let Some(split) = split {
            rendered.origin.push(split);
            rendered.origin.sort_unstable();
        }
        Ok(())
    }
}

impl RenderedSql {
    /// Keeps `text` in a setting of the transaction and gives the expression that reads it.
    fn setting(&mut self, text: &str) -> String {
        let name = format!("tidegate.v{}", self.settings_before + self.settings.len());
        self.settings.push((name.clone(), text.to_owned()));
        format!("current_setting({})", quote_literal(&name))
    }

    fn cte(&mut self, name: &RelationRef, relation: &Relation) -> String {
        let rows = serde_json::to_string(&relation.rows).unwrap_or_else(|_| "[]".to_owned());
        let rows = self.setting(&rows);
        let columns: Vec<String> = relation
            .columns
            .iter()
            .enumerate()
            .map(|(index, (name, type_name))| {
                format!("CAST(kept.cells ->> {index} AS {type_name}) AS {}", quote_identifier(name))
            })
            .collect();
        format!(
            "{} AS (SELECT {} FROM jsonb_array_elements({rows}::jsonb) WITH ORDINALITY AS kept (cells, number) ORDER BY kept.number)",
            quote_identifier(&name.to_string()),
            columns.join(", "),
        )
    }
}

/// Where a statement's own WITH clause begins.
enum WithClause {
    /// Byte after `WITH` or `WITH RECURSIVE`.
    At(usize),
    /// It has none; byte of its first word.
    None(usize),
}

impl WithClause {
    fn of(text: &str) -> Self {
        let start = first_word(text, 0);
        let word = word_at(text, start);
        if !word.eq_ignore_ascii_case("with") {
            return Self::None(start);
        }
        let after = start + word.len();
        let second = first_word(text, after);
        let second_word = word_at(text, second);
        if second_word.eq_ignore_ascii_case("recursive") {
            Self::At(second + second_word.len())
        } else {
            Self::At(after)
        }
    }
}

fn word_at(text: &str, at: usize) -> &str {
    let rest = text.get(at..).unwrap_or_default();
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default()
}

/// Skips spaces and comments.
fn first_word(text: &str, mut at: usize) -> usize {
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let trimmed = rest.trim_start();
        at += rest.len() - trimmed.len();
        if trimmed.starts_with("--") {
            at += trimmed.find('\n').unwrap_or(trimmed.len());
        } else if trimmed.starts_with("/*") {
            at += trimmed.find("*/").map_or(trimmed.len(), |end| end + 2);
        } else {
            return at;
        }
        if at >= text.len() {
            return text.len();
        }
    }
}

fn typed(expression: Option<&str>, type_name: &str) -> String {
    format!("CAST({} AS {type_name})", expression.unwrap_or("NULL"))
}

/// The PostgreSQL type that a parameter is bound as.
#[must_use]
pub fn sql_type(kind: ParameterType) -> &'static str {
    match kind {
        ParameterType::Text | ParameterType::Ident | ParameterType::Path => "text",
        ParameterType::Int => "bigint",
        ParameterType::Decimal | ParameterType::Ratio => "numeric",
        ParameterType::Bool => "boolean",
        ParameterType::Uuid => "uuid",
        ParameterType::Timestamp => "timestamp with time zone",
        ParameterType::Duration => "interval",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_runbook::{Effect, Span};

    fn name(text: &str) -> ValueRef {
        let (root, field) = match text.split_once('.') {
            Some((root, field)) => (root, Some(Name::parse(field).unwrap())),
            None => (text, None),
        };
        ValueRef { root: Name::parse(root).unwrap(), field }
    }

    fn statement(pieces: Vec<SqlPiece>) -> SqlStatement {
        SqlStatement {
            pieces,
            span: Span { path: SourcePath("x.md".into()), range: 100..200 },
            effect: Effect::default(),
        }
    }

    #[test]
    fn a_bound_value_never_stands_in_the_text() {
        let mut values = Values::default();
        let secret = Value { type_name: "text".into(), text: Some("hunter2".into()), secret: true };
        values.set(name("cookie"), secret);
        let rendered = values
            .sql(&statement(vec![SqlPiece::Text("SELECT ".into()), SqlPiece::Bind(name("cookie"))]))
            .unwrap();
        assert_eq!(rendered.text, "SELECT CAST(current_setting('tidegate.v0') AS text)");
        assert_eq!(rendered.settings, [("tidegate.v0".to_owned(), "hunter2".to_owned())]);
        assert_eq!(
            values.sql(&statement(vec![SqlPiece::Literal(name("cookie"))])),
            Err(ValueMissing::Secret(name("cookie")))
        );
    }

    #[test]
    fn quoted_values_are_escaped() {
        let mut values = Values::default();
        let odd = Value { type_name: "text".into(), text: Some("o'clock\"".into()), secret: false };
        values.set(name("a"), odd);
        let rendered = values
            .sql(&statement(vec![
                SqlPiece::Literal(name("a")),
                SqlPiece::Text(" ".into()),
                SqlPiece::Identifier(name("a")),
            ]))
            .unwrap();
        assert_eq!(rendered.text, r#"'o''clock"' "o'clock""""#);
    }

    #[test]
    fn a_relation_becomes_a_cte_before_or_inside_an_existing_with() {
        let mut values = Values::default();
        let pools = RelationRef { step: Name::parse("pools").unwrap(), part: None };
        values.set_relation(
            pools.clone(),
            Relation { columns: vec![("n".into(), "bigint".into())], rows: vec![vec![Some("3".into())]] },
        );
        let plain = values
            .sql(&statement(vec![
                SqlPiece::Text("-- why\nSELECT sum(n) FROM ".into()),
                SqlPiece::Relation(pools.clone()),
            ]))
            .unwrap();
        assert!(plain.text.starts_with("-- why\nWITH \"pools\" AS (SELECT"), "{}", plain.text);
        let with = values
            .sql(&statement(vec![
                SqlPiece::Text("WITH RECURSIVE x AS (SELECT 1) SELECT n FROM ".into()),
                SqlPiece::Relation(pools),
            ]))
            .unwrap();
        assert!(with.text.starts_with("WITH RECURSIVE \"pools\" AS (SELECT"), "{}", with.text);
        assert!(with.text.contains(", x AS (SELECT 1)"), "{}", with.text);
    }

    #[test]
    fn a_position_in_the_sent_text_leads_back_to_the_source() {
        let mut values = Values::default();
        values.set(name("a"), Value { type_name: "bigint".into(), text: Some("1".into()), secret: false });
        let rendered = values
            .sql(&statement(vec![
                SqlPiece::Text("SELECT ".into()),
                SqlPiece::Bind(name("a")),
                SqlPiece::Text(" FROM wrong".into()),
            ]))
            .unwrap();
        let at = rendered.text.find("wrong").unwrap();
        assert_eq!(rendered.source_offset(at), Some(100 + "SELECT :a FROM ".len()));
    }

    #[test]
    fn a_missing_value_is_named() {
        let missing = Values::default().sql(&statement(vec![SqlPiece::Bind(name("before.rows"))]));
        assert_eq!(missing, Err(ValueMissing::Scalar(name("before.rows"))));
    }
}
