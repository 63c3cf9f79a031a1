//! The journal: its format, its chain, the order of its events.

use tidegate_store::postgres::Session;

use crate::doctor::Diagnosis;
use crate::history::History;
use crate::journal::JournalError;
use crate::setup::OpenError;
use crate::transition;

/// `None` if it cannot be built upon.
pub(super) async fn examine(
    session: &Session,
    found: &mut Vec<Diagnosis>,
) -> Result<Option<History>, OpenError> {
    let history = match History::read(session).await {
        Ok(history) => history,
        Err(JournalError::Store(failure)) => return Err(failure.into()),
        Err(error) => {
            found.push(damaged(&error));
            return Ok(None);
        }
    };
    if history.head.seq == 0 {
        found.push(
            Diagnosis::note("journal-empty", "journal", "no run was ever started in this database")
                .next("tidegate run --apply --actor NAME"),
        );
    }
    for run in history.runs() {
        if let Err(illegal) = transition::fold(history.of(run)) {
            found.push(
                Diagnosis::problem("journal-illegal", format!("run {run}"), illegal.to_string()).next(
                    "tidegate audit verify --head HASH, with the head of a report that was kept elsewhere",
                ),
            );
            return Ok(None);
        }
    }
    Ok(Some(history))
}

fn damaged(error: &JournalError) -> Diagnosis {
    match error {
        JournalError::Newer { .. } => Diagnosis::problem("journal-newer", "journal", error.to_string())
            .next("Use the tidegate that wrote it, or a newer one."),
        JournalError::Broken { .. } => Diagnosis::problem("journal-broken", "journal", error.to_string())
            .next("tidegate audit verify --head HASH, with the head of a report that was kept elsewhere")
            .next("Bring schema tidegate back from a copy of the server's own backup; no command repairs a journal."),
        _ => Diagnosis::problem("journal-unreadable", "journal", error.to_string())
            .next("Use the tidegate that wrote it, or a newer one."),
    }
}
