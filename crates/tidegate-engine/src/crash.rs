//! Places where a test may end the process, to prove that a run survives it.
//!
//! Built only with the feature `crash-points`. `TIDEGATE_CRASH=site[:step[:occurrence]]` aborts the process the
//! n-th time (1 if not given) that this site is reached for this step (any if not given or `*`).

/// A place in the program where a crash matters. The list is what tests iterate over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Site {
    /// The lease was taken, nothing journaled yet.
    LeaseTaken,
    /// The run's first event was committed.
    RunStarted,
    /// A step's intent was committed, its work not begun.
    Intent,
    /// In a gate, the fence is held and nothing else was done.
    GateFenced,
    /// In a gate, the statements ran.
    GateStatements,
    /// In a gate, everything was checked and journaled; COMMIT not yet sent.
    GateBeforeCommit,
    /// A gate was committed; the process does not know yet.
    GateCommitted,
    /// A read-only step was judged; its outcome not yet journaled.
    Judged,
    /// A step's outcome was committed.
    Outcome,
    /// The dump is half written.
    DumpStarted,
    /// The dump is complete and named; not yet rehearsed.
    DumpWritten,
    /// The rehearsal is half done.
    RehearsalStarted,
    /// The rehearsal was compared; its database not yet dropped.
    RehearsalCompared,
    /// Sessions were ended, the outcome not yet journaled.
    SessionsEnded,
    /// A command's process or request ended; its outcome not yet journaled.
    CommandDone,
    /// What became of one subject of a cohort was committed.
    SubjectNoted,
    /// A chunk is written and noted; COMMIT not yet sent.
    ChunkWritten,
    /// A chunk was committed; the process does not know yet.
    ChunkCommitted,
    /// A flag set was moved; nobody was waited for yet.
    FlagsMoved,
    /// The way back was journaled; nothing undone yet.
    RollbackStarted,
    /// A restore has removed what was there; nothing replayed yet.
    RestoreRemoved,
    /// A restore has replayed everything; not yet committed.
    RestoreReplayed,
    /// A halt was decided; not yet journaled.
    Halting,
    /// The run's last event was committed.
    Finished,
}

impl Site {
    /// Every site, so that a test can prove that each was reached.
    pub const ALL: [Self; 24] = [
        Self::LeaseTaken,
        Self::RunStarted,
        Self::Intent,
        Self::GateFenced,
        Self::GateStatements,
        Self::GateBeforeCommit,
        Self::GateCommitted,
        Self::Judged,
        Self::Outcome,
        Self::DumpStarted,
        Self::DumpWritten,
        Self::RehearsalStarted,
        Self::RehearsalCompared,
        Self::SessionsEnded,
        Self::CommandDone,
        Self::SubjectNoted,
        Self::ChunkWritten,
        Self::ChunkCommitted,
        Self::FlagsMoved,
        Self::RollbackStarted,
        Self::RestoreRemoved,
        Self::RestoreReplayed,
        Self::Halting,
        Self::Finished,
    ];

    /// The site's name in `TIDEGATE_CRASH`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LeaseTaken => "lease_taken",
            Self::RunStarted => "run_started",
            Self::Intent => "intent",
            Self::GateFenced => "gate_fenced",
            Self::GateStatements => "gate_statements",
            Self::GateBeforeCommit => "gate_before_commit",
            Self::GateCommitted => "gate_committed",
            Self::Judged => "judged",
            Self::Outcome => "outcome",
            Self::DumpStarted => "dump_started",
            Self::DumpWritten => "dump_written",
            Self::RehearsalStarted => "rehearsal_started",
            Self::RehearsalCompared => "rehearsal_compared",
            Self::SessionsEnded => "sessions_ended",
            Self::CommandDone => "command_done",
            Self::SubjectNoted => "subject_noted",
            Self::ChunkWritten => "chunk_written",
            Self::ChunkCommitted => "chunk_committed",
            Self::FlagsMoved => "flags_moved",
            Self::RollbackStarted => "rollback_started",
            Self::RestoreRemoved => "restore_removed",
            Self::RestoreReplayed => "restore_replayed",
            Self::Halting => "halting",
            Self::Finished => "finished",
        }
    }
}

/// Ends the process here if a test asked for it. `TIDEGATE_CRASH_TRACE=file` appends each point reached instead.
#[cfg(feature = "crash-points")]
pub fn point(site: Site, step: &str) {
    use std::collections::HashMap;
    use std::io::Write as _;
    use std::sync::{LazyLock, Mutex};

    static SEEN: LazyLock<Mutex<HashMap<(Site, String), u32>>> = LazyLock::new(Mutex::default);
    let occurrence = {
        let mut seen = SEEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let count = seen.entry((site, step.to_owned())).or_insert(0);
        *count += 1;
        *count
    };
    if let Some(path) = std::env::var_os("TIDEGATE_CRASH_TRACE") {
        let line = format!("{}:{step}:{occurrence}\n", site.name());
        let written = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .and_then(|mut file| file.write_all(line.as_bytes()));
        if written.is_err() {
            std::process::abort();
        }
    }
    let Ok(wanted) = std::env::var("TIDEGATE_CRASH") else { return };
    let mut parts = wanted.split(':');
    let same_site = parts.next() == Some(site.name());
    let same_step = parts.next().is_none_or(|wanted| wanted == "*" || wanted == step);
    let same_occurrence = parts.next().map_or(1, |n| n.parse().unwrap_or(1)) == occurrence;
    if same_site && same_step && same_occurrence {
        std::process::abort();
    }
}

/// Does nothing: this build has no crash points.
#[cfg(not(feature = "crash-points"))]
pub fn point(_site: Site, _step: &str) {}

#[cfg(test)]
mod tests {
    use super::Site;

    #[test]
    fn every_site_has_its_own_name() {
        let names: std::collections::BTreeSet<_> = Site::ALL.iter().map(|site| site.name()).collect();
        assert_eq!(names.len(), Site::ALL.len());
    }
}
