//! The house rules that a program can check. One rule a file: what it looks for, and what to do instead.

mod adr_index;
mod deny;
mod dependency_direction;
mod dependency_rows;
mod embedded_sql;
mod file_names;
mod file_size;
mod forbidden_words;
mod links;
mod machine_names;
mod manifest;
mod manifest_rules;
mod rust_text;
mod sql_comments;
mod sql_text;
mod tree;
mod unused_dependencies;

use std::io::Write;
use std::path::Path;

use tree::Tree;

/// One breach of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// The file, from the repository's root.
    path: String,
    /// Its line, from 1.
    line: usize,
    /// What was found and what to do.
    advice: String,
}

impl Finding {
    fn new(path: &str, line: usize, advice: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, advice: advice.into() }
    }
}

/// A rule's name and its check.
type Rule = (&'static str, fn(&Tree) -> Vec<Finding>);

const RULES: [Rule; 13] = [
    ("dependency-direction", dependency_direction::check),
    ("manifest", manifest_rules::check),
    ("dependency-rows", dependency_rows::check),
    ("unused-dependencies", unused_dependencies::check),
    ("file-size", file_size::check),
    ("file-names", file_names::check),
    ("forbidden-words", forbidden_words::check),
    ("machine-names", machine_names::check),
    ("embedded-sql", embedded_sql::check),
    ("sql-comments", sql_comments::check),
    ("adr-index", adr_index::check),
    ("links", links::check),
    ("readable", tree::check),
];

/// Checks every rule over the repository, prints what breaks one, and answers whether nothing does.
pub(crate) fn run(root: &Path) -> bool {
    let tree = match Tree::read(root) {
        Ok(tree) => tree,
        Err(error) => {
            eprintln!("tidy could not read the repository: {error}");
            return false;
        }
    };
    let mut count = 0_usize;
    for (rule, check) in RULES {
        let mut findings = check(&tree);
        findings.sort();
        count += findings.len();
        for finding in findings {
            tell(rule, finding);
        }
    }
    for note in file_size::notes(&tree) {
        tell("note", note);
    }
    let denied = !deny::passes(root);
    eprintln!("tidy: {} rules, {} files, {count} findings", RULES.len(), tree.files().len());
    count == 0 && !denied
}

/// One line for a person or an editor. A reader that has seen enough closes the pipe, and that is no failure.
fn tell(rule: &str, finding: Finding) {
    let Finding { path, line, advice } = finding;
    let _ = writeln!(std::io::stdout(), "{path}:{line}: {rule}: {advice}");
}
