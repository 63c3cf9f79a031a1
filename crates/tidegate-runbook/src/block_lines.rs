//! The lines of a block below its head: properties first, then the body with its dividers.

use crate::block::{Block, Divider, Kind, Property};
use crate::diagnostic::Diagnostic;
use crate::marker::{self, Mark};
use crate::text::{Line, SourceText};
use crate::vocabulary::{self, Argument, Language, PropertyRule};

/// Most `@` lines of one block.
const PROPERTIES_MAX: usize = 1_000;

/// Reads the lines below the head: properties, dividers, and where the body starts.
pub(crate) fn read<'a>(page: &SourceText<'a>, block: &mut Block<'a>, diagnostics: &mut Vec<Diagnostic>) {
    let comment = block.language.comment();
    let mut leading = true;
    let mut marks = 0_usize;
    for line in page.lines(block.body.clone()) {
        if let Some(mark) = marker::strict(&line).filter(|mark| mark.comment == comment) {
            if read_divider(page, block, &line, &mark, diagnostics) {
                leading = false;
                continue;
            }
            marks += 1;
            if marks <= PROPERTIES_MAX {
                read_property(page, block, &mark, leading, diagnostics);
            } else if marks == PROPERTIES_MAX + 1 {
                diagnostics.push(Diagnostic::error(
                    "too-many-properties",
                    page.span(mark.range),
                    format!("this step has more than {PROPERTIES_MAX} lines with `@`"),
                    "require a stage instead of many steps, or split the step",
                ));
            }
            continue;
        }
        if let Some((word, place)) = marker::misplaced(line.text, comment) {
            diagnostics.push(Diagnostic::error(
                "mark-inside-line",
                page.span(line.range.start + place.start..line.range.start + place.end),
                format!("`{comment} @{word}` stands inside a line, where it is only a comment"),
                "put it on a line of its own, at the start of the line",
            ));
        } else if let Some(word) = marker::loose(line.text, false) {
            diagnostics.push(Diagnostic::error(
                "step-in-step",
                page.span(line.range.clone()),
                format!("a line with `@{word}` stands inside the block of another step"),
                "give it a fenced block of its own",
            ));
        }
        let is_comment = line.text.starts_with(comment) && block.language != Language::Text;
        if leading && !line.text.trim().is_empty() && !is_comment {
            leading = false;
        }
        if block.content == block.body.end && !line.text.trim().is_empty() && !is_comment {
            block.content = line.range.start;
        }
    }
}

fn read_divider(
    page: &SourceText<'_>,
    block: &mut Block<'_>,
    line: &Line<'_>,
    mark: &Mark<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> bool {
    let Some((word, verb)) = vocabulary::divider(mark.word) else { return false };
    let span = || page.span(mark.range.clone());
    let earlier = block.dividers.iter().find(|divider| divider.word == word).map(|d| d.range.clone());
    if block.kind != Kind::Step(verb) || block.language != Language::Sql {
        diagnostics.push(Diagnostic::error(
            "misplaced-property",
            span(),
            format!("`@{word}` has no meaning here"),
            format!("it divides the body of an sql `@{}`", verb.name()),
        ));
    } else if !mark.rest.is_empty() {
        diagnostics.push(Diagnostic::error(
            "property-value",
            span(),
            format!("nothing may follow `@{word}`"),
            "write what follows on the next line",
        ));
    } else if let Some(earlier) = earlier {
        diagnostics.push(
            Diagnostic::error(
                "duplicate-property",
                span(),
                format!("`@{word}` stands here a second time"),
                "keep one",
            )
            .with_related(page.span(earlier), "the first"),
        );
    } else {
        block.dividers.push(Divider { word, range: line.range.clone(), next: line.next });
    }
    true
}

fn read_property<'a>(
    page: &SourceText<'a>,
    block: &mut Block<'a>,
    mark: &Mark<'a>,
    leading: bool,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let word = mark.word;
    let span = || page.span(mark.range.clone());
    let Some(first) = vocabulary::properties(word).next() else {
        let head = vocabulary::head_words().any(|head| head == word);
        diagnostics.push(if head {
            Diagnostic::error(
                "step-in-step",
                span(),
                format!("`@{word}` stands inside the block of another step"),
                "give it a fenced block of its own; a fence above may not be closed",
            )
        } else {
            let known = vocabulary::PROPERTIES.iter().filter(|rule| fits(block, rule)).map(|rule| rule.word);
            Diagnostic::error(
                "unknown-property",
                span(),
                format!("`@{word}` is no property"),
                vocabulary::did_you_mean(word, known),
            )
        });
        return;
    };
    if !leading {
        diagnostics.push(Diagnostic::error(
            "property-after-body",
            span(),
            format!("`@{word}` stands after the body has begun"),
            "move it up, right below the first line of the block",
        ));
        return;
    }
    let Some(rule) = vocabulary::properties(word).find(|rule| fits(block, rule)) else {
        let what = match block.kind {
            Kind::Step(verb) => format!("`@{}` in {}", verb.name(), block.language.name()),
            Kind::Frame(frame) => format!("the `@{}` block", frame.name()),
        };
        let verbs: Vec<&str> =
            vocabulary::properties(word).flat_map(|rule| rule.verbs).map(|verb| verb.name()).collect();
        let languages: Vec<&str> = first.languages.iter().map(|language| language.name()).collect();
        diagnostics.push(Diagnostic::error(
            "misplaced-property",
            span(),
            format!("`@{word}` has no meaning in {what}"),
            format!("it belongs to {} in {}", verbs.join(", "), languages.join(", ")),
        ));
        return;
    };
    match rule.argument {
        Argument::None if !mark.rest.is_empty() => {
            diagnostics.push(Diagnostic::error(
                "property-value",
                page.span(mark.rest_range.clone()),
                format!("nothing may follow `@{word}`"),
                "remove the rest of the line",
            ));
            return;
        }
        Argument::Needed if mark.rest.is_empty() => {
            diagnostics.push(Diagnostic::error(
                "property-value",
                span(),
                format!("`@{word}` needs a value"),
                format!("write it on the same line, after `@{word}`"),
            ));
            return;
        }
        Argument::None | Argument::Needed => {}
    }
    if !rule.repeats
        && let Some(earlier) = block.properties.iter().find(|property| property.rule.word == word)
    {
        diagnostics.push(
            Diagnostic::error(
                "duplicate-property",
                span(),
                format!("`@{word}` stands here a second time"),
                "keep one",
            )
            .with_related(earlier.span.clone(), "the first"),
        );
        return;
    }
    let range = if mark.rest.is_empty() { mark.range.clone() } else { mark.rest_range.clone() };
    block.properties.push(Property { rule, text: mark.rest, span: page.span(range) });
}

fn fits(block: &Block<'_>, rule: &PropertyRule) -> bool {
    let Kind::Step(verb) = block.kind else { return false };
    rule.verbs.contains(&verb) && rule.languages.contains(&block.language)
}
