//! A page in the plain form in which servers write it, read in one go and left where it is.
//!
//! The form is that of [`FeedPage`](crate::feed::FeedPage): the items first, each with its fields in their order, no
//! white space, no escapes in texts. Whatever deviates from it, and whatever is wrong with it, is not read here at all:
//! the caller reads it strictly, field by field, and finds the words for what is wrong. So this reader never has to say
//! more than that it does not know, and what it reads is what the strict one would have read.

use serde_json::{Map, Value};

use super::reply::around;
use crate::id::trimmed;
use crate::operation::{AccessLevel, OpType, PrincipalType};
use crate::page::PulledPage;
use crate::pulled_items::{ItemSpans, PulledItems, Span};

/// Reads a page; `None`: it has another form, or something is wrong with it.
pub(super) fn read(body: &[u8]) -> Option<PulledPage> {
    // Spans have 32 bits.
    u32::try_from(body.len()).ok()?;
    let text = std::str::from_utf8(body).ok()?;
    let mut reader = Reader { bytes: body, at: 0 };
    reader.expect(b"{\"items\":[")?;
    let mut items = Vec::new();
    if reader.expect(b"]").is_none() {
        loop {
            items.push(reader.item(text)?);
            if reader.expect(b",").is_none() {
                reader.expect(b"]")?;
                break;
            }
        }
    }
    reader.expect(b",")?;
    let rest = format!("{{{}", text.get(reader.at..)?);
    let fields: Map<String, Value> = serde_json::from_str(&rest).ok()?;
    // Said twice, what is said last would count.
    if fields.contains_key("items") {
        return None;
    }
    let end = u32::try_from(reader.at).ok()? as usize;
    let items = PulledItems::read(text.get(..end)?, items);
    around(items, &fields).ok()
}

