//! Fenced blocks that are ours: their head line, their properties, and where their body stands.

use std::ops::Range;

use crate::block_lines;
use crate::diagnostic::Diagnostic;
use crate::marker::{self, Mark};
use crate::names::Name;
use crate::outline::{Fence, Outline};
use crate::runbook::ProseBlock;
use crate::source::Span;
use crate::text::SourceText;
use crate::vocabulary::{self, Frame, Language, PropertyRule, Verb};

/// A fenced block whose first line is `@verb id`, `@runbook id`, `@stage id` or `@way id`.
#[derive(Debug)]
pub(crate) struct Block<'a> {
    pub(crate) language: Language,
    pub(crate) kind: Kind,
    /// `None` after a finding about the id.
    pub(crate) id: Option<Name>,
    /// The whole fenced block.
    pub(crate) range: Range<usize>,
    /// The head line.
    pub(crate) head: Range<usize>,
    /// The property lines, in order.
    pub(crate) properties: Vec<Property<'a>>,
    /// `@undo`, `@setup` and `@against` lines, in order.
    pub(crate) dividers: Vec<Divider>,
    /// From the line after the head to the closing fence.
    pub(crate) body: Range<usize>,
    /// Where the first line of the body starts that is no comment and not blank; the body's end if there is none.
    pub(crate) content: usize,
}

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Step(Verb),
    Frame(Frame),
}

/// One `@key value` line.
#[derive(Clone, Debug)]
pub(crate) struct Property<'a> {
    pub(crate) rule: &'static PropertyRule,
    /// What follows the word.
    pub(crate) text: &'a str,
    /// The place of that, or of the whole line when nothing follows.
    pub(crate) span: Span,
}

/// A line that divides a body: `@undo`, `@setup`, `@against`.
#[derive(Clone, Debug)]
pub(crate) struct Divider {
    pub(crate) word: &'static str,
    /// The line.
    pub(crate) range: Range<usize>,
    /// The start of the next line.
    pub(crate) next: usize,
}

/// What the fences of a page hold.
#[derive(Debug, Default)]
pub(crate) struct Blocks<'a> {
    /// Ours, in document order.
    pub(crate) ours: Vec<Block<'a>>,
    /// Blocks that could have been steps and are not.
    pub(crate) prose: Vec<ProseBlock>,
    /// Parts of the page in which every line has been looked at.
    pub(crate) covered: Vec<Range<usize>>,
}

/// Reads every fenced block of the page.
pub(crate) fn read<'a>(
    page: &SourceText<'a>,
    outline: &Outline<'a>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Blocks<'a> {
    let mut blocks = Blocks::default();
    for fence in outline.fences.iter().filter(|fence| fence.inside.is_none()) {
        read_fence(page, fence, &mut blocks, diagnostics);
    }
    blocks
}

