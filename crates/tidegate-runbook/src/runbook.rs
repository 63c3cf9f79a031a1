//! The checked runbook: what a page says, ready to be run.

use std::time::Duration;

use crate::names::Name;
use crate::source::{SourcePath, Span};
use crate::step::Step;
use crate::value::{Parameter, TextTemplate};

/// A page that has passed every check that can be made without asking a store.
#[derive(Clone, Debug)]
pub struct Runbook {
    /// `# @runbook id`
    pub id: Name,
    /// The page's first heading, or the id.
    pub title: String,
    /// Where the page stands.
    pub page: SourcePath,
    /// In order of declaration. Exactly one is the home.
    pub stores: Vec<Store>,
    /// In order of declaration.
    pub parameters: Vec<Parameter>,
    /// In order of declaration.
    pub flags: Vec<FlagSet>,
    /// In order of declaration.
    pub rekeys: Vec<RekeyPlan>,
    /// Where versions are kept.
    pub versions: Versions,
    /// Bounds on time.
    pub limits: Limits,
    /// Whom a halt names.
    pub contacts: Vec<String>,
    /// Run when the run halts: argv, no shell.
    pub on_halt: Vec<String>,
    /// Objects that no step may change: `schema.name` with `*`, or a bare schema pattern.
    pub protect: Vec<String>,
    /// A new run after a final one repeats everything without asking.
    pub repeatable: bool,
    /// A finished run of the same plan elsewhere that must be shown first.
    pub needs_run: Option<NeedsRun>,
    /// In document order.
    pub stages: Vec<Stage>,
    /// In document order.
    pub ways: Vec<Way>,
    /// Blocks of sql, sh or http that are not steps, for the table that `check` prints.
    pub not_steps: Vec<ProseBlock>,
    /// SHA-256 over the meaning of everything above: the plan's hash.
    pub meaning: [u8; 32],
}

/// `[rekey.<name>]`: which keys are moved, and what in their values follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RekeyPlan {
    /// Its name.
    pub name: Name,
    /// The namespace in which the move keeps its own keys.
    pub journal: String,
    /// In order of declaration; at least one.
    pub rules: Vec<RekeyRule>,
    /// Where it is declared.
    pub span: Span,
}

/// One family of keys of a [`RekeyPlan`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RekeyRule {
    /// Its name.
    pub name: String,
    /// Where its keys are.
    pub namespace: String,
    /// Their form.
    pub form: RekeyForm,
    /// Pointers into the body: a name there becomes the id.
    pub owner: Vec<String>,
    /// Pointers into the body: where one is there, it names the subject, or the record is put in quarantine.
    pub proof: Vec<String>,
    /// Pointers into the body: a legacy key there becomes the new one.
    pub keys: Vec<String>,
    /// The same in the metadata.
    pub metadata_keys: Vec<String>,
    /// Pointers to the time of the last change; the first that can be read counts.
    pub clock: Vec<String>,
    /// The body is not JSON: its bytes are copied as they are.
    pub opaque: bool,
}

impl RekeyRule {
    /// What all its keys begin with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        match &self.form {
            RekeyForm::Many(prefix) | RekeyForm::One { prefix, .. } | RekeyForm::InPlace(prefix) => prefix,
        }
    }

    /// Whether anything of the body is looked at or rewritten.
    #[must_use]
    pub fn has_pointers(&self) -> bool {
        [&self.owner, &self.proof, &self.keys, &self.clock].into_iter().any(|pointers| !pointers.is_empty())
    }
}

/// How the owner stands in a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RekeyForm {
    /// `many = "trip:"`: `trip:OWNER:RECORD`.
    Many(String),
    /// `one = "settings:"`: `settings:OWNER`, with `suffix` behind it.
    One {
        /// What stands before the owner.
        prefix: String,
        /// What follows; often nothing.
        suffix: String,
    },
    /// `in_place = "trash:"`: the owner stands in the body only, and the key stays.
    InPlace(String),
}

impl Runbook {
    /// The store that holds lease, journal and certificates.
    #[must_use]
    pub fn home(&self) -> Option<&Store> {
        self.stores.iter().find(|store| store.home)
    }

    /// All steps of stages, in document order, with their stage.
    pub fn steps(&self) -> impl Iterator<Item = (&Stage, &Step)> {
        self.stages.iter().flat_map(|stage| stage.steps.iter().map(move |step| (stage, step)))
    }

