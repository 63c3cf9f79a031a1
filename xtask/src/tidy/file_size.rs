//! Small files: one concept each.

use super::Finding;
use super::tree::Tree;

/// Lines that a file should stay under.
const AIM: usize = 400;

/// Lines at which it must be split.
const LIMIT: usize = 600;

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    longer_than(tree, LIMIT)
        .map(|(path, lines)| {
            Finding::new(path, LIMIT, format!("{lines} lines; split it by concept (limit {LIMIT})"))
        })
        .collect()
}

/// Files over the aim but under the limit: no breach.
pub(crate) fn notes(tree: &Tree) -> Vec<Finding> {
    longer_than(tree, AIM)
        .filter(|(_, lines)| *lines <= LIMIT)
        .map(|(path, lines)| Finding::new(path, AIM, format!("{lines} lines; the aim is {AIM}")))
        .collect()
}

fn longer_than(tree: &Tree, limit: usize) -> impl Iterator<Item = (&str, usize)> {
    tree.with(".rs")
        .map(|file| (file.path.as_str(), file.text.lines().count()))
        .filter(move |(_, lines)| *lines > limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_itself_is_allowed() {
        let (at, over) = ("x\n".repeat(LIMIT), "x\n".repeat(LIMIT + 1));
        let tree = Tree::of(&[("at.rs", &at), ("over.rs", &over), ("over.md", &over)]);
        let paths: Vec<String> = check(&tree).into_iter().map(|finding| finding.path).collect();
        assert_eq!(paths, ["over.rs"]);
        assert_eq!(notes(&tree).len(), 1);
    }
}
