//! The page as CommonMark sees it: headings, fenced blocks, and the regions in which text is something else.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::text::SourceText;

/// The parts of a page that matter here.
#[derive(Debug, Default)]
pub(crate) struct Outline<'a> {
    /// Headings that stand in no list or quote, in order.
    pub(crate) headings: Vec<Heading>,
    /// Fenced blocks, in order.
    pub(crate) fences: Vec<Fence<'a>>,
    /// Everything else that has a name, in the order in which it begins; inner regions follow outer ones.
    pub(crate) regions: Vec<(Range<usize>, Region)>,
}

/// A heading.
#[derive(Debug)]
pub(crate) struct Heading {
    /// 1 to 6.
    pub(crate) level: u8,
    /// Its text without markup.
    pub(crate) text: String,
    /// Where it stands.
    pub(crate) range: Range<usize>,
}

/// A fenced code block.
#[derive(Debug)]
pub(crate) struct Fence<'a> {
    /// From the start of its first line to the end of its last.
    pub(crate) range: Range<usize>,
    /// What follows the opening fence, without spaces around it.
    pub(crate) info: &'a str,
    /// The opening line.
    pub(crate) opening: Range<usize>,
    /// The lines between the fences.
    pub(crate) body: Range<usize>,
    /// Whether a closing fence follows.
    pub(crate) closed: bool,
    /// Made of tildes instead of backticks.
    pub(crate) tilde: bool,
    /// The opening fence does not begin its line.
    pub(crate) indented: bool,
    /// Stands in a list or quote.
    pub(crate) inside: Option<Region>,
}

/// What a piece of text is when it is no fenced block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Region {
    IndentedCode,
    Html,
    List,
    Quote,
    Heading,
    Paragraph,
}

/// Reads the page.
pub(crate) fn read<'a>(page: &SourceText<'a>) -> Outline<'a> {
    let mut outline = Outline::default();
    let mut containers: Vec<Region> = Vec::new();
    let mut heading: Option<Heading> = None;
    for (event, range) in Parser::new_ext(page.text, Options::empty()).into_offset_iter() {
        match event {
            Event::Start(Tag::BlockQuote(_)) => {
                outline.regions.push((range, Region::Quote));
                containers.push(Region::Quote);
            }
            Event::Start(Tag::Item) => {
                outline.regions.push((range, Region::List));
                containers.push(Region::List);
            }
            Event::End(TagEnd::BlockQuote(_) | TagEnd::Item) => {
                containers.pop();
            }
            Event::Start(Tag::CodeBlock(CodeBlockKind::Indented)) => {
                outline.regions.push((range, Region::IndentedCode));
            }
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_))) => {
                outline.fences.push(fence(page, &range, containers.last().copied()));
            }
            Event::Start(Tag::HtmlBlock) => outline.regions.push((range, Region::Html)),
            Event::Start(Tag::Paragraph) => outline.regions.push((range, Region::Paragraph)),
            Event::Start(Tag::Heading { level, .. }) => {
                outline.regions.push((range.clone(), Region::Heading));
                if containers.is_empty() {
                    heading = Some(Heading { level: number(level), text: String::new(), range });
                }
            }
            Event::End(TagEnd::Heading(_)) => outline.headings.extend(heading.take()),
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.text.push_str(&text);
                }
            }
            _ => {}
        }
    }
    outline
}

fn number(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}

fn fence<'a>(page: &SourceText<'a>, range: &Range<usize>, inside: Option<Region>) -> Fence<'a> {
    let opening = page.line_at(range.start);
    let sign_text = page.slice(range.start..opening.end).trim_start();
    let sign = sign_text.chars().next().unwrap_or('`');
    let info = sign_text.trim_start_matches(sign).trim();
    let sign_count = sign_text.len() - sign_text.trim_start_matches(sign).len();
    let first = page.lines(opening.start..page.text.len()).next();
    let body_start = first.map_or(opening.end, |line| line.next).min(page.text.len());
    let end = range.end.clamp(body_start, page.text.len());
    let text = page.slice(body_start..end);
    let trimmed = text.trim_end_matches(['\n', '\r']);
    let last_start = trimmed.rfind('\n').map_or(0, |at| at + 1);
    let last = trimmed.get(last_start..).unwrap_or_default().trim_start_matches([' ', '>', '\t']);
    let signs = last.len() - last.trim_start_matches(sign).len();
    let closed = signs >= sign_count && last.trim_start_matches(sign).trim().is_empty();
    let body_end = if closed { body_start + last_start } else { end };
    let last_line = page.line_at(end.saturating_sub(1).max(opening.start));
    Fence {
        range: opening.start..last_line.end.max(opening.end),
        info,
        indented: range.start != opening.start || page.slice(opening.clone()).starts_with([' ', '\t']),
        opening,
        body: body_start..body_end,
        closed,
        tilde: sign == '~',
        inside,
    }
}

impl Outline<'_> {
    /// The innermost region that holds byte `at`.
    pub(crate) fn region_at(&self, at: usize) -> Option<Region> {
        let holding = |(range, _): &&(Range<usize>, Region)| range.contains(&at);
        self.regions.iter().rfind(holding).map(|(_, region)| *region)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourcePath;

    fn fences(text: &str) -> Vec<(String, String, bool, bool)> {
        let path = SourcePath("a.md".into());
        let page = SourceText { path: &path, text };
        read(&page)
            .fences
            .iter()
            .map(|f| (f.info.to_owned(), page.slice(f.body.clone()).to_owned(), f.closed, f.indented))
            .collect()
    }

    #[test]
    fn fences_are_cut_out_with_their_ends() {
        let own = |a: &str, b: &str, closed, indented| (a.to_owned(), b.to_owned(), closed, indented);
        assert_eq!(fences("```sql\nSELECT 1\n```\n"), [own("sql", "SELECT 1\n", true, false)]);
        assert_eq!(fences("a\r\n```sql\r\nx\r\n```"), [own("sql", "x\r\n", true, false)]);
        assert_eq!(fences("```sql\nSELECT 1"), [own("sql", "SELECT 1", false, false)]);
        assert_eq!(fences("````sql\n```\n````"), [own("sql", "```\n", true, false)]);
        assert_eq!(fences("  ```sql\n  x\n  ```\n\nrest"), [own("sql", "  x\n", true, true)]);
        assert_eq!(fences("```"), [own("", "", false, false)]);
        assert_eq!(fences("```\n```"), [own("", "", true, false)]);
    }
}