    /// A step by id, in stages or in ways.
    #[must_use]
    pub fn step(&self, id: &Name) -> Option<&Step> {
        self.stages
            .iter()
            .flat_map(|stage| &stage.steps)
            .chain(self.ways.iter().flat_map(|way| &way.steps))
            .find(|step| &step.id == id)
    }

    /// A flag set by name.
    #[must_use]
    pub fn flag_set(&self, name: &Name) -> Option<&FlagSet> {
        self.flags.iter().find(|set| &set.name == name)
    }

    /// A stage by id.
    #[must_use]
    pub fn stage(&self, id: &Name) -> Option<&Stage> {
        self.stages.iter().find(|stage| &stage.id == id)
    }
}

/// `[stores.<name>]`
#[derive(Clone, Debug)]
pub struct Store {
    /// Its name.
    pub name: Name,
    /// What it is.
    pub kind: StoreKind,
    /// Where it is. `"$NAME"` reads the environment.
    pub url: Address,
    /// A pooler's address of the same database.
    pub pooled: Option<Address>,
    /// `[stores.x.logins]`: other URLs of the same store.
    pub logins: Vec<(Name, Address)>,
    /// `database = "…"`: a run refuses another.
    pub database: Option<String>,
    /// `system_identifier = …`: a run refuses another server.
    pub system_identifier: Option<u64>,
    /// Lease and journal live here.
    pub home: bool,
    /// Where it is declared.
    pub span: Span,
}

/// The kinds of store this version knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreKind {
    /// A PostgreSQL database.
    Postgres,
    /// PgBouncer's admin console: `record @rows` of SHOW only.
    Pgbouncer,
    /// An HTTP service.
    Http,
    /// A key-value store.
    Kv,
}

/// An address in a runbook: written out, or the name of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// As written. Must not hold a password.
    Literal(String),
    /// `"$NAME"`.
    Environment(String),
}

/// `[versions]`: the table that remembers applied migrations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions {
    /// `None`: the engine's own `public.tidegate_version`. Else an existing table that is adopted.
    pub adopted: Option<AdoptedVersions>,
    /// `first = "0008"`: the first number this runbook's gaps are judged from.
    pub first: Option<String>,
    /// `manual = […]`: members that only a manual stage applies.
    pub manual: Vec<String>,
}

/// An existing version table, by its column names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdoptedVersions {
    /// Table, schema-qualified or not.
    pub table: String,
    /// Column of the version or file name.
    pub id: String,
    /// Column of the checksum, if it has one.
    pub checksum: Option<String>,
    /// Column of the time, if it has one.
    pub applied_at: Option<String>,
    /// The last member that must be there before the first run.
    pub baseline: Option<String>,
    /// What `id` holds of a migration.
    pub keeps: VersionKey,
}

/// `keeps`: what an adopted table's column holds of a migration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VersionKey {
    /// `"name"`: the file's base name, or the step's id.
    #[default]
    Name,
    /// `"number"`: the version without leading zeros.
    Number,
}

/// `[flags.<set>]`: switches that an application reads, the combinations that are legal, and the moves between them.
#[derive(Clone, Debug)]
pub struct FlagSet {
    /// Its name.
    pub name: Name,
    /// What each value of a row means, in order.
    pub columns: Vec<Name>,
    /// The legal combinations, in order of declaration.
    pub rows: Vec<FlagRow>,
    /// `initial = "…"`: the row that it begins in. Default: the first.
    pub initial: Name,
    /// The legal moves.
    pub moves: Vec<FlagMove>,
    /// `old = […]`: tables of the schema of before, by name or pattern such as `public.platform_*`.
    pub old: Vec<String>,
    /// `new = […]`: tables of the schema of after.
    pub new: Vec<String>,
    /// `lost_after = "15s"`: an instance that was silent for so long is gone, and is waited for no longer.
    pub lost_after: Duration,
    /// `grant = […]`: roles of applications that read it.
    pub grant: Vec<String>,
    /// Where it is declared.
    pub span: Span,
}

