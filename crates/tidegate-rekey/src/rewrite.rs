//! What only a system itself knows of its records.

use std::fmt::Debug;

use serde_json::Value;

use crate::{Rule, Subject};

/// A system's own rewrites, beside those of the pointers. Pure: the same in, the same out.
pub trait Rewrite: Send + Sync + Debug {
    /// A record's id under the new key.
    fn record_id(&self, rule: &Rule, subject: &Subject, spelling: &str, record: &str) -> String {
        let _ = (rule, subject, spelling);
        record.to_owned()
    }

    /// Whether [`Rewrite::body`] may change anything in a body of this text, which is an object with nothing nested or
    /// escaped in it. Where it says no, the body is not built up in memory.
    fn may_change(&self, rule: &Rule, text: &str) -> bool {
        let _ = (rule, text);
        true
    }

    /// Whether [`Rewrite::body`] changes anything in this one. Where it says no, the body is not compared with itself.
    fn changes(&self, rule: &Rule, subject: &Subject, spelling: &str, body: &Value) -> bool {
        let _ = (rule, subject, spelling, body);
        true
    }

    /// Changes a body, after the pointers were followed.
    fn body(&self, rule: &Rule, subject: &Subject, spelling: &str, body: &mut Value) {
        let _ = (rule, subject, spelling, body);
    }
}

/// Changes nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plain;

impl Rewrite for Plain {
    fn may_change(&self, _rule: &Rule, _text: &str) -> bool {
        false
    }

    fn changes(&self, _rule: &Rule, _subject: &Subject, _spelling: &str, _body: &Value) -> bool {
        false
    }
}
