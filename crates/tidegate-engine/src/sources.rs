//! Places in the page and its files, for messages.

use tidegate_runbook::{FileContent, SourcePath, Sources, Span};

/// Line and column of places in a runbook's texts.
#[derive(Clone, Debug, Default)]
pub struct Places {
    texts: Vec<(SourcePath, String)>,
}

impl Places {
    /// The places of `sources`. Offsets count from after a BOM, as the parser's do.
    #[must_use]
    pub fn new(sources: &Sources) -> Self {
        let mut texts = vec![(sources.page.clone(), text(&sources.page_bytes))];
        for (path, content) in &sources.files {
            if let FileContent::Bytes(bytes) = content {
                texts.push((path.clone(), text(bytes)));
            }
        }
        Self { texts }
    }

    /// `file:line` of a span's first character that is neither space nor comment.
    #[must_use]
    pub fn describe(&self, span: &Span) -> String {
        let line = self.position(&span.path, span.range.start).map_or(0, |(line, _)| line);
        format!("{}:{line}", span.path)
    }

    /// `file:line:column` of an offset.
    #[must_use]
    pub fn describe_offset(&self, path: &SourcePath, offset: usize) -> Option<String> {
        let (line, column) = self.position(path, offset)?;
        Some(format!("{path}:{line}:{column}"))
    }

    fn position(&self, path: &SourcePath, offset: usize) -> Option<(usize, usize)> {
        let (_, text) = self.texts.iter().find(|(known, _)| known == path)?;
        let before = text.get(..offset)?;
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Some((line, column))
    }
}

fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned()
}
