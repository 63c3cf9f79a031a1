//! Headings gather blocks into stages and ways back.

use std::ops::Range;

use crate::block::{Block, Kind};
use crate::diagnostic::Diagnostic;
use crate::draft::{Draft, Drafts, StageDraft, WayDraft};
use crate::duration::parse_duration;
use crate::frames;
use crate::names::Name;
use crate::outline::{Heading, Outline};
use crate::runbook::Stage;
use crate::source::Sources;
use crate::step_reader;
use crate::text::SourceText;
use crate::vocabulary::Frame;

/// Most steps of one page.
pub(crate) const STEPS_MAX: usize = 10_000;

/// A heading with everything up to the next one that ends it.
struct Section<'o, 'b, 'a> {
    heading: &'o Heading,
    range: Range<usize>,
    blocks: &'b [Block<'a>],
}

/// What the sections are read with.
struct Gatherer<'g, 'a> {
    page: &'g SourceText<'a>,
    sources: &'g Sources,
    diagnostics: &'g mut Vec<Diagnostic>,
    steps_read: usize,
}

/// Reads every stage, way and step.
pub(crate) fn read(
    page: &SourceText<'_>,
    sources: &Sources,
    outline: &Outline<'_>,
    blocks: &[Block<'_>],
    diagnostics: &mut Vec<Diagnostic>,
) -> Drafts {
    let mut gatherer = Gatherer { page, sources, diagnostics, steps_read: 0 };
    let mut drafts = Drafts::default();
    let sections = cut(&outline.headings, 2, 0..page.text.len(), blocks);
    let mut outside = 0;
    for section in &sections {
        let start = blocks.partition_point(|block| block.range.start < section.range.start);
        gatherer.outside(blocks.get(outside..start).unwrap_or_default());
        outside = blocks.partition_point(|block| block.range.start < section.range.end);
        gatherer.section(outline, section, &mut drafts);
    }
    gatherer.outside(blocks.get(outside..).unwrap_or_default());
    if gatherer.steps_read > STEPS_MAX {
        gatherer.diagnostics.push(Diagnostic::error(
            "too-many-steps",
            page.span(0..0),
            format!("the page has {} steps; at most {STEPS_MAX} are run", gatherer.steps_read),
            "split it into several runbooks",
        ));
    }
    drafts
}

/// The sections of one level in a range; a heading of a higher level ends one, too.
fn cut<'o, 'b, 'a>(
    headings: &'o [Heading],
    level: u8,
    within: Range<usize>,
    blocks: &'b [Block<'a>],
) -> Vec<Section<'o, 'b, 'a>> {
    let first = headings.partition_point(|heading| heading.range.start < within.start);
    let relevant: Vec<&Heading> = headings
        .iter()
        .skip(first)
        .take_while(|heading| heading.range.start < within.end)
        .filter(|heading| heading.level <= level)
        .collect();
    let mut sections = Vec::new();
    for (position, heading) in relevant.iter().enumerate() {
        if heading.level != level {
            continue;
        }
        let end = relevant.get(position + 1).map_or(within.end, |next| next.range.start);
        let range = heading.range.start..end;
        let from = blocks.partition_point(|block| block.range.start < range.start);
        let to = blocks.partition_point(|block| block.range.start < range.end);
        sections.push(Section { heading, range, blocks: blocks.get(from..to).unwrap_or_default() });
    }
    sections
}

impl Gatherer<'_, '_> {
    fn step(&mut self, block: &Block<'_>) -> Option<Draft> {
        self.steps_read += 1;
        if self.steps_read > STEPS_MAX {
            return None;
        }
        step_reader::read(self.page, self.sources, block, self.diagnostics)
    }

    fn misplaced(&mut self, code: &'static str, block: &Block<'_>, message: &str, help: &str) {
        let span = self.page.span(block.head.clone());
        self.diagnostics.push(Diagnostic::error(code, span, message, help));
    }

