//! The payment provider, asked about payments of which no notice came.
//!
//! What it answers is taken as a notice is: forward only, and a payment mints once, also where the notice arrives at the
//! same moment. A provider that does not answer is asked less and less, and then not at all until the next sweep.

use std::time::Duration;

use serde_json::Value;
use tidegate_store::http::{Client, Request};
use tidegate_store::postgres::Type;

use crate::notice::Notice;
use crate::operations::{Ledger, LedgerError, Parameter};
use crate::payments::Noticed;

/// Payments in a row about which the provider did not answer, after which a sweep ends.
pub const SILENT_MAX: usize = 5;
/// How long a sweep waits after the first of them; twice as long after each further one.
const BACK_OFF: Duration = Duration::from_millis(100);

/// Where and how the provider is asked.
#[derive(Debug, Clone)]
pub struct Provider {
    /// The base URL of its API; below it lies `/v1/payment/ID`.
    pub url: String,
    /// The key of its API; empty: none is sent.
    pub api_key: String,
    /// How long one answer is waited for.
    pub wait: Duration,
}

/// What a sweep came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SweptPayments {
    /// Payments that moved.
    pub moved: usize,
    /// Payments that are as they were.
    pub unchanged: usize,
    /// Payments of which nothing was learned, and why.
    pub failed: Vec<String>,
    /// Payments that were not asked about any more, because the provider does not answer.
    pub left: usize,
}

/// Why nothing was learned of a payment.
enum Unlearned {
    /// The provider did not answer, or says itself that it cannot.
    Silent(String),
    /// It answered something else.
    Strange(String),
}

impl Provider {
    async fn ask(&self, client: &Client, payment_id: &str) -> Result<Notice, Unlearned> {
        let mut headers = Vec::new();
        if !self.api_key.is_empty() {
            headers.push(("x-api-key".to_owned(), self.api_key.clone()));
        }
        let url = format!("{}/v1/payment/{}", self.url.trim_end_matches('/'), escaped(payment_id));
        let request = Request { method: "GET".to_owned(), url, headers, body: None, timeout: self.wait };
        let answer = client.request(request).await.map_err(|error| Unlearned::Silent(error.to_string()))?;
        match answer.status {
            200 => {}
            429 | 500..=599 => {
                return Err(Unlearned::Silent(format!("the provider answers {}", answer.status)));
            }
            404 => return Err(Unlearned::Strange("the provider knows no such payment".to_owned())),
            status => return Err(Unlearned::Strange(format!("the provider answers {status}"))),
        }
        let payload: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let notice = payload.as_ref().and_then(Notice::read);
        match notice {
            Some(notice) if notice.payment_id == payment_id => Ok(notice),
            Some(notice) => {
                Err(Unlearned::Strange(format!("the provider answers about {:?}", notice.payment_id)))
            }
            None => Err(Unlearned::Strange("the provider's answer names no payment and status".to_owned())),
        }
    }
}

impl Ledger {
    /// Asks the provider about open payments of which nothing was heard for so many seconds, the longest first.
    ///
    /// # Errors
    /// [`LedgerError`], where the payments cannot be listed. What fails for one payment is told in what this returns.
    pub async fn sweep_payments(
        &self,
        provider: &Provider,
        older_than_s: i32,
        at_most: i64,
    ) -> Result<SweptPayments, LedgerError> {
        let session = self.system()?.get().await?;
        let parameters: [Parameter<'_>; 2] = [(&older_than_s, Type::INT4), (&at_most, Type::INT8)];
        let rows = session.query(include_str!("sql/silent_payments.sql"), &parameters).await?;
        drop(session);
        let client = Client::new();
        let (mut swept, mut silent) = (SweptPayments::default(), 0);
        for (at, row) in rows.iter().enumerate() {
            let payment_id: String =
                row.try_get(0).map_err(|error| LedgerError::Answer(error.to_string()))?;
            match provider.ask(&client, &payment_id).await {
                Ok(notice) => {
                    silent = 0;
                    self.learn(&notice, &mut swept).await;
                }
                Err(Unlearned::Strange(why)) => {
                    silent = 0;
                    swept.failed.push(format!("{payment_id}: {why}"));
                }
                Err(Unlearned::Silent(why)) => {
                    silent += 1;
                    swept.failed.push(format!("{payment_id}: {why}"));
                    if silent == SILENT_MAX {
                        swept.left = rows.len() - at - 1;
                        break;
                    }
                    tokio::time::sleep(BACK_OFF * (1 << (silent - 1))).await;
                }
            }
        }
        Ok(swept)
    }

    async fn learn(&self, notice: &Notice, swept: &mut SweptPayments) {
        match self.take_notice(notice).await {
            Err(error) => swept.failed.push(format!("{}: {error}", notice.payment_id)),
            Ok(Noticed::Processed { .. }) => swept.moved += 1,
            Ok(Noticed::AmountMismatch { expected }) => {
                swept.failed.push(format!("{}: the provider's price is not {expected}", notice.payment_id));
            }
            Ok(Noticed::LimitExceeded) => {
                let why = "its lot would lead beyond what a tenant may be given in all";
                swept.failed.push(format!("{}: {why}", notice.payment_id));
            }
            Ok(Noticed::Duplicate | Noticed::UnknownPayment | Noticed::Skipped { .. }) => {
                swept.unchanged += 1;
            }
        }
    }
}

/// A text as one segment of a path: everything but letters, digits and four signs as `%XX` (RFC 3986, 2.3).
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => escaped.push(char::from(byte)),
            // A segment of dots would lead elsewhere.
            b'.' if text.bytes().any(|byte| byte != b'.') => escaped.push('.'),
            byte => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}
