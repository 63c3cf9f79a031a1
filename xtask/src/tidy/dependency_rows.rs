//! Every dependency has a row that says what for and what else was considered, and no row is left over.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::manifest::Manifest;
use super::tree::Tree;

/// The file with the rows.
const ROWS: &str = "docs/dependencies.md";

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut rows: BTreeMap<&str, (usize, bool)> = BTreeMap::new();
    if let Some(file) = tree.get(ROWS) {
        rows = file.lines().filter_map(|(line, text)| Some((row(text)?, (line, false)))).collect();
    }
    let mut findings = Vec::new();
    let mut told = BTreeSet::new();
    for file in tree.with("Cargo.toml") {
        for dependency in Manifest::of(file).dependencies {
            let ours =
                dependency.is_path || tree.with("Cargo.toml").any(|other| names(other, &dependency.name));
            match rows.get_mut(dependency.name.as_str()) {
                Some((_, used)) => *used = true,
                None if ours || !told.insert(dependency.name.clone()) => {}
                None => {
                    let advice =
                        format!("{} has no row in {ROWS}; say there what it is for", dependency.name);
                    findings.push(Finding::new(&file.path, dependency.line, advice));
                }
            }
        }
    }
    for (name, (line, used)) in rows {
        if !used {
            let advice = format!("nothing depends on {name} any more; remove its row");
            findings.push(Finding::new(ROWS, line, advice));
        }
    }
    findings
}

/// The name in the first cell of a table's row.
fn row(line: &str) -> Option<&str> {
    line.strip_prefix("| `")?.split('`').next()
}

fn names(manifest: &super::tree::File, package: &str) -> bool {
    Manifest::of(manifest).package.as_deref() == Some(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_without_a_row_and_a_row_without_a_dependency_are_named() {
        let tree = Tree::of(&[
            (
                "a/Cargo.toml",
                "[package]\nname = \"a\"\n[dependencies]\nknown = \"1\"\nnew = \"1\"\nb.workspace = true\n",
            ),
            ("b/Cargo.toml", "[package]\nname = \"b\"\n"),
            (ROWS, "| package | for |\n|---|---|\n| `known` | x |\n| `gone` | y |\n"),
        ]);
        let found: Vec<_> = check(&tree).into_iter().map(|finding| (finding.path, finding.line)).collect();
        assert_eq!(found, [("a/Cargo.toml".to_owned(), 5), (ROWS.to_owned(), 4)]);
    }
}
