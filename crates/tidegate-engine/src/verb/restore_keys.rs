//! `restore` of a key-value store: its keys become what a backup of this run says.
//!
//! Each write is conditional on what was seen at its key, and made behind the fence. A restore that was cut off is done
//! again: what is as in the backup already is passed over.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tidegate_runbook::{RestoreKeys, RestoreMode, TextTemplate};
use tidegate_store::kv::Kv;
use tidegate_store::kv::snapshot::{self, AtMost, Keys, Mode, Restored, Selection};

use crate::crash::{self, Site};
use crate::error::StepError;
use crate::event::LossLine;
use crate::fenced_keys::FencedKeys;
use crate::gate::milliseconds_since;
use crate::job::Job;
use crate::outcome::Outcome;
use crate::question::kv::rendered_key;
use crate::state::StepState;
use crate::verb::backup::dump_file;
use crate::verb::backup_keys::{failed, namespaces};

/// Keys that a notice names, and the loss statement, which is a line of a table.
const NAMED: usize = 20;
const NAMED_LOST: usize = 3;

/// What is lost, as the loss statement names it.
const OVERWRITTEN: &str = "overwritten";
const REMOVED: &str = "removed";

/// What it would do, for `plan`.
#[must_use]
pub(crate) fn plan(restore: &RestoreKeys) -> String {
    let (which, backup) =
        (if restore.is_of_all() { "all keys" } else { "some of the keys" }, &restore.backup);
    match restore.mode {
        RestoreMode::Exact => {
            format!("make {which} what backup {backup} says; what was written there since is lost")
        }
        RestoreMode::MissingOnly => {
            format!("put back what is missing of {which} of backup {backup}; what was written since stays")
        }
    }
}

/// What would be lost: keys that would be overwritten or removed. The first of them are named.
pub(crate) async fn loss(job: Job<'_>, restore: &RestoreKeys) -> Result<Vec<LossLine>, StepError> {
    let store = job.doors.keys(job.store()).await?;
    let would = run(job, restore, &store, false, AtMost::ANY).await?;
    let found = would.added.count + would.replaced.count + would.removed.count + would.kept.count;
    if found + would.expired.count + would.same == 0 && !restore.is_of_all() {
        return Err(StepError::refused(
            format!(
                "neither backup {} nor the store has any of the keys that {} names",
                restore.backup, job.step.id
            ),
            "Nothing was changed. Compare `namespaces`, `keys` and `prefixes` with the backup's own.",
        ));
    }
    let line = |what: &str, keys: &Keys| LossLine {
        step: job.step.id.clone(),
        table: line_name(job, what),
        rows: keys.count,
        newest: named(keys, NAMED_LOST).map(|keys| format!("{}{keys}", LossLine::FIRST_KEYS)),
    };
    let lines = [line(OVERWRITTEN, &would.replaced), line(REMOVED, &would.removed)];
    Ok(lines.into_iter().filter(|line| line.rows > 0).collect())
}

/// Restores, and stops before more is lost than was accepted.
pub(crate) async fn perform(
    job: Job<'_>,
    restore: &RestoreKeys,
    accepted: &[LossLine],
) -> Result<Outcome, StepError> {
    let begun = jiff::Timestamp::now();
    let fenced = FencedKeys::open(job).await?;
    let store: Kv = fenced.clone();
    let of = |what: &str| {
        let name = line_name(job, what);
        accepted.iter().filter(|line| line.table == name).map(|line| line.rows).sum()
    };
    let at_most = AtMost { replaced: of(OVERWRITTEN), removed: of(REMOVED) };
    let done = run(job, restore, &store, true, at_most).await.map_err(|error| fenced.told(error))?;
    crash::point(Site::RestoreReplayed, job.step.id.as_str());
    let counted = [
        ("added", &done.added),
        ("overwritten", &done.replaced),
        ("removed", &done.removed),
        ("left", &done.kept),
        ("expired", &done.expired),
    ];
    let mut figures: BTreeMap<String, u64> =
        counted.iter().map(|(what, keys)| ((*what).to_owned(), keys.count)).collect();
    figures.insert("same".to_owned(), done.same);
    let notices = counted.iter().filter_map(|(what, keys)| Some(format!("{what}: {}", named(keys, NAMED)?)));
    Ok(Outcome {
        summary: format!(
            "restored backup {}: {} added, {} overwritten, {} removed, {} left, {} were as they should be",
            restore.backup,
            done.added.count,
            done.replaced.count,
            done.removed.count,
            done.kept.count,
            done.same
        ),
        figures,
        texts: BTreeMap::from([("file".to_owned(), file(job, restore)?.display().to_string())]),
        notices: notices.collect(),
        took_ms: milliseconds_since(begun),
        ..Outcome::default()
    })
}

