//! Nothing is left for later, nothing is skipped, nothing waits for a time to pass.

use super::Finding;
use super::rust_text::RustText;
use super::tree::{File, Tree};

/// Marks of unfinished work, as whole words, in any file.
const MARKS: [&str; 4] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("HA", "CK"), concat!("X", "XX")];

/// Code that may stand nowhere, and what to do instead.
const CODE: [(&str, &str); 5] = [
    ("todo!", "finish it, or leave it out"),
    ("unimplemented!", "finish it, or leave it out"),
    ("#[ignore", "a test runs or is removed; long ones have a soak form"),
    ("thread::sleep", "wait for the thing itself, with a bound"),
    ("assert!(true)", "a test must be able to fail"),
];

/// Code that may not stand in tests.
const IN_TESTS: [(&str, &str); 1] =
    [("time::sleep", "wait for the thing itself: testkit::eventually, or an event")];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<Finding> = tree.files().iter().flat_map(marks).collect();
    findings.extend(tree.with(".rs").flat_map(code));
    findings
}

fn marks(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, text) in file.lines() {
        let text = if file.is(".md") { without_code_spans(text) } else { text.to_owned() };
        for mark in MARKS.iter().filter(|mark| has_word(&text, mark)) {
            findings.push(Finding::new(&file.path, line, format!("{mark}: finish it, or leave it out")));
        }
    }
    findings
}

fn code(file: &File) -> Vec<Finding> {
    let text = RustText::of(&file.text);
    let tests_from = if file.is_test() { 0 } else { text.first_test_line() };
    let mut findings = Vec::new();
    for (at, line) in text.code.lines().enumerate() {
        let number = at + 1;
        let squeezed: String = line.split_whitespace().collect();
        let tests = IN_TESTS.iter().filter(|_| number >= tests_from);
        for (word, instead) in CODE.iter().chain(tests).filter(|(word, _)| squeezed.contains(word)) {
            findings.push(Finding::new(&file.path, number, format!("`{word}`: {instead}")));
        }
    }
    findings
}

fn has_word(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + word.len()..).and_then(|after| after.chars().next());
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}

/// A line of Markdown without what stands between backticks: a page may name a word to forbid it.
fn without_code_spans(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<(usize, String)> {
        check(&Tree::of(&[(path, text)])).into_iter().map(|finding| (finding.line, finding.advice)).collect()
    }

    #[test]
    fn a_mark_is_found_as_a_whole_word_in_any_file() {
        let mark = MARKS[0];
        assert_eq!(found("a.sql", &format!("-- x\n-- {mark}: y\n")).len(), 1);
        assert!(found("a.sql", &format!("SELECT {mark}S")).is_empty());
        assert!(found("a.md", &format!("No `{mark}` here.")).is_empty());
    }

    #[test]
    fn code_is_judged_without_its_literals_and_comments() {
        assert!(found("a.rs", "// todo!\nlet a = \"thread::sleep\";\n").is_empty());
        assert_eq!(found("a.rs", "fn a() {\n    std::thread::sleep(b);\n}\n")[0].0, 2);
    }

    #[test]
    fn a_wait_for_a_time_is_refused_in_tests_only() {
        let source = "async fn a() { tokio::time::sleep(b).await }\n";
        assert!(found("a/src/a.rs", source).is_empty());
        assert_eq!(found("a/tests/it/a.rs", source).len(), 1);
        assert_eq!(found("a/src/a.rs", &format!("#[cfg(test)]\nmod tests {{\n{source}}}\n")).len(), 1);
    }
}
