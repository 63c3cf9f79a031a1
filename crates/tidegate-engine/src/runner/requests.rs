//! Between steps: signals, and what other processes ask.

use std::time::Duration;

use tidegate_runbook::{Action, Confirm, Name, Step};

use crate::ending::Ending;
use crate::event::{Event, Person, WaitingOn};
use crate::knobs::Knobs;
use crate::observer::Answer;
use crate::request::{Request, RequestKind};
use crate::runner::forward::Flow;
use crate::runner::{Runner, Stop};
use crate::signals::Signal;
use crate::state::Phase;

/// How often a paused runner looks for a `resume`.
const LOOK_EVERY: Duration = Duration::from_millis(200);

impl Runner {
    /// Follows signals and requests; an ending if the run must not go on.
    pub(crate) async fn between_steps(&mut self) -> Result<Option<Ending>, Stop> {
        let mut paused = false;
        loop {
            while let Some(signal) = self.signals.take().or_else(|| self.signals.take_note()) {
                if let Some(ending) = self.follow_signal(None, signal).await? {
                    return Ok(Some(ending));
                }
            }
            let requests: Vec<Request> = self.inbox.borrow_mut().drain(..).collect();
            for request in requests {
                match self.follow(&request).await? {
                    Followed::Nothing => {}
                    Followed::Pause => paused = true,
                    Followed::Resume => paused = false,
                    Followed::End(ending) => return Ok(Some(ending)),
                }
            }
            let waiting = matches!(self.state.phase, Phase::Waiting { on: WaitingOn::Pause {}, .. });
            if paused && !waiting {
                self.commit(vec![Event::Waiting { on: WaitingOn::Pause {} }]).await?;
            } else if !paused {
                if waiting {
                    let resumed = Event::Resumed { by: self.by.clone(), ended_backends: 0 };
                    self.commit(vec![resumed]).await?;
                }
                return Ok(None);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Halts, goes back, or only takes note, as the signal asks; `None`: the run goes on.
    pub(crate) async fn follow_signal(
        &mut self,
        step: Option<&Name>,
        signal: Signal,
    ) -> Result<Option<Ending>, Stop> {
        if let Signal::Tripped { watch, message } = &signal
            && self.on_trip(watch) == tidegate_runbook::OnTrip::Notify
        {
            let tripped = Event::WatchTripped {
                step: watch.clone(),
                message: message.clone(),
                action: "notify".to_owned(),
            };
            self.commit(vec![tripped]).await?;
            return Ok(None);
        }
        if let Signal::Tripped { watch, .. } = &signal
            && self.on_trip(watch) == tidegate_runbook::OnTrip::Rollback
        {
            let watch = watch.clone();
            let halted = self.halt_on_signal(step, signal).await?;
            return Box::pin(self.back_before(&watch, halted)).await.map(Some);
        }
        self.halt_on_signal(step, signal).await.map(Some)
    }

    async fn follow(&mut self, request: &Request) -> Result<Followed, Stop> {
        if request.body.run != self.state.run {
            self.taken(request, Some("it is for another run".to_owned()), Vec::new()).await?;
            return Ok(Followed::Nothing);
        }
        match &request.body.ask {
            RequestKind::Stop {} => {
                self.taken(request, None, Vec::new()).await?;
                let by = request.describe();
                self.halt_on_signal(None, Signal::Stop { by }).await.map(Followed::End)
            }
            RequestKind::Pause {} => {
                let idle = match &self.state.phase {
                    Phase::Open {} | Phase::GoingBack(_) | Phase::Waiting { .. } => None,
                    phase => Some(format!("the run is {}: nothing of it goes on by itself", phase.word())),
                };
                let followed = if idle.is_none() { Followed::Pause } else { Followed::Nothing };
                self.taken(request, idle, Vec::new()).await?;
                Ok(followed)
            }
            RequestKind::Resume {} => {
                self.taken(request, None, Vec::new()).await?;
                Ok(Followed::Resume)
            }
            RequestKind::Knob { step, knob, value } => {
                let refused = self.may_not_turn(step, knob, value);
                let turned = Event::KnobTurned {
                    step: step.clone(),
                    knob: knob.clone(),
                    value: value.clone(),
                    by: request.body.by.clone(),
                };
                let more = if refused.is_none() { vec![turned] } else { Vec::new() };
                self.taken(request, refused, more).await?;
                Ok(Followed::Nothing)
            }
            RequestKind::Approve { step, head } => {
                let refused =
                    self.may_not_approve(step, &request.body.by).or_else(|| self.too_old(step, request));
                let approved = match refused {
                    None => {
                        vec![Event::Approved { step: step.clone(), by: request.body.by.clone(), head: *head }]
                    }
                    Some(_) => Vec::new(),
                };
                self.taken(request, refused, approved).await?;
                Ok(Followed::Nothing)
            }
        }
    }

    /// A stop that cut a step off is answered: the next run must not be stopped by it again.
    pub(crate) async fn take_up_stops(&mut self) -> Result<(), Stop> {
        let run = self.state.run;
        let is_ours = |request: &mut Request| request.body.is_stop() && request.body.run == run;
        let stops: Vec<Request> = self.inbox.borrow_mut().extract_if(.., is_ours).collect();
        for stop in stops {
            self.taken(&stop, None, Vec::new()).await?;
        }
        Ok(())
    }

    async fn taken(
        &mut self,
        request: &Request,
        refused: Option<String>,
        more: Vec<Event>,
    ) -> Result<(), Stop> {
        let what = request.word().to_owned();
        let mut events = vec![Event::RequestTaken { request: request.id, what, refused }];
        events.extend(more);
        self.commit_answering(events, request.id).await
    }

    /// Why an approval counts no longer: its validity began when it was given, not when it is read.
    fn too_old(&self, step: &Name, request: &Request) -> Option<String> {
        let (valid, age) = (self.program.step(step)?.valid?, request.age());
        (age > valid).then(|| {
            format!(
                "it was given {} s ago and is valid for {} s; approve again",
                age.as_secs(),
                valid.as_secs()
            )
        })
    }

    /// Why a knob cannot be turned so.
    fn may_not_turn(&self, step: &Name, knob: &str, value: &str) -> Option<String> {
        match self.program.step(step).map(|step| &step.action) {
            Some(Action::Backfill(_)) => Knobs::default().turn(knob, value).err(),
            Some(other) => Some(format!("{step} is a `{}`, and only a backfill has knobs", other.verb())),
            None => Some(format!("the page has no step {step}")),
        }
    }

    /// Why this person may not approve this step, if so.
    fn may_not_approve(&self, step: &Name, by: &Person) -> Option<String> {
        let Some(Action::Confirm(confirm)) = self.program.step(step).map(|step| &step.action) else {
            return Some(format!("{step} is no confirm of this page"));
        };
        refuses(confirm, by, &self.state.by)
    }

    /// Waits for a person, if nobody has approved yet.
    pub(crate) async fn do_confirm(&mut self, step: &Step, confirm: &Confirm) -> Result<Flow, Stop> {
        let valid = |at: jiff::Timestamp| {
            step.valid.is_none_or(|valid| jiff::Timestamp::now().duration_since(at).unsigned_abs() <= valid)
        };
        let approval = self.state.approvals.get(&step.id).filter(|approval| valid(approval.at)).cloned();
        let mut events = Vec::new();
        let by = match approval {
            Some(approval) => approval.by,
            None => {
                let Some(by) = self.ask(step, confirm).await? else {
                    return self.wait_for_approval(step, confirm).await.map(Flow::End);
                };
                let head = self.head.hash;
                events.push(Event::Approved { step: step.id.clone(), by: by.clone(), head });
                by
            }
        };
        let outcome = crate::outcome::Outcome {
            summary: format!("approved by {} ({} on {})", by.actor, by.os_user, by.host),
            ..crate::outcome::Outcome::default()
        };
        let attempt = self.job(step).attempt;
        events.push(Event::StepDone { step: step.id.clone(), attempt, outcome });
        self.commit(events).await?;
        Ok(Flow::Next)
    }

    async fn ask(&mut self, step: &Step, confirm: &Confirm) -> Result<Option<Person>, Stop> {
        let shown = crate::confirmation::ask(&self.program, &self.values, self.head, &step.id);
        let Some(ask) = shown.map_err(|missing| Stop::Drift {
            message: missing.to_string(),
            next: "Correct the page.".to_owned(),
        })?
        else {
            return Ok(None);
        };
        let asking = self.observer.borrow_mut().ask(&ask);
        let answer = tokio::select! {
            answer = asking => answer,
            () = self.signals.wait() => None,
        };
        let Some(Answer::Approve { actor }) = answer else { return Ok(None) };
        let by = Person { actor, ..self.by.clone() };
        Ok(refuses(confirm, &by, &self.state.by).is_none().then_some(by))
    }

    async fn wait_for_approval(&mut self, step: &Step, confirm: &Confirm) -> Result<Ending, Stop> {
        let on = WaitingOn::Confirm { step: step.id.clone() };
        if matches!(self.state.phase, Phase::Open {} | Phase::GoingBack(_)) {
            self.commit(vec![Event::Waiting { on: on.clone() }]).await?;
        }
        let who = match (confirm.approvers.as_slice(), confirm.not_actor) {
            ([], false) => "anybody".to_owned(),
            ([], true) => format!("anybody but {}", self.state.by.actor),
            (names, false) => names.join(", "),
            (names, true) => format!("{} (not {})", names.join(", "), self.state.by.actor),
        };
        let manual = self.program.runbook.steps().find(|(stage, known)| stage.manual && known.id == step.id);
        let next = vec![
            format!("Have {who} approve: tidegate approve {} --actor NAME", step.id),
            if let Some((stage, _)) = manual {
                format!("Then go on: tidegate run --apply --actor NAME --stage {}", stage.id)
            } else if self.state.phase.back().is_some() {
                "Then go on with the way back: give the same `tidegate rollback` command again.".to_owned()
            } else {
                "Then go on: tidegate run --apply --actor NAME".to_owned()
            },
        ];
        Ok(Ending::Waiting { on, next })
    }
}

/// What a request leads to.
enum Followed {
    Nothing,
    Pause,
    Resume,
    End(Ending),
}

/// Why a person may not approve a confirm, if so.
#[must_use]
pub fn refuses(confirm: &Confirm, by: &Person, started_by: &Person) -> Option<String> {
    if !confirm.approvers.is_empty() && !confirm.approvers.contains(&by.actor) {
        return Some(format!("{} is not among its approvers: {}", by.actor, confirm.approvers.join(", ")));
    }
    let same = by.actor == started_by.actor;
    (confirm.not_actor && same)
        .then(|| format!("{} started the run, and the page wants another person", by.actor))
}
