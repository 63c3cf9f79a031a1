//! What a switch does, as figures.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::histogram::{Histogram, WAIT_BUCKETS_MS};
use crate::shadow::ShadowCounts;

/// What a switch does, as it stood at one moment. Counters begin at 0 with the process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metrics {
    /// The set.
    pub set: String,
    /// The epoch that new requests get; 0 where the environment rules.
    pub epoch: u64,
    /// No open request has an older epoch.
    pub drained_epoch: u64,
    /// The row's name, or `environment`.
    pub row: String,
    /// Open requests.
    pub in_flight: u64,
    /// Whether the environment contradicts the row.
    pub overriding: bool,
    /// Whether requests are let in.
    pub serving: bool,
    /// How often the lease was lost.
    pub lapses: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Signs of life that failed.
    pub beat_failures: u64,
    /// Committed writes by the row that they went by, or `environment`.
    pub writes: BTreeMap<String, u64>,
    /// Writes of a mirror that failed.
    pub mirror_errors: u64,
    /// Writes that the other side has not got yet, as last reported with [`crate::Switch::outbox_is`].
    pub outbox_open: u64,
    /// Comparisons of both sides.
    pub shadow: ShadowCounts,
    /// How long writers took to begin and enter the barrier.
    pub barrier_wait: Histogram,
}

impl Metrics {
    /// The figures in the text format of Prometheus.
    #[must_use]
    pub fn to_prometheus(&self) -> String {
        let mut text = String::new();
        let set = escape(&self.set);
        let row = escape(&self.row);
        let mut one = |name: &str, kind: &str, help: &str, value: u64| {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "# HELP tidegate_switch_{name} {help}\n# TYPE tidegate_switch_{name} {kind}\n\
                 tidegate_switch_{name}{{set=\"{set}\"}} {value}"
            );
        };
        one("epoch", "gauge", "Epoch that new requests get; 0: by the environment.", self.epoch);
        one("drained_epoch", "gauge", "No open request has an older epoch.", self.drained_epoch);
        one("in_flight", "gauge", "Open requests.", self.in_flight);
        one("override", "gauge", "1: the environment contradicts the row.", self.overriding.into());
        one("serving", "gauge", "1: requests are let in.", self.serving.into());
        one("lapses_total", "counter", "Times the lease was lost.", self.lapses);
        one("refused_total", "counter", "Requests that were refused.", self.refused);
        one("beat_failures_total", "counter", "Signs of life that failed.", self.beat_failures);
        one("mirror_errors_total", "counter", "Writes of a mirror that failed.", self.mirror_errors);
        one("outbox_open", "gauge", "Writes that the other side has not got.", self.outbox_open);
        one("shadow_equal_total", "counter", "Comparisons without a difference.", self.shadow.equal);
        one("shadow_differing_total", "counter", "Comparisons with a difference.", self.shadow.differing);
        one("shadow_failed_total", "counter", "Comparisons whose other side failed.", self.shadow.failed);
        let _ = writeln!(
            text,
            "# HELP tidegate_switch_row The row that rules.\n# TYPE tidegate_switch_row gauge\n\
             tidegate_switch_row{{set=\"{set}\",row=\"{row}\"}} 1\n\
             # HELP tidegate_switch_writes_total Committed writes by the row that they went by.\n\
             # TYPE tidegate_switch_writes_total counter"
        );
        for (row, count) in &self.writes {
            let row = escape(row);
            let _ = writeln!(text, "tidegate_switch_writes_total{{set=\"{set}\",row=\"{row}\"}} {count}");
        }
        self.write_waits(&mut text, &set);
        text
    }

    fn write_waits(&self, text: &mut String, set: &str) {
        let name = "tidegate_switch_barrier_wait_ms";
        let _ = writeln!(
            text,
            "# HELP {name} Milliseconds until a writer had begun and entered the barrier.\n# TYPE {name} histogram"
        );
        let mut below = 0;
        let bounds = WAIT_BUCKETS_MS.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
        for (count, bound) in self.barrier_wait.counts.iter().zip(bounds) {
            below += count;
            let _ = writeln!(text, "{name}_bucket{{set=\"{set}\",le=\"{bound}\"}} {below}");
        }
        let us = self.barrier_wait.sum_us;
        let _ = writeln!(
            text,
            "{name}_sum{{set=\"{set}\"}} {}.{:03}\n{name}_count{{set=\"{set}\"}} {below}",
            us / 1000,
            us % 1000
        );
    }
}

/// A label's value: backslash, quote and line feed are escaped.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_one_type_a_name_and_escaped_labels() {
        let mut metrics =
            Metrics { set: "a\"b\\c\nd".to_owned(), row: "v1".to_owned(), epoch: 3, ..Metrics::default() };
        metrics.writes.insert("v1".to_owned(), 2);
        metrics.barrier_wait.counts[0] = 2;
        metrics.barrier_wait.counts[11] = 1;
        metrics.barrier_wait.sum_us = 3_000_042;
        let text = metrics.to_prometheus();
        assert!(text.contains("tidegate_switch_epoch{set=\"a\\\"b\\\\c\\nd\"} 3\n"), "{text}");
        for line in [
            "le=\"1\"} 2",
            "le=\"2500\"} 2",
            "le=\"+Inf\"} 3",
            "_sum{set=\"a\\\"b\\\\c\\nd\"} 3000.042",
            "_count{set=\"a\\\"b\\\\c\\nd\"} 3",
            "row=\"v1\"} 2",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        let mut types: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
        let all = types.len();
        types.sort_unstable();
        types.dedup();
        assert_eq!(types.len(), all);
        let shown = text.lines().filter(|line| !line.starts_with('#'));
        assert!(shown.into_iter().all(|line| line.starts_with("tidegate_switch_")), "{text}");
    }
}
