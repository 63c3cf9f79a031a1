//! Files are named for their noun, and a package's integration tests are one program.

use super::Finding;
use super::tree::Tree;

/// Names that say nothing about what is inside.
const EMPTY: [&str; 6] = ["utils", "util", "common", "helpers", "helper", "misc"];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.with(".rs") {
        let mut say = |advice: String| findings.push(Finding::new(&file.path, 1, advice));
        if file.name() == "mod.rs" {
            say("a module is name.rs beside its directory, not mod.rs".to_owned());
        }
        let parts = file.path.trim_end_matches(".rs").split('/');
        if let Some(part) = parts.into_iter().find(|part| EMPTY.contains(part)) {
            say(format!("`{part}` names nothing; name the file for the one thing in it"));
        }
        if file.directory().ends_with("/tests") {
            say("integration tests are modules of tests/it/main.rs, so that they link once".to_owned());
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_without_a_noun_are_refused_and_others_are_not() {
        let tree = Tree::of(&[
            ("a/src/mod.rs", ""),
            ("a/src/common/x.rs", ""),
            ("a/src/utils.rs", ""),
            ("a/src/commonness.rs", ""),
            ("a/tests/x.rs", ""),
            ("a/tests/it/main.rs", ""),
        ]);
        let paths: Vec<String> = check(&tree).into_iter().map(|finding| finding.path).collect();
        assert_eq!(paths, ["a/src/mod.rs", "a/src/common/x.rs", "a/src/utils.rs", "a/tests/x.rs"]);
    }
}