/// A place in the bytes of a page.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    /// Passes these bytes, if they are next.
    fn expect(&mut self, next: &[u8]) -> Option<()> {
        let is_next = self.bytes.get(self.at..)?.starts_with(next);
        is_next.then(|| self.at += next.len())
    }

    /// Passes a text without escapes.
    fn text(&mut self) -> Option<Span> {
        self.expect(b"\"")?;
        let start = self.at;
        let rest = self.bytes.get(start..)?;
        let length = rest.iter().position(|byte| *byte == b'"' || *byte == b'\\' || *byte < b' ')?;
        self.at = start + length;
        self.expect(b"\"")?;
        Some(Span { start: u32::try_from(start).ok()?, end: u32::try_from(start + length).ok()? })
    }

    /// Passes the name of a field with what is around it, and a text that is not blank.
    fn filled(&mut self, name: &[u8], text: &str) -> Option<Span> {
        self.expect(name)?;
        let span = self.text()?;
        (!trimmed(span.of(text)).is_empty()).then_some(span)
    }

    /// Passes the name of a field with what is around it, and a text or null.
    fn nullable(&mut self, name: &[u8]) -> Option<Option<Span>> {
        self.expect(name)?;
        if self.expect(b"null").is_some() {
            return Some(None);
        }
        self.text().map(Some)
    }

    fn item(&mut self, text: &str) -> Option<ItemSpans> {
        let op_id = self.filled(b"{\"opId\":", text)?;
        let item_id = self.filled(b",\"itemId\":", text)?;
        let op_type = OpType::parse(self.filled(b",\"opType\":", text)?.of(text))?;
        let principal_type = match self.nullable(b",\"principalType\":")? {
            Some(span) => Some(PrincipalType::parse(span.of(text))?),
            None => None,
        };
        let principal_id = self.nullable(b",\"principalId\":")?;
        let access_level = match self.nullable(b",\"accessLevel\":")? {
            Some(span) => Some(AccessLevel::parse(span.of(text))?),
            None => None,
        };
        let parent_id = self.nullable(b",\"parentId\":")?;
        let child_id = self.nullable(b",\"childId\":")?;
        let actor_id = self.nullable(b",\"actorId\":")?;
        let source_table = self.filled(b",\"sourceTable\":", text)?;
        let source_id = self.filled(b",\"sourceId\":", text)?;
        let occurred_at = self.filled(b",\"occurredAt\":", text)?;
        self.expect(b"}")?;
        let time = occurred_at.of(text).parse().ok()?;
        let item = ItemSpans {
            op_id,
            item_id,
            op_type,
            principal_type,
            principal_id,
            access_level,
            parent_id,
            child_id,
            actor_id,
            source_table,
            source_id,
            occurred_at,
            time,
        };
        (op_type.is_acl() || item.of(text).is_link()).then_some(item)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::reply;
    use super::*;
    use crate::cursor::Cursor;
    use crate::feed::FeedItem;
    use crate::timestamp::Timestamp;

    /// What the strict reader makes of the same bytes; `None`: something is wrong with them.
    fn strictly(body: &[u8]) -> Option<PulledPage> {
        reply::pull(&reply::content(200, body).ok()?).ok()
    }

    fn texts() -> impl Strategy<Value = String> {
        prop_oneof![8 => "[a-z0-9-]{1,12}", 1 => "[ a\u{e4}\u{20ac}\u{feff}]{0,4}", 1 => "\\PC{0,8}", 1 => "[\"\\\\\n]{1,2}"]
    }

    fn words<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
        proptest::sample::select(all)
    }

    prop_compose! {
        fn items()(
            ids in (texts(), texts(), texts(), texts()),
            op_type in words(OpType::ALL),
            principal in (proptest::option::of(words(PrincipalType::ALL)), proptest::option::of(texts())),
            access_level in proptest::option::of(words(AccessLevel::ALL)),
            actor_id in proptest::option::of(texts()),
            millisecond in Timestamp::MIN.as_millisecond()..=Timestamp::MAX.as_millisecond(),
            is_whole in proptest::bool::weighted(0.9),
        ) -> FeedItem {
            let (op_id, item_id, parent_id, source_id) = ids;
            let is_link = !op_type.is_acl() && is_whole;
            FeedItem {
                op_id,
                op_type,
                principal_type: principal.0,
                principal_id: principal.1,
                access_level,
                parent_id: Some(parent_id).filter(|_| is_link),
                child_id: Some(item_id.clone()).filter(|_| is_link),
                item_id,
                actor_id,
                source_table: "vfs_links".to_owned(),
                source_id,
                occurred_at: Timestamp::from_millisecond(millisecond).unwrap().to_string(),
            }
        }
    }

    fn page(items: &[FeedItem], has_more: bool, tail: &str) -> Vec<u8> {
        let at = "2026-02-14T20:00:00Z".parse().unwrap();
        let next = Cursor::new(at, "a").filter(|_| has_more).map(|cursor| cursor.encode());
        let mut text = format!("{{\"items\":{}", serde_json::to_string(items).unwrap());
        let around =
            json!({ "nextCursor": next, "hasMore": has_more, "lastReconciledWriteIds": { "desk": 3 } });
        text.push(',');
        text.push_str(&around.to_string()[1..]);
        if let Some(end) = text.strip_suffix('}') {
            text = format!("{end}{tail}}}");
        }
        text.into_bytes()
    }

    fn link(number: usize) -> FeedItem {
        FeedItem {
            op_id: format!("0001-{number:016}"),
            item_id: format!("file-{number}"),
            op_type: OpType::LinkAdd,
            principal_type: None,
            principal_id: None,
            access_level: None,
            parent_id: Some("folder".to_owned()),
            child_id: Some(format!("file-{number}")),
            actor_id: Some("ada".to_owned()),
            source_table: "vfs_crdt_client_push".to_owned(),
            source_id: "s".to_owned(),
            occurred_at: "2026-02-14T20:00:00.000Z".to_owned(),
        }
    }

    #[test]
    fn pages_as_servers_write_them_are_read_in_this_form_and_other_forms_are_not() {
        let links: Vec<FeedItem> = (1..=500).map(link).collect();
        for (items, has_more, tail) in
            [(&links[..0], false, ""), (&links[..1], false, ",\"feedEpoch\":1"), (&links[..], true, "")]
        {
            let body = page(items, has_more, tail);
            let read = read(&body).expect("the plain form");
            assert_eq!(read.items.to_vec(), items);
            assert_eq!(Some(read), strictly(&body));
        }
        let plain = String::from_utf8(page(&links[..2], true, "")).unwrap();
        for (from, to, is_good) in [
            ("{\"items\"", "{ \"items\"", true),
            ("\"file-1\"", "\"file\\u002d1\"", true),
            (",\"nextCursor\"", ",\"items\":[],\"nextCursor\"", true),
            ("\"sourceId\":\"s\",", "", false),
            ("\"sourceId\":\"s\"", "\"sourceId\":\" \"", false),
            ("\"link_add\"", "\"link_put\"", false),
            ("2026-02-14T", "2026-02-30T", false),
            ("\"parentId\":\"folder\"", "\"parentId\":null", false),
            ("\"childId\":\"file-1\"", "\"childId\":\"file-2\"", false),
            ("\"principalType\":null", "\"principalType\":\"robot\"", false),
            ("\"hasMore\":true", "\"hasMore\":1", false),
            ("}}", "}},", false),
        ] {
            let body = plain.replace(from, to);
            assert_ne!(body, plain, "{from}");
            assert_eq!(read(body.as_bytes()), None, "{to}");
            assert_eq!(strictly(body.as_bytes()).is_some(), is_good, "{to}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn what_is_read_here_is_what_the_strict_reader_reads(
            items in proptest::collection::vec(items(), 0..4),
            has_more in any::<bool>(),
            tail in prop_oneof![
                4 => Just(""),
                1 => Just(",\"feedEpoch\":1"),
                1 => Just(",\"items\":[]"),
                1 => Just(",\"hasMore\":false"),
                1 => Just(" ,\"a\":{\"b\":[1,2]} "),
            ],
            changes in proptest::collection::vec((any::<prop::sample::Index>(), 0..4_u8, 0..20_usize), 0..3),
        ) {
            let mut body = page(&items, has_more, tail);
            for (at, change, with) in changes {
                let at = at.index(body.len());
                let with = b"\",:{}[]\\ nul0129TZ-.\x01\xff"[with];
                match change {
                    0 => body[at] = with,
                    1 => body.insert(at, with),
                    2 => {
                        body.remove(at);
                    }
                    _ => body.truncate(at + 1),
                }
            }
            if let Some(page) = read(&body) {
                prop_assert_eq!(Some(page), strictly(&body));
            }
        }
    }
}
