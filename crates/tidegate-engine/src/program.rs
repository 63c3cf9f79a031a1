//! The immutable plan of a run: what comes after what, and what leads back.

use std::collections::BTreeSet;

use tidegate_runbook::{Action, MoveFlags, Name, RekeyMode, Runbook, Sources, Stage, Step, Way};

use crate::digest::Digest;
use crate::sources::Places;
use crate::state::{RunState, StepState};

/// A runbook made ready to be run. Nothing in it changes; where a run stands is its state.
#[derive(Debug)]
pub struct Program {
    /// What the page says.
    pub runbook: Runbook,
    /// The texts it was read from.
    pub sources: Sources,
    /// For places in messages.
    pub places: Places,
}

impl Program {
    /// Makes a runbook ready.
    #[must_use]
    pub fn new(runbook: Runbook, sources: Sources) -> Self {
        let places = Places::new(&sources);
        Self { runbook, sources, places }
    }

    /// Digest of the meaning of the whole page.
    #[must_use]
    pub fn meaning(&self) -> Digest {
        Digest(self.runbook.meaning)
    }

    /// A step of a stage or of a way.
    #[must_use]
    pub fn step(&self, id: &Name) -> Option<&Step> {
        self.runbook.step(id)
    }

    /// `file:line` of a step's head.
    #[must_use]
    pub fn place_of(&self, step: &Step) -> String {
        self.places.describe(&step.head)
    }

    /// The stage a step stands in; `None` for steps of ways.
    #[must_use]
    pub fn stage_of(&self, step: &Name) -> Option<&Stage> {
        self.runbook.stages.iter().find(|stage| stage.steps.iter().any(|known| &known.id == step))
    }

    /// The way a step stands in; `None` for steps of stages.
    #[must_use]
    pub fn way_of(&self, step: &Name) -> Option<&Way> {
        self.runbook.ways.iter().find(|way| way.steps.iter().any(|known| &known.id == step))
    }

    /// A way by name.
    #[must_use]
    pub fn way(&self, id: &Name) -> Option<&Way> {
        self.runbook.ways.iter().find(|way| &way.id == id)
    }

    /// What may not be changed while `step` runs: of the page, and of its stage or way.
    #[must_use]
    pub fn protect(&self, step: &Name) -> Vec<String> {
        let of_stage = self.stage_of(step).map(|stage| stage.protect.as_slice()).unwrap_or_default();
        let of_way = self.way_of(step).map(|way| way.protect.as_slice()).unwrap_or_default();
        self.runbook.protect.iter().chain(of_stage).chain(of_way).cloned().collect()
    }

    /// Stage names replaced by their steps, in document order, each once.
    #[must_use]
    pub fn expand<'a>(&'a self, names: &'a [Name]) -> Vec<&'a Step> {
        let mut seen = BTreeSet::new();
        let mut steps = Vec::new();
        for name in names {
            let of_stage = self.runbook.stage(name).map(|stage| stage.steps.as_slice()).unwrap_or_default();
            let single = self.step(name);
            for step in of_stage.iter().chain(single.filter(|_| of_stage.is_empty())) {
                if !is_only_unless(step) && seen.insert(&step.id) {
                    steps.push(step);
                }
            }
        }
        steps
    }

