//! What a record looks like under its new key.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::Value;
use tidegate_store::kv::{Entry, METADATA_MAX_BYTES, VALUE_MAX_BYTES};

use crate::json_text::{patched, replaced};
use crate::{Plan, Reason, Rule, Subject};

/// A record as it is to be written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Payload {
    pub(crate) value: Bytes,
    /// The value, parsed; none for an opaque one.
    pub(crate) body: Option<Value>,
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

/// The record with the names in it replaced. `body` is its parsed value; none: it is opaque.
pub(crate) fn rewritten(owner: Owner<'_>, source: &Entry, body: Option<Value>) -> Result<Payload, Reason> {
    let (value, after) = match body {
        None => (source.value.clone(), None),
        Some(mut body) => {
            let text = String::from_utf8_lossy(&source.value);
            let value = owner.rewrite(&text, &mut body).map_or_else(|| source.value.clone(), Bytes::from);
            (value, Some(body))
        }
    };
    let metadata = source.metadata.as_ref().map(|text| owner.rewrite_metadata(text));
    let too_large = |what: &str, bytes, limit| Err(Reason::TooLarge { what: what.to_owned(), bytes, limit });
    if value.len() > VALUE_MAX_BYTES {
        return too_large("the value", value.len(), VALUE_MAX_BYTES);
    }
    match &metadata {
        Some(text) if text.len() > METADATA_MAX_BYTES => {
            too_large("the metadata", text.len(), METADATA_MAX_BYTES)
        }
        _ => Ok(Payload { value, body: after, metadata }),
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

    /// Replaces what the rule points at; which pointers did.
    fn follow_pointers(self, body: &mut Value) -> Vec<&'o str> {
        let id = &self.subject.id;
        let mut changed = Vec::new();
        for pointer in &self.rule.owner_pointers {
            let Some(found) = body.pointer_mut(pointer) else { continue };
            // Whoever decided that the record is the subject's decided that whom it names is not the owner.
            let is_decided = self.given && self.rule.proof_pointers.contains(pointer);
            if is_decided || found.as_str().is_some_and(|text| self.is_old_name(text)) {
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
