//! A step: one fenced block that does or checks one thing.

use std::time::Duration;

use crate::cohort::Cohort;
use crate::expectation::Expectation;
use crate::kv::KvBody;
use crate::names::Name;
use crate::source::Span;
use crate::sql::{RelationRef, SqlBody, SqlStatement};
use crate::value::TextTemplate;

/// One step of a stage or of a way back.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its id.
    pub id: Name,
    /// The whole fenced block.
    pub span: Span,
    /// The line `@verb id`.
    pub head: Span,
    /// The store it speaks to: `@store`, else the runbook's home (sql, toml) or its only store of that kind (http, kv). `None` for sh and text.
    pub store: Option<Name>,
    /// How it reaches that store.
    pub via: Via,
    /// `@role`: set by the engine, local to the transaction.
    pub role: Option<String>,
    /// `@login`: another login of the store, on its own connection.
    pub login: Option<Name>,
    /// `@timeout`: bounds one attempt. `None` means the runbook's `statement_timeout`.
    pub timeout: Option<Duration>,
    /// `@valid`: how long a result may be relied on. `None` means 5 minutes for read-only steps and for ever for others.
    pub valid: Option<Duration>,
    /// `@says`: the sentence a halt names itself with.
    pub says: Option<String>,
    /// `@requires`: earlier steps or stages that must hold or be complete.
    pub requires: Vec<Name>,
    /// `@ensures`: checks that stand below and are evaluated in this step's gate.
    pub ensures: Vec<Name>,
    /// `@unless`: a check; if it holds the step is already done.
    pub unless: Option<Name>,
    /// `@conserves`: records whose values must be equal before and after, in the gate.
    pub conserves: Vec<Name>,
    /// `@evidence rows`: keep the rows, not only their count and hash.
    pub evidence_rows: bool,
    /// `@waive rule reason`: lint findings that the author accepts, with the reason.
    pub waivers: Vec<Waiver>,
    /// What it does.
    pub action: Action,
    /// SHA-256 over the step's tokens, comments dropped, literals kept: equal meaning, equal digest.
    pub meaning: [u8; 32],
}

/// A lint finding that the author accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiver {
    /// The rule's code.
    pub rule: String,
    /// Why it is acceptable here; never empty.
    pub reason: String,
}

/// Which address of a store a step uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Via {
    /// Straight to the server.
    #[default]
    Direct,
    /// Through the store's `pooled` URL.
    Pooled,
}

/// What a step does, one variant per verb.
#[derive(Clone, Debug)]
pub enum Action {
    /// Keeps what a query or request answers.
    Record(Record),
    /// Judges what a query, request or script answers.
    Check(Check),
    /// Dumps the store and rehearses the dump.
    Backup(Backup),
    /// Puts the store back to a backup. Only in ways back.
    Restore(Restore),
    /// Copies a key-value store's keys into a file and rehearses it.
    BackupKeys(BackupKeys),
    /// Puts keys back to a backup of them. Only in ways back.
    RestoreKeys(RestoreKeys),
    /// Applies a versioned change in one gate transaction.
    Migrate(Migrate),
    /// Refuses writes to tables from now on.
    Seal(Seal),
    /// Seals tables and moves them out of sight.
    Retire(Retire),
    /// Ends sessions.
    Evict(Evict),
    /// Must hold from one place to another.
    Watch(Watch),
    /// Waits for a person.
    Confirm(Confirm),
    /// Changes something outside.
    Command(Command),
    /// Compares two queries row by row.
    Compare(Compare),
    /// Copies rows in chunks.
    Backfill(Backfill),
    /// Moves a flag set to another of its rows.
    Flags(MoveFlags),
    /// Moves keys from names to ids, subject by subject.
    Rekey(MoveKeys),
}

