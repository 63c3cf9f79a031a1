//! Versions rise in document order, without gaps; names under which the version table keeps migrations differ.

use std::collections::BTreeMap;

use crate::diagnostic::Diagnostic;
use crate::draft::Drafts;
use crate::front::Front;
use crate::source::Span;
use crate::step::Action;
use crate::text::SourceText;

/// Versions with more digits than this are taken for timestamps, between which gaps mean nothing.
const SEQUENCE_DIGITS_MAX: usize = 7;

/// Largest gap whose members are listed.
const GAP_LISTED_MAX: u64 = 10;

/// A version with its place.
struct Carried<'d> {
    text: &'d str,
    number: u64,
    span: Span,
    manual_stage: bool,
}

/// Checks the versions of all stages.
pub(crate) fn check(
    page: &SourceText<'_>,
    front: &Front,
    drafts: &Drafts,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut carried: Vec<Carried<'_>> = Vec::new();
    for stage in &drafts.stages {
        for draft in &stage.steps {
            let version = match draft.step.as_ref().map(|step| &step.action) {
                Some(Action::Migrate(migrate)) => migrate.version.as_deref(),
                Some(Action::Retire(retire)) => retire.version.as_deref(),
                Some(Action::Backfill(backfill)) => backfill.version.as_deref(),
                _ => None,
            };
            let Some((text, number)) = version.and_then(|text| Some((text, text.parse().ok()?))) else {
                continue;
            };
            let span = page.span(draft.head.clone());
            carried.push(Carried { text, number, span, manual_stage: stage.stage.manual });
        }
    }
    report_equal_names(page, drafts, diagnostics);
    let manual: Vec<u64> = front.versions.manual.iter().filter_map(|text| text.parse().ok()).collect();
    for version in &carried {
        if manual.contains(&version.number) && !version.manual_stage {
            diagnostics.push(Diagnostic::error(
                "version-manual",
                version.span.clone(),
                format!("version {} is declared manual, but its stage is not", version.text),
                "write `manual = true` in the stage, or take the version out of `[versions] manual`",
            ));
        }
    }
    let mut before: Option<(&str, u64, Option<&Span>)> = None;
    if let Some(first) = &front.versions.first {
        let number = first.parse::<u64>().ok().and_then(|number| number.checked_sub(1));
        before = number.map(|number| (first.as_str(), number, None));
    }
    let mut is_first = true;
    for version in &carried {
        if let Some((text, number, span)) = before {
            order(version, text, number, span, is_first, &manual, diagnostics);
        }
        is_first = false;
        if before.is_none_or(|(_, number, _)| version.number > number) {
            before = Some((version.text, version.number, Some(&version.span)));
        }
    }
}

/// Two migrations that the version table would keep under one name.
fn report_equal_names(page: &SourceText<'_>, drafts: &Drafts, diagnostics: &mut Vec<Diagnostic>) {
    let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
    for draft in drafts.stages.iter().flat_map(|stage| &stage.steps) {
        let name = match draft.step.as_ref().map(|step| &step.action) {
            Some(Action::Migrate(migrate)) => &migrate.name,
            Some(Action::Backfill(backfill)) if backfill.version.is_some() => &backfill.name,
            _ => continue,
        };
        let span = page.span(draft.head.clone());
        match seen.get(name.as_str()) {
            None => {
                seen.insert(name, span);
            }
            Some(first) => diagnostics.push(
                Diagnostic::error(
                    "migration-twice",
                    span,
                    format!("the version table would keep this migration as `{name}`, too"),
                    "give the files different base names, or remove one of the steps",
                )
                .with_related(first.clone(), "the first"),
            ),
        }
    }
}

fn order(
    version: &Carried<'_>,
    before: &str,
    before_number: u64,
    before_span: Option<&Span>,
    is_first: bool,
    manual: &[u64],
    diagnostics: &mut Vec<Diagnostic>,
) {
    let related = |finding: Diagnostic| match before_span {
        Some(span) => finding.with_related(span.clone(), "the one before"),
        None => finding,
    };
    if version.number <= before_number {
        let (code, message) = if before_span.is_none() {
            ("version-order", format!("version {} stands before `first`, {before}", version.text))
        } else if version.number == before_number {
            ("version-duplicate", format!("version {} is carried twice", version.text))
        } else {
            ("version-order", format!("version {} stands after {before}", version.text))
        };
        let finding = Diagnostic::error(
            code,
            version.span.clone(),
            message,
            "versions rise in document order: renumber or move the step",
        );
        diagnostics.push(related(finding));
        return;
    }
    if version.text.len() > SEQUENCE_DIGITS_MAX {
        return;
    }
    let mut missing =
        (before_number + 1..version.number).filter(|number| !manual.contains(number)).peekable();
    if missing.peek().is_none() {
        return;
    }
    let listed: Vec<String> = missing
        .take(usize::try_from(GAP_LISTED_MAX).unwrap_or(usize::MAX))
        .map(|number| format!("{number:0width$}", width = version.text.len()))
        .collect();
    let message = if is_first {
        format!("version {} is not the first, {before}; missing: {}", version.text, listed.join(", "))
    } else {
        format!("version {} follows {before}; missing: {}", version.text, listed.join(", "))
    };
    let finding = Diagnostic::error(
        "version-gap",
        version.span.clone(),
        message,
        "add the missing steps, renumber, or list them in `[versions] manual` if a person applies them",
    );
    diagnostics.push(related(finding));
}
