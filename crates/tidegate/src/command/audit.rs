//! `audit verify`: the journal's chain of hashes.

use std::collections::BTreeMap;

use serde::Serialize;
use tidegate_engine::audit::{AuditVerdict, verify};
use tidegate_engine::digest::Digest;

use crate::arguments::AuditCommand;
use crate::desk::Desk;
use crate::exit_code::{self, ExitCode};
use crate::failure::Failure;
use crate::screen::{Screen, Tone};

/// `audit verify --json`
#[derive(Serialize)]
struct Document<'a> {
    exit_code: ExitCode,
    #[serde(flatten)]
    verdict: &'a AuditVerdict,
}

pub(crate) async fn perform(screen: &Screen, command: &AuditCommand) -> Result<ExitCode, Failure> {
    let AuditCommand::Verify(arguments) = command;
    // A head is printed with its event's number before it.
    let known = arguments.head.as_deref().map(|head| head.rsplit_once(':').map_or(head, |(_, hash)| hash));
    if let Some(known) = known
        && Digest::from_hex(known).is_none()
    {
        return Err(Failure::usage(
            format!("--head {known}: that is no whole head; a head is 64 hexadecimal digits"),
            "Copy the whole head, as a report or a confirm prints it.",
        ));
    }
    let desk = Desk::open(screen, &arguments.page, &BTreeMap::new())?;
    let home = desk.home("audit").await?;
    let verdict = verify(&home, known).await?;
    home.close().await;
    let exit_code = if verdict.holds() { exit_code::DONE } else { exit_code::DRIFT };
    if screen.is_json() {
        screen.json(&Document { exit_code, verdict: &verdict });
    } else {
        let (tone, word) = if verdict.holds() { (Tone::Good, "holds:") } else { (Tone::Bad, "DRIFT:") };
        screen.data(&format!("{} {verdict}", screen.paint(tone, word)));
    }
    Ok(exit_code)
}
