//! No example of the CommonMark specification is taken for a runbook.

use std::path::{Path, PathBuf};
use std::process::Command;

// Depended on for the specification that its package holds; its code is not used.
use markdown_it as _;

use crate::scenario::alone;
use tidegate_runbook::parse;

/// The specification that the crate `markdown-it` ships for its own tests.
fn specification() -> PathBuf {
    let output = Command::new(env!("CARGO"))
        // Packages of other platforms were not needed to build, and may not be on this machine.
        .args(["metadata", "--format-version", "1", "--offline", "--filter-platform", &this_platform()])
        .arg("--manifest-path")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .output()
        .expect("cargo can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let manifest = metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .find(|package| package["name"] == "markdown-it")
        .and_then(|package| package["manifest_path"].as_str())
        .expect("markdown-it is a development dependency");
    Path::new(manifest).with_file_name("tests/fixtures/commonmark/spec.txt")
}

/// The name that the compiler has for the platform which it builds for when not told another.
fn this_platform() -> String {
    let output = Command::new("rustc").arg("-vV").output().expect("rustc can be run");
    let told = String::from_utf8(output.stdout).expect("text");
    told.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its platform").to_owned()
}

/// The Markdown halves of the specification's examples; an arrow stands for a tab.
fn examples(specification: &str) -> Vec<String> {
    const FENCE: &str = "````````````````````````````````";
    let mut examples = Vec::new();
    let mut lines = specification.lines();
    while let Some(line) = lines.next() {
        if line != format!("{FENCE} example") {
            continue;
        }
        let markdown: Vec<&str> = lines.by_ref().take_while(|line| *line != ".").collect();
        examples.push(format!("{}\n", markdown.join("\n")).replace('→', "\t"));
        assert!(lines.by_ref().any(|line| line == FENCE), "an example ends");
    }
    examples
}

#[test]
fn every_example_of_the_specification_has_no_step() {
    let text = std::fs::read_to_string(specification()).expect("the specification");
    let examples = examples(&text);
    assert!(examples.len() > 600, "{} examples", examples.len());
    for example in examples {
        let parsed = parse(&alone(example.clone()));
        assert!(parsed.runbook.is_none(), "{example}");
        let codes: Vec<&str> = parsed.diagnostics.iter().map(|found| found.code).collect();
        let about_no_step = ["no-runbook", "fence-not-closed", "page-empty"];
        assert!(
            !codes.is_empty() && codes.iter().all(|code| about_no_step.contains(code)),
            "{codes:?}: {example}"
        );
    }
}

#[test]
fn every_example_beside_a_runbook_adds_no_step() {
    let text = std::fs::read_to_string(specification()).expect("the specification");
    let runbook = "```toml\n# @runbook a\n[stores.db]\nkind = \"postgres\"\nurl = \"$DATABASE_URL\"\n```\n\n## One\n\n```sql\n-- @check first\n-- @expect zero\nSELECT 0\n```\n\n";
    assert!(parse(&alone(runbook)).runbook.is_some());
    for example in examples(&text) {
        let parsed = parse(&alone(format!("{runbook}{example}")));
        match parsed.runbook {
            Some(runbook) => assert_eq!(runbook.steps().count(), 1, "{example}"),
            None => assert!(
                parsed.diagnostics.iter().all(|found| found.code == "fence-not-closed"),
                "{:?}: {example}",
                parsed.diagnostics
            ),
        }
    }
}
