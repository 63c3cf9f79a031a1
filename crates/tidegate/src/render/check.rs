//! The table of stages, steps, ways, and blocks that are no steps.

use serde::Serialize;
use tidegate_engine::plan::describe;
use tidegate_engine::sources::Places;
use tidegate_runbook::{
    FlagMove, FlagRow, FlagSet, Name, RekeyForm, RekeyPlan, RekeyRule, Runbook, Side, Sources, Step,
};

use crate::exit_code::ExitCode;
use crate::render::diagnostics::Finding;
use crate::render::table::table;
use crate::screen::{Screen, Tone};

/// `check --json`
#[derive(Serialize)]
pub(crate) struct Document {
    pub(crate) exit_code: ExitCode,
    pub(crate) page: String,
    /// There if the page is a runbook.
    pub(crate) runbook: Option<Contents>,
    pub(crate) diagnostics: Vec<Finding>,
}

/// What a page holds.
#[derive(Serialize)]
pub(crate) struct Contents {
    id: String,
    title: String,
    meaning: String,
    stores: Vec<StoreLine>,
    parameters: Vec<ParameterLine>,
    stages: Vec<StageLine>,
    ways: Vec<WayLine>,
    flags: Vec<FlagSetLine>,
    rekey: Vec<RekeyPlanLine>,
    not_steps: Vec<ProseLine>,
}

#[derive(Serialize)]
struct StoreLine {
    name: String,
    kind: &'static str,
    home: bool,
}

#[derive(Serialize)]
struct ParameterLine {
    name: String,
    kind: String,
    secret: bool,
    env: Option<String>,
    default: Option<String>,
}

#[derive(Serialize)]
struct StageLine {
    id: String,
    title: String,
    manual: bool,
    no_return: bool,
    steps: Vec<StepLine>,
}

#[derive(Serialize)]
struct WayLine {
    id: String,
    title: String,
    from: Vec<String>,
    to: Option<String>,
    when: Option<String>,
    steps: Vec<StepLine>,
}

#[derive(Serialize)]
struct StepLine {
    id: String,
    verb: &'static str,
    what: String,
    place: String,
    requires: Vec<String>,
    ensures: Vec<String>,
}

#[derive(Serialize)]
struct FlagSetLine {
    name: String,
    columns: Vec<String>,
    initial: String,
    rows: Vec<FlagRowLine>,
    moves: Vec<FlagMoveLine>,
}

#[derive(Serialize)]
struct FlagRowLine {
    name: String,
    values: Vec<bool>,
    lock_first: &'static str,
}

#[derive(Serialize)]
struct FlagMoveLine {
    from: String,
    to: String,
    requires: Vec<String>,
    back: bool,
}

#[derive(Serialize)]
struct RekeyPlanLine {
    name: String,
    journal: String,
    rules: Vec<RekeyRuleLine>,
}

#[derive(Serialize)]
struct RekeyRuleLine {
    name: String,
    namespace: String,
    /// `many`, `one` or `in_place`.
    form: &'static str,
    prefix: String,
    suffix: String,
    owner: Vec<String>,
    proof: Vec<String>,
    keys: Vec<String>,
    metadata_keys: Vec<String>,
    clock: Vec<String>,
    opaque: bool,
}

#[derive(Serialize)]
struct ProseLine {
    language: String,
    place: String,
    example: bool,
}

