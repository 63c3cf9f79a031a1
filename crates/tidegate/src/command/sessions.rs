//! `sessions`: who else is connected to the home store's database.

use std::collections::BTreeMap;

use serde::Serialize;
use tidegate_engine::sessions::describe;
use tidegate_store::postgres::sessions::{Backend, of_this_database};

use crate::arguments::PageArguments;
use crate::desk::Desk;
use crate::exit_code::{self, ExitCode};
use crate::failure::Failure;
use crate::screen::Screen;

#[derive(Serialize)]
struct Document {
    exit_code: ExitCode,
    sessions: Vec<Line>,
}

/// One session. What the role may not see is `null`.
#[derive(Serialize)]
struct Line {
    pid: i32,
    role: Option<String>,
    application: Option<String>,
    address: Option<String>,
    waits_for: Option<String>,
    transaction_seconds: Option<u64>,
    description: String,
}

impl From<&Backend> for Line {
    fn from(backend: &Backend) -> Self {
        Self {
            pid: backend.pid,
            role: backend.user.clone(),
            application: backend.application_name.clone(),
            address: backend.client_address.clone(),
            waits_for: backend.waits_for.clone(),
            transaction_seconds: backend.transaction_age.map(|age| age.as_secs()),
            description: describe(backend),
        }
    }
}

pub(crate) async fn perform(screen: &Screen, arguments: &PageArguments) -> Result<ExitCode, Failure> {
    let desk = Desk::open(screen, arguments, &BTreeMap::new())?;
    let home = desk.home("sessions").await?;
    let backends = of_this_database(&home).await?;
    home.close().await;
    if screen.is_json() {
        let sessions = backends.iter().map(Line::from).collect();
        screen.json(&Document { exit_code: exit_code::DONE, sessions });
        return Ok(exit_code::DONE);
    }
    if backends.is_empty() {
        screen.data("Nobody else is connected.");
    }
    for backend in &backends {
        let waits = backend.waits_for.as_ref().map_or(String::new(), |wait| format!(" [waits for {wait}]"));
        screen.data(&format!("{}{waits}", describe(backend)));
    }
    Ok(exit_code::DONE)
}
