//! Lines that carry an `@` word: strictly, as a step has them, and loosely, as a slip leaves them.

use std::ops::Range;

use crate::text::Line;
use crate::vocabulary;

/// A comment line that carries an `@` word at its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark<'a> {
    /// `--` or `#`.
    pub(crate) comment: &'static str,
    /// The word after `@`, up to the next space.
    pub(crate) word: &'a str,
    /// From the comment sign to the end of the line.
    pub(crate) range: Range<usize>,
    /// What follows the word, without spaces around it.
    pub(crate) rest: &'a str,
    /// Where that stands.
    pub(crate) rest_range: Range<usize>,
}

/// Reads a line as a step has it: the comment sign first, then `@word`, then what belongs to it.
pub(crate) fn strict<'a>(line: &Line<'a>) -> Option<Mark<'a>> {
    let (comment, after) = if let Some(after) = line.text.strip_prefix("--") {
        ("--", after)
    } else if let Some(after) = line.text.strip_prefix('#') {
        ("#", after)
    } else {
        return None;
    };
    let after = after.trim_start_matches([' ', '\t']).strip_prefix('@')?;
    if after.is_empty() || after.starts_with(char::is_whitespace) {
        return None;
    }
    let length = after.find(char::is_whitespace).unwrap_or(after.len());
    let (word, rest) = after.split_at_checked(length)?;
    let lead = rest.len() - rest.trim_start().len();
    let rest_start = line.range.end - rest.len() + lead;
    let rest = rest.trim();
    Some(Mark {
        comment,
        word,
        range: line.range.clone(),
        rest,
        rest_range: rest_start..rest_start + rest.len(),
    })
}

/// The word that begins a step, when `text` looks like such a line to a person: after any signs that Markdown or
/// a programming language puts in front, `@word` with a word that begins a block or nearly does.
///
/// Outside fences one of the signs must open a comment somewhere, so that a list of people is not taken for steps.
pub(crate) fn loose(text: &str, in_fence: bool) -> Option<&str> {
    let at = text.find(['@', '＠'])?;
    let (signs, after) = text.split_at_checked(at)?;
    let after = after.trim_start_matches(['@', '＠']).trim_start();
    let is_sign = |c: char| !c.is_alphanumeric() && c != '`' && c != '"' && c != '\'';
    let is_number = |c: char| c.is_ascii_digit();
    if !signs.chars().all(|c| is_sign(c) || is_number(c)) {
        return None;
    }
    let opens_comment = ["--", "#", "//", "/*", "<!--", "—", "–"].iter().any(|sign| signs.contains(sign));
    if !opens_comment && !in_fence {
        return None;
    }
    let length = after.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').unwrap_or(after.len());
    let word = after.get(..length)?;
    vocabulary::resembles_head(word).then_some(word)
}

/// Whether a block's first line marks it as an example, in whatever comment its language has.
pub(crate) fn is_example(text: &str) -> bool {
    let text = text.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '@');
    let rest = text.strip_prefix('@').and_then(|text| text.strip_prefix(vocabulary::EXAMPLE));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

/// A mark of ours that stands inside a line, where it is only a comment: its word and its place in the line.
///
/// Such as `SELECT 1; -- @undo`, or an indented `  -- @undo`.
pub(crate) fn misplaced<'a>(text: &'a str, comment: &str) -> Option<(&'a str, Range<usize>)> {
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find(comment)) {
        let start = from + found;
        let after = text.get(start + comment.len()..)?;
        let mark = after.trim_start_matches([' ', '\t']);
        if start > 0
            && let Some(word) = mark.strip_prefix('@')
        {
            let length = word.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(word.len());
            let word = word.get(..length)?;
            if vocabulary::is_ours(word) || vocabulary::resembles_head(word) {
                return Some((word, start..text.len()));
            }
        }
        from = start + comment.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line<'_> {
        Line { range: 10..10 + text.len(), next: 11 + text.len(), text }
    }

    #[test]
    fn a_strict_mark_begins_its_line() {
        let mark = strict(&line("-- @requires  a b ")).expect("a mark");
        assert_eq!((mark.comment, mark.word, mark.rest, mark.rest_range), ("--", "requires", "a b", 24..27));
        assert!(strict(&line("#@runbook x")).is_some());
        for text in
            [" -- @check a", "-- check @a", "SELECT '-- @check a'", "-- @", "-- @ check", "/* @check a */"]
        {
            assert_eq!(strict(&line(text)), None, "{text}");
        }
    }

    #[test]
    fn what_looks_like_a_step_is_found() {
        for text in [
            "   -- @check a",
            "> # @seal b",
            "1. -- @chekc x",
            "// @check a",
            "<!-- @check a -->",
            "— @check a",
            "--\u{a0}@check a",
        ] {
            assert!(loose(text, false).is_some(), "{text}");
        }
        for text in [
            "- @check with Bob",
            "see @check",
            "`-- @check a`",
            "-- @param x",
            "# People: @check",
            "a -- @check b",
        ] {
            assert!(loose(text, false).is_none(), "{text}");
        }
        assert!(loose("@check a", true).is_some());
    }

    #[test]
    fn examples_are_marked_in_any_comment() {
        for text in
            ["-- @example", "# @example of a check", "// @example", "/* @example */", "<!-- @example -->"]
        {
            assert!(is_example(text), "{text}");
        }
        for text in ["-- example", "-- @examples", "-- @check example", "say @example"] {
            assert!(!is_example(text), "{text}");
        }
    }

    #[test]
    fn a_mark_inside_a_line_is_found() {
        assert_eq!(misplaced("SELECT 1; -- @undo", "--"), Some(("undo", 10..18)));
        assert_eq!(misplaced("  -- @expect zero", "--"), Some(("expect", 2..17)));
        assert_eq!(misplaced("-- @undo", "--"), None);
        assert_eq!(misplaced("a -- b @undo", "--"), None);
        assert_eq!(misplaced("a -- @param", "--"), None);
    }
}
