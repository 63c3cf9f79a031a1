//! Turns a Markdown page into a checked [`Runbook`]. The only parser; pure: no I/O, no clock, no randomness.
//!
//! ```text
//! page ─► files_wanted ─► (caller reads) ─► parse ─► Parsed { runbook, diagnostics }
//! ```

mod action_backfill;
mod action_compare;
mod action_keys;
mod action_kv;
mod action_plain;
mod action_rekey;
mod action_sql;
mod action_toml;
mod assemble;
mod backfill_rules;
mod backfill_throttle;
mod block;
mod block_lines;
mod cohort;
mod columns;
mod diagnostic;
mod digest;
mod draft;
mod duration;
mod expect;
mod expectation;
mod file_source;
mod flag_rules;
mod flag_table;
mod frames;
mod front;
mod http_text;
mod kv;
mod kv_line;
mod kv_text;
mod lint;
mod marker;
mod meaning;
mod names;
mod outline;
mod page;
mod parameter_value;
mod parse;
mod references;
mod rekey_rules;
mod rekey_table;
mod runbook;
mod scope;
mod sections;
mod source;
mod sql;
mod sql_effect;
mod sql_text;
mod step;
mod step_reader;
mod store_rules;
mod store_table;
mod stray;
mod template;
mod text;
mod toml_table;
mod value;
mod value_rules;
mod version_rules;
mod vocabulary;
mod way_rules;

pub use cohort::{Cohort, EACH, FailureRate};
pub use diagnostic::{Diagnostic, Severity};
pub use duration::{NotADuration, format_duration, parse_duration};
pub use expectation::{Expectation, JsonOperand, JsonOperator};
pub use kv::{KvBody, KvColumn, KvCondition, KvRead, KvStatement};
pub use names::{Name, NotAName};
pub use parameter_value::{NotAValue, parse_parameter_value};
pub use parse::{Parsed, files_wanted, parse};
pub use runbook::{
    Address, AdoptedVersions, FlagMove, FlagRow, FlagSet, Limits, NeedsRun, ProseBlock, RekeyForm, RekeyPlan,
    RekeyRule, Runbook, Side, Stage, Store, StoreKind, VersionKey, Versions, Way,
};
pub use source::{FileContent, SourcePath, Sources, Span};
pub use sql::{DifferencePart, Doomed, Effect, ObjectName, RelationRef, SqlBody, SqlPiece, SqlStatement};
pub use step::{
    AcceptedDifference, Action, Backfill, BackfillSource, Backup, BackupKeys, Check, Command, Compare,
    CompareMode, Confirm, Deed, EachAfter, Equality, Evict, HttpRequest, KeptValue, Migrate, MoveFlags,
    MoveKeys, OnTrip, Over, Question, Record, RekeyMode, Restore, RestoreKeys, RestoreMode, Retire, Script,
    Seal, Step, Throttle, Via, Waiver, Watch,
};
pub use value::{Parameter, ParameterType, TextPiece, TextTemplate, ValueRef};