fn read_fence<'a>(
    page: &SourceText<'a>,
    fence: &Fence<'a>,
    blocks: &mut Blocks<'a>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let first = page.lines(fence.body.clone()).next();
    let mark = first.as_ref().and_then(marker::strict);
    let language_word = fence.info.split_whitespace().next().unwrap_or_default();
    let language = Language::parse(language_word);
    let mut not_closed = (!fence.closed).then(|| {
        Diagnostic::error(
            "fence-not-closed",
            page.span(fence.opening.clone()),
            "this fence is never closed: everything after it is part of the block",
            "close it with a line of as many backticks as it opens with",
        )
    });
    let head = match (&first, mark) {
        (Some(first), _) if marker::is_example(first.text) => {
            let end = inner_fence(page, fence, first.next, &mut not_closed);
            let covered_to = if end == fence.body.end { fence.range.end } else { end };
            blocks.covered.push(fence.range.start..covered_to);
            push_prose(page, fence, language_word, true, blocks);
            diagnostics.extend(not_closed.take());
            None
        }
        (Some(first), Some(mark))
            if language.is_some()
                || vocabulary::resembles_head(mark.word)
                || vocabulary::is_ours(mark.word) =>
        {
            Some((first, mark))
        }
        _ => {
            push_prose(page, fence, language_word, false, blocks);
            None
        }
    };
    let Some((first, mark)) = head else {
        diagnostics.extend(not_closed);
        return;
    };
    report_fence(page, fence, language, &mark, diagnostics);
    let end = inner_fence(page, fence, first.next, &mut not_closed);
    diagnostics.extend(not_closed);
    let covered_to = if end == fence.body.end && fence.closed { fence.range.end } else { end };
    blocks.covered.push(fence.range.start..covered_to);
    let kind = Verb::parse(mark.word).map(Kind::Step).or_else(|| Frame::parse(mark.word).map(Kind::Frame));
    let Some(kind) = kind else {
        report_unknown_head(page, &mark, diagnostics);
        return;
    };
    let id = read_id(page, &mark, diagnostics);
    let Some(language) = language else { return };
    report_language(page, fence, kind, language, &mark, diagnostics);
    let mut block = Block {
        language,
        kind,
        id,
        range: fence.range.start..covered_to.max(first.range.end),
        head: first.range.clone(),
        properties: Vec::new(),
        dividers: Vec::new(),
        body: first.next..end.max(first.next),
        content: end.max(first.next),
    };
    block_lines::read(page, &mut block, diagnostics);
    blocks.ours.push(block);
}

fn push_prose(
    page: &SourceText<'_>,
    fence: &Fence<'_>,
    language: &str,
    example: bool,
    blocks: &mut Blocks<'_>,
) {
    if matches!(language, "sql" | "sh" | "bash" | "http" | "kv") {
        let span = page.span(fence.range.clone());
        blocks.prose.push(ProseBlock { language: language.to_owned(), span, example });
    }
}

/// Where the body really ends: before a line that opens another fence, which a three-backtick fence swallows.
fn inner_fence(
    page: &SourceText<'_>,
    fence: &Fence<'_>,
    from: usize,
    not_closed: &mut Option<Diagnostic>,
) -> usize {
    if fence.closed && page.slice(fence.opening.clone()).starts_with("````") {
        return fence.body.end;
    }
    let Some(inner) = page
        .lines(from..fence.body.end.max(from))
        .find(|line| line.text.trim_start_matches(' ').starts_with("```"))
    else {
        return fence.body.end;
    };
    let finding = not_closed.take().unwrap_or_else(|| {
        Diagnostic::error(
            "fence-not-closed",
            page.span(fence.opening.clone()),
            "this fence is not closed before another one opens: the other is part of this block",
            "close it, or open it with four backticks if its text holds a fence",
        )
    });
    *not_closed = Some(finding.with_related(page.span(inner.range.clone()), "swallowed from here"));
    inner.range.start
}

fn report_fence(
    page: &SourceText<'_>,
    fence: &Fence<'_>,
    language: Option<Language>,
    mark: &Mark<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let opening = || page.span(fence.opening.clone());
    if fence.tilde {
        diagnostics.push(Diagnostic::error(
            "tilde-fence",
            opening(),
            format!("`@{}` stands in a fence of tildes", mark.word),
            "open and close the fences of steps with backticks",
        ));
    }
    if fence.indented {
        diagnostics.push(Diagnostic::error(
            "indented-fence",
            opening(),
            format!("the fence around `@{}` is indented", mark.word),
            "begin the fence at the start of its line: indented a little more it would be code, not a step",
        ));
    }
    let language_word = fence.info.split_whitespace().next().unwrap_or_default();
    if fence.info != language_word {
        diagnostics.push(Diagnostic::error(
            "info-string",
            opening(),
            format!("the info string {:?} is more than a language", fence.info),
            format!("write the language alone: {language_word}"),
        ));
    }
    match language {
        None => {
            let wanted = match language_word.to_lowercase().as_str() {
                "sql" | "postgres" | "postgresql" | "psql" | "pgsql" | "plpgsql" => "write `sql`",
                "sh" | "bash" | "shell" | "zsh" | "console" => "write `sh`",
                "toml" | "ini" | "yaml" | "yml" | "json" => "write `toml`",
                "http" | "https" | "rest" => "write `http`",
                "text" | "txt" | "plain" | "plaintext" => "write `text`",
                "" => "write the language after the fence: sql, toml, http, kv, sh or text",
                _ => "steps are written in sql, toml, http, kv, sh or text",
            };
            let what = if language_word.is_empty() {
                "without a language".to_owned()
            } else {
                format!("of the language {language_word}")
            };
            diagnostics.push(Diagnostic::error(
                "wrong-language",
                opening(),
                format!("`@{}` stands in a block {what}", mark.word),
                format!("{wanted}; a block that only shows a step begins with `{} @example`", mark.comment),
            ));
        }
        Some(language) if language.comment() != mark.comment => {
            diagnostics.push(Diagnostic::error(
                "wrong-comment",
                page.span(mark.range.clone()),
                format!("`{}` begins no comment in {}", mark.comment, language.name()),
                format!("write `{} @{} {}`", language.comment(), mark.word, mark.rest),
            ));
        }
        Some(_) => {}
    }
}

