//! Places in the page and its files, for messages.

use tidegate_runbook::{FileContent, SourcePath, Sources, Span};

/// Line and column of places in a runbook's texts.
#[derive(Clone, Debug, Default)]
pub struct Places {
    texts: Vec<Text>,
}

/// A text, and where its lines begin.
#[derive(Clone, Debug)]
struct Text {
    path: SourcePath,
    text: String,
    /// Ascending; the first is 0. A page has thousands of places, and each is looked for here.
    starts: Vec<usize>,
}

impl Places {
    /// The places of `sources`. Offsets count from after a BOM, as the parser's do.
    #[must_use]
    pub fn new(sources: &Sources) -> Self {
        let mut texts = vec![Text::new(&sources.page, &sources.page_bytes)];
        for (path, content) in &sources.files {
            if let FileContent::Bytes(bytes) = content {
                texts.push(Text::new(path, bytes));
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
        let text = self.texts.iter().find(|text| text.path == *path)?;
        let line = text.starts.partition_point(|start| *start <= offset);
        let start = *text.starts.get(line.checked_sub(1)?)?;
        let column = text.text.get(start..offset)?.chars().count() + 1;
        Some((line, column))
    }
}

impl Text {
    fn new(path: &SourcePath, bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned();
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { path: path.clone(), text, starts }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn places_are_counted_in_lines_and_characters_after_a_byte_order_mark() {
        let page = SourcePath("a.md".to_owned());
        let text = "\u{feff}one\ntwö\n\nfour";
        let sources = Sources {
            page: page.clone(),
            page_bytes: text.as_bytes().to_vec(),
            files: BTreeMap::from([(SourcePath("b.sql".to_owned()), FileContent::Bytes(Vec::new()))]),
        };
        let places = Places::new(&sources);
        let at = |offset| places.describe_offset(&page, offset);
        assert_eq!(at(0).as_deref(), Some("a.md:1:1"));
        assert_eq!(at(3).as_deref(), Some("a.md:1:4"), "the line's end belongs to it");
        assert_eq!(at(4).as_deref(), Some("a.md:2:1"));
        assert_eq!(at(8).as_deref(), Some("a.md:2:4"), "ö is one character of two bytes");
        assert_eq!(at(9).as_deref(), Some("a.md:3:1"));
        assert_eq!(at(14).as_deref(), Some("a.md:4:5"), "the end of the text");
        assert_eq!(at(15), None);
        assert_eq!(at(7), None, "the middle of a character");
        let empty = SourcePath("b.sql".to_owned());
        assert_eq!(places.describe_offset(&empty, 0).as_deref(), Some("b.sql:1:1"));
        assert_eq!(places.describe_offset(&SourcePath("c".to_owned()), 0), None);
    }
}
