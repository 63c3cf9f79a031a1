//! The repository's text files, read once.

use std::path::Path;

use super::Finding;

/// Directories that hold nothing of ours.
const SKIPPED: [&str; 4] = ["target", ".git", "node_modules", "corpus"];

/// Endings of files that are text and ours.
const ENDINGS: [&str; 10] = [".rs", ".toml", ".md", ".sql", ".sh", ".json", ".yml", ".yaml", ".txt", ".ini"];

/// Names of text files without such an ending.
const NAMES: [&str; 5] = ["run", ".gitignore", ".gitattributes", "LICENSE-MIT", "LICENSE-APACHE"];

/// One text file.
#[derive(Debug)]
pub(crate) struct File {
    /// From the repository's root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// All of them, in the order of their paths, and what could not be read as text.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    files: Vec<File>,
    unreadable: Vec<String>,
}

impl File {
    /// The last part of the path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// The directory, empty for the root.
    pub(crate) fn directory(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(directory, _)| directory)
    }

    pub(crate) fn is(&self, ending: &str) -> bool {
        self.path.ends_with(ending)
    }

    /// Whether the whole file is a test: an integration test, or a module `tests` of its own.
    pub(crate) fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    /// The lines with their numbers, from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(at, line)| (at + 1, line))
    }
}

impl Tree {
    /// Reads the repository at `root`.
    pub(crate) fn read(root: &Path) -> std::io::Result<Self> {
        let mut tree = Self::default();
        tree.add(root, "")?;
        tree.files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(tree)
    }

    pub(crate) fn files(&self) -> &[File] {
        &self.files
    }

    /// The files with one ending.
    pub(crate) fn with(&self, ending: &'static str) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| file.is(ending))
    }

    pub(crate) fn get(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Whether a path is a file or a directory of the repository.
    pub(crate) fn has(&self, path: &str) -> bool {
        let directory = format!("{path}/");
        path.is_empty()
            || self.files.iter().any(|file| file.path == path || file.path.starts_with(&directory))
    }

    fn add(&mut self, directory: &Path, prefix: &str) -> std::io::Result<()> {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            let kind = entry.file_type()?;
            if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
                self.add(&entry.path(), &format!("{path}/"))?;
            }
            let text = ENDINGS.iter().any(|ending| name.ends_with(ending)) || NAMES.contains(&name.as_str());
            if kind.is_file() && text {
                match std::fs::read_to_string(entry.path()) {
                    Ok(text) => self.files.push(File { path, text }),
                    Err(_) => self.unreadable.push(path),
                }
            }
        }
        Ok(())
    }

    /// A tree of these files, for tests of rules.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| File { path: (*path).to_owned(), text: (*text).to_owned() };
        Self { files: files.iter().map(file).collect(), unreadable: Vec::new() }
    }
}

/// A file that should be text can be read as text; what tests feed to programs need not be.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let advice = "not UTF-8 text; save it as UTF-8 or give it another ending";
    let ours = tree.unreadable.iter().filter(|path| !path.contains("/tests/"));
    ours.map(|path| Finding::new(path, 1, advice)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_text_is_named_unless_a_test_feeds_it() {
        let unreadable = vec!["a/tests/it/latin1.md".to_owned(), "a/src/latin1.rs".to_owned()];
        let tree = Tree { files: Vec::new(), unreadable };
        let paths: Vec<String> = check(&tree).into_iter().map(|finding| finding.path).collect();
        assert_eq!(paths, ["a/src/latin1.rs"]);
    }

    #[test]
    fn a_directory_is_there_when_a_file_is_in_it() {
        let tree = Tree::of(&[("docs/adr/README.md", "")]);
        assert!(tree.has("docs/adr") && tree.has("docs") && tree.has("docs/adr/README.md"));
        assert!(!tree.has("docs/ad"));
    }
}
