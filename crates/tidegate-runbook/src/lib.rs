//! Turns a Markdown page into a checked [`Runbook`]. The only parser; pure: no I/O, no clock, no randomness.
//!
//! ```text
//! page ─► files_wanted ─► (caller reads) ─► parse ─► Parsed { runbook, diagnostics }
//! ```

mod diagnostic;
mod expectation;
mod lint;
mod meaning;
mod names;
mod runbook;
mod source;
mod sql;
mod sql_effect;
mod sql_text;
mod step;
mod value;

pub use diagnostic::{Diagnostic, Severity};
pub use expectation::{Expectation, JsonOperand, JsonOperator};
pub use names::{Name, NotAName};
pub use runbook::{
    Address, AdoptedVersions, Limits, NeedsRun, ProseBlock, Runbook, Stage, Store, StoreKind, Versions, Way,
};
pub use source::{FileContent, SourcePath, Sources, Span};
pub use sql::{Doomed, Effect, ObjectName, SqlBody, SqlPiece, SqlStatement};
pub use step::{
    Action, Backup, Check, Command, Confirm, Deed, EachAfter, Evict, HttpRequest, KeptValue, Migrate, OnTrip,
    Over, Question, Record, Restore, Retire, Script, Seal, Step, Via, Waiver, Watch,
};
pub use value::{Parameter, ParameterType, TextPiece, TextTemplate, ValueRef};
