//! Changes values within a JSON text and leaves every other byte of it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// The text of `before` with the values that differ in `after` replaced. Where fields or elements came or went, the
/// innermost object or array around them is written anew, in the order of `after`.
pub(crate) fn patched<'t>(text: &'t str, before: &Value, after: &Value) -> Cow<'t, str> {
    if before == after {
        return Cow::Borrowed(text);
    }
    let parts: Option<Vec<(&str, &Value, &Value)>> = match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            serde_json::from_str::<Fields<'_>>(text).ok().and_then(|Fields(fields)| {
                // A key that is there twice has only its last value in `before`: such an object is written anew.
                let same_keys = fields.len() == old.len() && old.keys().eq(new.keys());
                let parts = fields.iter().zip(old.values().zip(new.values()));
                same_keys.then(|| parts.map(|(raw, (old, new))| (raw.get(), old, new)).collect())
            })
        }
        (Value::Array(old), Value::Array(new)) => {
            serde_json::from_str::<Elements<'_>>(text).ok().and_then(|Elements(elements)| {
                let same_length = elements.len() == old.len() && old.len() == new.len();
                let parts = elements.iter().zip(old.iter().zip(new));
                same_length.then(|| parts.map(|(raw, (old, new))| (raw.get(), old, new)).collect())
            })
        }
        _ => None,
    };
    Cow::Owned(parts.and_then(|parts| spliced(text, &parts)).unwrap_or_else(|| after.to_string()))
}

/// The text with what these pointers name replaced by what `after` has there; `after` differs nowhere else.
pub(crate) fn replaced(text: &str, after: &Value, pointers: &[&str]) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    match replace_in(&mut out, text, after, pointers) {
        Some(()) => out,
        None => after.to_string(),
    }
}

/// The first name of a pointer, as it is written there, and what follows.
fn split(pointer: &str) -> Option<(&str, &str)> {
    let rest = pointer.strip_prefix('/')?;
    Some(rest.split_at(rest.find('/').unwrap_or(rest.len())))
}

fn is_name(written: &str, name: &str) -> bool {
    match written.contains('~') {
        true => written.replace("~1", "/").replace("~0", "~") == name,
        false => written == name,
    }
}

/// Writes a part. None: it cannot be told where its parts are.
fn replace_in(out: &mut String, text: &str, after: &Value, pointers: &[&str]) -> Option<()> {
    if pointers.iter().any(|pointer| pointer.is_empty()) {
        out.push_str(&after.to_string());
        return Some(());
    }
    let mut at = 0;
    let mut part = |raw: &RawValue, name: &str, after: &Value| {
        let mut rests: Vec<&str> = Vec::new();
        for pointer in pointers {
            if let Some((first, rest)) = split(pointer)
                && is_name(first, name)
            {
                rests.push(rest);
            }
        }
        if rests.is_empty() {
            return Some(());
        }
        let start = (raw.get().as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
        out.push_str(text.get(at..start)?);
        replace_in(out, raw.get(), after, &rests)?;
        at = start + raw.get().len();
        Some(())
    };
    match after {
        Value::Object(fields) => {
            let Named(named) = serde_json::from_str(text).ok()?;
            // A key that is there twice has only its last value in `after`: such an object is written anew.
            if named.len() != fields.len() {
                out.push_str(&after.to_string());
                return Some(());
            }
            for ((name, raw), after) in named.iter().zip(fields.values()) {
                part(raw, name, after)?;
            }
        }
        Value::Array(values) => {
            let Elements(elements) = serde_json::from_str(text).ok()?;
            for (index, (raw, after)) in elements.iter().zip(values).enumerate() {
                part(raw, &index.to_string(), after)?;
            }
        }
        _ => return None,
    }
    out.push_str(text.get(at..)?);
    Some(())
}

/// The text with its parts patched. Each part is a slice of the text, in order.
fn spliced(text: &str, parts: &[(&str, &Value, &Value)]) -> Option<String> {
    let mut out = String::with_capacity(text.len() + 64);
    let mut at = 0;
    for (part, before, after) in parts {
        let start = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
        out.push_str(text.get(at..start)?);
        out.push_str(&patched(part, before, after));
        at = start + part.len();
    }
    out.push_str(text.get(at..)?);
    Some(out)
}

/// The values of an object, as they are written, in order and with repeated keys.
struct Fields<'a>(Vec<&'a RawValue>);