fn report_unknown_head(page: &SourceText<'_>, mark: &Mark<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let span = page.span(mark.range.clone());
    let property =
        vocabulary::properties(mark.word).next().is_some() || vocabulary::divider(mark.word).is_some();
    diagnostics.push(if property {
        Diagnostic::error(
            "property-without-step",
            span,
            format!("`@{}` belongs to a step, but this block has none", mark.word),
            format!("begin the block with `{} @verb id`", mark.comment),
        )
    } else {
        Diagnostic::error(
            "unknown-verb",
            span,
            format!("`@{}` is no verb", mark.word),
            vocabulary::did_you_mean(mark.word, vocabulary::head_words()),
        )
    });
}

fn report_language(
    page: &SourceText<'_>,
    fence: &Fence<'_>,
    kind: Kind,
    language: Language,
    mark: &Mark<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let allowed = match kind {
        Kind::Step(verb) => verb.languages(),
        Kind::Frame(_) => &[Language::Toml],
    };
    if !allowed.contains(&language) {
        let names: Vec<&str> = allowed.iter().map(|language| language.name()).collect();
        diagnostics.push(Diagnostic::error(
            "wrong-language",
            page.span(fence.opening.clone()),
            format!("`@{}` cannot be written in {}", mark.word, language.name()),
            format!("write it in {}", names.join(" or ")),
        ));
    }
}

fn read_id(page: &SourceText<'_>, mark: &Mark<'_>, diagnostics: &mut Vec<Diagnostic>) -> Option<Name> {
    if mark.rest.is_empty() {
        diagnostics.push(Diagnostic::error(
            "id-missing",
            page.span(mark.range.clone()),
            format!("`@{}` has no id", mark.word),
            format!("write `{} @{} some_id`", mark.comment, mark.word),
        ));
        return None;
    }
    match Name::parse(mark.rest) {
        Ok(name) => Some(name),
        Err(error) => {
            diagnostics.push(Diagnostic::error(
                "id-malformed",
                page.span(mark.rest_range.clone()),
                error.to_string(),
                "write one id of lower-case letters, digits and underscores on this line, and nothing else",
            ));
            None
        }
    }
}

impl<'a> Block<'a> {
    /// The properties with this word.
    pub(crate) fn all<'b>(&'b self, word: &'static str) -> impl Iterator<Item = &'b Property<'a>> {
        self.properties.iter().filter(move |property| property.rule.word == word)
    }

    /// The first property with this word.
    pub(crate) fn one(&self, word: &'static str) -> Option<&Property<'a>> {
        self.properties.iter().find(|property| property.rule.word == word)
    }

    /// Whether the property stands there.
    pub(crate) fn has(&self, word: &'static str) -> bool {
        self.one(word).is_some()
    }

    /// A divider by its word.
    pub(crate) fn divider(&self, word: &'static str) -> Option<&Divider> {
        self.dividers.iter().find(|divider| divider.word == word)
    }
}
