//! Shows a run while it goes: an event a line, and on a terminal one redrawn line about what goes on right now.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tidegate_engine::event::{Event, EventRecord, WaitingOn};
use tidegate_engine::observer::{Answer, Ask, Asking, Observer, Progress};
use tidegate_runbook::Name;
use tokio::task::JoinHandle;

use crate::desk::Desk;
use crate::prompt;
use crate::render::event;
use crate::render::span::lasting;
use crate::screen::{Screen, Tone};

/// How often the redrawn line is drawn anew.
const REDRAW_EVERY: Duration = Duration::from_millis(500);

/// Where nothing can be redrawn, a line says this often that a step still works.
const STILL_EVERY: Duration = Duration::from_secs(30);

/// Shows a run while it goes.
pub(crate) struct Watcher {
    desk: Desk,
    stage: Option<Name>,
    now: Rc<RefCell<Option<Now>>>,
    /// The last line about locks or holds, so that it is said once.
    said: Option<String>,
    /// The step whose wait for instances was told last.
    waits_told: Option<Name>,
    ticker: Option<JoinHandle<()>>,
}

/// What goes on right now.
struct Now {
    subject: String,
    what: String,
    since: Instant,
    told: Instant,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Event {
        #[serde(flatten)]
        record: &'a EventRecord,
    },
    Progress {
        about: &'a str,
        what: &'a str,
    },
}

impl Watcher {
    /// Watches a run of the page on the desk. Must be called where tasks can be spawned on the local thread.
    pub(crate) fn new(desk: &Desk) -> Self {
        let now = Rc::new(RefCell::new(None));
        let ticker = tokio::task::spawn_local(tick(desk.screen.clone(), Rc::clone(&now)));
        Self { desk: desk.clone(), stage: None, now, said: None, waits_told: None, ticker: Some(ticker) }
    }

    /// Takes the redrawn line away.
    pub(crate) fn end(&mut self) {
        if let Some(ticker) = self.ticker.take() {
            ticker.abort();
        }
        *self.now.borrow_mut() = None;
        self.desk.screen.stand(None);
    }

    fn begin(&mut self, subject: String, what: String) {
        let instant = Instant::now();
        let mut now = self.now.borrow_mut();
        let since = now.as_ref().filter(|now| now.subject == subject).map_or(instant, |now| now.since);
        let fresh = Now { subject, what, since, told: instant };
        self.desk.screen.stand(Some(fresh.line()));
        *now = Some(fresh);
    }

    /// Says something once, and goes on saying it in the redrawn line.
    fn say(&mut self, subject: &str, what: &str, important: bool) {
        let screen = self.desk.screen.clone();
        let text = format!("{subject}: {what}");
        if self.said.as_deref() != Some(text.as_str()) {
            if screen.is_json() {
                screen.json(&Line::Progress { about: subject, what });
            } else if important || !screen.redraws() {
                screen.talk(&format!("{:10}{text}", ""));
            }
            self.said = Some(text);
        }
        self.begin(subject.to_owned(), what.to_owned());
    }

    fn head_of_stage(&mut self, record: &EventRecord) {
        let step = match &record.event {
            Event::StepStarted { step, .. }
            | Event::StepDone { step, .. }
            | Event::StepFailed { step, .. }
            | Event::WatchOpened { step }
            | Event::Waiting { on: WaitingOn::Confirm { step } } => step,
            _ => return,
        };
        let program = self.desk.program.clone();
        let Some(stage) = program.stage_of(step) else { return };
        if self.stage.as_ref() != Some(&stage.id) {
            self.stage = Some(stage.id.clone());
            let head = self.desk.screen.paint(Tone::Strong, &format!("Stage {}: {}", stage.id, stage.title));
            self.desk.screen.data(&format!("\n{head}"));
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.end();
    }
}

impl Observer for Watcher {
    fn event(&mut self, record: &EventRecord) {
        if self.desk.screen.is_json() {
            self.desk.screen.json(&Line::Event { record });
            return;
        }
        self.head_of_stage(record);
        self.desk.screen.data(&event::line(&self.desk.screen, record));
        if !matches!(record.event, Event::StepStarted { .. }) {
            *self.now.borrow_mut() = None;
            self.desk.screen.stand(None);
        }
    }

    fn progress(&mut self, progress: Progress) {
        match progress {
            Progress::Working { step, what } => {
                self.said = None;
                self.begin(step.to_string(), what);
            }
            Progress::Blocked { step, by } => {
                let what = format!("waits for a lock; it is held by {}", by.join("; and by "));
                self.say(step.as_str(), &what, true);
            }
            Progress::Holding { stage, left } => {
                let what = format!("holds, {} left", lasting(left));
                if self.desk.screen.redraws() {
                    self.begin(format!("stage {stage}"), what);
                } else if self.said.is_none() {
                    self.say(&format!("stage {stage}"), &what, false);
                }
            }
            Progress::NotYet { step, verdict, left } => {
                let what = format!("does not hold yet ({verdict}); asked again for {}", lasting(left));
                if self.desk.screen.redraws() {
                    self.begin(step.to_string(), what);
                } else if self.waits_told.replace(step.clone()).as_ref() != Some(&step)
                    || self.desk.screen.is_json()
                {
                    self.say(step.as_str(), &what, false);
                }
            }
            Progress::Draining { step, by } => {
                let told = self.waits_told.replace(step.clone());
                // How long each has been silent changes with every look; it is told again only where the line is redrawn.
                if told.as_ref() != Some(&step) || self.desk.screen.redraws() || self.desk.screen.is_json() {
                    self.say(step.as_str(), &format!("moved; waits for {}", by.join("; and for ")), false);
                }
            }
            Progress::Copying { step, rows_written, rows_per_second, slowed } => {
                let pace = format!("wrote {rows_written} rows, {rows_per_second} a second");
                match slowed {
                    Some(why) => self.say(step.as_str(), &format!("slowed: {why}"), true),
                    None if self.desk.screen.redraws() => self.begin(step.to_string(), pace),
                    None => self.said = None,
                }
            }
            Progress::Reconnecting { why } => {
                self.say("connection", &format!("{why}; making it again"), true);
            }
            Progress::HaltHook { what } => self.say("on_halt", &what, true),
        }
    }

    fn ask(&mut self, ask: &Ask) -> Asking {
        if !self.desk.screen.can_ask() {
            return Box::pin(std::future::ready(None));
        }
        *self.now.borrow_mut() = None;
        self.desk.screen.stand(None);
        let (screen, ask) = (self.desk.screen.clone(), ask.clone());
        Box::pin(async move {
            let approved = prompt::approval(&screen, &ask).await;
            approved.map(|actor| Answer::Approve { actor }).or(Some(Answer::Decline))
        })
    }
}

impl Now {
    fn line(&self) -> String {
        format!("{:8}  {}  for {}: {}", "now", self.subject, lasting(self.since.elapsed()), self.what)
    }
}

/// Keeps the redrawn line fresh; where there is none, says now and then that a step still works.
async fn tick(screen: Screen, now: Rc<RefCell<Option<Now>>>) {
    loop {
        tokio::time::sleep(REDRAW_EVERY).await;
        let mut now = now.borrow_mut();
        let Some(now) = now.as_mut() else { continue };
        if screen.redraws() {
            screen.stand(Some(now.line()));
        } else if now.told.elapsed() >= STILL_EVERY {
            now.told = Instant::now();
            screen.talk(&format!(
                "{:10}{} for {}: {}",
                "",
                now.subject,
                lasting(now.since.elapsed()),
                now.what
            ));
        }
    }
}