impl Action {
    /// The verb as written after `@`.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Record(_) => "record",
            Self::Check(_) => "check",
            Self::Backup(_) | Self::BackupKeys(_) => "backup",
            Self::Restore(_) | Self::RestoreKeys(_) => "restore",
            Self::Migrate(_) => "migrate",
            Self::Seal(_) => "seal",
            Self::Retire(_) => "retire",
            Self::Evict(_) => "evict",
            Self::Watch(_) => "watch",
            Self::Confirm(_) => "confirm",
            Self::Command(_) => "command",
            Self::Compare(_) => "compare",
            Self::Backfill(_) => "backfill",
            Self::Flags(_) => "flags",
            Self::Rekey(_) => "rekey",
        }
    }

    /// The rows for which the step is done, where it is done for each of several.
    #[must_use]
    pub fn cohort(&self) -> Option<&Cohort> {
        match self {
            Self::Check(check) => check.cohort.as_ref(),
            Self::Command(command) => command.cohort.as_ref(),
            Self::Rekey(moved) => Some(&moved.cohort),
            _ => None,
        }
    }

    /// Whether the verb leaves stores as they are: `record`, `check`, `compare`, `watch`, `confirm`.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        matches!(
            self,
            Self::Record(_) | Self::Check(_) | Self::Compare(_) | Self::Watch(_) | Self::Confirm(_)
        )
    }
}

/// What a record, check or watch asks.
#[derive(Clone, Debug)]
pub enum Question {
    /// SQL, read in one transaction that is rolled back.
    Sql(SqlBody),
    /// One HTTP request.
    Http(HttpRequest),
    /// Readings of a key-value store.
    Kv(KvBody),
    /// A script.
    Sh(Script),
}

/// `record`
#[derive(Clone, Debug)]
pub struct Record {
    /// What is asked (sql, http or kv).
    pub question: Question,
    /// `@rows`, or a `list` in kv: keep a relation instead of single values.
    pub rows: bool,
    /// `@at backup`: evaluated on the snapshot of that backup, which stands below.
    pub at: Option<Name>,
    /// `@value name /pointer` of an http record.
    pub values: Vec<KeptValue>,
}

/// `@value name /pointer`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptValue {
    /// The name it is kept under.
    pub name: Name,
    /// RFC 6901 pointer into the JSON body.
    pub pointer: String,
}

/// `check`
#[derive(Clone, Debug)]
pub struct Check {
    /// What is asked.
    pub question: Question,
    /// How the answer is judged. Never empty.
    pub expect: Vec<Expectation>,
    /// `@attempt`: lifts READ ONLY; never evaluated by `plan`.
    pub attempt: bool,
    /// `@each`: with `-- @setup`, every statement after it is judged by itself. Holds how many statements are setup.
    pub each: Option<EachAfter>,
    /// `@over`: zero rows or a zero here means that nothing was examined.
    pub over: Option<Over>,
    /// `@within time`: where it does not hold it is asked again for so long, when it stands in its own place.
    pub within: Option<std::time::Duration>,
    /// `@only unless`: evaluated only where an `@unless` names it, never as a step.
    pub only_unless: bool,
    /// `@harmless why`: an http method other than GET, or a script, that changes nothing.
    pub harmless: Option<String>,
    /// `@value name /pointer` of an http check.
    pub values: Vec<KeptValue>,
    /// `@for-each` of an http check.
    pub cohort: Option<Cohort>,
}

/// How many leading statements are setup when `@each` judges the rest one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EachAfter {
    /// Statements before the `-- @setup` line's end; they must succeed.
    pub setup_statements: usize,
}

/// `@over`: how much a check looked at.
#[derive(Clone, Debug)]
pub enum Over {
    /// A query in the same snapshot, as the engine's own role.
    Sql(SqlBody),
    /// A recorded value.
    Value(crate::value::ValueRef),
}

/// An HTTP request as the page writes it.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and query, joined to the store's url.
    pub path: TextTemplate,
    /// Header lines.
    pub headers: Vec<(String, TextTemplate)>,
    /// The body after the empty line.
    pub body: Option<TextTemplate>,
}

