//! Evidence bundles: what `report --bundle` writes and `needs_run` asks for.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::event::EventRecord;
use crate::history::History;
use crate::journal::{Head, JournalError};
use crate::program::Program;
use crate::setup::{OpenError, Options};
use crate::state::{Phase, RunState};
use crate::transition;

/// One run, whole, with the chain that proves it unchanged.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// `tidegate-bundle-1`.
    pub format: String,
    /// Number and hash of the event before the first one of the list.
    pub before: (u64, Digest),
    /// The bodies of all events from the run's first to its last, of every run in between.
    pub bodies: Vec<String>,
    /// The hash of the last one.
    pub head: Digest,
    /// The run the bundle is about.
    pub run: uuid::Uuid,
}

/// The only format there is.
const FORMAT: &str = "tidegate-bundle-1";

/// The newest run as a bundle.
///
/// # Errors
/// [`JournalError`] when the journal cannot be read or does not hold together.
pub async fn make(
    session: &tidegate_store::postgres::Session,
    run: uuid::Uuid,
) -> Result<Bundle, JournalError> {
    let history = History::read(session).await?;
    let first = history.of(run).next().map_or(1, |record| record.seq);
    let last = history.of(run).last().map_or(0, |record| record.seq);
    let stored = crate::journal::stored(session, 0).await?;
    let before = stored
        .iter()
        .take_while(|event| event.seq < first)
        .last()
        .map_or((0, Digest::ZERO), |event| (event.seq, event.hash));
    let of_run: Vec<_> = stored.iter().filter(|event| (first..=last).contains(&event.seq)).cloned().collect();
    let head = of_run.last().map_or(Digest::ZERO, |event| event.hash);
    let bodies = of_run.into_iter().map(|event| event.body).collect();
    Ok(Bundle { format: FORMAT.to_owned(), before, bodies, head, run })
}

impl Bundle {
    /// The run, once the chain was followed.
    ///
    /// # Errors
    /// A sentence that says what does not hold.
    pub fn verify(&self) -> Result<RunState, String> {
        if self.format != FORMAT {
            return Err(format!("its format is {:?}, not {FORMAT}", self.format));
        }
        let mut at = Head { seq: self.before.0, hash: self.before.1 };
        let mut records: Vec<EventRecord> = Vec::new();
        for body in &self.bodies {
            at = Head { seq: at.seq + 1, hash: Digest::chain(at.hash, at.seq + 1, body) };
            let record: EventRecord = serde_json::from_str(body)
                .map_err(|error| format!("event {} cannot be read: {error}", at.seq))?;
            if record.seq != at.seq {
                return Err(format!("event {} says that it is event {}", at.seq, record.seq));
            }
            records.push(record);
        }
        if at.hash != self.head {
            return Err("its events do not lead to its head: it was changed".to_owned());
        }
        transition::fold(records.iter().filter(|record| record.run == self.run))
            .map_err(|error| error.to_string())?
            .ok_or_else(|| "it holds no run".to_owned())
    }
}

/// Checks the bundle that `[needs_run]` asks for; its digest goes into the journal.
pub(crate) fn must_show(program: &Program, options: &Options) -> Result<Option<Digest>, OpenError> {
    let Some(needs) = &program.runbook.needs_run else { return Ok(None) };
    if options.without_evidence.is_some() {
        return Ok(None);
    }
    let refused = |message: String| {
        OpenError::Refused {
        message,
        next: "Finish this page elsewhere (staging), write `tidegate report --bundle FILE` there, and give it here \
               with --evidence FILE. In the place that makes the first one, say why there is none: --without-evidence WHY."
            .to_owned(),
    }
    };
    let bytes = options.evidence.as_ref().ok_or_else(|| {
        refused("the page needs a finished run elsewhere, and no --evidence was given".to_owned())
    })?;
    let bundle: Bundle = serde_json::from_slice(bytes)
        .map_err(|error| refused(format!("the bundle cannot be read: {error}")))?;
    let state = bundle.verify().map_err(|why| refused(format!("the bundle does not hold: {why}")))?;
    if state.runbook != program.runbook.id || state.meaning != program.meaning() {
        return Err(refused("the bundle is of another page, or of this page before it changed".to_owned()));
    }
    if !matches!(state.phase, Phase::Finished {}) {
        return Err(refused(format!("the run in the bundle is {}, not finished", state.phase.word())));
    }
    if let Some(stage) = needs.stage.as_ref().and_then(|stage| program.runbook.stage(stage)) {
        let missing = program.runnable(stage).find(|step| !crate::program::is_done(&state, &step.id));
        if let Some(step) = missing {
            return Err(refused(format!(
                "stage {} was not run there: step {} is missing",
                stage.id, step.id
            )));
        }
    }
    if let Some(limit) = needs.not_older_than {
        let age = jiff::Timestamp::now().duration_since(state.last_at);
        if age.unsigned_abs() > limit {
            return Err(refused(format!(
                "the run in the bundle ended at {}, longer ago than the page allows",
                state.last_at
            )));
        }
    }
    Ok(Some(Digest::of(bytes)))
}
