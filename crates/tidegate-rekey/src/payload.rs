//! What a record looks like under its new key.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::Value;
use tidegate_store::kv::{Entry, METADATA_MAX_BYTES, VALUE_MAX_BYTES};

use crate::body::{Body, Found, PlainBody};
use crate::json_text::{patched, replaced};
use crate::{Plan, Reason, Rule, Subject};

/// A record as it is to be written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Payload {
    pub(crate) value: Bytes,
    pub(crate) metadata: Option<String>,
}

/// Whose record is written, under which of its names it was found, and whether a decision gave it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) rule: &'a Rule,
    pub(crate) subject: &'a Subject,
    pub(crate) spelling: &'a str,
    pub(crate) given: bool,
}

/// The record with the names in it replaced. None as its body: it is opaque.
pub(crate) fn rewritten(owner: Owner<'_>, source: &Entry, body: Option<Body<'_>>) -> Result<Payload, Reason> {
    let text = match body {
        None => None,
        Some(Body::Plain(plain)) if !owner.plan.rewrite.may_change(owner.rule, plain.text()) => {
            owner.rewrite_plain(&plain)
        }
        Some(Body::Plain(_)) => {
            let parsed = serde_json::from_slice(&source.value);
            let mut parsed = parsed.map_err(|error| Reason::NotJson { message: error.to_string() })?;
            owner.rewrite(&String::from_utf8_lossy(&source.value), &mut parsed)
        }
        Some(Body::Parsed(mut parsed)) => owner.rewrite(&String::from_utf8_lossy(&source.value), &mut parsed),
    };
    let value = text.map_or_else(|| source.value.clone(), Bytes::from);
    let metadata = source.metadata.as_ref().map(|text| owner.rewrite_metadata(text));
    let too_large = |what: &str, bytes, limit| Err(Reason::TooLarge { what: what.to_owned(), bytes, limit });
    if value.len() > VALUE_MAX_BYTES {
        return too_large("the value", value.len(), VALUE_MAX_BYTES);
    }
    match &metadata {
        Some(text) if text.len() > METADATA_MAX_BYTES => {
            too_large("the metadata", text.len(), METADATA_MAX_BYTES)
        }
        _ => Ok(Payload { value, metadata }),
    }
}

impl<'o> Owner<'o> {
    /// Whether this text names the subject in an old way.
    fn is_old_name(self, text: &str) -> bool {
        text == self.spelling || self.subject.is_spelling(text)
    }

    /// Replaces the names in a body. The text that it has then; none: the same.
    fn rewrite(self, text: &str, body: &mut Value) -> Option<String> {
        let (rule, subject, spelling) = (self.rule, self.subject, self.spelling);
        if self.plan.rewrite.changes(rule, subject, spelling, body) {
            let before = body.clone();
            self.follow_pointers(body);
            self.plan.rewrite.body(rule, subject, spelling, body);
            return match patched(text, &before, body) {
                Cow::Borrowed(_) => None,
                Cow::Owned(text) => Some(text),
            };
        }
        let changed = self.follow_pointers(body);
        (!changed.is_empty()).then(|| replaced(text, body, &changed))
    }

    /// As [`Owner::rewrite`], where the system itself changes nothing.
    fn rewrite_plain(self, body: &PlainBody<'_>) -> Option<String> {
        let id = &self.subject.id;
        let mut changed: Vec<(usize, String)> = Vec::new();
        for pointer in &self.rule.owner_pointers {
            let Some(place) = body.place(pointer) else { continue };
            let text = body.found(place).and_then(Found::as_str);
            if self.is_given_by(pointer) || text.is_some_and(|text| self.is_old_name(text)) {
                changed.retain(|(other, _)| *other != place);
                changed.push((place, id.clone()));
            }
        }
        for pointer in &self.rule.key_pointers {
            let Some(place) = body.place(pointer) else { continue };
            let before = changed.iter().find(|(other, _)| *other == place).map(|(_, text)| text.as_str());
            let text = before.or_else(|| body.found(place)?.as_str());
            if let Some(moved) = text.and_then(|key| self.moved_key(key)) {
                changed.retain(|(other, _)| *other != place);
                changed.push((place, moved));
            }
        }
        if changed.is_empty() { None } else { body.with(changed) }
    }

    /// Whether a pointer leads to whom a record names, and a decision gave it to the subject: whoever decided that it is
    /// the subject's decided that whom it names is not the owner.
    fn is_given_by(self, pointer: &String) -> bool {
        self.given && self.rule.proof_pointers.contains(pointer)
    }

    /// Replaces what the rule points at; which pointers did.
    fn follow_pointers(self, body: &mut Value) -> Vec<&'o str> {
        let id = &self.subject.id;
        let mut changed = Vec::new();
        for pointer in &self.rule.owner_pointers {
            let Some(found) = body.pointer_mut(pointer) else { continue };
            if self.is_given_by(pointer) || found.as_str().is_some_and(|text| self.is_old_name(text)) {
                *found = Value::from(id.as_str());
                changed.push(pointer.as_str());
            }
        }
        for pointer in &self.rule.key_pointers {
            if self.rewrite_key_at(body, pointer) {
                changed.push(pointer.as_str());
            }
        }
        changed
    }

    fn rewrite_metadata(self, text: &str) -> String {
        let Ok(before @ Value::Object(_)) = serde_json::from_str::<Value>(text) else {
            return text.to_owned();
        };
        let mut after = before.clone();
        for pointer in &self.rule.metadata_key_pointers {
            self.rewrite_key_at(&mut after, pointer);
        }
        patched(text, &before, &after).into_owned()
    }

    /// Whether a legacy key stood there; it is the new one then.
    fn rewrite_key_at(self, body: &mut Value, pointer: &str) -> bool {
        if let Some(Value::String(key)) = body.pointer_mut(pointer)
            && let Some(moved) = self.moved_key(key)
        {
            *key = moved;
            return true;
        }
        false
    }

    /// The new form of a text that is a legacy key of any rule. Of two names that fit, the longer one is meant.
    fn moved_key(self, key: &str) -> Option<String> {
        let mut names: Vec<&str> = self.subject.spellings.iter().map(String::as_str).collect();
        if !names.contains(&self.spelling) {
            names.push(self.spelling);
        }
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        names.into_iter().find_map(|name| {
            let rewrite = &*self.plan.rewrite;
            self.plan.rules.iter().find_map(|rule| rule.moved(self.subject, name, key, rewrite))
        })
    }
}
