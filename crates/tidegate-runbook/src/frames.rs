//! `@stage` and `@way` blocks.

use crate::block::Block;
use crate::diagnostic::Diagnostic;
use crate::draft::{Handing, Mention, ValueUse, WayDraft};
use crate::front::read_protect;
use crate::names::Name;
use crate::runbook::Way;
use crate::source::Span;
use crate::template::{self, TemplateSink};
use crate::text::SourceText;
use crate::toml_table::{self, TomlTable};
use crate::value::TextTemplate;

/// What a `@stage` block says.
#[derive(Debug, Default)]
pub(crate) struct StageFrame {
    pub(crate) manual: bool,
    pub(crate) no_return: bool,
    pub(crate) hold: Option<(TextTemplate, Span)>,
    pub(crate) protect: Vec<String>,
    pub(crate) uses: Vec<ValueUse>,
}

/// Reads a `@stage` block.
pub(crate) fn stage(
    page: &SourceText<'_>,
    block: &Block<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> StageFrame {
    let (parsed, _) = toml_table::parse(page, block.body.clone(), diagnostics);
    let place = page.span(block.head.clone());
    let mut table = TomlTable::new(page, block.body.start, "the `@stage` block", place, &parsed);
    let mut frame = StageFrame {
        manual: table.boolean("manual", diagnostics),
        no_return: table.boolean("no_return", diagnostics),
        ..StageFrame::default()
    };
    frame.hold = table.text("hold", diagnostics).map(|spelt| {
        let mut sink = TemplateSink { uses: &mut frame.uses, diagnostics };
        let template = template::parse(&spelt.text, |_| spelt.span.clone(), Handing::InText, &mut sink);
        (template, spelt.span)
    });
    frame.protect = read_protect(&mut table, diagnostics);
    table.finish(diagnostics);
    frame
}

/// Reads a `@way` block. `None` after a finding about its id.
pub(crate) fn way(
    page: &SourceText<'_>,
    block: &Block<'_>,
    title: String,
    heading: Span,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<WayDraft> {
    let (parsed, _) = toml_table::parse(page, block.body.clone(), diagnostics);
    let place = page.span(block.head.clone());
    let mut table = TomlTable::new(page, block.body.start, "the `@way` block", place.clone(), &parsed);
    let mut mentions = Vec::new();
    let mut note = |word: &'static str, names: Vec<(Name, Span)>| -> Vec<Name> {
        names
            .into_iter()
            .map(|(name, span)| {
                mentions.push(Mention { word, name: name.clone(), span });
                name
            })
            .collect()
    };
    let has_from = table.has("from");
    let from = note("from", table.names("from", diagnostics));
    if !has_from {
        table.missing("from", "[\"the_stage\"]", diagnostics);
    } else if from.is_empty() {
        diagnostics.push(Diagnostic::error(
            "toml-value",
            place,
            "`from` names no stage, so the way leads back from nowhere",
            "name the stages from which it leads back",
        ));
    }
    let to = table.name("to", diagnostics);
    if !table.has("to") {
        table.missing("to", "\"start\"", diagnostics);
    }
    let to = note("to", to.into_iter().filter(|(name, _)| name.as_str() != START).collect()).pop();
    let when = table.text("when", diagnostics).map(|spelt| spelt.text);
    let ensures = note("ensures", table.names("ensures", diagnostics));
    let protect = read_protect(&mut table, diagnostics);
    table.finish(diagnostics);
    let way = Way {
        id: block.id.clone()?,
        title,
        span: heading,
        from,
        to,
        when,
        ensures,
        protect,
        steps: Vec::new(),
    };
    Some(WayDraft { way, mentions, steps: Vec::new() })
}

/// The name of the state before the first step, in `to` and in `rollback --to`.
pub(crate) const START: &str = "start";
