//! Where the run stands, who works on it, and what to do next.

use serde::Serialize;
use tidegate_engine::advice;
use tidegate_engine::event::{Event, EventRecord, HaltReason, WaitingOn};
use tidegate_engine::history::History;
use tidegate_engine::lease::HolderInfo;
use tidegate_engine::left::LeftTable;
use tidegate_engine::program::is_done;
use tidegate_engine::state::{Phase, RunState, StepState};

use crate::desk::Desk;
use crate::exit_code::ExitCode;
use crate::render::advice::with_page;
use crate::render::ending::Place;
use crate::render::event::{back_text, reason_text, waiting};
use crate::render::failure::steps;
use crate::render::span::{ago, lasting, moment};
use crate::screen::Tone;

/// `status --json`
#[derive(Serialize)]
pub(crate) struct Document<'a> {
    pub(crate) exit_code: ExitCode,
    pub(crate) runbook: &'a str,
    pub(crate) head: Place,
    /// Who holds the lease, if anybody does.
    pub(crate) holder: Option<&'a HolderInfo>,
    /// `null`: there was never a run.
    pub(crate) run: Option<&'a RunState>,
    /// The phase in one word.
    pub(crate) phase: Option<&'static str>,
    pub(crate) steps_done: usize,
    pub(crate) steps_total: usize,
    /// Tables that are sealed or retired now.
    pub(crate) left: &'a [LeftTable],
    pub(crate) next: Vec<String>,
}

/// What is shown.
pub(crate) struct Standing<'a> {
    desk: &'a Desk,
    history: &'a History,
    state: &'a RunState,
    holder: Option<&'a HolderInfo>,
    left: &'a [LeftTable],
}

impl<'a> Standing<'a> {
    /// Of one run.
    pub(crate) fn new(
        desk: &'a Desk,
        history: &'a History,
        state: &'a RunState,
        holder: Option<&'a HolderInfo>,
        left: &'a [LeftTable],
    ) -> Self {
        Self { desk, history, state, holder, left }
    }

    /// Somebody works on it, as far as can be told.
    fn at_work(&self) -> bool {
        self.holder.is_some_and(|holder| !holder.gone && !holder.left.is_zero())
            && !self.state.phase.is_final()
    }

    /// Steps that are complete, and all that run by themselves.
    pub(crate) fn progress(&self) -> (usize, usize) {
        let program = &self.desk.program;
        let mut counts = (0, 0);
        for stage in program.runbook.stages.iter().filter(|stage| !stage.manual) {
            for step in program.runnable(stage) {
                counts.1 += 1;
                counts.0 += usize::from(is_done(self.state, &step.id));
            }
        }
        counts
    }

    /// What to do next.
    pub(crate) fn next(&self) -> Vec<String> {
        let lines = if self.at_work() {
            match &self.state.phase {
                Phase::Waiting { on: WaitingOn::Pause {}, .. } => {
                    vec!["Have it go on: tidegate resume --actor NAME".to_owned()]
                }
                Phase::Waiting { .. } => advice::standing(self.state, &self.desk.program, None),
                _ => vec![
                    "Watch it: tidegate events --follow".to_owned(),
                    "Have it stop: tidegate stop --actor NAME".to_owned(),
                ],
            }
        } else {
            advice::standing(self.state, &self.desk.program, self.sqlstate())
        };
        lines.iter().map(|line| with_page(line, self.desk.page.as_deref())).collect()
    }

