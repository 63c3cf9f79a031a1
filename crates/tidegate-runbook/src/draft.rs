//! A step as it was read, with the places of every name in it, before names are resolved.

use std::ops::Range;

use crate::names::Name;
use crate::runbook::{Stage, Way};
use crate::source::Span;
use crate::sql::DifferencePart;
use crate::step::Step;
use crate::value::ValueRef;
use crate::vocabulary::{Language, Verb};

/// The steps of the page, in document order, by where they stand.
#[derive(Debug, Default)]
pub(crate) struct Drafts {
    pub(crate) stages: Vec<StageDraft>,
    pub(crate) ways: Vec<WayDraft>,
}

/// A stage whose steps are still drafts.
#[derive(Debug)]
pub(crate) struct StageDraft {
    /// Without its steps.
    pub(crate) stage: Stage,
    /// Values in `hold`.
    pub(crate) uses: Vec<ValueUse>,
    pub(crate) steps: Vec<Draft>,
}

/// A way whose steps are still drafts.
#[derive(Debug)]
pub(crate) struct WayDraft {
    /// Without its steps.
    pub(crate) way: Way,
    /// Names in `from`, `to` and `ensures`.
    pub(crate) mentions: Vec<Mention>,
    pub(crate) steps: Vec<Draft>,
}

/// A step as read.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) verb: Verb,
    pub(crate) language: Language,
    /// `None` after a finding about the id.
    pub(crate) id: Option<Name>,
    /// The head line.
    pub(crate) head: Range<usize>,
    /// `None` when the body could not be read.
    pub(crate) step: Option<Step>,
    /// Other names of this step's properties, in order.
    pub(crate) mentions: Vec<Mention>,
    /// Values that the step asks for, in order.
    pub(crate) uses: Vec<ValueUse>,
}

/// A name in a property or key, with its place.
#[derive(Clone, Debug)]
pub(crate) struct Mention {
    /// The property or key, without `@`.
    pub(crate) word: &'static str,
    pub(crate) name: Name,
    pub(crate) span: Span,
}

/// A value asked for, with its place.
#[derive(Clone, Debug)]
pub(crate) struct ValueUse {
    pub(crate) value: ValueRef,
    pub(crate) span: Span,
    pub(crate) handing: Handing,
}

/// How a value reaches the place that asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handing {
    /// Sent beside the statement.
    Bound,
    /// Part of the path of a request, which servers log.
    InPath,
    /// Part of another text. Whether a secret may stand there is for `lint` to say.
    InText,
    /// A whole recorded relation, or one kind of a comparison's differences.
    Relation(Option<DifferencePart>),
}

impl Draft {
    /// The mentions under one word.
    pub(crate) fn mentioned(&self, word: &'static str) -> impl Iterator<Item = &Mention> {
        self.mentions.iter().filter(move |mention| mention.word == word)
    }
}
