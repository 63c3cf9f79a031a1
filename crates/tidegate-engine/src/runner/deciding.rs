//! Decisions about a run, journaled with name and reason: given up, drift accepted, an edited page taken over.

use crate::decide::{DecideError, Decision, objections, standing};
use crate::ending::Ending;
use crate::event::Event;
use crate::plan_store;
use crate::runner::{Beside, Runner, Stop, drift_in};

impl Runner {
    /// Gives the run up where it stands. Nothing is undone and nothing is lifted; the ending says what stands.
    pub async fn abandon(&mut self, reason: &str) -> Ending {
        if reason.trim().is_empty() {
            return self.stopped(Stop::Drift {
                message: "a run is given up for a reason, and none was given".to_owned(),
                next: "Add --reason WHY.".to_owned(),
            });
        }
        let stands = standing(&self.program, &self.state);
        let event = Event::Abandoned { by: self.by.clone(), reason: reason.to_owned() };
        if let Err(stop) = self.commit(vec![event]).await {
            return self.stopped(stop);
        }
        let stands = if stands.is_empty() {
            "Nothing of it stands.".to_owned()
        } else {
            let lines: String = stands.iter().map(|line| format!("\n  {line}")).collect();
            format!("Nothing was undone. What it did stands:{lines}")
        };
        Ending::Done { what: format!("run {} is given up. {stands}", self.state.run) }
    }

    /// Accepts one thing that differs between the page and the version table, named as it is shown: `checksum 0009`,
    /// `version 0009`. What is accepted is this very difference: another edit of the same file is drift again.
    ///
    /// # Errors
    /// [`DecideError::UnknownSubject`] if nothing of that name differs now, with what does.
    pub async fn accept_drift(&mut self, subject: &str, reason: &str) -> Result<Decision, DecideError> {
        must_have(reason)?;
        let applied = match self.applied().await {
            Ok(applied) => applied,
            Err(stop) => return Err(self.undecided(stop)),
        };
        let findings = drift_in(&self.program, &self.versions, &applied);
        let Some(finding) = findings.iter().find(|finding| finding.subject == subject) else {
            return Err(DecideError::UnknownSubject {
                subject: subject.to_owned(),
                present: findings
                    .into_iter()
                    .filter(|finding| !self.accepted_drift.contains(&finding.accepted_as))
                    .map(|finding| finding.subject)
                    .collect(),
            });
        };
        let accepted_as = finding.accepted_as.clone();
        if self.accepted_drift.contains(&accepted_as) {
            return Err(DecideError::refused(
                format!("{subject} was accepted before"),
                Vec::new(),
                "Nothing is left to decide about it: `tidegate run`.",
            ));
        }
        let event = Event::DriftAccepted {
            subject: accepted_as.clone(),
            by: self.by.clone(),
            reason: reason.to_owned(),
        };
        if let Err(stop) = self.commit(vec![event]).await {
            return Err(self.undecided(stop));
        }
        self.accepted_drift.insert(accepted_as);
        Ok(Decision {
            what: format!("{subject} is accepted"),
            details: vec![finding.message.clone()],
            next: "Go on: tidegate run --apply --actor NAME".to_owned(),
        })
    }

    /// Takes over the page that this runner was opened with, in place of the one that the run follows.
    ///
    /// A step that has not begun may change, be added or be removed, and so may one that failed without an effect. The
    /// new texts and the event are one transaction.
    ///
    /// # Errors
    /// [`DecideError::Refused`] with every step that may not be what it is on the new page.
    pub async fn amend(&mut self, reason: &str) -> Result<Decision, DecideError> {
        must_have(reason)?;
        if self.state.phase.back().is_some() {
            return Err(DecideError::refused(
                "a way back is under way, and it follows the page it was begun with",
                Vec::new(),
                "Bring it to its end with the page as it was: `tidegate rollback` again.",
            ));
        }
        let stored = match plan_store::load(&self.home, self.state.plan).await {
            Ok(stored) => stored,
            Err(failure) => return Err(self.undecided(Stop::InDoubt(failure.to_string()))),
        };
        let Some(stored) = stored else {
            return Err(DecideError::refused(
                "the page that the run was started with is not in the journal any more, so nothing can be compared",
                Vec::new(),
                "Run `tidegate doctor`; then `tidegate abandon` and start a new run.",
            ));
        };
        let program = self.program.clone();
        let (plan, text) = plan_store::encode(&program.sources);
        if plan == self.state.plan {
            return Err(DecideError::refused(
                "the page is the one that the run follows",
                Vec::new(),
                "Edit it first, or just go on: `tidegate run`.",
            ));
        }
        let (changed, found) = objections(&stored, &program, &self.state);
        if !found.is_empty() {
            return Err(DecideError::refused(
                "the page cannot be taken over",
                found.iter().map(ToString::to_string).collect(),
                "Put these steps back as they were, or go back before them (`tidegate rollback`) and then amend.",
            ));
        }
        let event = Event::Amended {
            plan,
            meaning: program.meaning(),
            changed: changed.clone(),
            by: self.by.clone(),
            reason: reason.to_owned(),
        };
        let beside = Beside { plan: Some((plan, &text)), ..Beside::default() };
        if let Err(stop) = self.commit_keeping(vec![event], beside).await {
            return Err(self.undecided(stop));
        }
        let what = if changed.is_empty() {
            "the page is taken over; no step changed".to_owned()
        } else {
            let steps = if changed.len() == 1 { "step" } else { "steps" };
            format!("the page is taken over with {} changed {steps}", changed.len())
        };
        Ok(Decision {
            what,
            details: changed.iter().map(ToString::to_string).collect(),
            next: "Go on: tidegate run --apply --actor NAME".to_owned(),
        })
    }

    pub(crate) fn undecided(&self, stop: Stop) -> DecideError {
        DecideError::Stopped(Box::new(self.stopped(stop)))
    }
}

pub(crate) fn must_have(reason: &str) -> Result<(), DecideError> {
    if reason.trim().is_empty() {
        return Err(DecideError::refused(
            "a decision is journaled with its reason, and none was given",
            Vec::new(),
            "Add --reason WHY.",
        ));
    }
    Ok(())
}
