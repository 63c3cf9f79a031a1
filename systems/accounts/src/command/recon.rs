//! `accounts v2 recon`.

use std::process::ExitCode;

use accounts::recon::recon;
use clap::Args;
use serde_json::Value as Json;

use super::{FAILED, Refusal, ReportArguments, connect, failed, say};

#[derive(Debug, Args)]
pub(crate) struct ReconArguments {
    #[command(flatten)]
    report: ReportArguments,
}

/// Describes the source and writes the report.
pub(super) async fn run(arguments: &ReconArguments) -> ExitCode {
    match describe(arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED),
        Err(Refusal { code, why }) => failed(&format!("[accounts-v2:recon] failed: {why}"), code),
    }
}

/// Whether every table is there.
async fn describe(arguments: &ReconArguments) -> Result<bool, Refusal> {
    let session = connect("accounts v2 recon").await?;
    let report = recon(&session).await.map_err(|error| error.to_string())?;
    let path = arguments.report.write("accounts-v2-recon", &report)?;
    let missing = report.get("missingTables").and_then(Json::as_array);
    let missing: Vec<&str> = missing.into_iter().flatten().filter_map(Json::as_str).collect();
    if arguments.report.json {
        return Ok(missing.is_empty());
    }
    if missing.is_empty() {
        say("accounts-v2 recon: every table is there");
    } else {
        say(&format!("accounts-v2 recon: missing tables: {}", missing.join(", ")));
    }
    say(&format!("report={}", path.display()));
    Ok(missing.is_empty())
}