/// What a page holds, ready to be shown.
pub(crate) fn contents(runbook: &Runbook, sources: &Sources) -> Contents {
    let places = Places::new(sources);
    let names = |names: &[tidegate_runbook::Name]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let step = |step: &Step| StepLine {
        id: step.id.to_string(),
        verb: step.action.verb(),
        what: describe(step),
        place: places.describe(&step.head),
        requires: names(&step.requires),
        ensures: names(&step.ensures),
    };
    Contents {
        id: runbook.id.to_string(),
        title: runbook.title.clone(),
        meaning: tidegate_engine::digest::Digest(runbook.meaning).to_string(),
        stores: runbook
            .stores
            .iter()
            .map(|store| StoreLine {
                name: store.name.to_string(),
                kind: store.kind.name(),
                home: store.home,
            })
            .collect(),
        parameters: runbook
            .parameters
            .iter()
            .map(|parameter| ParameterLine {
                name: parameter.name.to_string(),
                kind: format!("{:?}", parameter.kind).to_lowercase(),
                secret: parameter.secret,
                env: parameter.env.clone(),
                default: parameter.default.clone().filter(|_| !parameter.secret),
            })
            .collect(),
        stages: runbook
            .stages
            .iter()
            .map(|stage| StageLine {
                id: stage.id.to_string(),
                title: stage.title.clone(),
                manual: stage.manual,
                no_return: stage.no_return,
                steps: stage.steps.iter().map(step).collect(),
            })
            .collect(),
        ways: runbook
            .ways
            .iter()
            .map(|way| WayLine {
                id: way.id.to_string(),
                title: way.title.clone(),
                from: names(&way.from),
                to: way.to.as_ref().map(ToString::to_string),
                when: way.when.clone(),
                steps: way.steps.iter().map(step).collect(),
            })
            .collect(),
        flags: runbook.flags.iter().map(flag_set).collect(),
        rekey: runbook.rekeys.iter().map(rekey_plan).collect(),
        not_steps: runbook
            .not_steps
            .iter()
            .map(|block| ProseLine {
                language: block.language.clone(),
                place: places.describe(&block.span),
                example: block.example,
            })
            .collect(),
    }
}

fn flag_set(set: &FlagSet) -> FlagSetLine {
    let names = |names: &[Name]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let row = |row: &FlagRow| FlagRowLine {
        name: row.name.to_string(),
        values: row.values.clone(),
        lock_first: match row.lock_first {
            Side::Old => "old",
            Side::New => "new",
        },
    };
    let one_move = |step: &FlagMove| FlagMoveLine {
        from: step.from.to_string(),
        to: step.to.to_string(),
        requires: names(&step.requires),
        back: step.back,
    };
    FlagSetLine {
        name: set.name.to_string(),
        columns: names(&set.columns),
        initial: set.initial.to_string(),
        rows: set.rows.iter().map(row).collect(),
        moves: set.moves.iter().map(one_move).collect(),
    }
}

fn rekey_plan(plan: &RekeyPlan) -> RekeyPlanLine {
    let rule = |rule: &RekeyRule| RekeyRuleLine {
        name: rule.name.clone(),
        namespace: rule.namespace.clone(),
        form: match rule.form {
            RekeyForm::Many(_) => "many",
            RekeyForm::One { .. } => "one",
            RekeyForm::InPlace(_) => "in_place",
        },
        prefix: rule.prefix().to_owned(),
        suffix: match &rule.form {
            RekeyForm::One { suffix, .. } => suffix.clone(),
            RekeyForm::Many(_) | RekeyForm::InPlace(_) => String::new(),
        },
        owner: rule.owner.clone(),
        proof: rule.proof.clone(),
        keys: rule.keys.clone(),
        metadata_keys: rule.metadata_keys.clone(),
        clock: rule.clock.clone(),
        opaque: rule.opaque,
    };
    RekeyPlanLine {
        name: plan.name.to_string(),
        journal: plan.journal.clone(),
        rules: plan.rules.iter().map(rule).collect(),
    }
}

/// One line for each rule: where its keys are, their form, and where the owner stands in the body.
fn rekey_rules(plan: &RekeyPlanLine) -> Vec<Vec<String>> {
    let rule = |rule: &RekeyRuleLine| {
        let key = match rule.form {
            "many" => format!("{}OWNER:RECORD", rule.prefix),
            "one" => format!("{}OWNER{}", rule.prefix, rule.suffix),
            _ => format!("{}RECORD, which stays", rule.prefix),
        };
        let body = if rule.opaque {
            "bytes, copied as they are".to_owned()
        } else if rule.owner.is_empty() {
            "no owner in the body".to_owned()
        } else {
            format!("owner at {}", rule.owner.join(", "))
        };
        vec![rule.name.clone(), format!("{}/{key}", rule.namespace), body]
    };
    plan.rules.iter().map(rule).collect()
}

