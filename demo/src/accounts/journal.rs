//! What the journal says while the page runs: which stage is at work, and at the end how long each step took.

use serde_json::Value as Json;
use tokio_postgres::Client;

use super::course::Course;
use super::stage::Stage;
use crate::Error;

/// A step that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StepDone {
    pub(crate) step: String,
    pub(crate) took_ms: u64,
    /// Counts with their names.
    pub(crate) figures: Vec<(String, u64)>,
}

impl StepDone {
    /// A count by its name.
    pub(crate) fn figure(&self, name: &str) -> Option<u64> {
        self.figures.iter().find(|(known, _)| known == name).map(|(_, count)| *count)
    }
}

/// A reader of the journal that stays connected as long as the server stands.
#[derive(Debug)]
pub(crate) struct Journal {
    course: Course,
    client: Option<Client>,
    seq: i64,
    at_work: Option<String>,
    is_by_hand: bool,
    /// Why the run halted, if that is the last that it did.
    halted: Option<String>,
    done: Vec<StepDone>,
}

impl Journal {
    /// Of a page with these stages.
    pub(crate) fn of(course: Course) -> Self {
        Self {
            course,
            client: None,
            seq: 0,
            at_work: None,
            is_by_hand: false,
            halted: None,
            done: Vec::new(),
        }
    }

    /// The stage, or way back, that is at work, as far as anybody can know who looks now. While the server cannot be
    /// asked, it is the one that was.
    pub(crate) async fn at_work(&mut self, stage: &Stage) -> Option<&str> {
        if let Some(events) = self.news(stage).await {
            for (seq, event) in events {
                self.seq = seq;
                self.take(&event);
            }
        }
        self.at_work.as_deref()
    }

    /// A stage is about to run by hand, which the journal says only once its first step is done.
    pub(crate) fn begins(&mut self, part: &str) {
        self.at_work = Some(part.to_owned());
        self.is_by_hand = true;
    }

    /// Whether what is at work was started by hand.
    pub(crate) fn is_by_hand(&self) -> bool {
        self.is_by_hand
    }

    /// Every step that was done, in order.
    pub(crate) async fn steps(&mut self, stage: &Stage) -> Result<&[StepDone], Error> {
        let _at_work = self.at_work(stage).await;
        Ok(&self.done)
    }

    /// Whether the run halted because something could not be told, rather than because something was wrong.
    pub(crate) async fn halted_untold(&mut self, stage: &Stage) -> bool {
        let _at_work = self.at_work(stage).await;
        self.halted.as_deref() == Some("unknown")
    }

    async fn news(&mut self, stage: &Stage) -> Option<Vec<(i64, Json)>> {
        if self.client.as_ref().is_none_or(Client::is_closed) {
            self.client = stage.root().await.ok();
        }
        // Before the first run there is no journal.
        let rows = self.client.as_ref()?.query(include_str!("journal/news.sql"), &[&self.seq]).await.ok()?;
        Some(rows.iter().filter_map(|row| Some((row.try_get(0).ok()?, row.try_get(1).ok()?))).collect())
    }

    fn take(&mut self, event: &Json) {
        let text = |name: &str| event.get(name).and_then(Json::as_str).unwrap_or_default();
        let step = text("step");
        self.halted = (text("kind") == "halted").then(|| text("reason").to_owned());
        let at_work = match text("kind") {
            "run_started" => self.course.first(),
            "step_started" => self.course.of_step(step),
            "step_done" => {
                self.done.extend(step_done(event));
                self.course.after_step(step)
            }
            "rollback_started" => None,
            _ => return,
        };
        self.at_work = at_work.map(str::to_owned);
        self.is_by_hand = false;
    }
}

fn step_done(event: &Json) -> Option<StepDone> {
    let figures = event.pointer("/outcome/figures").and_then(Json::as_object);
    let figures =
        figures.into_iter().flatten().filter_map(|(name, count)| Some((name.clone(), count.as_u64()?)));
    Some(StepDone {
        step: event.get("step")?.as_str()?.to_owned(),
        took_ms: event.pointer("/outcome/took_ms")?.as_u64()?,
        figures: figures.collect(),
    })
}
