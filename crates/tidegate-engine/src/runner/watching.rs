//! Watches: looks on connections of their own, from `@from` to `@until`.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tidegate_runbook::{Name, Step, Watch};
use tokio::task::JoinHandle;

use crate::crash::{self, Site};
use crate::doors::Doors;
use crate::ending::Ending;
use crate::event::Event;
use crate::job::Job;
use crate::outcome::Outcome;
use crate::program::{Program, is_done};
use crate::runner::forward::Flow;
use crate::runner::{Runner, Stop};
use crate::signals::{Signal, Signals};
use crate::state::{RunState, WatchState};
use crate::values::Values;
use crate::verdict::Verdict;
use crate::versions::VersionTable;

/// A watch that looks.
#[derive(Debug)]
pub(crate) struct OpenWatch {
    step: Name,
    task: JoinHandle<()>,
    looks: Rc<RefCell<Looks>>,
}

impl Drop for OpenWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How a watch has fared.
#[derive(Debug, Default)]
struct Looks {
    judged: u64,
    longest_gap: Duration,
}

/// Everything a watch needs, so that it does not borrow the runner.
struct Lookout {
    program: Rc<Program>,
    doors: Rc<Doors>,
    values: Values,
    versions: VersionTable,
    state: RunState,
    epoch: u64,
    step: Name,
}

impl Lookout {
    /// One look: a short transaction of its own.
    async fn look(&self) -> Verdict {
        let Some(step) = self.program.step(&self.step) else {
            return Verdict::Unknown(format!("{} is not in the page", self.step));
        };
        let job = Job {
            program: &self.program,
            doors: &self.doors,
            values: &self.values,
            state: &self.state,
            versions: &self.versions,
            epoch: self.epoch,
            step,
            attempt: 1,
        };
        crate::evaluate::ask(job).await.verdict
    }

    async fn keep_looking(self, watch: Watch, looks: Rc<RefCell<Looks>>, signals: Signals) {
        let mut fails = 0_u32;
        let mut last_answer = Instant::now();
        let mut last_look = Instant::now();
        loop {
            tokio::time::sleep_until((last_look + watch.every).into()).await;
            last_look = Instant::now();
            match self.look().await {
                Verdict::Pass => fails = 0,
                Verdict::Fail(found) => {
                    fails += 1;
                    if fails >= watch.trips_after {
                        let tripped = Signal::Tripped { watch: self.step.clone(), message: found };
                        if watch.on_trip != tidegate_runbook::OnTrip::Notify {
                            signals.give(tripped);
                            return;
                        }
                        signals.note(tripped);
                        fails = 0;
                    }
                }
                Verdict::Unknown(why) => {
                    if last_answer.elapsed() >= watch.unknown_after {
                        signals.give(Signal::Unanswered { watch: self.step.clone(), message: why });
                        return;
                    }
                    continue;
                }
            }
            let mut looks = looks.borrow_mut();
            looks.judged += 1;
            looks.longest_gap = looks.longest_gap.max(last_answer.elapsed());
            last_answer = Instant::now();
        }
    }
}

impl Runner {
    /// Opens every watch whose range begins at or before `step` and that is not open: each must pass at once.
    pub(crate) async fn open_watches(&mut self, step: &Name) -> Result<Option<Ending>, Stop> {
        let program = self.program.clone();
        let Some(position) = program.first_position(step) else { return Ok(None) };
        for watch_step in program.watches() {
            let Some((watch, from, until)) = range(&program, watch_step) else { continue };
            let open = self.watches.iter().any(|open| open.step == watch_step.id);
            let closed = self.state.watches.get(&watch_step.id) == Some(&WatchState::Closed);
            if open || closed || !(from..=until).contains(&position) {
                continue;
            }
            if let Some(ending) = self.open_watch(watch_step, watch).await? {
                return Ok(Some(ending));
            }
        }
        Ok(None)
    }

