//! SQL bodies of steps: statements, what kind each is, and where values go.

use crate::names::Name;
use crate::source::Span;
use crate::value::ValueRef;

/// The statements of one sql step, in order.
#[derive(Clone, Debug, Default)]
pub struct SqlBody {
    /// At least one in any accepted runbook.
    pub statements: Vec<SqlStatement>,
}

/// One statement, without its final semicolon.
#[derive(Clone, Debug)]
pub struct SqlStatement {
    /// The text with values taken out.
    pub pieces: Vec<SqlPiece>,
    /// The text in its source, so that a position reported by the server can be shown there.
    pub span: Span,
    /// What it does, as far as its words tell.
    pub effect: Effect,
}

/// A part of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SqlPiece {
    /// Sent as it stands.
    Text(String),
    /// `:a`, `:a.b`: sent as a bound parameter of the value's type.
    Bind(ValueRef),
    /// `:'a'`: written as a quoted literal.
    Literal(ValueRef),
    /// `:"a"`: written as a quoted identifier.
    Identifier(ValueRef),
    /// `:{id}`: a relation recorded by the step `id`, put in front of the statement as a typed CTE.
    Relation(Name),
}

/// What a statement does, by its words alone. The catalog is asked again when it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// The command, upper case, such as `SELECT`, `CREATE TABLE`, `DO`.
    pub command: String,
    /// Relations, columns and other objects it destroys or empties, as written.
    pub destroys: Vec<Doomed>,
    /// It runs code that the parser cannot see into: `DO`, `CALL`, a function call as a statement's purpose.
    pub opaque: bool,
    /// Why it cannot run inside a transaction block, such as `CREATE INDEX CONCURRENTLY`.
    pub outside_transaction: Option<&'static str>,
    /// It begins, ends or splits a transaction.
    pub transaction_control: bool,
    /// Only reads, as far as its words tell (SELECT, VALUES, TABLE, SHOW, EXPLAIN without ANALYZE, WITH of those).
    pub reads_only: bool,
    /// Session state that outlives the transaction and that a pooler would leak, such as `SET`, `PREPARE`.
    pub session_state: Option<&'static str>,
}

/// Something that a statement destroys or empties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doomed {
    /// `table`, `column`, `schema`, `function`, `view`, `rows`, `constraint`, …
    pub kind: &'static str,
    /// Schema part as written, if any, folded as PostgreSQL folds it.
    pub schema: Option<String>,
    /// Name, folded as PostgreSQL folds it.
    pub name: String,
}
