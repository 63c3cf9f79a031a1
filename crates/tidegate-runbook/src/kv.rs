//! What a kv block asks of a key-value store. It only reads.

use crate::expectation::JsonOperator;
use crate::names::Name;
use crate::source::Span;
use crate::value::TextTemplate;

/// The body of a kv block: one statement a line, in order.
#[derive(Clone, Debug, Default)]
pub struct KvBody {
    /// A check judges exactly one that is no report. A record names each, or has a single `list`.
    pub statements: Vec<KvStatement>,
}

impl KvBody {
    /// The statements that are kept or judged, without the reports.
    pub fn answers(&self) -> impl Iterator<Item = &KvStatement> {
        self.statements.iter().filter(|statement| !statement.report)
    }
}

/// One line.
#[derive(Clone, Debug)]
pub struct KvStatement {
    /// `name = …`: what a record keeps the answer under.
    pub name: Option<Name>,
    /// `report …`: the answer is told in the outcome, and neither kept nor judged.
    pub report: bool,
    /// What is read.
    pub read: KvRead,
    /// The line, without spaces around it.
    pub span: Span,
}

/// What one statement reads.
#[derive(Clone, Debug)]
pub enum KvRead {
    /// `get NAMESPACE KEY [/pointer]`
    Get {
        /// 1 to 64 letters, digits, `_` and `-`.
        namespace: String,
        /// The key, whole.
        key: TextTemplate,
        /// RFC 6901 pointer into the JSON that stands there; `None`: all of it.
        pointer: Option<String>,
    },
    /// `missing NAMESPACE KEY`: whether nothing stands there.
    Missing {
        /// As in `get`.
        namespace: String,
        /// As in `get`.
        key: TextTemplate,
    },
    /// `count NAMESPACE PREFIX [where …]`: how many keys start with the prefix and meet the conditions.
    Count {
        /// As in `get`.
        namespace: String,
        /// What the keys start with; empty: all keys of the namespace.
        prefix: TextTemplate,
        /// All must hold. Empty: values are not read.
        conditions: Vec<KvCondition>,
    },
    /// `list NAMESPACE PREFIX [where …] [columns …] [limit n]`: those keys, in the order of their bytes.
    List {
        /// As in `get`.
        namespace: String,
        /// As in `count`.
        prefix: TextTemplate,
        /// As in `count`.
        conditions: Vec<KvCondition>,
        /// What is read beside the key.
        columns: Vec<KvColumn>,
        /// The listing ends at this many; `None`: it goes to the end.
        limit: Option<u64>,
    },
}

impl KvRead {
    /// The word that the statement begins with.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Get { .. } => "get",
            Self::Missing { .. } => "missing",
            Self::Count { .. } => "count",
            Self::List { .. } => "list",
        }
    }

    /// Its key or prefix.
    #[must_use]
    pub fn key(&self) -> &TextTemplate {
        match self {
            Self::Get { key, .. } | Self::Missing { key, .. } => key,
            Self::Count { prefix, .. } | Self::List { prefix, .. } => prefix,
        }
    }

    /// Its conditions; those that read one key have none.
    #[must_use]
    pub fn conditions(&self) -> &[KvCondition] {
        match self {
            Self::Get { .. } | Self::Missing { .. } => &[],
            Self::Count { conditions, .. } | Self::List { conditions, .. } => conditions,
        }
    }
}

/// `/pointer OP value` of a `where`.
#[derive(Clone, Debug, PartialEq)]
pub struct KvCondition {
    /// RFC 6901 pointer into the value's JSON.
    pub pointer: String,
    /// How what stands there is compared. Where nothing does, `!=` holds and all else does not.
    pub operator: JsonOperator,
}

/// A column of a `list`, beside `key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KvColumn {
    /// The pointer's parts with `_` between, in lower case.
    pub name: String,
    /// RFC 6901 pointer into the value's JSON.
    pub pointer: String,
}