    /// Steps that run as steps of a stage: checks marked `@only unless` and records `@at` a backup do not by themselves.
    pub fn runnable<'a>(&self, stage: &'a Stage) -> impl Iterator<Item = &'a Step> {
        stage.steps.iter().filter(|step| !is_only_unless(step) && !is_at_a_backup(step))
    }

    /// Records that are evaluated on the snapshot of `backup`.
    #[must_use]
    pub fn records_at(&self, backup: &Name) -> Vec<&Step> {
        let is_at = |step: &&Step| matches!(&step.action, Action::Record(record) if record.at.as_ref() == Some(backup));
        self.runbook.steps().map(|(_, step)| step).filter(is_at).collect()
    }

    /// The first step, in order, that a run has still to do, with its stage. Manual stages are passed over.
    #[must_use]
    pub fn next_step(&self, state: &RunState) -> Option<(&Stage, &Step)> {
        self.runbook
            .stages
            .iter()
            .filter(|stage| !stage.manual)
            .flat_map(|stage| self.runnable(stage).map(move |step| (stage, step)))
            .find(|(_, step)| !is_done(state, &step.id))
    }

    /// The last step of a stage that runs by itself.
    #[must_use]
    pub fn last_step_of(&self, stage: &Name) -> Option<&Name> {
        let stage = self.runbook.stage(stage)?;
        self.runnable(stage).last().map(|step| &step.id)
    }

    /// The nearest changing step above `step` that is not done yet: what `plan` names as needed.
    #[must_use]
    pub fn pending_change_before(&self, step: &Name, done: &dyn Fn(&Name) -> bool) -> Option<&Name> {
        let mut pending = None;
        for (_, known) in self.runbook.steps() {
            if &known.id == step {
                return pending;
            }
            if !known.action.is_read_only() && !done(&known.id) {
                pending = Some(&known.id);
            }
        }
        pending
    }

    /// Steps of stages after `destination` (all if `None`), which count no longer once a way back ended there.
    #[must_use]
    pub fn steps_after(&self, destination: Option<&Name>) -> Vec<Name> {
        self.stages_after(destination)
            .flat_map(|stage| stage.steps.iter().map(|step| step.id.clone()))
            .collect()
    }

    /// Stages after `destination` (all if `None`) that run by themselves.
    pub fn stages_after(&self, destination: Option<&Name>) -> impl Iterator<Item = &Stage> {
        let skip = destination.map_or(0, |name| {
            self.runbook.stages.iter().position(|stage| &stage.id == name).map_or(0, |index| index + 1)
        });
        self.runbook.stages.iter().skip(skip).filter(|stage| !stage.manual)
    }

    /// Watches that cover a step: those whose range `@from`..`@until` it stands in.
    #[must_use]
    pub fn watches(&self) -> Vec<&Step> {
        self.runbook
            .stages
            .iter()
            .flat_map(|stage| &stage.steps)
            .filter(|step| matches!(step.action, Action::Watch(_)))
            .collect()
    }

    /// Position of a step or of a stage's first step among all steps of stages.
    #[must_use]
    pub fn first_position(&self, name: &Name) -> Option<usize> {
        self.runbook.steps().position(|(stage, step)| &step.id == name || &stage.id == name)
    }

    /// Position of a step or of a stage's last step among all steps of stages.
    #[must_use]
    pub fn last_position(&self, name: &Name) -> Option<usize> {
        self.runbook
            .steps()
            .enumerate()
            .filter(|(_, (stage, step))| &step.id == name || &stage.id == name)
            .map(|(position, _)| position)
            .last()
    }
}

/// Whether the step is complete.
#[must_use]
pub fn is_done(state: &RunState, step: &Name) -> bool {
    matches!(state.steps.get(step), Some(StepState::Done { .. }))
}

/// Whether an effect of the step stands: it is complete, or a part of it was committed before its end.
#[must_use]
pub fn stands(state: &RunState, step: &Step) -> bool {
    let begun =
        matches!(state.steps.get(&step.id), Some(StepState::Started { .. } | StepState::Failed { .. }));
    let in_part = match &step.action {
        Action::Flags(flags) => moved_from(state, &step.id, flags).is_some(),
        Action::Backfill(_) => true,
        // Subjects that are done stay done when another one fails.
        Action::Rekey(moved) => moved.mode != RekeyMode::Dry,
        Action::Command(command) => command.cohort.is_some(),
        _ => false,
    };
    is_done(state, &step.id) || (begun && in_part)
}

/// The row that a step moved its set away from, while the set is where the step moved it.
#[must_use]
pub fn moved_from<'a>(state: &'a RunState, step: &Name, flags: &MoveFlags) -> Option<&'a str> {
    let known = state.flags.get(&flags.set)?;
    (known.step == *step && known.row == flags.to.as_str()).then_some(known.from.as_deref())?
}

/// Whether the step is a record that its backup evaluates.
#[must_use]
pub fn is_at_a_backup(step: &Step) -> bool {
    matches!(&step.action, Action::Record(record) if record.at.is_some())
}

/// Whether the step is evaluated only where an `@unless` names it.
#[must_use]
pub fn is_only_unless(step: &Step) -> bool {
    matches!(&step.action, Action::Check(check) if check.only_unless)
}
