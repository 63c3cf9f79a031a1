//! One source text, its lines, and spans in it.

use std::ops::Range;

use crate::source::{SourcePath, Span};

/// A text of which spans are made: the page, or a file that a step names.
#[derive(Clone, Debug)]
pub(crate) struct SourceText<'a> {
    /// Which source it is.
    pub(crate) path: &'a SourcePath,
    /// The text, without a byte order mark.
    pub(crate) text: &'a str,
}

/// One line of a [`SourceText`].
#[derive(Clone, Debug)]
pub(crate) struct Line<'a> {
    /// Bytes of the line without its end.
    pub(crate) range: Range<usize>,
    /// First byte of the next line.
    pub(crate) next: usize,
    /// The line without its end.
    pub(crate) text: &'a str,
}

impl<'a> SourceText<'a> {
    /// A span of this text.
    pub(crate) fn span(&self, range: Range<usize>) -> Span {
        Span { path: self.path.clone(), range }
    }

    /// The text in `range`; empty where the range does not fit.
    pub(crate) fn slice(&self, range: Range<usize>) -> &'a str {
        self.text.get(range).unwrap_or_default()
    }

    /// The lines of `range`, which begins at the start of a line.
    pub(crate) fn lines(&self, range: Range<usize>) -> Lines<'a> {
        Lines { text: self.slice(range.clone()), at: range.start }
    }

    /// The whole of the line that holds byte `at`, without its end.
    pub(crate) fn line_at(&self, at: usize) -> Range<usize> {
        let start = self.slice(0..at).rfind('\n').map_or(0, |found| found + 1);
        let rest = self.text.get(start..).unwrap_or_default();
        let length = rest.find('\n').unwrap_or(rest.len());
        let line = rest.get(..length).unwrap_or_default();
        start..start + line.trim_end_matches('\r').len()
    }
}

/// Iterates over lines; made by [`SourceText::lines`].
#[derive(Clone, Debug)]
pub(crate) struct Lines<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        if self.text.is_empty() {
            return None;
        }
        let (whole, rest) = match self.text.find('\n') {
            Some(end) => self.text.split_at_checked(end + 1)?,
            None => (self.text, ""),
        };
        let line = whole.strip_suffix('\n').unwrap_or(whole);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let start = self.at;
        self.at += whole.len();
        self.text = rest;
        Some(Line { range: start..start + line.len(), next: self.at, text: line })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_places_with_and_without_carriage_returns() {
        let path = SourcePath("a.md".into());
        let source = SourceText { path: &path, text: "a\r\nbc\n\nd" };
        let lines: Vec<_> = source.lines(0..source.text.len()).map(|l| (l.range, l.next, l.text)).collect();
        assert_eq!(lines, [(0..1, 3, "a"), (3..5, 6, "bc"), (6..6, 7, ""), (7..8, 8, "d")]);
        assert_eq!(source.line_at(0), 0..1);
        assert_eq!(source.line_at(4), 3..5);
        assert_eq!(source.line_at(8), 7..8);
    }
}
