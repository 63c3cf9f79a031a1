//! Every decision record is in the index.

use super::Finding;
use super::tree::Tree;

const DIRECTORY: &str = "docs/adr";
const INDEX: &str = "docs/adr/README.md";

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let index = tree.get(INDEX).map(|file| file.text.as_str()).unwrap_or_default();
    tree.with(".md")
        .filter(|file| file.directory() == DIRECTORY && file.path != INDEX)
        .filter(|file| !index.contains(&format!("]({})", file.name())))
        .map(|file| Finding::new(&file.path, 1, format!("not linked in {INDEX}; add its row")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_the_index_does_not_link_is_named() {
        let tree = Tree::of(&[
            (INDEX, "| [1](0001-a.md) | a |"),
            ("docs/adr/0001-a.md", ""),
            ("docs/adr/0002-b.md", ""),
        ]);
        let paths: Vec<String> = check(&tree).into_iter().map(|finding| finding.path).collect();
        assert_eq!(paths, ["docs/adr/0002-b.md"]);
    }
}
