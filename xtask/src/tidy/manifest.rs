//! As much of a `Cargo.toml` as the rules ask for.

use super::tree::File;

/// Which table a dependency stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    Normal,
    Dev,
    Build,
    Workspace,
}

/// One dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) table: Table,
    pub(crate) optional: bool,
    /// It is a directory, not a release of somebody.
    pub(crate) is_path: bool,
    pub(crate) line: usize,
}

/// A manifest.
#[derive(Debug, Default)]
pub(crate) struct Manifest {
    pub(crate) package: Option<String>,
    pub(crate) dependencies: Vec<Dependency>,
    /// `[lints] workspace = true`.
    pub(crate) workspace_lints: bool,
    /// It is the root of a workspace of its own.
    pub(crate) is_root: bool,
}

impl Manifest {
    /// Reads a manifest line by line; it is one that cargo has accepted.
    pub(crate) fn of(file: &File) -> Self {
        let mut manifest = Self::default();
        let mut section = String::new();
        let mut depth = 0_i32;
        for (line, text) in file.lines() {
            let text = text.split(" #").next().unwrap_or(text).trim();
            if depth == 0 && text.starts_with('[') {
                section = text.trim_matches(['[', ']']).to_owned();
                manifest.is_root |= section == "workspace";
                if let Some((table, name)) = subtable(&section) {
                    manifest.add(name, table, "", line);
                }
                continue;
            }
            if depth == 0 && !text.starts_with('#') {
                manifest.entry(&section, text, line);
            }
            depth += brackets(text);
        }
        manifest
    }

    fn entry(&mut self, section: &str, text: &str, line: usize) {
        let Some((key, value)) = text.split_once('=') else { return };
        let (key, value) = (key.trim(), value.trim());
        if section == "package" && key == "name" {
            self.package = Some(value.trim_matches('"').to_owned());
        } else if section == "lints" && key == "workspace" {
            self.workspace_lints = value == "true";
        } else if let Some(table) = table_of(section) {
            self.add(key.trim_end_matches(".workspace").trim_matches('"'), table, value, line);
        } else if subtable(section).is_some()
            && let Some(last) = self.dependencies.last_mut()
        {
            last.optional |= key == "optional" && value == "true";
            last.is_path |= key == "path";
        }
    }

    fn add(&mut self, name: &str, table: Table, value: &str, line: usize) {
        let has = |key: &str| value.split([',', '{', '}']).any(|part| part.trim().starts_with(key));
        self.dependencies.push(Dependency {
            name: name.to_owned(),
            table,
            optional: has("optional = true"),
            is_path: has("path ="),
            line,
        });
    }
}

/// The table that a section's entries are dependencies of.
fn table_of(section: &str) -> Option<Table> {
    let last = if section.starts_with("target.") { section.rsplit('.').next()? } else { section };
    match last {
        "dependencies" => Some(Table::Normal),
        "dev-dependencies" => Some(Table::Dev),
        "build-dependencies" => Some(Table::Build),
        "workspace.dependencies" => Some(Table::Workspace),
        _ => None,
    }
}

/// The table and name of a section that is one dependency: `[dependencies.serde]`.
fn subtable(section: &str) -> Option<(Table, &str)> {
    let (table, name) = section.rsplit_once('.')?;
    table_of(table).map(|table| (table, name))
}

/// How far a line opens arrays and tables that it does not close. Values here hold no brackets in texts.
fn brackets(text: &str) -> i32 {
    text.chars().fold(0, |depth, c| match c {
        '[' | '{' => depth + 1,
        ']' | '}' => depth - 1,
        _ => depth,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_found_in_every_way_of_writing_them() {
        let text = "[package]\nname = \"p\"\n[dependencies]\na = \"1\"\nb.workspace = true # why\n\
                    c = { path = \"../c\", optional = true, features = [\n  \"x\",\n] }\n\
                    [target.'cfg(unix)'.dev-dependencies]\nd = \"1\"\n[build-dependencies.e]\nversion = \"1\"\n\
                    [lints]\nworkspace = true\n";
        let manifest = Manifest::of(&File { path: "p/Cargo.toml".to_owned(), text: text.to_owned() });
        let found: Vec<_> = manifest
            .dependencies
            .iter()
            .map(|found| (found.name.as_str(), found.table, found.optional, found.is_path, found.line))
            .collect();
        let expected = [
            ("a", Table::Normal, false, false, 4),
            ("b", Table::Normal, false, false, 5),
            ("c", Table::Normal, true, true, 6),
            ("d", Table::Dev, false, false, 10),
            ("e", Table::Build, false, false, 11),
        ];
        assert_eq!(found, expected);
        assert_eq!(manifest.package.as_deref(), Some("p"));
        assert!(manifest.workspace_lints && !manifest.is_root);
    }
}
