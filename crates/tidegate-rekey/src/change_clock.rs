//! When a record was last changed, by its own word.

use jiff::Timestamp;
use serde_json::Value;

use crate::Rule;

/// The time of the last change, in nanoseconds of Unix time; none: the record does not say.
pub(crate) fn changed_at(rule: &Rule, body: &Value) -> Option<i128> {
    rule.clock_pointers.iter().find_map(|pointer| read(body.pointer(pointer)?))
}

fn read(value: &Value) -> Option<i128> {
    const NANOS_PER_MILLI: i128 = 1_000_000;
    match value {
        Value::String(text) => text.parse::<Timestamp>().ok().map(Timestamp::as_nanosecond),
        Value::Number(number) => match number.as_i64() {
            Some(milliseconds) => Some(i128::from(milliseconds) * NANOS_PER_MILLI),
            None => {
                let milliseconds = number.as_f64().filter(|given| given.abs() < 1e15)?;
                // Fractions of a millisecond count to the microsecond; a float holds no more there.
                #[expect(clippy::cast_possible_truncation, reason = "below 1e18 after the filter")]
                Some(i128::from((milliseconds * 1_000.0).round() as i64) * 1_000)
            }
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tidegate_store::kv::Namespace;

    use super::*;
    use crate::Kind;

    fn rule() -> Rule {
        Rule {
            name: "trips".to_owned(),
            namespace: Namespace::new("LOGS").unwrap(),
            kind: Kind::Prefixed { prefix: "trip:".to_owned() },
            owner_pointers: Vec::new(),
            proof_pointers: Vec::new(),
            key_pointers: Vec::new(),
            metadata_key_pointers: Vec::new(),
            clock_pointers: vec!["/updatedAt".to_owned(), "/createdAt".to_owned()],
            opaque: false,
        }
    }

    #[test]
    fn text_and_milliseconds_of_one_moment_are_the_same_time() {
        let text = changed_at(&rule(), &json!({"updatedAt": "2026-02-02T01:00:00.5+01:00"}));
        let number = changed_at(&rule(), &json!({"updatedAt": 1_769_990_400_500_i64}));
        let float = changed_at(&rule(), &json!({"updatedAt": 1_769_990_400_500.0}));
        assert_eq!(text, Some(1_769_990_400_500_000_000));
        assert_eq!((number, float), (text, text));
    }

    #[test]
    fn a_time_that_cannot_be_read_gives_way_to_the_next_pointer() {
        for bad in [json!("yesterday"), json!("2026-02-02"), json!(null), json!({}), json!(1e300)] {
            let body = json!({"updatedAt": bad, "createdAt": "2026-01-01T00:00:00Z"});
            assert_eq!(changed_at(&rule(), &body), Some(1_767_225_600_000_000_000), "{bad}");
        }
        assert_eq!(changed_at(&rule(), &json!({"updatedAt": "never"})), None);
        assert_eq!(changed_at(&rule(), &json!([1])), None);
    }
}
