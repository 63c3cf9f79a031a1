//! Every package is held to the workspace's lints.

use super::Finding;
use super::manifest::Manifest;
use super::tree::Tree;

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let advice = "the package does not take the workspace's lints; add `[lints]` with `workspace = true`";
    tree.with("Cargo.toml")
        .map(|file| (file, Manifest::of(file)))
        .filter(|(_, manifest)| manifest.package.is_some() && !manifest.is_root && !manifest.workspace_lints)
        .map(|(file, _)| Finding::new(&file.path, 1, advice))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_without_the_lints_is_named() {
        let with = "[package]\nname = \"a\"\n[lints]\nworkspace = true\n";
        let tree = Tree::of(&[
            ("a/Cargo.toml", with),
            ("b/Cargo.toml", "[package]\nname = \"b\"\n"),
            ("c/Cargo.toml", "[workspace]\n[package]\nname = \"c\"\n"),
        ]);
        let paths: Vec<String> = check(&tree).into_iter().map(|finding| finding.path).collect();
        assert_eq!(paths, ["b/Cargo.toml"]);
    }
}