fn line_name(job: Job<'_>, what: &str) -> String {
    format!("{}.{what}", job.store())
}

async fn run(
    job: Job<'_>,
    restore: &RestoreKeys,
    store: &Kv,
    apply: bool,
    at_most: AtMost,
) -> Result<Restored, StepError> {
    let file = verified(job, restore).await?;
    let mode = match restore.mode {
        RestoreMode::Exact => Mode::Exact,
        RestoreMode::MissingOnly => Mode::MissingOnly,
    };
    let selection = selection(job, restore)?;
    let done = snapshot::restore_at_most(&**store, &file, mode, &selection, apply, at_most).await;
    done.map_err(|error| failed(job, &error))
}

/// The file that the backup wrote, byte for byte.
async fn verified(job: Job<'_>, restore: &RestoreKeys) -> Result<PathBuf, StepError> {
    let file = file(job, restore)?;
    let wanted = text(job, restore, "sha256")?;
    if let Err(error) = std::fs::metadata(&file) {
        return Err(StepError::refused(
            format!("{}, which backup {} wrote, cannot be read: {error}", file.display(), restore.backup),
            "Nothing was changed. Put the file back there, or take another way.",
        ));
    }
    let found = dump_file::digest(&file).await?.to_string();
    if found == wanted {
        return Ok(file);
    }
    Err(StepError::refused(
        format!(
            "{} is not what backup {} wrote: its SHA-256 is {found}, not {wanted}",
            file.display(),
            restore.backup
        ),
        "Nothing was changed. Put the true file back there, or take another way.",
    ))
}

fn file(job: Job<'_>, restore: &RestoreKeys) -> Result<PathBuf, StepError> {
    Ok(PathBuf::from(text(job, restore, "file")?))
}

fn text(job: Job<'_>, restore: &RestoreKeys, name: &str) -> Result<String, StepError> {
    let outcome = job.state.steps.get(&restore.backup).and_then(StepState::outcome);
    outcome.and_then(|outcome| outcome.texts.get(name).cloned()).ok_or_else(|| {
        StepError::refused(
            format!("backup {} has not been taken in this run", restore.backup),
            "Nothing was changed. Look at `tidegate status`: without it there is nothing to go back to.",
        )
    })
}

fn selection(job: Job<'_>, restore: &RestoreKeys) -> Result<Selection, StepError> {
    let mut selection = Selection::all();
    if !restore.namespaces.is_empty() {
        selection = selection.of(namespaces(&restore.namespaces)?);
    }
    let rendered = |templates: &[TextTemplate]| -> Result<Vec<String>, StepError> {
        let texts: Result<Vec<String>, String> =
            templates.iter().map(|template| rendered_key(template, job.values)).collect();
        texts.map_err(|why| StepError::refused(why, "Nothing was changed."))
    };
    let (keys, prefixes) = (rendered(&restore.keys)?, rendered(&restore.prefixes)?);
    if keys.is_empty() && prefixes.is_empty() {
        return Ok(selection);
    }
    Ok(selection.only(move |_, key, _| {
        let key = key.as_str();
        keys.iter().any(|wanted| wanted == key) || prefixes.iter().any(|prefix| key.starts_with(prefix))
    }))
}

/// The first keys by name; `None`: there are none.
fn named(keys: &Keys, most: usize) -> Option<String> {
    let shown: Vec<String> =
        keys.first.iter().take(most).map(|(namespace, key)| format!("{namespace} {key}")).collect();
    let more = keys.count.saturating_sub(u64::try_from(shown.len()).unwrap_or(0));
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!shown.is_empty()).then(|| format!("{}{more}", shown.join(", ")))
}
