//! What must be true for a check to hold.

use crate::value::TextTemplate;

/// One `@expect` line. A step may have several; all must hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Expectation {
    /// sql: one row, one column, and it is 0. kv: a count of 0.
    Zero,
    /// sql: one row, one column, and it is true. kv: what is read is true.
    True,
    /// sql: no row. kv: no key.
    Empty,
    /// sql: the judged statement fails with this SQLSTATE and, if given, a message that contains the text.
    Error {
        /// Five characters, digits or upper-case letters.
        sqlstate: String,
        /// Part of the server's message.
        message: Option<String>,
    },
    /// http: the status code.
    Status(u16),
    /// http: a value in the JSON body. kv: one in what stands at a key.
    Json {
        /// RFC 6901.
        pointer: String,
        /// How the value is compared.
        operator: JsonOperator,
    },
    /// sh: the exit code.
    Exit(i32),
}

/// How `json /pointer OP value` compares; numbers compare as decimals, all else as JSON values.
#[derive(Clone, Debug, PartialEq)]
pub enum JsonOperator {
    /// There is a value, even null.
    Exists,
    /// `=`
    Equal(JsonOperand),
    /// `!=`
    NotEqual(JsonOperand),
    /// `<`
    Less(JsonOperand),
    /// `<=`
    LessOrEqual(JsonOperand),
    /// `>`
    Greater(JsonOperand),
    /// `>=`
    GreaterOrEqual(JsonOperand),
}

/// The right side of a JSON comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum JsonOperand {
    /// A JSON value written in the page.
    Json(serde_json::Value),
    /// A text with values in it, compared as a JSON string, or as a number against a number.
    Template(TextTemplate),
}

impl std::fmt::Display for Expectation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Zero => f.write_str("zero"),
            Self::True => f.write_str("true"),
            Self::Empty => f.write_str("empty"),
            Self::Error { sqlstate, message: None } => write!(f, "error {sqlstate}"),
            Self::Error { sqlstate, message: Some(text) } => write!(f, "error {sqlstate} {text:?}"),
            Self::Status(code) => write!(f, "status {code}"),
            Self::Json { pointer, operator } => write!(f, "json {pointer} {operator}"),
            Self::Exit(code) => write!(f, "exit {code}"),
        }
    }
}

impl std::fmt::Display for JsonOperator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exists => f.write_str("exists"),
            Self::Equal(v) => write!(f, "= {v}"),
            Self::NotEqual(v) => write!(f, "!= {v}"),
            Self::Less(v) => write!(f, "< {v}"),
            Self::LessOrEqual(v) => write!(f, "<= {v}"),
            Self::Greater(v) => write!(f, "> {v}"),
            Self::GreaterOrEqual(v) => write!(f, ">= {v}"),
        }
    }
}

impl std::fmt::Display for JsonOperand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Json(value) => write!(f, "{value}"),
            Self::Template(template) => {
                for piece in &template.pieces {
                    match piece {
                        crate::value::TextPiece::Text(text) => f.write_str(text)?,
                        crate::value::TextPiece::Value(value) => write!(f, "{{{{{value}}}}}")?,
                    }
                }
                Ok(())
            }
        }
    }
}