/// A shell script, run by `/bin/sh -eu` with `TG_*` variables only.
#[derive(Clone, Debug)]
pub struct Script {
    /// The text, exactly as the page has it.
    pub text: String,
    /// The values it reads as `TG_NAME` or `TG_STEP_COLUMN`, found by scanning for `$TG_` and `${TG_`.
    pub values: Vec<(String, crate::value::ValueRef)>,
}

/// `backup`
#[derive(Clone, Debug)]
pub struct Backup {
    /// Where the dump goes: `file = "…"`.
    pub file: TextTemplate,
    /// Empty: the whole database (without schema `tidegate`).
    pub tables: Vec<String>,
    /// Rehearse by restoring into the login `scratch`. `Err` holds the waiver's reason: `rehearse = { waived = "why" }`.
    pub rehearse: Result<(), String>,
    /// Most bytes the dump may take; `None` without limit. `bytes_max = 1000000`.
    pub bytes_max: Option<u64>,
}

/// `restore`
#[derive(Clone, Debug)]
pub struct Restore {
    /// The backup step it restores: `backup = "id"`.
    pub backup: Name,
}

/// `backup` of a key-value store: it has `namespaces`.
#[derive(Clone, Debug)]
pub struct BackupKeys {
    /// Where the copy goes: `file = "…"`.
    pub file: TextTemplate,
    /// Whose keys are copied; at least one.
    pub namespaces: Vec<String>,
    /// What the copied keys begin with; `None`: all of them.
    pub prefix: Option<TextTemplate>,
    /// Rehearse by restoring into a store that is thrown away. `Err` holds the reason of `rehearse = { waived = "why" }`.
    pub rehearse: Result<(), String>,
    /// All keys must stand in the copy as they were at one moment. `Err` holds the reason of `one_moment = { waived = "why" }`.
    pub one_moment: Result<(), String>,
}

/// `restore` of a key-value store: it has a `mode`.
#[derive(Clone, Debug)]
pub struct RestoreKeys {
    /// The backup step it restores: `backup = "id"`.
    pub backup: Name,
    /// What becomes of what was written since.
    pub mode: RestoreMode,
    /// Only these of the backup's namespaces; empty: all of them.
    pub namespaces: Vec<String>,
    /// Only these keys and what begins with `prefixes`; both empty: all keys.
    pub keys: Vec<TextTemplate>,
    /// Only keys that begin so, and `keys`.
    pub prefixes: Vec<TextTemplate>,
}

impl RestoreKeys {
    /// Whether all keys of the backup are put back.
    #[must_use]
    pub fn is_of_all(&self) -> bool {
        self.namespaces.is_empty() && self.keys.is_empty() && self.prefixes.is_empty()
    }
}

/// `rekey`: done for each row of a recorded relation.
#[derive(Clone, Debug)]
pub struct MoveKeys {
    /// `plan = "…"`: which `[rekey.…]`.
    pub plan: Name,
    /// What it does.
    pub mode: RekeyMode,
    /// `id = "…"`: the id under which a subject's records belong.
    pub id: TextTemplate,
    /// `names = […]`: the names under which they may still stand. Those that are empty or NULL are left out.
    pub names: Vec<TextTemplate>,
    /// `claims = "…"`: a record whose rows have columns `id` and `name`: who else may mean a name.
    pub claims: Name,
    /// `@for-each` and its bounds.
    pub cohort: Cohort,
}

/// What a rekey does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RekeyMode {
    /// Counts what an apply would do.
    Dry,
    /// Copies the records.
    Apply {
        /// `held_to = "…"`: a dry step for the same subjects; where an apply would do anything else, it does nothing.
        held_to: Option<Name>,
        /// Records of one batch.
        batch: usize,
        /// Batches of one subject.
        iterations: usize,
    },
}

/// What a restore of keys does with what was written since the backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreMode {
    /// It is overwritten, and keys that the backup lacks are removed.
    Exact,
    /// It stays: only what is missing is put back.
    MissingOnly,
}