impl FlagSet {
    /// What moves into `to`: the row before, and what the move demands. A move back demands nothing.
    pub fn moves_to<'s>(&'s self, to: &'s Name) -> impl Iterator<Item = (&'s Name, &'s [Name])> {
        self.moves.iter().filter_map(move |step| {
            if &step.to == to {
                Some((&step.from, step.requires.as_slice()))
            } else {
                (step.back && &step.from == to).then_some((&step.to, [].as_slice()))
            }
        })
    }

    /// A row by name.
    #[must_use]
    pub fn row(&self, name: &Name) -> Option<&FlagRow> {
        self.rows.iter().find(|row| &row.name == name)
    }
}

/// One legal combination: `v1 = [false, false, false]` or `catching_up = { values = […], lock_first = "new" }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlagRow {
    /// Its name.
    pub name: Name,
    /// As many as the set has columns.
    pub values: Vec<bool>,
    /// Which schema's row a dual write locks first.
    pub lock_first: Side,
}

/// The schema of before, or the one of after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Side {
    /// `old`
    #[default]
    Old,
    /// `new`
    New,
}

/// `{ from, to, requires, back }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlagMove {
    /// A row.
    pub from: Name,
    /// Another.
    pub to: Name,
    /// Steps or stages that must hold or be complete before the set moves from `from` to `to`.
    pub requires: Vec<Name>,
    /// The move back is legal, too, and demands nothing.
    pub back: bool,
}

impl FlagMove {
    /// The row to which this move, or its way back, leads from `row`.
    #[must_use]
    pub fn leads_on(&self, row: &Name) -> Option<&Name> {
        if &self.from == row { Some(&self.to) } else { (self.back && &self.to == row).then_some(&self.from) }
    }
}

/// `[limits]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long one attempt waits for a lock. Default 2 s.
    pub lock_timeout: Duration,
    /// How long a statement may run when its step says nothing. Default 5 minutes.
    pub statement_timeout: Duration,
    /// How old a check on another connection may be when a gate opens. Default 2 s.
    pub gate_max: Duration,
    /// Attempts at a lock before the step halts. Default 10.
    pub lock_attempts: u32,
    /// Holds up to this long keep the runner; longer ones without a watch exit 6. Default 5 minutes.
    pub hold_attended: Duration,
    /// How long a lease lasts without a heartbeat. Default 15 s.
    pub lease: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lock_timeout: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(300),
            gate_max: Duration::from_secs(2),
            lock_attempts: 10,
            hold_attended: Duration::from_secs(300),
            lease: Duration::from_secs(15),
        }
    }
}

/// `[needs_run]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeedsRun {
    /// The stage of the same runbook that must have been run there, too, if named.
    pub stage: Option<Name>,
    /// How old the bundle may be.
    pub not_older_than: Option<Duration>,
}

/// A `##` section with at least one step.
#[derive(Clone, Debug)]
pub struct Stage {
    /// `@stage id`, else the heading's slug.
    pub id: Name,
    /// The heading's text.
    pub title: String,
    /// The heading.
    pub span: Span,
    /// Runs only when named with `--stage`.
    pub manual: bool,
    /// The author knows that only a restore, or nothing, leads back from here.
    pub no_return: bool,
    /// `hold`: how long the run waits after the stage's last step, under its watches.
    pub hold: Option<TextTemplate>,
    /// Objects that no step of this stage may change.
    pub protect: Vec<String>,
    /// In document order.
    pub steps: Vec<Step>,
}

/// A way back that is written out.
#[derive(Clone, Debug)]
pub struct Way {
    /// `@way name`
    pub id: Name,
    /// The heading's text.
    pub title: String,
    /// The heading.
    pub span: Span,
    /// The stages it leads back from.
    pub from: Vec<Name>,
    /// The stage whose state it leads to; `None` is the start.
    pub to: Option<Name>,
    /// A sentence on when to take it.
    pub when: Option<String>,
    /// Stages whose read-only steps must hold at its end.
    pub ensures: Vec<Name>,
    /// Objects that no step of this way may change.
    pub protect: Vec<String>,
    /// In document order.
    pub steps: Vec<Step>,
}

/// A fenced block that could have been a step and is not.
#[derive(Clone, Debug)]
pub struct ProseBlock {
    /// `sql`, `sh`, `bash` or `http`.
    pub language: String,
    /// The block.
    pub span: Span,
    /// Marked `@example`, so that `--strict` accepts it.
    pub example: bool,
}
