//! Values that steps hand to each other, and where a text asks for one.

use crate::names::Name;

/// A value asked for by name: a parameter (`a`), a column kept by a record or an http step (`a.b`), `run.id`, `run.started`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueRef {
    /// A parameter, a step, or `run`.
    pub root: Name,
    /// The column or kept value of the step.
    pub field: Option<Name>,
}

impl std::fmt::Display for ValueRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{}.{}", self.root, field),
            None => write!(f, "{}", self.root),
        }
    }
}

/// A text with values in it, written `{{a}}` or `{{a.b}}`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TextTemplate {
    /// In order; adjacent texts are merged.
    pub pieces: Vec<TextPiece>,
}

/// A part of a [`TextTemplate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextPiece {
    /// Taken as it stands.
    Text(String),
    /// Replaced by the value's text.
    Value(ValueRef),
}

/// The type of a parameter, as `[parameters]` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParameterType {
    /// Any text.
    Text,
    /// A 64-bit signed integer.
    Int,
    /// A decimal number of any precision.
    Decimal,
    /// `true` or `false`.
    Bool,
    /// A UUID in hexadecimal groups.
    Uuid,
    /// An RFC 3339 timestamp with offset.
    Timestamp,
    /// A span such as `90s`, `5m`, `2h30m`, `14d`.
    Duration,
    /// A decimal between 0 and 1, or a percentage such as `5%`.
    Ratio,
    /// A PostgreSQL identifier, quoted only where the text quotes it.
    Ident,
    /// A path of the file system.
    Path,
}

/// A parameter that the operator may set with `--set name=value`.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: Name,
    /// Its type; values are checked against it before anything runs.
    pub kind: ParameterType,
    /// Never written anywhere; may be bound, never quoted into a text.
    pub secret: bool,
    /// The environment variable that supplies it when `--set` does not.
    pub env: Option<String>,
    /// Used when neither `--set` nor `env` supplies one, in canonical text.
    pub default: Option<String>,
    /// When not empty, the only values accepted, in canonical text.
    pub allowed: Vec<String>,
    /// Where it is declared.
    pub span: crate::source::Span,
}

impl ValueRef {
    /// Reads `a` or `a.b`; `None` when a part is not a [`Name`].
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (root, field) = match text.split_once('.') {
            Some((root, field)) => (root, Some(Name::parse(field).ok()?)),
            None => (text, None),
        };
        Some(Self { root: Name::parse(root).ok()?, field })
    }
}