    /// Blocks that stand in no `##` section.
    fn outside(&mut self, blocks: &[Block<'_>]) {
        for block in blocks {
            match block.kind {
                Kind::Step(_) => {
                    self.misplaced(
                        "step-outside-stage",
                        block,
                        "this step stands in no `##` section, so no stage has it",
                        "move it below a `##` heading",
                    );
                    self.step(block);
                }
                Kind::Frame(Frame::Stage) => self.misplaced(
                    "stage-place",
                    block,
                    "`@stage` stands in no `##` section",
                    "move it right below the stage's `##` heading",
                ),
                Kind::Frame(Frame::Way) => self.misplaced(
                    "way-place",
                    block,
                    "`@way` stands in no `###` section",
                    "move it right below a `###` heading of the section `## Rollback`",
                ),
                Kind::Frame(Frame::Runbook) => {}
            }
        }
    }

    fn section(&mut self, outline: &Outline<'_>, section: &Section<'_, '_, '_>, drafts: &mut Drafts) {
        let has = |kind: Kind| section.blocks.iter().any(|block| block.kind == kind);
        let is_ways =
            section.heading.text.trim().eq_ignore_ascii_case("rollback") || has(Kind::Frame(Frame::Way));
        if is_ways {
            self.ways(outline, section, drafts);
            return;
        }
        let has_step = section.blocks.iter().any(|block| matches!(block.kind, Kind::Step(_)));
        if has_step || has(Kind::Frame(Frame::Stage)) {
            let stage = self.stage(section);
            drafts.stages.extend(stage);
        }
    }

    fn stage(&mut self, section: &Section<'_, '_, '_>) -> Option<StageDraft> {
        let heading = self.page.span(section.heading.range.clone());
        let title = section.heading.text.trim().to_owned();
        let mut frame: Option<(&Block<'_>, frames::StageFrame)> = None;
        let mut steps = Vec::new();
        for block in section.blocks {
            match block.kind {
                Kind::Frame(Frame::Stage) if frame.is_some() => {
                    self.misplaced(
                        "stage-place",
                        block,
                        "this section has a second `@stage`",
                        "keep one, right below the heading",
                    );
                }
                Kind::Frame(Frame::Stage) => {
                    if !steps.is_empty() {
                        self.misplaced(
                            "stage-place",
                            block,
                            "`@stage` stands below a step of its section",
                            "move it right below the heading",
                        );
                    }
                    frame = Some((block, frames::stage(self.page, block, self.diagnostics)));
                }
                Kind::Step(_) => steps.extend(self.step(block)),
                Kind::Frame(Frame::Runbook | Frame::Way) => {}
            }
        }
        let (head, frame) = match frame {
            Some((block, frame)) => (Some(block), frame),
            None => (None, frames::StageFrame::default()),
        };
        let id = match head {
            Some(block) => block.id.clone(),
            None => slug(&title),
        };
        if id.is_none() && head.is_none() {
            self.diagnostics.push(Diagnostic::error(
                "stage-without-id",
                heading.clone(),
                format!("no id can be made of the heading {title:?}"),
                "write a block `# @stage some_id` in toml right below the heading",
            ));
        }
        let hold_is_wrong =
            frame.hold.as_ref().is_some_and(|(template, _)| match template.pieces.as_slice() {
                [crate::value::TextPiece::Text(text)] => parse_duration(text).is_err(),
                [crate::value::TextPiece::Value(_)] => false,
                _ => true,
            });
        if hold_is_wrong && let Some((_, span)) = &frame.hold {
            self.diagnostics.push(Diagnostic::error(
                "duration-malformed",
                span.clone(),
                "`hold` is no span of time",
                "write \"24h\", or one value such as \"{{hold_time}}\"",
            ));
        }
        let stage = Stage {
            // A stage without an id has been reported; its steps are read for their own faults.
            id: id.or_else(|| Name::parse("unnamed").ok())?,
            title,
            span: heading,
            manual: frame.manual,
            no_return: frame.no_return,
            hold: frame.hold.map(|(template, _)| template),
            protect: frame.protect,
            steps: Vec::new(),
        };
        Some(StageDraft { stage, uses: frame.uses, steps })
    }

    fn ways(&mut self, outline: &Outline<'_>, section: &Section<'_, '_, '_>, drafts: &mut Drafts) {
        let subsections = cut(&outline.headings, 3, section.range.clone(), section.blocks);
        let first = subsections.first().map_or(section.range.end, |sub| sub.range.start);
        let before = section.blocks.partition_point(|block| block.range.start < first);
        for block in section.blocks.get(..before).unwrap_or_default() {
            self.no_way(block);
        }
        for subsection in &subsections {
            self.way(subsection, drafts);
        }
    }

    /// A block of a section with ways that belongs to none.
    fn no_way(&mut self, block: &Block<'_>) {
        match block.kind {
            Kind::Step(_) => {
                self.misplaced(
                    "step-outside-way",
                    block,
                    "this step stands in a section of ways back, but in no way",
                    "begin its `###` section with a block `# @way name` in toml, or move the step to a stage",
                );
                self.step(block);
            }
            Kind::Frame(Frame::Way) => self.misplaced(
                "way-place",
                block,
                "`@way` stands outside a `###` section, or below a step or another `@way` of its own",
                "give each way a `###` heading and put `@way` right below it",
            ),
            Kind::Frame(Frame::Stage) => self.misplaced(
                "stage-place",
                block,
                "`@stage` stands in a section of ways back, which is no stage",
                "move the stage to a section of its own",
            ),
            Kind::Frame(Frame::Runbook) => {}
        }
    }

    fn way(&mut self, section: &Section<'_, '_, '_>, drafts: &mut Drafts) {
        let mut found: Option<WayDraft> = None;
        let mut blocks = section.blocks.iter();
        for block in blocks.by_ref() {
            match (&mut found, block.kind) {
                (None, Kind::Frame(Frame::Way)) => {
                    let title = section.heading.text.trim().to_owned();
                    let heading = self.page.span(section.heading.range.clone());
                    found = frames::way(self.page, block, title, heading, self.diagnostics);
                }
                (Some(way), Kind::Step(_)) => {
                    if let Some(step) = self.step(block) {
                        way.steps.push(step);
                    }
                }
                _ => self.no_way(block),
            }
        }
        drafts.ways.extend(found);
    }
}

/// An id made of a heading: letters and digits in lower case, underscores for everything between.
pub(crate) fn slug(title: &str) -> Option<Name> {
    let mut id = String::new();
    for character in title.chars() {
        if character.is_ascii_alphanumeric() {
            id.push(character.to_ascii_lowercase());
        } else if character.is_alphanumeric() {
            return None;
        } else if !id.is_empty() && !id.ends_with('_') {
            id.push('_');
        }
    }
    Name::parse(id.trim_end_matches('_')).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_ids() {
        let text = |title: &str| slug(title).map(|name| name.to_string());
        assert_eq!(text("v025: retire staging & refs!").as_deref(), Some("v025_retire_staging_refs"));
        assert_eq!(text("Step 1: Backup").as_deref(), Some("step_1_backup"));
        assert_eq!(text("…"), None);
        assert_eq!(text("Überblick"), None);
        assert_eq!(text(&"a".repeat(61)), None);
    }
}
