//! `vfs-server doctor`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;
use uuid::Uuid;
use vfs_server::blob::doctor::examine;

use super::{FAILED, USAGE, blob_store, failed, say};

#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Puts, reads, lists and deletes one object under the prefix; names what is missing.
    Storage {
        /// Prints one JSON document.
        #[arg(long)]
        json: bool,
    },
}

/// Examines. The exit code says how it went: 0 well, 1 something is refused, 2 the environment cannot be followed.
pub(super) async fn run(arguments: &DoctorArguments) -> ExitCode {
    let What::Storage { json: as_json } = arguments.what;
    let store = match blob_store() {
        Ok(store) => store,
        Err(error) => return failed(&error, USAGE),
    };
    let place = store.config().place();
    let findings = examine(&store, &Uuid::new_v4().to_string()).await;
    let ok = !findings.is_empty() && findings.iter().all(|finding| finding.ok);
    if as_json {
        say(&json!({ "ok": ok, "place": place, "findings": findings }).to_string());
    } else {
        say(&place);
        for finding in &findings {
            match (&finding.code, &finding.advice) {
                (Some(code), Some(advice)) => say(&format!("{}: {code}: {advice}", finding.check)),
                _ => say(&format!("{}: ok", finding.check)),
            }
        }
    }
    if ok { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}
