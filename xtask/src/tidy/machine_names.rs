//! The repository stands alone: it names no directory of one machine and no host of a package registry.

use super::Finding;
use super::tree::Tree;

/// Starts of paths that are somebody's, in pieces so that this file does not hold them.
const DIRECTORIES: [&str; 5] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("/fa", "rm/"),
];

/// Hosts of registries. Their packages are named by name alone.
const HOSTS: [&str; 7] = [
    concat!("crates", ".io"),
    concat!("py", "pi.org"),
    concat!("pythonhosted", ".org"),
    concat!("npm", "js.org"),
    concat!("npm", "js.com"),
    concat!("proxy.go", "lang.org"),
    concat!("deb.deb", "ian.org"),
];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files() {
        for (line, text) in file.lines() {
            for directory in DIRECTORIES.iter().filter(|directory| starts_a_path(text, directory)) {
                let advice = format!(
                    "`{directory}` is a directory of one machine; name it from the repository's root"
                );
                findings.push(Finding::new(&file.path, line, advice));
            }
            for host in HOSTS.iter().filter(|host| text.contains(*host)) {
                findings.push(Finding::new(
                    &file.path,
                    line,
                    format!("{host} is a registry's host; name the package"),
                ));
            }
        }
    }
    findings
}

/// Whether the directory begins a path there, and is not the middle of a longer one.
fn starts_a_path(text: &str, directory: &str) -> bool {
    text.match_indices(directory).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || "._-/{}~$:".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_one_machine_is_found_and_the_middle_of_another_is_not() {
        let home = DIRECTORIES[2];
        let tree = Tree::of(&[
            ("a.md", &format!("see {home}someone/x")),
            ("b.md", &format!("see docs{home}someone/x and https://host{home}x")),
        ]);
        let paths: Vec<String> = check(&tree).into_iter().map(|finding| finding.path).collect();
        assert_eq!(paths, ["a.md"]);
    }

    #[test]
    fn a_registry_is_not_named_by_its_host() {
        let tree = Tree::of(&[("a.toml", &format!("# from {}", HOSTS[0]))]);
        assert_eq!(check(&tree).len(), 1);
    }
}
