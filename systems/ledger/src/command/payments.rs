//! `ledger sweep-payments`: payments of which no notice came are asked about.

use clap::Args;
use ledger::Ledger;
use ledger::notice::Notice;
use ledger::payments::Noticed;
use serde_json::Value;
use tidegate_store::http::{Client, Request};
use tidegate_store::postgres::Type;

use super::{PROVIDER_WAIT, say, told};

/// Where the provider is.
#[derive(Debug, Args)]
pub(crate) struct SweepArguments {
    /// The base URL of its API; below it lies `/v1/payment/ID`.
    #[arg(long)]
    provider: String,
    /// The variable that holds its API key.
    #[arg(long, default_value = "NOWPAYMENTS_API_KEY")]
    key_variable: String,
    /// Only payments that are older, in seconds.
    #[arg(long, default_value_t = 600)]
    older_than_s: i32,
    /// Payments, at most.
    #[arg(long, default_value_t = 10_000)]
    at_most: i64,
}

pub(crate) async fn sweep(ledger: &Ledger, arguments: &SweepArguments) -> Result<(), String> {
    let key = std::env::var(&arguments.key_variable).unwrap_or_default();
    let session = ledger.system().map_err(told)?.get().await.map_err(told)?;
    let parameters: [(&(dyn tidegate_store::postgres::ToSql + Sync), Type); 2] =
        [(&arguments.older_than_s, Type::INT4), (&arguments.at_most, Type::INT8)];
    let rows = session.query(include_str!("../sql/silent_payments.sql"), &parameters).await.map_err(told)?;
    drop(session);
    let client = Client::new();
    let (mut moved, mut unchanged, mut failed) = (0, 0, Vec::new());
    for row in &rows {
        let payment_id: String = row.try_get(0).map_err(told)?;
        let request = Request {
            method: "GET".to_owned(),
            url: format!("{}/v1/payment/{payment_id}", arguments.provider.trim_end_matches('/')),
            headers: vec![("x-api-key".to_owned(), key.clone())],
            body: None,
            timeout: PROVIDER_WAIT,
        };
        let said = client.request(request).await;
        let notice = said.map_err(told).and_then(|answer| {
            let payload: Option<Value> = serde_json::from_slice(&answer.body).ok();
            let notice = payload.as_ref().filter(|_| answer.status == 200).and_then(Notice::read);
            let notice = notice.filter(|notice| notice.payment_id == payment_id);
            notice.ok_or_else(|| format!("the provider answers {} without this payment", answer.status))
        });
        match notice {
            Err(why) => failed.push(format!("{payment_id}: {why}")),
            Ok(notice) => match ledger.take_notice(&notice).await {
                Err(error) => failed.push(format!("{payment_id}: {error}")),
                Ok(Noticed::Processed { .. }) => moved += 1,
                Ok(Noticed::AmountMismatch { expected }) => {
                    failed.push(format!("{payment_id}: the provider's price is not {expected}"));
                }
                Ok(Noticed::Duplicate | Noticed::UnknownPayment | Noticed::Skipped { .. }) => unchanged += 1,
            },
        }
    }
    say(&format!(
        "{moved} payments moved, {unchanged} as they were, {} could not be asked about",
        failed.len()
    ));
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
}
