//! What a client counts, for whoever collects it: Prometheus' text format, which OpenTelemetry's collector reads too.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// The counters of one client, since its directory was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metrics {
    /// Broken guardrails, by `stage:code`.
    pub guardrail_violations: BTreeMap<String, u64>,
    /// Those of them that a server was told of.
    pub told_violations: BTreeMap<String, u64>,
    /// Times that the server had forgotten what was needed.
    pub rematerializations_required: u64,
    /// Syncs that ended well.
    pub syncs: u64,
    /// Syncs that did not.
    pub failed_syncs: u64,
    /// Operations that the server took.
    pub pushed_operations: u64,
    /// Operations that were read.
    pub pulled_operations: u64,
}

impl Metrics {
    /// Violations that no server was told of yet, by signature.
    #[must_use]
    pub fn untold_violations(&self) -> Vec<(String, u64)> {
        let told = |signature: &str| self.told_violations.get(signature).copied().unwrap_or_default();
        let counted = self.guardrail_violations.iter();
        let untold =
            counted.map(|(signature, count)| (signature.clone(), count.saturating_sub(told(signature))));
        untold.filter(|(_, count)| *count > 0).collect()
    }

    /// As text. `clients` tells the user's clients apart.
    #[must_use]
    pub fn render(&self, client_id: &str) -> String {
        let mut text = String::new();
        let client = label(client_id);
        let mut family = |name: &str, help: &str| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
        };
        family("vfs_sync_guardrail_violation_total", "Broken guardrails, by stage and code.");
        for (signature, count) in &self.guardrail_violations {
            let (stage, code) = signature.split_once(':').unwrap_or((signature, ""));
            let labels =
                format!("client=\"{client}\",stage=\"{stage}\",code=\"{code}\",signature=\"{signature}\"");
            let _ = writeln!(text, "vfs_sync_guardrail_violation_total{{{labels}}} {count}");
        }
        let rest = [
            (
                "vfs_sync_rematerialization_required_total",
                "Times that the server had forgotten what was needed.",
                self.rematerializations_required,
            ),
            ("vfs_sync_total", "Syncs that ended well.", self.syncs),
            ("vfs_sync_failed_total", "Syncs that did not end well.", self.failed_syncs),
            ("vfs_sync_pushed_operations_total", "Operations that the server took.", self.pushed_operations),
            ("vfs_sync_pulled_operations_total", "Operations that were read.", self.pulled_operations),
        ];
        for (name, help, count) in rest {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
            let _ = writeln!(text, "{name}{{client=\"{client}\"}} {count}");
        }
        text
    }
}

fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_is_told_by_stage_and_code() {
        let mut metrics = Metrics::default();
        metrics.guardrail_violations.insert("pull:pullCursorRegression".to_owned(), 2);
        let text = metrics.render("desk\"top");
        let line = "vfs_sync_guardrail_violation_total{client=\"desk\\\"top\",stage=\"pull\",\
                    code=\"pullCursorRegression\",signature=\"pull:pullCursorRegression\"} 2\n";
        assert!(text.contains(line), "{text}");
        assert!(text.contains("vfs_sync_rematerialization_required_total{client=\"desk\\\"top\"} 0\n"));
    }
}
