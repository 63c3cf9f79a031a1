//! `ledger sweep-payments`: payments of which no notice came are asked about.

use clap::Args;
use ledger::Ledger;
use ledger::provider::Provider;

use super::{PROVIDER_WAIT, say, why};

/// Where the provider is.
#[derive(Debug, Args)]
pub(crate) struct SweepArguments {
    /// The base URL of its API; below it lies `/v1/payment/ID`.
    #[arg(long)]
    provider: String,
    /// The variable that holds its API key.
    #[arg(long, default_value = "NOWPAYMENTS_API_KEY")]
    key_variable: String,
    /// Only payments of which nothing was heard for longer, in seconds.
    #[arg(long, default_value_t = 600)]
    older_than_s: i32,
    /// Payments, at most.
    #[arg(long, default_value_t = 10_000)]
    at_most: i64,
}

pub(crate) async fn sweep(ledger: &Ledger, arguments: &SweepArguments) -> Result<(), String> {
    let provider = Provider {
        url: arguments.provider.clone(),
        api_key: std::env::var(&arguments.key_variable).unwrap_or_default(),
        wait: PROVIDER_WAIT,
    };
    let swept =
        ledger.sweep_payments(&provider, arguments.older_than_s, arguments.at_most).await.map_err(why)?;
    say(&format!(
        "{} payments moved, {} as they were, {} could not be asked about",
        swept.moved,
        swept.unchanged,
        swept.failed.len()
    ));
    if swept.failed.is_empty() {
        return Ok(());
    }
    let failed = swept.failed.join("; ");
    if swept.left == 0 {
        return Err(failed);
    }
    Err(format!(
        "{failed}; the provider does not answer: {} payments are left for the next sweep",
        swept.left
    ))
}
