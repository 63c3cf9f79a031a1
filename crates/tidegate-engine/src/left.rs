//! Seals and retired tables that stand, and what ends them: told by `status`, also long after a run has finished.

use jiff::Timestamp;
use serde::Serialize;
use tidegate_runbook::{Action, Doomed, Name, Stage, Step};
use tidegate_store::postgres::{Failure, Session};
use uuid::Uuid;

use crate::program::{Program, is_done};
use crate::state::{Phase, RunState, StepState};

/// A table that refuses writes, or is put away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftTable {
    /// Its name now, quoted where it must be.
    pub table: String,
    /// Whether it is in the schema of retired tables, or only sealed.
    pub retired: bool,
    /// The step that retired or sealed it, if that is known.
    pub step: Option<String>,
    /// That step's run.
    pub run: Option<Uuid>,
    /// When the seal lifts by itself, by the server's clock.
    pub until: Option<Timestamp>,
    /// What ends it, the likeliest first.
    pub ends: Vec<String>,
}

/// Where the table stands, as the catalog says.
struct Found {
    schema: String,
    name: String,
    retired: bool,
    run: Option<Uuid>,
    step: Option<String>,
}

/// Everything that is sealed or retired in this database. `state` is the newest run, and `program` its page.
///
/// # Errors
/// [`Failure`] if the catalog cannot be asked.
pub async fn tables(
    session: &Session,
    program: &Program,
    state: Option<&RunState>,
) -> Result<Vec<LeftTable>, Failure> {
    let installed = session.query("SELECT to_regclass('tidegate.seal') IS NOT NULL", &[]).await?;
    if !installed.first().is_some_and(|row| row.get(0)) {
        return Ok(Vec::new());
    }
    let rows = session.query(include_str!("left/standing.sql"), &[]).await?;
    let state = state.filter(|state| state.runbook == program.runbook.id);
    Ok(rows
        .iter()
        .map(|row| {
            let mut found = Found {
                schema: row.get("schema"),
                name: row.get("name"),
                retired: row.get("retired"),
                run: row.get("run"),
                step: row.get("step"),
            };
            if let Some((run, step)) = found.retired.then(|| retired_by(program, state, &found)).flatten() {
                (found.run, found.step) = (Some(run), Some(step));
            }
            LeftTable {
                table: row.get("table"),
                retired: found.retired,
                until: row.get::<_, Option<String>>("expires_at").and_then(|text| text.parse().ok()),
                ends: ends(program, state, &found),
                step: found.step,
                run: found.run,
            }
        })
        .collect())
}

/// The step of this run that retired the table: its seal may be an earlier step's.
fn retired_by(program: &Program, state: Option<&RunState>, found: &Found) -> Option<(Uuid, String)> {
    let state = state?;
    let moved = |id: &Name, step: &StepState| {
        let retires = matches!(program.step(id).map(|step| &step.action), Some(Action::Retire(_)));
        let places = step.outcome().and_then(|outcome| outcome.texts.get("moved"));
        let places: Vec<(String, String)> = places.and_then(|text| serde_json::from_str(text).ok())?;
        (retires && places.iter().any(|(_, name)| *name == found.name)).then(|| id.to_string())
    };
    let step = state.steps.iter().find_map(|(id, step)| moved(id, step))?;
    Some((state.run, step))
}

fn ends(program: &Program, state: Option<&RunState>, found: &Found) -> Vec<String> {
    let mut ends = Vec::new();
    let done = |step: &Step| state.is_some_and(|state| is_done(state, &step.id));
    for (stage, step) in program.runbook.steps().filter(|(_, step)| !done(step)) {
        let does = match &step.action {
            Action::Migrate(migrate) => {
                let mut destroys = migrate.body.statements.iter().flat_map(|one| &one.effect.destroys);
                destroys.any(|doomed| is_this(doomed, found)).then_some("drops it")
            }
            Action::Retire(retire) if !found.retired => {
                let named = |name: &String| {
                    *name == found.name || *name == format!("{}.{}", found.schema, found.name)
                };
                retire.tables.iter().any(named).then_some("retires it")
            }
            _ => None,
        };
        if let Some(does) = does {
            ends.push(format!("Stage {} {does} ({}): {}", stage.id, step.id, run_of(stage)));
        }
    }
    let of_this = state.filter(|state| found.run == Some(state.run) && goes_back(&state.phase));
    let stage = found.step.as_ref().and_then(|step| Name::parse(step).ok());
    match stage.as_ref().and_then(|step| program.stage_of(step)).filter(|_| of_this.is_some()) {
        Some(stage) if !stage.manual => {
            let to = before(program, stage).map_or("start", |stage| stage.id.as_str());
            ends.push(format!(
                "Going back before it ends it; see what that would lose: tidegate rollback --to {to}"
            ));
        }
        _ => ends.push("The statements that end it by hand: tidegate doctor".to_owned()),
    }
    ends
}

/// Whether a run in this phase can be taken back.
fn goes_back(phase: &Phase) -> bool {
    !matches!(phase, Phase::RolledBack {} | Phase::Abandoned { .. })
}

fn is_this(doomed: &Doomed, found: &Found) -> bool {
    let same_schema = doomed.schema.as_ref().is_none_or(|schema| *schema == found.schema);
    matches!(doomed.kind, "table" | "relation") && doomed.name == found.name && same_schema
}

fn run_of(stage: &Stage) -> String {
    let named = if stage.manual { format!(" --stage {}", stage.id) } else { String::new() };
    format!("tidegate run --apply --actor NAME{named}")
}

/// The stage before this one that runs by itself.
fn before<'a>(program: &'a Program, stage: &Stage) -> Option<&'a Stage> {
    program
        .runbook
        .stages
        .iter()
        .take_while(|known| known.id != stage.id)
        .filter(|known| !known.manual)
        .last()
}
