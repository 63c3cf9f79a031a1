//! A record's body, taken apart no further than its judgement needs.

use std::borrow::Cow;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::json_text::Named;

/// Fields that a plain body has at most.
const FIELDS_MAX: usize = 32;
/// Characters of a number that is finite whatever they are.
const NUMBER_MAX: usize = 15;

/// A body, which is JSON.
#[derive(Debug)]
pub(crate) enum Body<'t> {
    /// Most records are such.
    Plain(PlainBody<'t>),
    Parsed(Value),
}

/// What stands somewhere in a body.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Found<'b> {
    Text(&'b str),
    /// Something else, as it is written.
    Written(&'b str),
    Parsed(&'b Value),
}

impl<'t> Body<'t> {
    /// # Errors
    /// It is not JSON.
    pub(crate) fn parse(bytes: &'t [u8]) -> serde_json::Result<Self> {
        match PlainBody::of(bytes) {
            Some(plain) => Ok(Self::Plain(plain)),
            None => serde_json::from_slice(bytes).map(Self::Parsed),
        }
    }

    /// What a JSON pointer points at.
    pub(crate) fn at(&self, pointer: &str) -> Option<Found<'_>> {
        match self {
            Self::Plain(plain) => plain.found(plain.place(pointer)?),
            Self::Parsed(value) => match value.pointer(pointer)? {
                Value::String(text) => Some(Found::Text(text)),
                other => Some(Found::Parsed(other)),
            },
        }
    }
}

impl<'b> Found<'b> {
    pub(crate) fn as_str(self) -> Option<&'b str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Written(_) | Self::Parsed(_) => None,
        }
    }

    /// What it is, in a reason.
    pub(crate) fn told(self) -> String {
        let text = match self {
            Self::Text(text) | Self::Written(text) => Cow::Borrowed(text),
            Self::Parsed(value) => Cow::Owned(value.to_string()),
        };
        text.chars().take(80).collect()
    }
}

/// An object of texts, numbers and words, with nothing nested, escaped or repeated in it: its fields are known by where
/// they stand, and it is not built up in memory.
#[derive(Debug)]
pub(crate) struct PlainBody<'t> {
    text: &'t str,
    /// Names, and values as they are written.
    fields: Vec<(Cow<'t, str>, &'t RawValue)>,
}

impl<'t> PlainBody<'t> {
    /// None: it is none, or is no JSON.
    pub(crate) fn of(bytes: &'t [u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        // What is escaped may be half a character, which only a parser finds.
        if text.contains('\\') {
            return None;
        }
        let Named(fields) = serde_json::from_str(text).ok()?;
        let are_plain = fields.len() <= FIELDS_MAX
            && fields.iter().all(|(_, value)| is_plain(value.get()))
            && fields
                .iter()
                .enumerate()
                .all(|(at, (name, _))| fields.iter().take(at).all(|(earlier, _)| earlier != name));
        are_plain.then_some(Self { text, fields })
    }

    pub(crate) fn text(&self) -> &'t str {
        self.text
    }

    /// Which field a pointer points at. Nothing lies below one.
    pub(crate) fn place(&self, pointer: &str) -> Option<usize> {
        let name = pointer.strip_prefix('/').filter(|name| !name.contains('/'))?;
        let name = match name.contains('~') {
            true => Cow::Owned(name.replace("~1", "/").replace("~0", "~")),
            false => Cow::Borrowed(name),
        };
        self.fields.iter().position(|(field, _)| *field == name)
    }

    pub(crate) fn found(&self, place: usize) -> Option<Found<'t>> {
        let written = self.fields.get(place)?.1.get();
        let text = written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        Some(text.map_or(Found::Written(written), Found::Text))
    }

    /// The text with these fields' values replaced by texts.
    pub(crate) fn with(&self, mut changed: Vec<(usize, String)>) -> Option<String> {
        changed.sort_by_key(|(place, _)| *place);
        let mut out = String::with_capacity(self.text.len() + 64);
        let mut at = 0;
        for (place, text) in changed {
            let written = self.fields.get(place)?.1.get();
            let start = (written.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize)?;
            out.push_str(self.text.get(at..start)?);
            out.push_str(&Value::String(text).to_string());
            at = start + written.len();
        }
        out.push_str(self.text.get(at..)?);
        Some(out)
    }
}