/// One line for each row: its columns that are true, what its dual writes lock first, and where it may be left for.
fn flag_rows(set: &FlagSetLine) -> Vec<Vec<String>> {
    let row = |row: &FlagRowLine| {
        let columns = set.columns.iter().zip(&row.values).filter(|(_, value)| **value);
        let columns: Vec<&str> = columns.map(|(column, _)| column.as_str()).collect();
        let columns = if columns.is_empty() { "none".to_owned() } else { columns.join(" ") };
        let to = set.moves.iter().filter_map(|step| {
            if step.from == row.name {
                Some(step.to.as_str())
            } else {
                (step.back && step.to == row.name).then_some(step.from.as_str())
            }
        });
        let to: Vec<&str> = to.collect();
        let to = if to.is_empty() { "leads nowhere".to_owned() } else { format!("to {}", to.join(", ")) };
        let lock = if row.lock_first == "new" { "locks new first" } else { "" };
        vec![row.name.clone(), columns, to, lock.to_owned()]
    };
    set.rows.iter().map(row).collect()
}

/// The table for people.
pub(crate) fn text(screen: &Screen, runbook: &Runbook, sources: &Sources) -> String {
    let contents = contents(runbook, sources);
    let strong = |text: &str| screen.paint(Tone::Strong, text);
    let mut text = format!("{}: {} ({})\n", strong(&contents.id), contents.title, runbook.page);
    let rows = |steps: &[StepLine]| -> Vec<Vec<String>> {
        steps
            .iter()
            .map(|step| {
                let line = step.place.rsplit(':').next().unwrap_or_default();
                vec![format!("line {line}"), step.verb.to_owned(), step.id.clone(), step.what.clone()]
            })
            .collect()
    };
    for (stage, line) in runbook.stages.iter().zip(&contents.stages) {
        let mut marks = Vec::new();
        if line.manual {
            marks.push("manual: runs with --stage".to_owned());
        }
        if line.no_return {
            marks.push("no return".to_owned());
        }
        if stage.hold.is_some() {
            marks.push("holds afterwards".to_owned());
        }
        let marks = if marks.is_empty() { String::new() } else { format!(" ({})", marks.join("; ")) };
        text.push_str(&format!("\n{} {}{marks}\n", strong(&format!("Stage {}:", line.id)), line.title));
        text.push_str(&table(2, &rows(&line.steps)));
    }
    for way in &contents.ways {
        let to = way.to.as_ref().map_or("the start".to_owned(), |to| format!("the state after {to}"));
        let when = way.when.as_ref().map_or(String::new(), |when| format!("  {when}\n"));
        text.push_str(&format!(
            "\n{} {}\n  from {} to {to}\n{when}",
            strong(&format!("Way {}:", way.id)),
            way.title,
            way.from.join(", "),
        ));
        text.push_str(&table(2, &rows(&way.steps)));
    }
    for set in &contents.flags {
        text.push_str(&format!(
            "\n{} begins in {}\n",
            strong(&format!("Flag set {}:", set.name)),
            set.initial
        ));
        text.push_str(&table(2, &flag_rows(set)));
    }
    for plan in &contents.rekey {
        let title = strong(&format!("Rekey plan {}:", plan.name));
        text.push_str(&format!("\n{title} its own journal in {}\n", plan.journal));
        text.push_str(&table(2, &rekey_rules(plan)));
    }
    if !contents.not_steps.is_empty() {
        text.push_str(&format!("\n{}\n", strong("Blocks that are no steps")));
        let rows: Vec<Vec<String>> = contents
            .not_steps
            .iter()
            .map(|block| {
                let mark = if block.example { "example" } else { "" };
                vec![block.place.clone(), block.language.clone(), mark.to_owned()]
            })
            .collect();
        text.push_str(&table(2, &rows));
    }
    let steps: usize = contents.stages.iter().map(|stage| stage.steps.len()).sum();
    text.push_str(&format!(
        "\n{steps} steps in {} stages, {} ways back, {} blocks that are no steps\n",
        contents.stages.len(),
        contents.ways.len(),
        contents.not_steps.len(),
    ));
    text
}