    async fn open_watch(&mut self, step: &Step, watch: &Watch) -> Result<Option<Ending>, Stop> {
        let lookout = Lookout {
            program: self.program.clone(),
            doors: self.doors.clone(),
            values: self.values.clone(),
            versions: self.versions.clone(),
            state: self.state.clone(),
            epoch: self.epoch,
            step: step.id.clone(),
        };
        let verdict = lookout.look().await;
        crash::point(Site::Judged, step.id.as_str());
        if self.state.watches.get(&step.id) != Some(&WatchState::Open) {
            self.commit(vec![Event::WatchOpened { step: step.id.clone() }]).await?;
        }
        let signal = match verdict {
            Verdict::Pass => None,
            Verdict::Fail(found) => Some(Signal::Tripped { watch: step.id.clone(), message: found }),
            Verdict::Unknown(why) => Some(Signal::Unanswered { watch: step.id.clone(), message: why }),
        };
        match signal {
            Some(Signal::Tripped { watch: name, message })
                if watch.on_trip == tidegate_runbook::OnTrip::Notify =>
            {
                self.signals.note(Signal::Tripped { watch: name, message });
            }
            Some(signal) => return self.halt_on_signal(None, signal).await.map(Some),
            None => {}
        }
        let looks = Rc::new(RefCell::new(Looks { judged: 1, longest_gap: Duration::ZERO }));
        let task = tokio::task::spawn_local(lookout.keep_looking(
            watch.clone(),
            looks.clone(),
            self.signals.clone(),
        ));
        self.watches.push(OpenWatch { step: step.id.clone(), task, looks });
        Ok(None)
    }

    /// Closes every watch whose range is complete.
    pub(crate) async fn close_watches(&mut self) -> Result<(), Stop> {
        let program = self.program.clone();
        let mut events = Vec::new();
        for open in &self.watches {
            let Some(step) = program.step(&open.step) else { continue };
            let Some((_, _, until)) = range(&program, step) else { continue };
            let complete = program.runbook.steps().take(until + 1).all(|(stage, known)| {
                stage.manual
                    || is_done(&self.state, &known.id)
                    || crate::program::is_only_unless(known)
                    || crate::program::is_at_a_backup(known)
            });
            let last_stage = program.runbook.steps().nth(until).map(|(stage, _)| stage);
            let held = last_stage.is_none_or(|stage| {
                stage.hold.is_none() || self.state.holds.get(&stage.id).is_some_and(|hold| hold.complete)
            });
            if complete && held {
                let looks = open.looks.borrow();
                events.push(Event::WatchClosed {
                    step: open.step.clone(),
                    looks: looks.judged,
                    longest_gap_ms: u64::try_from(looks.longest_gap.as_millis()).unwrap_or(u64::MAX),
                });
            }
        }
        if events.is_empty() {
            return Ok(());
        }
        self.watches.retain(|open| {
            !events.iter().any(|event| matches!(event, Event::WatchClosed { step, .. } if *step == open.step))
        });
        self.commit(events).await
    }

    /// A watch's own place in the page: it stands, so the run goes on.
    pub(crate) async fn do_watch(&mut self, step: &Step) -> Result<Flow, Stop> {
        let attempt = self.job(step).attempt;
        let outcome = Outcome { summary: "stands".to_owned(), ..Outcome::default() };
        self.commit(vec![Event::StepDone { step: step.id.clone(), attempt, outcome }]).await?;
        Ok(Flow::Next)
    }
}

/// The watch with its first and last position among all steps of stages.
fn range<'a>(program: &Program, step: &'a Step) -> Option<(&'a Watch, usize, usize)> {
    let tidegate_runbook::Action::Watch(watch) = &step.action else { return None };
    let from = program.first_position(watch.from.as_ref().unwrap_or(&step.id))?;
    let own_stage = program.stage_of(&step.id).map(|stage| &stage.id);
    let until = program.last_position(watch.until.as_ref().or(own_stage)?)?;
    Some((watch, from, until))
}
