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
    /// `:{id}`, `:{id.missing}`: a relation kept by the step `id`, put in front of the statement as a typed CTE.
    Relation(RelationRef),
}

/// A relation that an earlier step kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelationRef {
    /// A record with `@rows`, or a comparison.
    pub step: Name,
    /// Which of a comparison's differences; `None` for a record.
    pub part: Option<DifferencePart>,
}

/// One kind of a comparison's differences. As a relation it has the key's columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DifferencePart {
    /// Only the first query has the row.
    Missing,
    /// Only the second has it.
    Extra,
    /// Both have it, with other columns.
    Differing,
}

impl DifferencePart {
    /// Reads the word behind the step's id.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Missing, Self::Extra, Self::Differing].into_iter().find(|part| part.word() == word)
    }

    /// As it is written behind the step's id.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Differing => "differing",
        }
    }
}

impl std::fmt::Display for RelationRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.part {
            Some(part) => write!(f, "{}.{}", self.step, part.word()),
            None => write!(f, "{}", self.step),
        }
    }
}

/// What a statement does, by its words alone. The catalog is asked again when it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// The command, upper case, such as `SELECT`, `CREATE TABLE`, `DO`.
    pub command: String,
    /// Relations, columns and other objects it destroys, empties, hides or renames, as written.
    pub destroys: Vec<Doomed>,
    /// It runs code that the parser cannot see into: `DO`, `CALL`, `EXECUTE`, or a SELECT that calls a function which is not PostgreSQL's own.
    pub opaque: bool,
    /// Why it cannot run inside a transaction block, such as `CREATE INDEX CONCURRENTLY`.
    pub outside_transaction: Option<&'static str>,
    /// It begins, ends or splits a transaction.
    pub transaction_control: bool,
    /// Only reads, as far as its words tell (SELECT, VALUES, TABLE, SHOW, EXPLAIN without ANALYZE, WITH of those).
    pub reads_only: bool,
    /// Session state that outlives the transaction and that a pooler would leak, such as `SET`, `PREPARE`.
    pub session_state: Option<&'static str>,
    /// Objects it creates, as written.
    pub creates: Vec<ObjectName>,
    /// Relations, functions that are not PostgreSQL's own, and roles that it names and that must be there, as written.
    /// Nothing of a statement that says IF EXISTS, nor of the body of a function.
    pub needs: Vec<ObjectName>,
    /// Relations it reads in FROM, USING or TABLE, as written; names of its own WITH queries left out.
    pub reads: Vec<ObjectName>,
    /// Those of `reads` of which a query leaves out no row: no condition, inner join, limit or grouping.
    pub reads_whole: Vec<ObjectName>,
    /// Relations whose rows INSERT, UPDATE, DELETE or MERGE changes, as written: the statement's own target first.
    pub writes: Vec<ObjectName>,
    /// What it does that no rollback takes back, such as `nextval` or `COPY TO PROGRAM`; in the order written.
    pub beyond_rollback: Vec<String>,
    /// PostgreSQL takes bound parameters in it (queries and data changes; not DDL and other utility statements).
    pub bindable: bool,
}

/// Something that a statement destroys, empties, hides or renames.
pub type Doomed = ObjectName;

/// An object of the database as a statement names it.
///
/// A part that the page writes as `:"a"` stands here as `:a`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName {
    /// `table`, `view`, `materialized view`, `schema`, `function`, `type`, …; `rows`, `column`, `constraint`, `trigger`,
    /// `policy`, `rule` and `partition` are of the relation `name`.
    pub kind: &'static str,
    /// Schema part as written, if any, folded as PostgreSQL folds it.
    pub schema: Option<String>,
    /// Name, folded as PostgreSQL folds it.
    pub name: String,
    /// The column, constraint, trigger, policy, rule or partition of `name` that is meant, folded.
    pub part: Option<String>,
}

impl std::fmt::Display for ObjectName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{schema}.")?;
        }
        f.write_str(&self.name)?;
        match &self.part {
            Some(part) => write!(f, ".{part}"),
            None => Ok(()),
        }
    }
}
