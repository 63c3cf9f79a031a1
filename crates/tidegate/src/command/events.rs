//! `events`: the journal, as it stands or as it grows.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tidegate_engine::event::EventRecord;
use tidegate_engine::history::History;
use tidegate_store::postgres::Session;
use uuid::Uuid;

use crate::arguments::EventsArguments;
use crate::command::status::find;
use crate::desk::Desk;
use crate::exit_code::{self, ExitCode};
use crate::failure::Failure;
use crate::render::event::dated_line;
use crate::screen::Screen;

/// How often the journal is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// One line of `events --json`.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    record: &'a EventRecord,
}

pub(crate) async fn perform(screen: &Screen, arguments: &EventsArguments) -> Result<ExitCode, Failure> {
    let desk = Desk::open(screen, &arguments.page, &BTreeMap::new())?;
    let home = desk.home("events").await?;
    let mut history = History::read(&home).await?;
    let only = arguments.run.as_deref().map(|id| find(&history, id)).transpose()?;
    let mut shown = show(screen, &history, only, 0);
    if arguments.follow {
        follow(screen, &home, only, &mut history, &mut shown).await?;
    }
    home.close().await;
    Ok(exit_code::DONE)
}

/// Goes on until the process is interrupted or nobody reads it any more.
async fn follow(
    screen: &Screen,
    home: &Session,
    only: Option<Uuid>,
    history: &mut History,
    shown: &mut u64,
) -> Result<(), Failure> {
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            _ = &mut interrupted => return Ok(()),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        history.read_on(home).await?;
        *shown = show(screen, history, only, *shown);
        if screen.is_unread() {
            return Ok(());
        }
    }
}

/// Shows what came after event `after`; gives the newest event's number.
fn show(screen: &Screen, history: &History, only: Option<Uuid>, after: u64) -> u64 {
    for record in history.records.iter().filter(|record| record.seq > after) {
        if only.is_some_and(|run| run != record.run) {
            continue;
        }
        if screen.is_json() {
            screen.json(&Line { kind: "event", record });
        } else {
            screen.data(&dated_line(screen, record));
        }
    }
    history.head.seq.max(after)
}
