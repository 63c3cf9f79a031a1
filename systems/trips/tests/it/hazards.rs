//! The list of what can go wrong names tests that are there.

use std::collections::BTreeSet;
use std::path::Path;

const LIST: &str = include_str!("../../hazards.md");

/// The tests of a package.
fn tests_of(package: &str) -> BTreeSet<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(package).join("tests/it");
    let mut tests = BTreeSet::new();
    for file in std::fs::read_dir(directory).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let mut lines = text.lines().map(str::trim);
        while let Some(line) = lines.next() {
            if !line.starts_with("#[tokio::test") && line != "#[test]" {
                continue;
            }
            let named = lines.next().and_then(|line| line.split_once("fn ")?.1.split_once('('));
            tests.extend(named.map(|(name, _)| name.to_owned()));
        }
    }
    tests
}

#[test]
fn every_hazard_has_a_test_that_is_there() {
    let mut tests = tests_of(".");
    tests.extend(tests_of("../../crates/tidegate-rekey"));
    let mut hazards = 0;
    for line in LIST.lines() {
        let mut named = line.split('`').skip(1).step_by(2).peekable();
        if line.starts_with("| ") && line.chars().nth(2).is_some_and(|c| c.is_ascii_digit()) {
            hazards += 1;
            assert!(line.starts_with(&format!("| {hazards} |")) && named.peek().is_some(), "{line}");
        }
        for name in named {
            assert!(tests.contains(name), "there is no test {name}");
        }
    }
    assert_eq!(hazards, 27);
}
