//! `accounts v2 verify-reads`.

use std::process::ExitCode;

use accounts::verify_reads::{ReadsWanted, verify_reads};
use clap::Args;

use super::{FAILED, failed, say};

#[derive(Debug, Args)]
pub(crate) struct VerifyReadsArguments {
    /// The service's address.
    #[arg(long, env = "ACCOUNT_VERIFY_API_BASE", default_value = "http://localhost:3000")]
    api: String,
    /// The session's cookie, as a browser sends it. Better given by the variable: arguments are seen by others.
    #[arg(long)]
    cookie: Option<String>,
    /// A profile whose book is looked at, too.
    #[arg(long)]
    profile_id: Option<String>,
    /// That profile's key.
    #[arg(long)]
    identity_public_key: Option<String>,
    /// That book's collection.
    #[arg(long, default_value = "primary")]
    collection_id: String,
}

/// Compares, and prints one JSON document.
pub(super) async fn run(arguments: VerifyReadsArguments) -> ExitCode {
    if arguments.cookie.is_some() {
        let advice = "--cookie is seen by everybody who lists processes; set ACCOUNT_VERIFY_COOKIE instead";
        let _shown = failed(advice, FAILED);
    }
    let from_env = || std::env::var("ACCOUNT_VERIFY_COOKIE").ok();
    let cookie = arguments.cookie.or_else(from_env).filter(|cookie| !cookie.trim().is_empty());
    let wanted = ReadsWanted {
        api: arguments.api,
        cookie: cookie.unwrap_or_default(),
        profile_id: arguments.profile_id.unwrap_or_default(),
        identity_public_key: arguments.identity_public_key.unwrap_or_default(),
        collection_id: arguments.collection_id,
    };
    match verify_reads(&wanted).await {
        Ok(seen) => {
            say(&seen.to_json().to_string());
            ExitCode::SUCCESS
        }
        Err(refused) => {
            say(&refused.to_json().to_string());
            ExitCode::from(FAILED)
        }
    }
}