fn is_plain(written: &str) -> bool {
    match written.as_bytes().first() {
        Some(b'"' | b't' | b'f' | b'n') => true,
        Some(b'-' | b'0'..=b'9') => written.len() <= NUMBER_MAX && !written.contains(['e', 'E']),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json_text::replaced;

    /// What a parser says of a text, and what is said here.
    fn both(text: &[u8]) -> (Option<Value>, Option<Value>) {
        let here = Body::parse(text).ok().map(|body| match body {
            Body::Plain(plain) => serde_json::from_str(plain.text()).expect("a plain body is JSON"),
            Body::Parsed(value) => value,
        });
        (serde_json::from_slice(text).ok(), here)
    }

    #[test]
    fn what_is_not_json_is_not_taken_for_a_body() {
        let bad: [&[u8]; 11] = [
            b"",
            b"{",
            br#"{"a":1}x"#,
            br#"{"a":"\ud800"}"#,
            br#"{"a":"\x"}"#,
            b"{\"a\":\"\xff\"}",
            b"{\"a\":\"\n\"}",
            br#"{"a":1e999}"#,
            br#"{"a":01}"#,
            br#"{"a":1,}"#,
            br#"{"a":tru}"#,
        ];
        for text in bad {
            assert_eq!(both(text), (None, None), "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn only_what_has_nothing_nested_escaped_or_repeated_is_plain() {
        let is_plain = |text: &str| PlainBody::of(text.as_bytes()).is_some();
        assert!(is_plain(r#" { "a" : "x" , "b": -1.5, "c": null, "d":true } "#));
        assert!(is_plain("{}"));
        for other in [
            r#"{"a":{}}"#,
            r#"{"a":[]}"#,
            r#"{"a":1,"a":2}"#,
            r#"{"a":"\n"}"#,
            r#"{"a":1234567890123456}"#,
            r#"{"a":1e5}"#,
            r#"["a"]"#,
            r#""a""#,
            "1",
        ] {
            assert!(!is_plain(other), "{other}");
            assert!(both(other.as_bytes()).1.is_some(), "{other}");
        }
    }

    #[test]
    fn a_pointer_leads_where_it_leads_in_a_parsed_body() {
        let text = r#"{"userId":"James","a/b":"slash","m~n":"tilde","n":1.50,"":"nameless"}"#;
        let plain = Body::parse(text.as_bytes()).unwrap();
        assert!(matches!(plain, Body::Plain(_)));
        let parsed = Body::Parsed(serde_json::from_str(text).unwrap());
        for pointer in
            ["/userId", "/a~1b", "/a/b", "/m~0n", "/m~n", "/", "/userId/0", "/a~1b/0", "/nothing", "userId"]
        {
            let texts = |body: &Body<'_>| body.at(pointer).map(|found| found.as_str().map(str::to_owned));
            assert_eq!(texts(&plain), texts(&parsed), "{pointer}");
        }
        assert_eq!(plain.at("/n").map(Found::told).as_deref(), Some("1.50"));
    }

    /// A value as somebody may write it.
    fn written() -> impl Strategy<Value = String> {
        prop_oneof![
            "[ -~é€]{0,8}".prop_map(|text| Value::String(text).to_string()),
            "-?[0-9]{1,18}(\\.[0-9]{1,3})?(e[0-9]{1,3})?",
            Just("null".to_owned()),
            Just("{\"userId\":\"James\"}".to_owned()),
        ]
    }

    proptest! {
        #[test]
        fn any_object_is_read_and_changed_as_if_it_were_parsed(
            fields in proptest::collection::vec(("(userId|deletedBy|b|é|[a-z~/]{0,3})", written()), 0..6),
            spaces in " {0,2}",
            cut in proptest::option::of(0_usize..40),
        ) {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("{}{spaces}:{spaces}{value}", Value::String(name.clone())))
                .collect();
            let mut text = format!("{{{spaces}{}{spaces}}}", fields.join(","));
            if let Some(at) = cut.filter(|at| text.is_char_boundary(*at)) {
                text.truncate(at);
            }
            let (parsed, here) = both(text.as_bytes());
            prop_assert_eq!(&parsed, &here);
            if let (Some(plain), Some(mut after)) = (PlainBody::of(text.as_bytes()), parsed) {
                let pointers: Vec<&str> =
                    ["/userId", "/deletedBy"].into_iter().filter(|at| plain.place(at).is_some()).collect();
                let mut changed = Vec::new();
                for pointer in &pointers {
                    *after.pointer_mut(pointer).unwrap() = Value::from("the \"id\"");
                    changed.push((plain.place(pointer).unwrap(), "the \"id\"".to_owned()));
                }
                prop_assert_eq!(plain.with(changed), Some(replaced(&text, &after, &pointers)));
            }
        }
    }
}
