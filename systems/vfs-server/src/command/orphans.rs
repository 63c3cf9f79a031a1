//! `vfs-server orphans`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::json;
use vfs_server::blob::orphans::{
    GRACE_DEFAULT, Orphan, OrphanKind, OrphanReport, Removal, Removed, find, remove,
};

use super::{blob_store, connect, duration, say};

#[derive(Debug, Args)]
pub(crate) struct OrphansArguments {
    /// Prints one JSON document.
    #[arg(long)]
    json: bool,
    /// What is younger is left alone, because it may be on its way. Default: 24h.
    #[arg(long, value_parser = duration, value_name = "TIME")]
    grace: Option<Duration>,
    /// Removes the orphans of one kind. Without --apply, what would be removed is told.
    #[arg(long, value_enum, value_name = "KIND", requires_all = ["actor", "reason"])]
    remove: Option<Kind>,
    /// Who removes them, for the record.
    #[arg(long)]
    actor: Option<String>,
    /// Why, for the record.
    #[arg(long)]
    reason: Option<String>,
    /// Removes indeed.
    #[arg(long, requires = "remove")]
    apply: bool,
    /// Removes rows also where an item has the blob. The item loses it.
    #[arg(long, requires = "remove")]
    include_attached: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// Rows without an object.
    Metadata,
    /// Objects without a row.
    Object,
    /// Deletions that were interrupted: they are ended.
    Deleting,
}

impl From<Kind> for OrphanKind {
    fn from(kind: Kind) -> OrphanKind {
        match kind {
            Kind::Metadata => OrphanKind::Metadata,
            Kind::Object => OrphanKind::Object,
            Kind::Deleting => OrphanKind::Deleting,
        }
    }
}

/// Lists orphans, or removes those of a kind.
pub(super) async fn run(arguments: &OrphansArguments) -> Result<(), String> {
    let store = blob_store()?;
    let session = connect("vfs-server orphans").await?;
    let grace = arguments.grace.unwrap_or(GRACE_DEFAULT);
    let report = find(&session, &store, grace).await.map_err(|error| error.to_string())?;
    let Some(kind) = arguments.remove.map(OrphanKind::from) else {
        tell(&report, arguments.json)?;
        return Ok(());
    };
    let text = |text: &Option<String>, name: &str| match text.as_deref().map(str::trim) {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(format!("--{name} must not be blank")),
    };
    let (actor, reason) = (text(&arguments.actor, "actor")?, text(&arguments.reason, "reason")?);
    let include_attached = arguments.include_attached;
    let removal = Removal { kind, actor: &actor, reason: &reason, grace, include_attached };
    let mut done: Vec<Removed> = Vec::new();
    let mut failure = None;
    if arguments.apply {
        for orphan in report.of(kind) {
            match remove(&session, &store, &removal, orphan).await {
                Ok(removed) => done.push(removed),
                Err(error) => {
                    failure = Some(format!("{}: {error}", orphan.blob_id));
                    break;
                }
            }
        }
    }
    if arguments.json {
        let document = json!({
            "kind": kind, "applied": arguments.apply, "actor": actor, "reason": reason,
            "candidates": report.of(kind), "results": done, "failure": failure,
        });
        say(&document.to_string());
    } else {
        told(report.of(kind), &done, arguments.apply);
    }
    failure.map_or(Ok(()), Err)
}

fn tell(report: &OrphanReport, as_json: bool) -> Result<(), String> {
    if as_json {
        say(&serde_json::to_string(report).map_err(|error| error.to_string())?);
        return Ok(());
    }
    say(&format!("{}: {} objects", report.place, report.objects_listed));
    for (what, orphans) in [
        ("metadata without an object", &report.metadata_without_object),
        ("objects without metadata", &report.objects_without_metadata),
        ("unfinished deletions", &report.unfinished_deletions),
    ] {
        say(&format!("{what}: {}", orphans.len()));
        for orphan in orphans {
            say(&format!("  {}", line(orphan)));
        }
    }
    Ok(())
}

fn line(orphan: &Orphan) -> String {
    let mut line = format!("{} since {}", orphan.blob_id, orphan.since);
    if let Some(size) = orphan.size_bytes {
        line.push_str(&format!(", {size} bytes"));
    }
    if let Some(owner) = &orphan.owner_id {
        line.push_str(&format!(", of {owner}"));
    }
    if let Some(items) = orphan.attached_to.filter(|items| *items > 0) {
        line.push_str(&format!(", attached to {items} items"));
    }
    line
}

fn told(candidates: &[Orphan], done: &[Removed], applied: bool) {
    if !applied {
        for orphan in candidates {
            say(&format!("would be removed: {}", line(orphan)));
        }
        say(&format!("{} would be removed; --apply removes them", candidates.len()));
        return;
    }
    for removed in done {
        match removed.why_not {
            None => say(&format!("removed: {}", removed.blob_id)),
            Some(why) => say(&format!("left alone: {}: {why}", removed.blob_id)),
        }
    }
    let count = done.iter().filter(|removed| removed.removed).count();
    say(&format!("{count} of {} removed", candidates.len()));
}
