//! What the parser tells the author: a code, a place, and what to do next.

use crate::source::Span;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The file is not a runbook until this is mended.
    Error,
    /// The runbook stands; the author should look.
    Warning,
}

/// One finding about a runbook's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable name of the rule, in kebab case, such as `unknown-verb`. Listed in `docs/diagnostics.md`.
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// One sentence without a full stop: what is wrong.
    pub message: String,
    /// Where; `None` only for findings about a whole file.
    pub span: Option<Span>,
    /// A second place that explains the first, such as the earlier of two equal ids.
    pub related: Option<(Span, String)>,
    /// What to do next.
    pub help: String,
}

impl Diagnostic {
    /// An error at `span`.
    pub(crate) fn error(
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            span: Some(span),
            related: None,
            help: help.into(),
        }
    }

    /// The same finding with a second place that explains it.
    pub(crate) fn with_related(mut self, span: Span, text: impl Into<String>) -> Self {
        self.related = Some((span, text.into()));
        self
    }
}
