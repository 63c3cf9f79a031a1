//! Notices of the payment provider: what they say, and who signed them.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::Sha512;

/// How deeply a notice may be nested.
const DEPTH_MAX: usize = 32;

/// A notice, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The provider's id of the payment.
    pub payment_id: String,
    /// How it stands, by the provider's word.
    pub status: String,
    /// What was asked for, as the notice says; `None`: it does not.
    pub price_amount: Option<String>,
    /// All that it says.
    pub payload: Value,
}

/// The statuses that a payment can have, in their order.
pub const STATUSES: [&str; 9] = [
    "waiting",
    "confirming",
    "confirmed",
    "sending",
    "partially_paid",
    "finished",
    "expired",
    "failed",
    "refunded",
];

impl Notice {
    /// Reads a body; `None`: it has no payment, or no status that there is.
    #[must_use]
    pub fn read(payload: &Value) -> Option<Notice> {
        let payment_id = match payload.get("payment_id")? {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        let status = payload.get("payment_status")?.as_str()?;
        if payment_id.is_empty()
            || payment_id.len() > 200
            || payment_id.contains('\0')
            || !STATUSES.contains(&status)
        {
            return None;
        }
        let price_amount = match payload.get("price_amount") {
            Some(Value::Number(number)) => Some(number.to_string()),
            Some(Value::String(text)) => Some(text.clone()),
            _ => None,
        };
        Some(Notice { payment_id, status: status.to_owned(), price_amount, payload: payload.clone() })
    }

    /// What tells one delivery from another: a payment has several notices, one for each status.
    #[must_use]
    pub fn event_id(&self) -> String {
        format!("{}:{}", self.payment_id, self.status)
    }
}

/// Whether a signature is that of a body: HMAC-SHA512 over its JSON with all keys in order, in hexadecimal. Compared in
/// constant time. Numbers are signed as they were written, which no parser gives back.
#[must_use]
pub fn is_signed(secret: &str, body: &str, signature: &str) -> bool {
    let Some(bytes) = from_hex(signature) else { return false };
    mac(secret, body).is_some_and(|mac| mac.verify_slice(&bytes).is_ok())
}

/// The signature of a body; blank where it is no JSON.
#[must_use]
pub fn signature(secret: &str, body: &str) -> String {
    let bytes = mac(secret, body).map(|mac| mac.finalize().into_bytes().to_vec()).unwrap_or_default();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn mac(secret: &str, body: &str) -> Option<Hmac<Sha512>> {
    let mut mac = Hmac::<Sha512>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(sorted(serde_json::from_str(body).ok()?, 0)?.as_bytes());
    Some(mac)
}

/// The text of a value with the keys of its objects in order, without blanks between its parts.
fn sorted(value: &RawValue, depth: usize) -> Option<String> {
    if depth > DEPTH_MAX {
        return None;
    }
    let text = value.get().trim();
    if text.starts_with('{') {
        let fields: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
        let fields = fields.into_iter().map(|(name, value)| {
            Some(format!("{}:{}", serde_json::to_string(&name).ok()?, sorted(value, depth + 1)?))
        });
        Some(format!("{{{}}}", fields.collect::<Option<Vec<_>>>()?.join(",")))
    } else if text.starts_with('[') {
        let values: Vec<&RawValue> = serde_json::from_str(text).ok()?;
        let values = values.into_iter().map(|value| sorted(value, depth + 1));
        Some(format!("[{}]", values.collect::<Option<Vec<_>>>()?.join(",")))
    } else if text.starts_with('"') {
        serde_json::to_string(&serde_json::from_str::<String>(text).ok()?).ok()
    } else {
        Some(text.to_owned())
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    let pair = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..text.len()).step_by(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_order_of_keys_does_not_matter_and_everything_else_does() {
        let one = r#"{"b":{"d":1,"c":[{"y":1,"x":2}]},"a":"\u00e9"}"#;
        let other = r#" { "a" : "é", "b":{"c":[{"x":2,"y":1}],"d":1}} "#;
        let signed = signature("secret", one);
        assert_eq!(signed.len(), 128);
        assert!(is_signed("secret", other, &signed));
        assert!(is_signed("secret", other, &signed.to_uppercase()));
        assert!(!is_signed("other", other, &signed));
        assert!(!is_signed("secret", r#"{"a":"e"}"#, &signed));
        for wrong in ["", "00", "zz", &signed[1..], &format!("{signed}00")] {
            assert!(!is_signed("secret", one, wrong), "{wrong}");
        }
        assert!(!is_signed("secret", "{", ""));
        assert!(!is_signed("secret", &"[".repeat(1_000), ""));
    }

    #[test]
    fn a_signature_is_that_of_the_providers_own_words() {
        // By Node.js: createHmac("sha512", "secret").update(JSON.stringify({ a: "é", fee: 0.0000051, price: 1.10 }))
        let body = r#"{"price":1.1,"fee":0.0000051,"a":"é"}"#;
        assert_eq!(
            sorted(serde_json::from_str(body).unwrap(), 0).unwrap(),
            r#"{"a":"é","fee":0.0000051,"price":1.1}"#
        );
        // Digits that a parser would round away stay.
        let body = r#"{"fee":0.09853637216235617}"#;
        assert_eq!(sorted(serde_json::from_str(body).unwrap(), 0).unwrap(), body);
    }

    #[test]
    fn a_notice_without_payment_or_status_is_none() {
        let read = |value: Value| Notice::read(&value);
        let good =
            read(json!({ "payment_id": 5, "payment_status": "finished", "price_amount": 9.5 })).unwrap();
        assert_eq!((good.event_id().as_str(), good.price_amount.as_deref()), ("5:finished", Some("9.5")));
        for bad in [
            json!({}),
            json!({ "payment_id": "", "payment_status": "finished" }),
            json!({ "payment_id": true, "payment_status": "finished" }),
            json!({ "payment_id": "p", "payment_status": "done" }),
            json!({ "payment_id": "a\0", "payment_status": "finished" }),
            json!([]),
        ] {
            assert_eq!(read(bad.clone()), None, "{bad}");
        }
    }
}