/// `migrate`
#[derive(Clone, Debug)]
pub struct Migrate {
    /// `@version`: digits, kept with their leading zeros.
    pub version: Option<String>,
    /// The name that the version table keeps: the `@file`'s base name, else the step's id.
    pub name: String,
    /// What goes forward.
    pub body: SqlBody,
    /// What comes after `-- @undo`.
    pub undo: Option<SqlBody>,
    /// `@outside-transaction`: one statement, such as CREATE INDEX CONCURRENTLY.
    pub outside_transaction: bool,
    /// SHA-256 of the forward body's tokens, comments dropped: what the version table keeps, in hexadecimal.
    pub checksum: String,
}

/// `seal`
#[derive(Clone, Debug)]
pub struct Seal {
    /// Names or patterns such as `public.*`.
    pub tables: Vec<String>,
    /// `for = "30m"`: lifts by itself after this long.
    pub lasts: Option<Duration>,
}

/// `retire`
#[derive(Clone, Debug)]
pub struct Retire {
    /// `@version`
    pub version: Option<String>,
    /// Names of tables.
    pub tables: Vec<String>,
    /// What the version table keeps, in hexadecimal.
    pub checksum: String,
}

/// `evict`: ends sessions of this database that match all of what is given.
#[derive(Clone, Debug)]
pub struct Evict {
    /// Role names; empty means any.
    pub roles: Vec<String>,
    /// `application_name` values; empty means any.
    pub applications: Vec<String>,
    /// `pg_stat_activity.state` values; empty means any.
    pub states: Vec<String>,
    /// Only sessions whose state is older.
    pub older_than: Option<Duration>,
    /// More matches than this and nothing is ended.
    pub at_most: u32,
}

/// `watch`
#[derive(Clone, Debug)]
pub struct Watch {
    /// What is asked (sql or http).
    pub question: Question,
    /// How the answer is judged.
    pub expect: Vec<Expectation>,
    /// `@over`, as for a check.
    pub over: Option<Over>,
    /// `@every`: from the start of one look to the start of the next. Default 10 s.
    pub every: Duration,
    /// `@from`: a step or stage; default: where the watch stands.
    pub from: Option<Name>,
    /// `@until`: a step or stage; the watch closes when that has ended. Default: the end of its own stage.
    pub until: Option<Name>,
    /// `@trips-after n`: consecutive fails before it trips. Default 1.
    pub trips_after: u32,
    /// `@unknown-after`: no answer for this long halts the run. Default 1 minute.
    pub unknown_after: Duration,
    /// `@on-trip`
    pub on_trip: OnTrip,
    /// `@harmless why` for an http method other than GET.
    pub harmless: Option<String>,
}

/// What a tripped watch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnTrip {
    /// The run halts.
    #[default]
    Halt,
    /// The run goes back to the state before the watch's `@from`.
    Rollback,
    /// The trip is journaled and `on_halt` is called; the run goes on.
    Notify,
}

/// `confirm`
#[derive(Clone, Debug)]
pub struct Confirm {
    /// What the person is shown.
    pub text: TextTemplate,
    /// `@approvers`: names that may approve; empty means anybody.
    pub approvers: Vec<String>,
    /// `@not-actor`: the approver must not be who started the run.
    pub not_actor: bool,
}

/// `command`
#[derive(Clone, Debug)]
pub struct Command {
    /// What is done.
    pub deed: Deed,
    /// How its answer is judged; empty means success of its kind (2xx, exit 0).
    pub expect: Vec<Expectation>,
    /// `@value name /pointer` of an http command.
    pub values: Vec<KeptValue>,
    /// `@for-each` of an http command.
    pub cohort: Option<Cohort>,
}

/// What a command does.
#[derive(Clone, Debug)]
pub enum Deed {
    /// One HTTP request.
    Http(HttpRequest),
    /// A script.
    Sh(Script),
}

