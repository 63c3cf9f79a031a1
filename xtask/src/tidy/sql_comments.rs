//! Tables and columns say in the database what they hold, in which unit, and what NULL means. SQLite has no place for
//! that: there the file says it.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::sql_text::{commented, made};
use super::tree::{File, Tree};

/// How a file begins that is for SQLite.
const SQLITE: &str = "-- SQLite";
/// Directories whose SQL belongs to tests or was not written by us.
const EXEMPT: [&str; 5] = ["/tests/", "/fixtures/", "/examples/", "/fuzz/", "bench/"];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let files: Vec<&File> =
        tree.with(".sql").filter(|file| !EXEMPT.iter().any(|exempt| file.path.contains(exempt))).collect();
    // A comment may stand in a later file than its column, in the same directory.
    let mut comments: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for file in &files {
        comments.entry(file.directory()).or_default().extend(commented(&file.text));
    }
    let mut findings = Vec::new();
    let (embedded, files): (Vec<&File>, Vec<&File>) =
        files.into_iter().partition(|file| file.text.starts_with(SQLITE));
    for file in embedded {
        findings.extend(without_remark(file));
    }
    for file in files {
        let there = comments.get(file.directory());
        for named in made(&file.text) {
            if !there.is_some_and(|there| there.contains(&named.name)) {
                let kind = if named.is_column { "column" } else { "table" };
                let advice = format!(
                    "{kind} {} has no comment; say what it holds, its unit, and what NULL means (COMMENT ON {})",
                    named.name,
                    kind.to_ascii_uppercase()
                );
                findings.push(Finding::new(&file.path, named.line, advice));
            }
        }
    }
    findings
}

/// Tables and columns without a remark in their line or the line above.
fn without_remark(file: &File) -> Vec<Finding> {
    let lines: Vec<&str> = file.text.lines().collect();
    let has_remark = |line: usize| {
        let above = line.checked_sub(2).and_then(|above| lines.get(above));
        lines.get(line.saturating_sub(1)).is_some_and(|here| here.contains("--"))
            || above.is_some_and(|above| above.trim_start().starts_with("--"))
    };
    let bare = made(&file.text).into_iter().filter(|named| !has_remark(named.line));
    bare.map(|named| {
        let advice =
            format!("{} has no remark; say what it holds, its unit, and what NULL means", named.name);
        Finding::new(&file.path, named.line, advice)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_without_a_comment_is_named_wherever_the_comments_stand() {
        let tree = Tree::of(&[
            ("s/migrations/1.sql", "CREATE TABLE a (\n  b int,\n  c int);"),
            ("s/migrations/2.sql", "COMMENT ON TABLE a IS 'x'; COMMENT ON COLUMN a.b IS 'y';"),
            ("s/tests/it/3.sql", "CREATE TABLE d (e int);"),
        ]);
        let found: Vec<_> = check(&tree).into_iter().map(|finding| (finding.path, finding.line)).collect();
        assert_eq!(found, [("s/migrations/1.sql".to_owned(), 3)]);
    }

    #[test]
    fn in_a_file_for_sqlite_a_remark_stands_beside_or_above() {
        let sql =
            "-- SQLite\n-- Things.\nCREATE TABLE a (\n  -- One.\n  b INT,\n  c INT, -- Two.\n  d INT\n);";
        let tree = Tree::of(&[("s/src/schema.sql", sql)]);
        let found: Vec<_> = check(&tree).into_iter().map(|finding| (finding.path, finding.line)).collect();
        assert_eq!(found, [("s/src/schema.sql".to_owned(), 7)]);
    }
}