/// The fields of an object, as they are written, in order and with repeated keys.
pub(crate) struct Named<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

/// The elements of an array, as they are written.
struct Elements<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut values = Vec::new();
                while map.next_key::<IgnoredAny>()?.is_some() {
                    values.push(map.next_value::<&'de RawValue>()?);
                }
                Ok(Fields(values))
            }
        }
        deserializer.deserialize_map(Seen)
    }
}

impl<'de> Deserialize<'de> for Named<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
            type Value = Named<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<'de>, A::Error> {
                let mut fields = Vec::with_capacity(16);
                while let Some(Name(name)) = map.next_key::<Name<'de>>()? {
                    fields.push((name, map.next_value::<&'de RawValue>()?));
                }
                Ok(Named(fields))
            }
        }
        deserializer.deserialize_map(Seen)
    }
}

/// A key, borrowed where nothing in it is escaped.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(Seen)
    }
}

impl<'de> Deserialize<'de> for Elements<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
            type Value = Elements<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Elements<'de>, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = seq.next_element::<&'de RawValue>()? {
                    values.push(value);
                }
                Ok(Elements(values))
            }
        }
        deserializer.deserialize_seq(Seen)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(text: &str, pointer: &str, to: Value) -> String {
        let before: Value = serde_json::from_str(text).unwrap();
        let mut after = before.clone();
        *after.pointer_mut(pointer).unwrap() = to;
        let patched = patched(text, &before, &after).into_owned();
        assert_eq!(replaced(text, &after, &[pointer]), patched, "the two ways differ");
        patched
    }

    #[test]
    fn several_places_are_replaced_at_once_whatever_their_order_and_their_names() {
        let text = r#"{ "a~/b": {"k": 1.0, "\u006b2":"x"}, "list":[0, "y" ], "userId": "James" , "n": 2e1}"#;
        let mut after: Value = serde_json::from_str(text).unwrap();
        for pointer in ["/userId", "/list/1", "/a~0~1b/k2"] {
            *after.pointer_mut(pointer).unwrap() = json!("u-1");
        }
        let expected =
            r#"{ "a~/b": {"k": 1.0, "\u006b2":"u-1"}, "list":[0, "u-1" ], "userId": "u-1" , "n": 2e1}"#;
        assert_eq!(replaced(text, &after, &["/userId", "/list/1", "/a~0~1b/k2"]), expected);
    }

    #[test]
    fn only_the_named_value_changes_and_every_other_byte_stays() {
        let text = "{ \"n\": 1.00, \"big\":123456789012345678901234567890,\n \"a\": [ {\"userId\" : \"J\\u0061mes\"}, 2e2 ] , \"é\\/\": null}\n";
        let expected = text.replace("\"J\\u0061mes\"", "\"u-1\"");
        assert_eq!(with(text, "/a/0/userId", json!("u-1")), expected);
    }

    #[test]
    fn an_object_with_a_key_twice_is_written_anew_so_that_no_old_name_is_left_in_it() {
        let text = r#"{"userId":"James","userId":"James","x":1}"#;
        assert_eq!(with(text, "/userId", json!("u-1")), r#"{"userId":"u-1","x":1}"#);
    }

    #[test]
    fn fields_that_come_are_written_in_the_innermost_object_only() {
        let text = r#"{"a": 1.0, "b": { "c":  2 }}"#;
        let before: Value = serde_json::from_str(text).unwrap();
        let mut after = before.clone();
        after["b"]["d"] = json!(3);
        assert_eq!(patched(text, &before, &after), r#"{"a": 1.0, "b": {"c":2,"d":3}}"#);
    }
}
