//! A package asks for nothing that it does not name in its source.

use super::Finding;
use super::manifest::{Manifest, Table};
use super::rust_text::RustText;
use super::tree::Tree;

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let manifests: Vec<_> = tree.with("Cargo.toml").map(|file| (file, Manifest::of(file))).collect();
    let mut findings = Vec::new();
    for (file, manifest) in &manifests {
        let sources: Vec<String> = match file.directory() {
            "" => Vec::new(),
            directory => tree
                .with(".rs")
                .filter(|source| source.path.starts_with(&format!("{directory}/")))
                .map(|source| RustText::of(&source.text).code)
                .collect(),
        };
        for dependency in &manifest.dependencies {
            let used = match dependency.table {
                Table::Workspace => takes(manifests.iter().map(|(_, manifest)| manifest), &dependency.name),
                _ => sources.iter().any(|code| names(code, &dependency.name.replace('-', "_"))),
            };
            if !used {
                let by =
                    if dependency.table == Table::Workspace { "no package takes" } else { "no source names" };
                let advice = format!("{by} {}; remove it", dependency.name);
                findings.push(Finding::new(&file.path, dependency.line, advice));
            }
        }
    }
    findings
}

/// Whether a package takes a dependency of the workspace.
fn takes<'a>(mut manifests: impl Iterator<Item = &'a Manifest>, name: &str) -> bool {
    manifests.any(|manifest| {
        manifest.dependencies.iter().any(|found| found.table != Table::Workspace && found.name == name)
    })
}

/// Whether code names a package, as a whole word.
fn names(code: &str, package: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.split(|c: char| !part(c)).any(|word| word == package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_source_names_and_no_package_takes_is_found() {
        let tree = Tree::of(&[
            ("Cargo.toml", "[workspace.dependencies]\nsome-one = \"1\"\nno-one = \"1\"\n"),
            (
                "a/Cargo.toml",
                "[package]\nname = \"a\"\n[dependencies]\nsome-one.workspace = true\nidle = \"1\"\n",
            ),
            ("a/src/lib.rs", "use some_one::X; // idle\n"),
            ("b/src/lib.rs", "use idle::Y;\n"),
        ]);
        let found: Vec<_> = check(&tree).into_iter().map(|finding| (finding.path, finding.line)).collect();
        assert_eq!(found, [("Cargo.toml".to_owned(), 3), ("a/Cargo.toml".to_owned(), 5)]);
    }
}
