//! Runbooks as files, and their findings as text.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tidegate_runbook::{FileContent, Parsed, SourcePath, Sources, Span, files_wanted, parse};

/// The folder of the integration tests.
pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(name)
}

/// Every page of a folder, by name.
pub(crate) fn pages(folder: &Path) -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder can be read")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    pages.sort();
    pages
}

/// The sources of a page whose folder is the root.
pub(crate) fn sources(page: &Path) -> Sources {
    let root = page.parent().expect("a folder");
    let name = page.file_name().expect("a name").to_str().expect("UTF-8").to_owned();
    let bytes = std::fs::read(page).expect("the page can be read");
    let path = SourcePath(name);
    let files: BTreeMap<SourcePath, FileContent> = files_wanted(&path, &bytes)
        .into_iter()
        .map(|wanted| {
            let content = match std::fs::read(root.join(&wanted.0)) {
                Ok(bytes) => FileContent::Bytes(bytes),
                Err(_) => FileContent::Missing,
            };
            (wanted, content)
        })
        .collect();
    Sources { page: path, page_bytes: bytes, files }
}

/// The sources of a page that names no files.
pub(crate) fn alone(text: impl Into<Vec<u8>>) -> Sources {
    Sources { page: SourcePath("page.md".into()), page_bytes: text.into(), files: BTreeMap::new() }
}

/// A page's text, as spans count it.
fn text_of(sources: &Sources, path: &SourcePath) -> String {
    let bytes = match sources.files.get(path) {
        Some(FileContent::Bytes(bytes)) => bytes,
        _ => &sources.page_bytes,
    };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    String::from_utf8_lossy(bytes).into_owned()
}

/// `line:column` of a span's start, both from 1, the column in characters.
fn place(sources: &Sources, span: &Span) -> String {
    let text = text_of(sources, &span.path);
    let before = &text[..span.range.start];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    if span.path == sources.page {
        format!("{line}:{column}")
    } else {
        format!("{}:{line}:{column}", span.path)
    }
}

/// One line for each finding: code, place, message; a second place is named after an arrow.
pub(crate) fn describe(sources: &Sources, parsed: &Parsed) -> String {
    let mut text = String::new();
    for diagnostic in &parsed.diagnostics {
        let span = diagnostic.span.as_ref().expect("every finding has a place");
        let related = match &diagnostic.related {
            Some((span, what)) => format!(" -> {} {what}", place(sources, span)),
            None => String::new(),
        };
        text.push_str(&format!(
            "{} {} {}{related}\n",
            diagnostic.code,
            place(sources, span),
            diagnostic.message
        ));
    }
    text
}

/// Parses a page's sources and describes what was found.
pub(crate) fn findings(sources: &Sources) -> (Parsed, String) {
    let parsed = parse(sources);
    let described = describe(sources, &parsed);
    (parsed, described)
}