    fn sqlstate(&self) -> Option<&'a str> {
        self.history.of(self.state.run).filter_map(failed_with).last()
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let (desk, state) = (self.desk, self.state);
        let screen = &desk.screen;
        let (done, total) = self.progress();
        let tone = match &state.phase {
            Phase::Halted { reason: HaltReason::WentBack, .. }
            | Phase::Waiting { .. }
            | Phase::GoingBack(_) => Tone::Careful,
            Phase::Halted { .. } => Tone::Bad,
            Phase::Open {} | Phase::Finished {} => Tone::Good,
            Phase::RolledBack {} | Phase::Abandoned { .. } => Tone::Careful,
        };
        let word = screen.paint(tone, &state.phase.word().to_uppercase());
        let mut text = format!(
            "{word}  {}: {}\nRun:     {} started {} ({}) by {} ({} on {})\n",
            state.runbook,
            state.title,
            state.run,
            moment(state.started_at),
            ago(state.started_at),
            state.by.actor,
            state.by.os_user,
            state.by.host
        );
        if state.runbook == desk.program.runbook.id {
            text.push_str(&format!("Steps:   {done} of {total} complete\n"));
        }
        text.push_str(&self.phase_text());
        for (set, flags) in &state.flags {
            let seen = tidegate_engine::program::is_done(state, &flags.step);
            let drained = match (flags.mirrors, seen) {
                (true, true) => ", mirroring, drained",
                (true, false) => ", mirroring, not drained yet",
                (false, _) => "",
            };
            text.push_str(&format!("Flags:   {set} at {} (epoch {}){drained}\n", flags.row, flags.epoch));
        }
        for table in self.left {
            text.push_str(&self.left_text(table));
        }
        text.push_str(&self.holder_text());
        text.push_str(&format!(
            "Head:    {}:{} ({})\n",
            self.history.head.seq,
            self.history.head.hash,
            ago(state.last_at)
        ));
        text.push_str(&steps(&self.next()));
        if matches!(state.phase, Phase::Halted { .. }) && !desk.program.runbook.contacts.is_empty() {
            text.push_str(&format!("Call:  {}\n", desk.program.runbook.contacts.join(", ")));
        }
        text
    }

    fn phase_text(&self) -> String {
        let mut text = String::new();
        let place = |step: &tidegate_runbook::Name| {
            self.desk.place(step).map_or(String::new(), |place| format!(" ({place})"))
        };
        match &self.state.phase {
            Phase::Halted { step, reason, message, .. } => {
                if let Some(step) = step {
                    text.push_str(&format!("At:      {step}{}\n", place(step)));
                }
                if *reason != HaltReason::WentBack
                    && let Some(reason) = reason_text(*reason)
                {
                    text.push_str(&format!("Stopped: {reason}\n"));
                }
                text.push_str(&format!("Why:     {}\n", message.replace('\n', "\n         ")));
            }
            Phase::Waiting { on, .. } => {
                let (subject, detail) = waiting(on);
                text.push_str(&format!("Waits:   {subject}: {detail}\n"));
            }
            Phase::Abandoned { reason } => text.push_str(&format!("Why:     {reason}\n")),
            Phase::Open {} | Phase::GoingBack(_) | Phase::Finished {} | Phase::RolledBack {} => {}
        }
        if let Some(going) = self.state.phase.back() {
            let undone = going.order.iter().filter(|step| !is_done(self.state, step)).count();
            text.push_str(&format!(
                "Back:    {}, {undone} of {} steps behind it\n",
                back_text(&going.back),
                going.order.len()
            ));
        }
        for (step, started) in &self.state.steps {
            if let StepState::Started { attempt, at } = started {
                text.push_str(&format!(
                    "Step:    {step}{} began {}, attempt {attempt}\n",
                    place(step),
                    ago(*at)
                ));
            }
        }
        text
    }

    /// A table that stays sealed or retired, and what ends that.
    fn left_text(&self, left: &LeftTable) -> String {
        let by = left.step.as_ref().map_or(String::new(), |step| format!(" by {step}"));
        let of = match left.run.filter(|run| *run != self.state.run) {
            Some(run) => format!(" of run {run}"),
            None => String::new(),
        };
        let until = left.until.map_or(String::new(), |until| format!(" until {}", moment(until)));
        let (word, what) = match left.retired {
            true => ("Retired:", "kept with its rows, out of sight"),
            false => ("Sealed: ", "direct writes are refused"),
        };
        let mut text = format!("{word} {}{by}{of}: {what}{until}\n", left.table);
        for end in &left.ends {
            text.push_str(&format!("         {}\n", with_page(end, self.desk.page.as_deref())));
        }
        text
    }

    fn holder_text(&self) -> String {
        match self.holder {
            None if self.state.phase.is_final() => String::new(),
            None => "Holder:  nobody works on it\n".to_owned(),
            Some(holder) if holder.gone => format!(
                "Holder:  {} on host {}: its process {} is gone; the next run takes over\n",
                holder.actor, holder.host, holder.pid
            ),
            Some(holder) => format!(
                "Holder:  {} on host {} (process {}) for {}, last sign of life {} ago\n",
                holder.actor,
                holder.host,
                holder.pid,
                lasting(holder.age),
                lasting(holder.silent)
            ),
        }
    }
}

fn failed_with(record: &EventRecord) -> Option<&str> {
    match &record.event {
        Event::StepFailed { sqlstate, .. } => Some(sqlstate.as_deref().unwrap_or_default()),
        _ => None,
    }
}
