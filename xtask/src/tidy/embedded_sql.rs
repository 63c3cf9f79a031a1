//! SQL longer than three lines is a file of its own, where editors and reviewers know it for what it is.

use super::Finding;
use super::rust_text::RustText;
use super::tree::Tree;

/// Longest statement that may stand in a literal, in lines.
const LIMIT: usize = 3;

/// Words that SQL of ours begins with. Only upper case counts: prose begins otherwise.
const FIRST: [&str; 20] = [
    "SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "CREATE", "ALTER", "DROP", "GRANT", "REVOKE", "DO",
    "LOCK", "BEGIN", "SET", "TRUNCATE", "COMMENT", "MERGE", "COPY", "VALUES", "EXPLAIN",
];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.with(".rs").filter(|file| !file.is_test()) {
        let text = RustText::of(&file.text);
        let tests_from = text.first_test_line();
        for literal in text.literals.iter().filter(|literal| literal.line < tests_from) {
            let lines = literal.text.trim().lines().count();
            if lines > LIMIT && is_sql(&literal.text) {
                let advice =
                    format!("SQL of {lines} lines in a literal; put it in a .sql file and include_str! it");
                findings.push(Finding::new(&file.path, literal.line, advice));
            }
        }
    }
    findings
}

fn is_sql(text: &str) -> bool {
    let line =
        text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("--") && *line != "\\");
    let word = line.and_then(|line| line.split(|c: char| !c.is_ascii_alphabetic()).next());
    word.is_some_and(|word| FIRST.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_sql_is_refused_outside_tests_only() {
        let long =
            "fn a() -> &'static str {\n    \"SELECT a\n     FROM b\n     WHERE c\n     ORDER BY d\"\n}\n";
        let tree = Tree::of(&[
            ("a/src/a.rs", long),
            ("a/src/b.rs", &format!("#[cfg(test)]\nmod tests {{\n{long}}}\n")),
            ("a/tests/it/a.rs", long),
        ]);
        let found: Vec<_> = check(&tree).into_iter().map(|finding| (finding.path, finding.line)).collect();
        assert_eq!(found, [("a/src/a.rs".to_owned(), 2)]);
    }

    #[test]
    fn short_sql_and_long_prose_pass() {
        let source = "const A: &str = \"SELECT 1\";\nconst B: &str = \"Update\na\nb\nc\nd\";\n";
        assert!(check(&Tree::of(&[("a.rs", source)])).is_empty());
    }
}
