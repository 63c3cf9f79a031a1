//! Files that a step names with `@file`.

use crate::block::Property;
use crate::diagnostic::Diagnostic;
use crate::marker;
use crate::page::{self, FILE};
use crate::source::{FileContent, SourcePath, Sources};
use crate::text::SourceText;
use crate::vocabulary;

/// Resolves the path in an `@file` line against the page's folder. `None` when it leaves the root or is absolute.
pub(crate) fn resolve(page: &SourcePath, written: &str) -> Option<SourcePath> {
    if written.starts_with('/') || written.contains(['\\', ':']) {
        return None;
    }
    let folder = page.0.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(written.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    if parts.is_empty() { None } else { Some(SourcePath(parts.join("/"))) }
}

/// A file's path and its two halves.
pub(crate) struct FileText<'s> {
    pub(crate) path: SourcePath,
    pub(crate) text: &'s str,
    /// Where the forward part ends.
    pub(crate) forward_end: usize,
    /// Where what comes after `-- @undo` starts.
    pub(crate) undo_start: Option<usize>,
}

/// Fetches the file that `property` names, or says why it cannot be used.
pub(crate) fn load<'s>(
    sources: &'s Sources,
    property: &Property<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<FileText<'s>> {
    let refuse =
        |code, message: String, help: &str| Diagnostic::error(code, property.span.clone(), message, help);
    let outside = || {
        refuse(
            "file-outside-root",
            format!("{:?} is not inside the root", property.text),
            "write a path relative to the page that stays inside the root: the folder of tidegate.toml, or the repository",
        )
    };
    let Some(path) = resolve(&sources.page, property.text) else {
        diagnostics.push(outside());
        return None;
    };
    let bytes = match sources.files.get(&path) {
        Some(FileContent::Bytes(bytes)) => bytes,
        Some(FileContent::OutsideRoot) => {
            diagnostics.push(outside());
            return None;
        }
        Some(FileContent::Missing) | None => {
            diagnostics.push(refuse(
                "file-missing",
                format!("there is no file {path}"),
                "write the path relative to the page's own folder",
            ));
            return None;
        }
        Some(FileContent::Unreadable(reason)) => {
            diagnostics.push(refuse(
                "file-unreadable",
                format!("{path} could not be read: {reason}"),
                "make it readable for whoever runs the check",
            ));
            return None;
        }
    };
    let text = page::decode(&path, bytes, FILE, Some(&property.span), diagnostics)?;
    let mut file = FileText { forward_end: text.len(), undo_start: None, path, text };
    read_marks(&mut file, diagnostics);
    Some(file)
}

fn read_marks(file: &mut FileText<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let (path, text) = (file.path.clone(), file.text);
    let source = SourceText { path: &path, text };
    for line in source.lines(0..text.len()) {
        let mark = marker::strict(&line).filter(|mark| mark.comment == "--");
        match mark {
            Some(mark) if mark.word == vocabulary::UNDO => {
                if file.undo_start.is_some() {
                    diagnostics.push(Diagnostic::error(
                        "duplicate-property",
                        source.span(mark.range),
                        "`@undo` stands here a second time",
                        "keep one",
                    ));
                } else {
                    file.forward_end = line.range.start;
                    file.undo_start = Some(line.next);
                }
            }
            Some(mark) if vocabulary::is_ours(mark.word) || vocabulary::resembles_head(mark.word) => {
                diagnostics.push(Diagnostic::error(
                    "word-in-file",
                    source.span(mark.range),
                    format!("`@{}` has no meaning in a file", mark.word),
                    "write it in the page; a file may hold `-- @undo` and nothing else of ours",
                ));
            }
            Some(_) => {}
            None => {
                if let Some((word, place)) = marker::misplaced(line.text, "--") {
                    diagnostics.push(Diagnostic::error(
                        "mark-inside-line",
                        source.span(line.range.start + place.start..line.range.start + place.end),
                        format!("`-- @{word}` stands inside a line, where it is only a comment"),
                        "put it on a line of its own, at the start of the line",
                    ));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_resolved_against_the_page_and_stay_inside_the_root() {
        let page = SourcePath("ledger/runbooks/a.md".into());
        let resolved = |text| resolve(&page, text).map(|path| path.0);
        assert_eq!(resolved("../migrations/1.sql").as_deref(), Some("ledger/migrations/1.sql"));
        assert_eq!(resolved("./x//y.sql").as_deref(), Some("ledger/runbooks/x/y.sql"));
        assert_eq!(resolved("../../a.sql").as_deref(), Some("a.sql"));
        for text in [
            "../../../a.sql",
            "/etc/passwd",
            "..",
            "../..",
            "c:/a.sql",
            "a\\b.sql",
            "../../../ledger/runbooks/a.md",
        ] {
            let outside = resolved(text);
            assert!(outside.is_none() || text == "..", "{text}: {outside:?}");
        }
    }
}
