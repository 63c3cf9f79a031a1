//! The command line.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::exit_code;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "tidegate",
    version,
    about = "Runs data-migration runbooks against live systems, fail-closed.",
    long_about = "Runs data-migration runbooks against live systems. Work goes forward only while every check holds, \
                  and stops with nothing lost when one does not.",
    after_help = exit_code::TABLE,
    disable_help_subcommand = true,
    max_term_width = 110
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) manner: Manner,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How to speak; goes with every command.
#[derive(Debug, Args)]
pub(crate) struct Manner {
    /// Write JSON to stdout: one document, or one line an event for `run` and `events`
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// When to use colour and redrawn lines; NO_COLOR and a stderr that is no terminal turn both off
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) color: Color,
    /// Log more to stderr; twice for everything
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Log errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The page and what it is run against.
#[derive(Clone, Debug, Args)]
pub(crate) struct PageArguments {
    /// The runbook's page
    #[arg(value_name = "PAGE", env = "TIDEGATE_RUNBOOK")]
    pub(crate) page: PathBuf,
    #[command(flatten)]
    pub(crate) stores: StoreArguments,
}

/// Which store is the home.
#[derive(Clone, Debug, Args)]
pub(crate) struct StoreArguments {
    /// The store that holds lease and journal, instead of the one the page names
    #[arg(long, value_name = "STORE")]
    pub(crate) home: Option<String>,
}

/// Who acts.
#[derive(Clone, Debug, Args)]
pub(crate) struct ActorArguments {
    /// Your name; journaled with the database role, the user of the system and the host
    #[arg(long, value_name = "NAME")]
    pub(crate) actor: Option<String>,
}

/// Who acts, and why.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReasonArguments {
    /// Your name; journaled with the database role, the user of the system and the host
    #[arg(long, value_name = "NAME")]
    pub(crate) actor: String,
    /// Why; journaled
    #[arg(long, value_name = "WHY")]
    pub(crate) reason: String,
}

/// What a run is given.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct RunInput {
    /// A parameter of the page; repeatable. Secrets belong into the environment
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) sets: Vec<String>,
    /// The bundle of a finished run elsewhere, where the page asks for one
    #[arg(long, value_name = "FILE")]
    pub(crate) evidence: Option<PathBuf>,
    /// Start a page that asks for a bundle without one, and say why; journaled
    #[arg(long, value_name = "WHY", conflicts_with = "evidence")]
    pub(crate) without_evidence: Option<String>,
    /// The journal's head as printed before: refuse to go on if it is another
    #[arg(long, value_name = "HASH")]
    pub(crate) head: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check a page without asking any store
    Check(CheckArguments),
    /// Dry run: ask every check that can be asked now; change nothing
    Plan(PlanArguments),
    /// Run a page; without --apply a dry run
    Run(RunArguments),
    /// Where the run stands, who works on it, and what to do next
    Status(StatusArguments),
    /// The journal's events
    Events(EventsArguments),
    /// What happened, under each block of the page
    Report(ReportArguments),
    /// Have the runner stop its step and halt
    Stop(RequestArguments),
    /// Have the runner wait after its step
    Pause(RequestArguments),
    /// Have a paused runner go on
    Resume(RequestArguments),
    /// Turn a knob of the backfill at work: workers, target or rows
    Knob(KnobArguments),
    /// Approve a confirm step
    Approve(ApproveArguments),
    /// Take over an edited page for a halted run, if no started step changed meaning
    Amend(DecideArguments),
    /// Accept a version or checksum that differs
    AcceptDrift(AcceptDriftArguments),
    /// Take over what exists as the effect of a step, if it is exactly what the step makes
    Adopt(AdoptArguments),
    /// Give the run up where it stands
    Abandon(DecideArguments),
    /// Ask the checks and records of completed stages again
    Recheck(RecheckArguments),
    /// Go back: by undo to a stage, one step, or along a written way
    Rollback(RollbackArguments),
    /// Examine journal, version table and objects; change nothing
    Doctor(DoctorArguments),
    /// The journal's chain of hashes
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Who else is connected to the home store's database
    Sessions(PageArguments),
    /// Print completions for a shell
    Completions(CompletionsArguments),
    /// Print the manual page, or write one a command into a folder
    Man(ManArguments),
}

/// `check`
#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// The runbook's page
    #[arg(value_name = "PAGE", env = "TIDEGATE_RUNBOOK")]
    pub(crate) page: PathBuf,
    /// Refuse blocks of sql, sh and http that are neither steps nor marked `@example`, and warnings
    #[arg(long)]
    pub(crate) strict: bool,
}

/// `plan`
#[derive(Debug, Args)]
pub(crate) struct PlanArguments {
    #[command(flatten)]
    pub(crate) page: PageArguments,
    #[command(flatten)]
    pub(crate) input: RunInput,
}

/// `run`
#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) page: PageArguments,
    #[command(flatten)]
    pub(crate) who: ActorArguments,
    #[command(flatten)]
    pub(crate) input: RunInput,
    /// Change things; without it this is a dry run
    #[arg(long)]
    pub(crate) apply: bool,
    /// Start without asking. Never answers a confirm step
    #[arg(long)]
    pub(crate) yes: bool,
    /// Run this manual stage of the newest run
    #[arg(long, value_name = "STAGE")]
    pub(crate) stage: Option<String>,
    /// Start a new run although a finished one stands
    #[arg(long)]
    pub(crate) again: bool,
}

/// `status`
#[derive(Debug, Args)]
pub(crate) struct StatusArguments {
    #[command(flatten)]
    pub(crate) page: PageArguments,
    /// Another run than the newest, by the first digits of its id
    #[arg(long, value_name = "ID")]
    pub(crate) run: Option<String>,
}

