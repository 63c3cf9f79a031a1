//! Findings about a page: with the page's own text on a terminal, one line each elsewhere.

use std::fmt;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use serde::Serialize;
use tidegate_engine::sources::Places;
use tidegate_runbook::{Diagnostic, FileContent, Severity, Sources, Span};

use crate::screen::Screen;

/// Findings for people.
pub(crate) fn text(screen: &Screen, sources: &Sources, found: &[Diagnostic]) -> String {
    let places = Places::new(sources);
    let mut text = String::new();
    for diagnostic in found {
        let drawn = screen.redraws().then(|| drawn(sources, diagnostic)).flatten();
        text.push_str(&drawn.unwrap_or_else(|| plain(&places, diagnostic)));
    }
    text
}

fn plain(places: &Places, diagnostic: &Diagnostic) -> String {
    let place = |span: &Span| {
        places.describe_offset(&span.path, span.range.start).unwrap_or_else(|| span.path.to_string())
    };
    let at = diagnostic.span.as_ref().map_or(String::new(), |span| format!("{}: ", place(span)));
    let mut text =
        format!("{at}{}[{}]: {}\n", word(diagnostic.severity), diagnostic.code, diagnostic.message);
    if let Some((span, what)) = &diagnostic.related {
        text.push_str(&format!("    {}: {what}\n", place(span)));
    }
    text.push_str(&format!("    help: {}\n", diagnostic.help));
    text
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn drawn(sources: &Sources, diagnostic: &Diagnostic) -> Option<String> {
    let span = diagnostic.span.as_ref()?;
    let source = NamedSource::new(span.path.to_string(), text_of(sources, span)?);
    let mut labels = vec![LabeledSpan::underline(span.range.start..span.range.end)];
    if let Some((related, what)) = &diagnostic.related
        && related.path == span.path
    {
        labels.push(LabeledSpan::at(related.range.start..related.range.end, what.clone()));
    }
    let shown = Shown { diagnostic, source, labels };
    let mut text = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode()).render_report(&mut text, &shown).ok()?;
    Some(text)
}

/// The text that a span counts in: after a byte order mark.
fn text_of(sources: &Sources, span: &Span) -> Option<String> {
    let bytes = if span.path == sources.page {
        &sources.page_bytes
    } else {
        match sources.files.get(&span.path)? {
            FileContent::Bytes(bytes) => bytes,
            FileContent::Missing | FileContent::OutsideRoot | FileContent::Unreadable(_) => return None,
        }
    };
    let text = std::str::from_utf8(bytes).ok()?;
    Some(text.strip_prefix('\u{feff}').unwrap_or(text).to_owned())
}

/// A finding as miette draws it.
#[derive(Debug)]
struct Shown<'a> {
    diagnostic: &'a Diagnostic,
    source: NamedSource<String>,
    labels: Vec<LabeledSpan>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.diagnostic.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl miette::Diagnostic for Shown<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.diagnostic.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.diagnostic.help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}

/// A finding for programs.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    code: &'static str,
    severity: &'static str,
    message: String,
    place: Option<String>,
    related: Option<Related>,
    help: String,
}

/// A second place that explains the first.
#[derive(Debug, Serialize)]
struct Related {
    place: Option<String>,
    what: String,
}

/// Findings for programs.
pub(crate) fn json(sources: &Sources, found: &[Diagnostic]) -> Vec<Finding> {
    let places = Places::new(sources);
    let place = |span: &Span| places.describe_offset(&span.path, span.range.start);
    found
        .iter()
        .map(|diagnostic| Finding {
            code: diagnostic.code,
            severity: word(diagnostic.severity),
            message: diagnostic.message.clone(),
            place: diagnostic.span.as_ref().and_then(place),
            related: diagnostic
                .related
                .as_ref()
                .map(|(span, what)| Related { place: place(span), what: what.clone() }),
            help: diagnostic.help.clone(),
        })
        .collect()
}
