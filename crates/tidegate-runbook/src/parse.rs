//! From sources to a checked runbook, in one pass that reports everything it finds.

use crate::block::{self, Block, Blocks, Kind};
use crate::diagnostic::{Diagnostic, Severity};
use crate::front::{self, Front};
use crate::outline::{self, Outline};
use crate::page::{self, PAGE};
use crate::runbook::Runbook;
use crate::scope::Scope;
use crate::source::{SourcePath, Sources};
use crate::text::SourceText;
use crate::vocabulary::Frame;
use crate::{
    assemble, backfill_rules, file_source, flag_rules, lint, references, rekey_rules, sections, store_rules,
    stray, value_rules, version_rules, way_rules,
};

/// What one parse found.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// There if and only if no diagnostic is an error.
    pub runbook: Option<Runbook>,
    /// Everything found: errors and warnings, by place.
    pub diagnostics: Vec<Diagnostic>,
}

/// The files that the page's `@file` lines name, resolved against the page's folder, each once.
///
/// Paths that leave the root are left out: [`parse`] reports them.
#[must_use]
pub fn files_wanted(page_path: &SourcePath, page: &[u8]) -> Vec<SourcePath> {
    let mut diagnostics = Vec::new();
    let Some(text) = page::decode(page_path, page, PAGE, None, &mut diagnostics) else { return Vec::new() };
    let page = SourceText { path: page_path, text };
    let outline = outline::read(&page);
    let blocks = block::read(&page, &outline, &mut diagnostics);
    let mut wanted: Vec<SourcePath> = Vec::new();
    for property in blocks.ours.iter().filter_map(|block| block.one("file")) {
        let path = file_source::resolve(page_path, property.text);
        wanted.extend(path.filter(|path| !wanted.contains(path)));
    }
    wanted
}

/// Reads and checks a runbook.
#[must_use]
pub fn parse(sources: &Sources) -> Parsed {
    let mut diagnostics = Vec::new();
    let runbook = read(sources, &mut diagnostics);
    diagnostics.sort_by(|left, right| place(sources, left).cmp(&place(sources, right)));
    let failed = diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    Parsed { runbook: runbook.filter(|_| !failed), diagnostics }
}

/// Findings about the page come first, then those about files, each by place.
fn place<'d>(sources: &Sources, diagnostic: &'d Diagnostic) -> (bool, &'d str, usize, usize) {
    match &diagnostic.span {
        None => (false, "", 0, 0),
        Some(span) => (span.path != sources.page, span.path.0.as_str(), span.range.start, span.range.end),
    }
}

fn read(sources: &Sources, diagnostics: &mut Vec<Diagnostic>) -> Option<Runbook> {
    let text = page::decode(&sources.page, &sources.page_bytes, PAGE, None, diagnostics)?;
    let page = SourceText { path: &sources.page, text };
    let outline = outline::read(&page);
    let blocks = block::read(&page, &outline, diagnostics);
    stray::report(&page, &outline, &blocks, diagnostics);
    let front = front_of(&page, &blocks, diagnostics);
    let mut drafts = sections::read(&page, sources, &outline, &blocks.ours, diagnostics);
    if let Some(front) = &front {
        store_rules::assign(&page, front, &mut drafts, diagnostics);
    }
    let scripts = {
        let scope = Scope::new(&page, &drafts, diagnostics);
        references::check(&page, &drafts, &scope, front.as_ref(), diagnostics);
        way_rules::check(&page, front.as_ref(), &drafts, &scope, diagnostics);
        match &front {
            Some(front) => {
                flag_rules::check(&page, front, &drafts, &scope, diagnostics);
                rekey_rules::check(&page, front, &scope, diagnostics);
                backfill_rules::check(&page, front, &scope, diagnostics);
                version_rules::check(&page, front, &drafts, diagnostics);
                value_rules::check(&page, front, &drafts, &scope, diagnostics)
            }
            None => value_rules::ScriptValues::new(),
        }
    };
    let front = front?;
    let id = front.id.clone()?;
    if drafts.stages.iter().all(|stage| stage.steps.is_empty()) {
        diagnostics.push(Diagnostic::error(
            "no-steps",
            front.head.clone(),
            "the runbook has no steps",
            "add a `##` section with a fenced block whose first line is a comment with `@verb id`",
        ));
    }
    let title = title(&outline);
    let runbook = assemble::runbook(front, id, title, sources.page.clone(), drafts, scripts, blocks.prose);
    lint::lint(&runbook, diagnostics);
    Some(runbook)
}

fn title(outline: &Outline<'_>) -> Option<String> {
    let title = outline.headings.first()?.text.trim();
    (!title.is_empty()).then(|| title.to_owned())
}

/// The one `@runbook` block.
fn front_of(page: &SourceText<'_>, blocks: &Blocks<'_>, diagnostics: &mut Vec<Diagnostic>) -> Option<Front> {
    let mut found = blocks.ours.iter().filter(|block| block.kind == Kind::Frame(Frame::Runbook));
    let Some(first) = found.next() else {
        diagnostics.push(Diagnostic::error(
            "no-runbook",
            page.span(0..0),
            "the page has no `@runbook` block, so it is no runbook",
            "begin a toml block with `# @runbook some_id`, or check that this is the right file",
        ));
        return None;
    };
    for another in found {
        report_second(page, first, another, diagnostics);
    }
    Some(front::read(page, first, diagnostics))
}

fn report_second(
    page: &SourceText<'_>,
    first: &Block<'_>,
    second: &Block<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    diagnostics.push(
        Diagnostic::error(
            "two-runbooks",
            page.span(second.head.clone()),
            "the page has a second `@runbook` block",
            "keep one: a page is one runbook",
        )
        .with_related(page.span(first.head.clone()), "the first"),
    );
}
