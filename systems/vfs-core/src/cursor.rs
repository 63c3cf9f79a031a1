//! Cursors: how far somebody has read.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{ID_BYTES_MAX, trimmed};
use crate::timestamp::Timestamp;

/// How far a feed has been read: everything up to and including this place.
///
/// Ordered by time in milliseconds, then by the bytes of the change's id. As JSON it is
/// `{"changedAt": "…", "changeId": "…"}`; on the wire it is [`Cursor::encode`]d.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cursor {
    /// When the change was made, by the server's order.
    pub changed_at: Timestamp,
    /// The id of the change; not blank.
    pub change_id: String,
}

/// The only version of the wire form.
const VERSION: u64 = 1;

/// The longest text that [`Cursor::decode`] looks at, in bytes.
pub const ENCODED_BYTES_MAX: usize = 4_096;

const WIRE: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    version: u64,
    changed_at: Timestamp,
    change_id: &'a str,
}

impl Cursor {
    /// A cursor at a change; `None` where the change's id is blank, longer than [`ID_BYTES_MAX`] or has a NUL.
    #[must_use]
    pub fn new(changed_at: Timestamp, change_id: &str) -> Option<Self> {
        let change_id = trimmed(change_id);
        let fits = !change_id.is_empty() && change_id.len() <= ID_BYTES_MAX && !change_id.contains('\0');
        fits.then(|| Self { changed_at, change_id: change_id.to_owned() })
    }

    /// The wire form: base64url without padding of `{"version":1,"changedAt":…,"changeId":…}`.
    #[must_use]
    pub fn encode(&self) -> String {
        let wire = Wire { version: VERSION, changed_at: self.changed_at, change_id: &self.change_id };
        WIRE.encode(serde_json::to_vec(&wire).unwrap_or_default())
    }

    /// Reads the wire form. The time is kept in whole milliseconds and printed in the one form of [`Timestamp`].
    ///
    /// `None`: not base64url of JSON, another version, a field missing or blank, or no time.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let text = trimmed(text);
        if text.len() > ENCODED_BYTES_MAX {
            return None;
        }
        let value: Value = serde_json::from_slice(&WIRE.decode(text).ok()?).ok()?;
        if value.get("version")?.as_u64()? != VERSION {
            return None;
        }
        let changed_at = value.get("changedAt")?.as_str()?.parse().ok()?;
        Self::new(changed_at, value.get("changeId")?.as_str()?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wire(json: &str) -> String {
        WIRE.encode(json)
    }

    #[test]
    fn the_wire_form_is_compact_json_in_base64url_without_padding() {
        let cursor = Cursor::new("2026-02-14T20:00:00Z".parse().unwrap(), "op-1").unwrap();
        let json = r#"{"version":1,"changedAt":"2026-02-14T20:00:00.000Z","changeId":"op-1"}"#;
        assert_eq!(WIRE.decode(cursor.encode()).unwrap(), json.as_bytes());
        assert!(!cursor.encode().contains('='));
        assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
    }

    #[test]
    fn what_is_malformed_is_no_cursor() {
        for json in [
            "",
            "x",
            "null",
            "[]",
            "{}",
            r#"{"version":2,"changedAt":"2026-02-14T20:00:00Z","changeId":"a"}"#,
            r#"{"version":"1","changedAt":"2026-02-14T20:00:00Z","changeId":"a"}"#,
            r#"{"changedAt":"2026-02-14T20:00:00Z","changeId":"a"}"#,
            r#"{"version":1,"changedAt":"yesterday","changeId":"a"}"#,
            r#"{"version":1,"changedAt":"2026-02-14T20:00:00Z","changeId":"  "}"#,
            r#"{"version":1,"changedAt":"2026-02-14T20:00:00Z"}"#,
            r#"{"version":1,"changedAt":1,"changeId":"a"}"#,
            r#"{"version":1,"changedAt":"2026-02-14T20:00:00Z","changeId":"\u0000"}"#,
        ] {
            assert_eq!(Cursor::decode(&wire(json)), None, "{json}");
        }
        assert_eq!(Cursor::decode("not base64!"), None);
        assert_eq!(Cursor::decode(&"A".repeat(ENCODED_BYTES_MAX + 1)), None);
    }

    #[test]
    fn a_padded_text_is_read_too() {
        let json = r#"{"version":1,"changedAt":"2026-02-14T20:00:00Z","changeId":"ab"}"#;
        let mut text = wire(json);
        while !text.len().is_multiple_of(4) {
            text.push('=');
        }
        assert!(Cursor::decode(&text).is_some());
    }

    fn cursors() -> impl Strategy<Value = Cursor> {
        let time = Timestamp::MIN.as_millisecond()..=Timestamp::MAX.as_millisecond();
        (time, "\\PC{1,20}").prop_filter_map("blank", |(millisecond, id)| {
            Cursor::new(Timestamp::from_millisecond(millisecond).ok()?, &id)
        })
    }

    proptest! {
        #[test]
        fn any_cursor_survives_the_wire(cursor in cursors()) {
            prop_assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
        }

        #[test]
        fn the_order_is_total_and_that_of_time_then_bytes(a in cursors(), b in cursors(), c in cursors()) {
            let by_hand = (a.changed_at.as_millisecond(), a.change_id.as_bytes())
                .cmp(&(b.changed_at.as_millisecond(), b.change_id.as_bytes()));
            prop_assert_eq!(a.cmp(&b), by_hand);
            prop_assert_eq!(b.cmp(&a), by_hand.reverse());
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
        }

        #[test]
        fn any_text_is_answered(text in any::<String>(), bytes in any::<Vec<u8>>()) {
            let _ = Cursor::decode(&text);
            let _ = Cursor::decode(&WIRE.encode(bytes));
        }
    }
}
