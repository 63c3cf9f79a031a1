//! Evidence bundles: what `report --bundle` writes and `needs_run` asks for.

use serde::{Deserialize, Serialize};

use crate::audit::Proof;
use crate::digest::Digest;
use crate::event::{Event, EventRecord};
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

/// What a bundle proves by itself, without its journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BundleVerdict {
    /// The run.
    pub run: uuid::Uuid,
    /// Its runbook.
    pub runbook: tidegate_runbook::Name,
    /// Where the run stood.
    pub phase: &'static str,
    /// Digest of the meaning of the page that it followed.
    pub meaning: Digest,
    /// Digest of the texts of that page and its files.
    pub texts: Digest,
    /// The numbers of its first and last event.
    pub numbers: (u64, u64),
    /// The hash of the last one.
    pub head: Digest,
    /// Approvals whose head, which the person was shown, is that of an event before them.
    pub approvals: usize,
    /// How much that proves.
    pub proof: Proof,
}

impl BundleVerdict {
    /// Whether nothing speaks against it.
    #[must_use]
    pub fn holds(&self) -> bool {
        !matches!(self.proof, Proof::HeadMissing { .. })
    }
}

impl std::fmt::Display for BundleVerdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (first, last) = self.numbers;
        write!(
            f,
            "the bundle of run {} of {} ({}) agrees with itself: events {first} to {last}, each hashed over the one \
             before, up to {}; {} approvals name heads of it",
            self.run, self.runbook, self.phase, self.head, self.approvals
        )?;
        match &self.proof {
            Proof::Consistent {} => f.write_str(
                ". Who writes bundles could have written all of it anew: give a head that was kept elsewhere (--head) \
                 to prove that nothing before it was changed",
            ),
            Proof::Unchanged { event, later } => write!(
                f,
                ". Nothing was changed: the given head is that of event {event}, and all events before it are hashed \
                 into it; {later} stand behind it"
            ),
            Proof::HeadMissing { given } => write!(
                f,
                ". The given head {given} is that of none of these events: the bundle was written anew or cut, or is of \
                 another journal"
            ),
        }
    }
}

/// Verifies a bundle's file to the last byte; with `head`, also against what was printed earlier.
///
/// # Errors
/// A sentence that says what does not hold.
pub fn verify(bytes: &[u8], head: Option<&str>) -> Result<BundleVerdict, String> {
    let bundle: Bundle =
        serde_json::from_slice(bytes).map_err(|error| format!("it is no bundle: {error}"))?;
    let state = bundle.verify()?;
    // Spaces, the order of keys and the case of digits are in no hash.
    let written = bundle.to_text().map_err(|error| error.to_string())?;
    if let Some(at) = differs_at(written.as_bytes(), bytes) {
        return Err(format!("it is not as it was written: byte {at} is another, though no event is"));
    }
    let chain = bundle.chain();
    let last = chain.last().map_or(0, |head| head.seq);
    let proof = match head {
        None => Proof::Consistent {},
        Some(given) => {
            let wanted = Digest::from_hex(given.trim());
            match chain.iter().find(|head| Some(head.hash) == wanted) {
                Some(found) => Proof::Unchanged { event: found.seq, later: last - found.seq },
                None => Proof::HeadMissing { given: given.to_owned() },
            }
        }
    };
    Ok(BundleVerdict {
        run: bundle.run,
        runbook: state.runbook,
        phase: state.phase.word(),
        meaning: state.meaning,
        texts: state.plan,
        numbers: (bundle.before.0 + 1, last),
        head: bundle.head,
        approvals: bundle.records()?.iter().filter(|record| shown_head(record).is_some()).count(),
        proof,
    })
}

/// The first byte, counted from 1, at which two texts are not the same.
fn differs_at(written: &[u8], given: &[u8]) -> Option<usize> {
    let same = written.iter().zip(given).take_while(|(one, other)| one == other).count();
    (same < written.len().max(given.len())).then_some(same + 1)
}

/// The head that a person was shown before approving.
fn shown_head(record: &EventRecord) -> Option<Digest> {
    match &record.event {
        Event::Approved { head, .. } => Some(*head),
        _ => None,
    }
}

impl Bundle {
    /// As it is written into a file.
    ///
    /// # Errors
    /// [`serde_json::Error`] if it cannot be written as JSON.
    pub fn to_text(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    /// Number and hash of each event, computed anew.
    fn chain(&self) -> Vec<Head> {
        let mut at = Head { seq: self.before.0, hash: self.before.1 };
        let next = |body: &String| {
            let seq = at.seq.saturating_add(1);
            at = Head { seq, hash: Digest::chain(at.hash, seq, body) };
            at
        };
        self.bodies.iter().map(next).collect()
    }

    /// Its events.
    fn records(&self) -> Result<Vec<EventRecord>, String> {
        let number =
            |at: usize| self.before.0.saturating_add(u64::try_from(at).unwrap_or(u64::MAX)).saturating_add(1);
        let read = |(at, body): (usize, &String)| {
            let seq = number(at);
            let record: EventRecord =
                serde_json::from_str(body).map_err(|error| format!("event {seq} cannot be read: {error}"))?;
            if record.seq != seq {
                return Err(format!("event {seq} says that it is event {}", record.seq));
            }
            Ok(record)
        };
        self.bodies.iter().enumerate().map(read).collect()
    }

    /// The run, once the chain was followed.
    ///
    /// # Errors
    /// A sentence that says what does not hold.
    pub fn verify(&self) -> Result<RunState, String> {
        if self.format != FORMAT {
            return Err(format!("its format is {:?}, not {FORMAT}", self.format));
        }
        let chain = self.chain();
        let records = self.records()?;
        if chain.last().is_none_or(|last| last.hash != self.head) {
            return Err("its events do not lead to its head: it was changed".to_owned());
        }
        let of_run = |record: Option<&EventRecord>| record.is_some_and(|record| record.run == self.run);
        if !of_run(records.first()) || !of_run(records.last()) {
            return Err(format!("it does not begin and end with run {}", self.run));
        }
        for (at, record) in records.iter().enumerate() {
            let Some(shown) = shown_head(record) else { continue };
            let earlier = chain.iter().take(at).any(|head| head.hash == shown);
            if !earlier && shown != self.before.1 {
                return Err(format!(
                    "event {} approves at head {shown}, which is that of no event before it",
                    record.seq
                ));
            }
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
                crate::moment::moment(state.last_at)
            )));
        }
    }
    Ok(Some(Digest::of(bytes)))
}