/// `events`
#[derive(Debug, Args)]
pub(crate) struct EventsArguments {
    #[command(flatten)]
    pub(crate) page: PageArguments,
    /// Go on as events are written, until interrupted
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Only this run, by the first digits of its id
    #[arg(long, value_name = "ID")]
    pub(crate) run: Option<String>,
}

/// `report`
#[derive(Debug, Args)]
pub(crate) struct ReportArguments {
    #[command(flatten)]
    pub(crate) page: PageArguments,
    /// Another run than the newest, by the first digits of its id
    #[arg(long, value_name = "ID")]
    pub(crate) run: Option<String>,
    /// Write the run as a bundle that `run --evidence` accepts elsewhere
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle: Option<PathBuf>,
}

/// `stop`, `pause`, `resume`
#[derive(Debug, Args)]
pub(crate) struct RequestArguments {
    #[command(flatten)]
    pub(crate) page: PageArguments,
    /// Your name; journaled with the database role, the user of the system and the host
    #[arg(long, value_name = "NAME")]
    pub(crate) actor: String,
}

/// `knob`
#[derive(Debug, Args)]
pub(crate) struct KnobArguments {
    /// The backfill step
    #[arg(value_name = "STEP")]
    pub(crate) step: String,
    /// What to turn, and to what: workers=4, target=200ms, rows=5000
    #[arg(value_name = "NAME=VALUE")]
    pub(crate) turn: String,
    #[command(flatten)]
    pub(crate) request: RequestArguments,
}

/// `approve`
#[derive(Debug, Args)]
pub(crate) struct ApproveArguments {
    /// The confirm step
    #[arg(value_name = "STEP")]
    pub(crate) step: String,
    #[command(flatten)]
    pub(crate) request: RequestArguments,
    /// The journal's head that you were shown: refuse if it is another
    #[arg(long, value_name = "HASH")]
    pub(crate) head: Option<String>,
}

/// `amend`, `abandon`
#[derive(Debug, Args)]
pub(crate) struct DecideArguments {
    #[command(flatten)]
    pub(crate) page: PageArguments,
    #[command(flatten)]
    pub(crate) why: ReasonArguments,
    /// A parameter of the page; repeatable
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) sets: Vec<String>,
}

/// `accept-drift`
#[derive(Debug, Args)]
pub(crate) struct AcceptDriftArguments {
    /// What differs, as the message names it, such as "checksum 0009"
    #[arg(value_name = "SUBJECT")]
    pub(crate) subject: String,
    #[command(flatten)]
    pub(crate) decide: DecideArguments,
}

/// `adopt`
#[derive(Debug, Args)]
pub(crate) struct AdoptArguments {
    /// The step
    #[arg(value_name = "STEP")]
    pub(crate) step: String,
    #[command(flatten)]
    pub(crate) decide: DecideArguments,
}

/// `recheck`
#[derive(Debug, Args)]
pub(crate) struct RecheckArguments {
    /// Only this stage
    #[arg(long, value_name = "STAGE")]
    pub(crate) stage: Option<String>,
    #[command(flatten)]
    pub(crate) page: PageArguments,
    #[command(flatten)]
    pub(crate) input: RunInput,
}

/// `rollback`
#[derive(Debug, Args)]
pub(crate) struct RollbackArguments {
    #[command(flatten)]
    pub(crate) page: PageArguments,
    #[command(flatten)]
    pub(crate) who: ActorArguments,
    /// By undo to the state after this stage, or `start`
    #[arg(long, value_name = "STAGE", group = "destination")]
    pub(crate) to: Option<String>,
    /// Undo this one step; refused while newer effects stand
    #[arg(long, value_name = "STEP", group = "destination")]
    pub(crate) step: Option<String>,
    /// Along this way of the page
    #[arg(long, value_name = "NAME", group = "destination")]
    pub(crate) way: Option<String>,
    /// Take the undo where a written way leads to the same place
    #[arg(long, requires = "to")]
    pub(crate) undo: bool,
    /// Repeat the loss statement's figures, such as `public.lots=3`; means --apply
    #[arg(long, value_name = "FIGURES")]
    pub(crate) accept_loss: Option<String>,
    /// Go back; without it the order and the loss are shown and nothing is undone
    #[arg(long)]
    pub(crate) apply: bool,
    /// A parameter of the page; repeatable
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) sets: Vec<String>,
}

/// `doctor`
#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    #[command(flatten)]
    pub(crate) page: PageArguments,
    /// A parameter of the page; repeatable
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) sets: Vec<String>,
}

/// `audit`
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Follow the chain from the first event to the head, in the journal or in a bundle
    Verify(AuditArguments),
}

/// `audit verify`
#[derive(Debug, Args)]
pub(crate) struct AuditArguments {
    /// The runbook's page; beside a bundle, to see whether it is the page that ran
    #[arg(value_name = "PAGE", env = "TIDEGATE_RUNBOOK", required_unless_present = "bundle")]
    pub(crate) page: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) stores: StoreArguments,
    /// Verify this file that `report --bundle` wrote, and ask no database
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle: Option<PathBuf>,
    /// A head that was printed before: nothing before it may have changed
    #[arg(long, value_name = "HASH")]
    pub(crate) head: Option<String>,
}

/// `completions`
#[derive(Debug, Args)]
pub(crate) struct CompletionsArguments {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

/// `man`
#[derive(Debug, Args)]
pub(crate) struct ManArguments {
    /// Where to write one page a command; without it the main page goes to stdout
    #[arg(value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
}
