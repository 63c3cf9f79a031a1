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

    /// Changes a body, after the pointers were followed.
    fn body(&self, rule: &Rule, subject: &Subject, spelling: &str, body: &mut Value) {
        let _ = (rule, subject, spelling, body);
    }
}

/// Changes nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plain;

impl Rewrite for Plain {}
