//! Nothing that the server says to a database names a table that the flattening retires.

use std::path::Path;

use vfs_server::migrations::{RETIRED_TABLES, directory};

/// What is about the past, and names it.
const PAST: [&str; 3] = ["src/migrations.rs", "src/legacy.rs", "src/legacy/"];

fn files(directory: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Whether a text names a table, as a word of its own.
fn names(text: &str, table: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(table)
        .any(|(at, found)| !text[..at].ends_with(is_word) && !text[at + found.len()..].starts_with(is_word))
}

#[test]
fn the_runtime_names_no_retired_table() {
    let mut found = Vec::new();
    files(&directory().join("src"), &mut found);
    assert!(found.len() > 20, "the sources were not found");
    let mut told = Vec::new();
    let mut past = 0;
    for path in found {
        let relative = path.strip_prefix(directory()).unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        for table in RETIRED_TABLES.iter().filter(|table| names(&text, table)) {
            if PAST.iter().any(|known| relative.starts_with(known)) {
                past += 1;
            } else {
                told.push(format!("{relative}: {table}"));
            }
        }
    }
    assert!(past >= 4, "the scan sees nothing: {past}");
    assert_eq!(told, Vec::<String>::new());
}

#[test]
fn a_longer_name_is_another_name() {
    assert!(names("FROM vfs_access;", "vfs_access"));
    assert!(!names("FROM vfs_accessible", "vfs_access"));
    assert!(!names("FROM my_vfs_access", "vfs_access"));
}
