//! The page read line by line: what looks like a step and is none.
//!
//! CommonMark lets a block vanish without a word: indented by four spaces, inside HTML, swallowed by a fence that was
//! never closed. A check that vanished would not be missed, so every such line is an error with the reason.

use crate::block::Blocks;
use crate::diagnostic::Diagnostic;
use crate::marker;
use crate::outline::{Fence, Outline, Region};
use crate::text::{Line, SourceText};
use crate::vocabulary::{self, Language};

/// Most stray lines that are listed. A page with more has one fault above all of them.
const STRAYS_LISTED_MAX: usize = 200;

/// Reports every line that looks like the head of a step and is not part of a block that was read.
pub(crate) fn report(
    page: &SourceText<'_>,
    outline: &Outline<'_>,
    blocks: &Blocks<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut covered = blocks.covered.iter().peekable();
    let mut fences = outline.fences.iter().peekable();
    let mut listed = 0_usize;
    let mut opened: Option<Line<'_>> = None;
    for line in page.lines(0..page.text.len()) {
        let at = line.range.start;
        while covered.next_if(|range| range.end <= at).is_some() {}
        while fences.next_if(|fence| fence.range.end < at).is_some() {}
        if line.text.trim().is_empty() {
            opened = None;
        } else if is_broken_opening(line.text) {
            opened = Some(line.clone());
        }
        if covered.peek().is_some_and(|range| range.contains(&at)) {
            continue;
        }
        let fence = fences.peek().filter(|fence| fence.body.contains(&at));
        let language = fence.and_then(|fence| Language::parse(fence.info));
        let may_be_step = language.is_some() || fence.is_some_and(|fence| fence.info.is_empty());
        let inside = || marker::misplaced(line.text, language?.comment()).map(|(word, _)| word);
        let inside = || inside().filter(|word| vocabulary::resembles_head(word));
        let Some(word) = marker::loose(line.text, may_be_step).or_else(inside) else { continue };
        listed += 1;
        if listed > STRAYS_LISTED_MAX {
            return;
        }
        diagnostics.push(match fence {
            Some(fence) => in_fence(page, fence, &line, word),
            None => outside(page, outline, opened.as_ref(), &line, word),
        });
    }
}

/// Whether a line would open a fence if its info string held no backtick.
fn is_broken_opening(text: &str) -> bool {
    let text = text.trim_start_matches(' ');
    text.starts_with("```") && text.trim_start_matches('`').contains('`')
}

fn in_fence(page: &SourceText<'_>, fence: &Fence<'_>, line: &Line<'_>, word: &str) -> Diagnostic {
    let first = fence.body.start == line.range.start;
    let error = |code, message: String, help: &str| {
        Diagnostic::error(code, page.span(line.range.clone()), message, help)
    };
    match fence.inside {
        Some(Region::Quote) => in_quote(page, line, word),
        Some(_) => in_list(page, line, word),
        None if first && fence.indented => error(
            "indented-fence",
            format!("the fence around `@{word}` is indented"),
            "begin the fence and its lines at the start of the line: indented a little more it would be code, not a step",
        ),
        None if !first && (!fence.closed || has_fence(page, fence, line)) => error(
            "fence-not-closed",
            format!("`@{word}` is swallowed by a fence that is not closed"),
            "close the fence above",
        )
        .with_related(page.span(fence.opening.clone()), "opened here"),
        None if first => error(
            "head-malformed",
            format!(
                "this block looks like a step with `@{word}`, but its first line is not `@verb id` in a comment"
            ),
            "begin the line with the language's comment sign (`--` in sql, `#` elsewhere), one space, then `@verb id`",
        ),
        None => error(
            "not-first-line",
            format!("`@{word}` is not in the first line of its block, so the block is no step"),
            "move it to the first line, or begin the block with `@example` if it only shows a step",
        ),
    }
}

/// Whether another fence seems to open between the start of `fence` and `line`, as when the first was never closed.
fn has_fence(page: &SourceText<'_>, fence: &Fence<'_>, line: &Line<'_>) -> bool {
    page.lines(fence.body.start..line.range.start).any(|above| above.text.trim_start().starts_with("```"))
}

fn outside(
    page: &SourceText<'_>,
    outline: &Outline<'_>,
    opened: Option<&Line<'_>>,
    line: &Line<'_>,
    word: &str,
) -> Diagnostic {
    let lead = line.text.len() - line.text.trim_start().len();
    let region = outline.region_at(line.range.start + lead).or_else(|| outline.region_at(line.range.start));
    let error = |code, message: String, help: &str| {
        Diagnostic::error(code, page.span(line.range.clone()), message, help)
    };
    if let Some(opened) = opened
        && matches!(region, Some(Region::Paragraph | Region::Heading) | None)
    {
        return error(
            "info-backtick",
            format!(
                "`@{word}` is in no block: a backtick in the line above keeps that line from opening one"
            ),
            "write the language alone after the opening fence",
        )
        .with_related(page.span(opened.range.clone()), "this line opens no fence");
    }
    match region {
        Some(Region::IndentedCode) => error(
            "step-in-indented-code",
            format!("`@{word}` stands in indented code, which is no fenced block"),
            "begin the fence at the start of its line",
        ),
        Some(Region::Html) => error(
            "step-in-html",
            format!("`@{word}` stands inside HTML, where Markdown sees no fences"),
            "end the HTML with an empty line before the fence, or remove it",
        ),
        Some(Region::List) => in_list(page, line, word),
        Some(Region::Quote) => in_quote(page, line, word),
        Some(Region::Heading) => error(
            "step-in-heading",
            format!("`@{word}` stands outside any fence, where `#` makes it a heading"),
            "put it into a fenced block",
        ),
        Some(Region::Paragraph) | None => error(
            "step-outside-fence",
            format!("`@{word}` stands outside any fenced block"),
            "put it into a fenced block with the language as its info string",
        ),
    }
}

fn in_list(page: &SourceText<'_>, line: &Line<'_>, word: &str) -> Diagnostic {
    Diagnostic::error(
        "step-in-list",
        page.span(line.range.clone()),
        format!("`@{word}` stands inside a list, where a block is no step"),
        "begin its fence at the start of a line, with an empty line after the list",
    )
}

fn in_quote(page: &SourceText<'_>, line: &Line<'_>, word: &str) -> Diagnostic {
    Diagnostic::error(
        "step-in-quote",
        page.span(line.range.clone()),
        format!("`@{word}` stands inside a quote, where a block is no step"),
        "move it out of the quote",
    )
}
