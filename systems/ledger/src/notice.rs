//! Notices of the payment provider: what they say, and who signed them.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value};
use sha2::Sha512;

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
/// constant time.
#[must_use]
pub fn is_signed(secret: &str, payload: &Value, signature: &str) -> bool {
    let Some(bytes) = from_hex(signature) else { return false };
    mac(secret, payload).is_some_and(|mac| mac.verify_slice(&bytes).is_ok())
}

/// The signature of a body.
#[must_use]
pub fn signature(secret: &str, payload: &Value) -> String {
    let bytes = mac(secret, payload).map(|mac| mac.finalize().into_bytes().to_vec()).unwrap_or_default();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn mac(secret: &str, payload: &Value) -> Option<Hmac<Sha512>> {
    let mut mac = Hmac::<Sha512>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(sorted(payload).to_string().as_bytes());
    Some(mac)
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort();
            let ordered: Map<String, Value> = names
                .into_iter()
                .filter_map(|name| fields.get(name).map(|value| (name.clone(), sorted(value))))
                .collect();
            Value::Object(ordered)
        }
        Value::Array(values) => Value::Array(values.iter().map(sorted).collect()),
        other => other.clone(),
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
        let one: Value = serde_json::from_str(r#"{"b":{"d":1,"c":[{"y":1,"x":2}]},"a":"é"}"#).unwrap();
        let other: Value = serde_json::from_str(r#"{"a":"é","b":{"c":[{"x":2,"y":1}],"d":1}}"#).unwrap();
        let signed = signature("secret", &one);
        assert_eq!(signed.len(), 128);
        assert!(is_signed("secret", &other, &signed));
        assert!(is_signed("secret", &other, &signed.to_uppercase()));
        assert!(!is_signed("other", &other, &signed));
        assert!(!is_signed("secret", &json!({ "a": "e" }), &signed));
        for wrong in ["", "00", "zz", &signed[1..], &format!("{signed}00")] {
            assert!(!is_signed("secret", &one, wrong), "{wrong}");
        }
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
