//! `docs/diagnostics.md` has every code that the source can report.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn source_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            source_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Whether a text in quotes has the form of a code: words in lower case with hyphens between.
fn is_code(text: &str) -> bool {
    text.contains('-')
        && text.split('-').all(|word| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        })
}

/// Texts in the source that have the form of a code and are none.
const NOT_CODES: [&str; 11] = [
    "at-most",
    "between-waves",
    "for-each",
    "lock-waiters",
    "max-failure-rate",
    "not-actor",
    "on-trip",
    "outside-transaction",
    "replica-lag",
    "trips-after",
    "unknown-after",
];

fn codes_in_source() -> BTreeSet<String> {
    let mut files = Vec::new();
    source_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let mut codes = BTreeSet::new();
    for file in files.iter().filter(|file| !file.to_string_lossy().contains("tests")) {
        let text = std::fs::read_to_string(file).expect("UTF-8");
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        for quoted in text.split('"').skip(1) {
            if is_code(quoted) && !NOT_CODES.contains(&quoted) {
                codes.insert(quoted.to_owned());
            }
        }
    }
    codes
}

#[test]
fn every_code_is_explained() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/diagnostics.md");
    let page = std::fs::read_to_string(page).expect("docs/diagnostics.md");
    let codes = codes_in_source();
    assert!(codes.len() > 60, "{codes:?}");
    let missing: Vec<&String> =
        codes.iter().filter(|code| !page.contains(&format!("| `{code}` |"))).collect();
    assert!(missing.is_empty(), "docs/diagnostics.md does not explain {missing:?}");
}

#[test]
fn nothing_is_explained_that_cannot_be_reported() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/diagnostics.md");
    let page = std::fs::read_to_string(page).expect("docs/diagnostics.md");
    let codes = codes_in_source();
    let explained =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |")).map(|(code, _)| code);
    let unknown: Vec<&str> = explained.filter(|code| !codes.contains(*code)).collect();
    assert!(unknown.is_empty(), "docs/diagnostics.md explains {unknown:?}, which no source reports");
}