/// `compare`: two queries, row by row, by key.
///
/// Columns go by position and are named after the first query. A row that only the first has is *missing*, one that only
/// the second has is *extra*, and one that both have with other columns is *differing*.
#[derive(Clone, Debug)]
pub struct Compare {
    /// The first query.
    pub left: SqlStatement,
    /// The query after `-- @against`.
    pub right: SqlStatement,
    /// `@key a, b`: columns of the first query that together are unique in each.
    pub key: Vec<String>,
    /// `@mode`
    pub mode: CompareMode,
    /// `@equal`
    pub equal: Equality,
    /// `@expect differences`: differences are kept for later steps, and do not halt.
    pub expect_differences: bool,
    /// `@settle 2s`: differences are read a second time after this long, and only those that stay count.
    pub settle: Option<Duration>,
    /// `@at-most n`: more differences than this, and the comparison stops counting. Default 10,000.
    pub at_most: u32,
    /// `@accept "key" reason`: differences that the author accepts.
    pub accepted: Vec<AcceptedDifference>,
}

/// What a comparison demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum CompareMode {
    /// `equal`: neither query has a row that the other lacks.
    #[default]
    Equal,
    /// `contained`: every row of the first is in the second; more there are no difference.
    Contained,
}

/// When two columns are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Equality {
    /// `text`: when their types print them alike, under pinned settings.
    #[default]
    Text,
    /// `values`: when their types hash them alike, which tells neither 1.0 from 1.00 nor -0 from 0.
    Values,
}

/// One difference that the author accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedDifference {
    /// The key's columns in text, in the order of `@key`.
    pub key: Vec<String>,
    /// Why; never empty.
    pub reason: String,
}

/// `backfill`: one statement, run for one chunk of the source after the other.
#[derive(Clone, Debug)]
pub struct Backfill {
    /// `@version`; never with a source of differences.
    pub version: Option<String>,
    /// The name that the version table keeps: the step's id.
    pub name: String,
    /// `@source`
    pub source: BackfillSource,
    /// `@key a, b`: columns of the source that together are unique and never NULL; chunks are ranges of them.
    pub key: Vec<String>,
    /// `@after`: the `flags` step that mirrors writes, or the `seal` that stops them. `None` only for a source of differences.
    pub after: Option<Name>,
    /// What is done with one chunk: an INSERT, UPDATE, DELETE or MERGE that reads the relation `chunk`.
    pub body: SqlStatement,
    /// The body without the `ON CONFLICT … DO NOTHING` that ends it, if one does: the same where no row is in the way.
    pub hopeful: Option<SqlStatement>,
    /// `@reads table`: what the body reads besides `chunk` and its target, as written.
    pub reads: Vec<String>,
    /// `@workers n`: chunks at work at the same time. Default 2.
    pub workers: u32,
    /// `@target 80ms`: how long one chunk should take; its size follows.
    pub target: Duration,
    /// `@rows min..max`: bounds of a chunk's size. Default 100..50000.
    pub rows: (u32, u32),
    /// `@throttle …`: what makes it slow down.
    pub throttles: Vec<Throttle>,
    /// SHA-256 of the body's tokens, comments dropped: what the version table keeps, in hexadecimal.
    pub checksum: String,
}

/// What a backfill reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackfillSource {
    /// A table, as written.
    Table(String),
    /// Differences that a comparison kept: a repair.
    Differences(RelationRef),
}

/// One reason for which a backfill slows down.
#[derive(Clone, Debug)]
pub enum Throttle {
    /// `replica-lag 5s`: a standby replays later than this.
    ReplicaLag(Duration),
    /// `lock-waiters n`: more sessions than this wait for a lock that the backfill holds.
    LockWaiters(u32),
    /// `autovacuum`: the source or the target is being vacuumed.
    Autovacuum,
    /// `canary 50ms SELECT …`: the query takes longer than this.
    Canary {
        /// The most that it may take.
        limit: Duration,
        /// One query.
        query: SqlBody,
    },
    /// `sql SELECT …`: the query answers true.
    Sql(SqlBody),
}

/// `flags`: moves a flag set to an adjacent row of its declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveFlags {
    /// `set = "…"`
    pub set: Name,
    /// `to = "…"`
    pub to: Name,
}
