//! The one name space of steps, stages and ways, and where each name stands.

use std::cell::Cell;
use std::collections::BTreeMap;

use crate::cohort::EACH;
use crate::diagnostic::Diagnostic;
use crate::draft::{Draft, Drafts};
use crate::frames::START;
use crate::names::Name;
use crate::source::Span;
use crate::text::SourceText;
use crate::vocabulary::edit_distance;

/// Where in the order of things something stands: among the stages, or in one of the ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    Stages,
    Way(usize),
}

/// What a name stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Named<'d> {
    Step(&'d Draft),
    Stage { first: usize, steps: usize },
    Way,
}

/// A name's meaning and place.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'d> {
    pub(crate) named: Named<'d>,
    pub(crate) list: List,
    /// Position in its list: of the step, or of the stage's last step.
    pub(crate) index: usize,
    pub(crate) span: Span,
}

/// A step with its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed<'d> {
    pub(crate) draft: &'d Draft,
    pub(crate) list: List,
    pub(crate) index: usize,
    /// Position of its stage among the stages; 0 in a way.
    pub(crate) stage: usize,
}

/// Most unknown names for which a near one is looked up.
const SUGGESTIONS_MAX: usize = 100;

/// Every name of the page.
#[derive(Debug, Default)]
pub(crate) struct Scope<'d> {
    pub(crate) entries: BTreeMap<&'d Name, Entry<'d>>,
    /// Every step, stages first, in document order within each list.
    pub(crate) steps: Vec<Placed<'d>>,
    /// Suggestions made so far.
    suggested: Cell<usize>,
}

impl<'d> Scope<'d> {
    /// Gathers the names; equal ones are reported with both places.
    pub(crate) fn new(page: &SourceText<'_>, drafts: &'d Drafts, diagnostics: &mut Vec<Diagnostic>) -> Self {
        let mut scope = Self::default();
        let mut index = 0;
        for (position, stage) in drafts.stages.iter().enumerate() {
            let first = index;
            for draft in &stage.steps {
                scope.place(page, draft, List::Stages, index, position, diagnostics);
                index += 1;
            }
            let named = Named::Stage { first, steps: stage.steps.len() };
            let last = index.saturating_sub(usize::from(!stage.steps.is_empty()));
            if stage.stage.id.as_str() == START {
                reserved(&stage.stage.span, START, "the state before the first step", diagnostics);
            }
            let span = stage.stage.span.clone();
            scope.enter(&stage.stage.id, Entry { named, list: List::Stages, index: last, span }, diagnostics);
        }
        for (position, way) in drafts.ways.iter().enumerate() {
            let list = List::Way(position);
            for (index, draft) in way.steps.iter().enumerate() {
                scope.place(page, draft, list, index, 0, diagnostics);
            }
            let span = way.way.span.clone();
            scope.enter(&way.way.id, Entry { named: Named::Way, list, index: 0, span }, diagnostics);
        }
        scope
    }

    fn place(
        &mut self,
        page: &SourceText<'_>,
        draft: &'d Draft,
        list: List,
        index: usize,
        stage: usize,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        self.steps.push(Placed { draft, list, index, stage });
        if let Some(id) = &draft.id {
            let span = page.span(draft.head.clone());
            if id.as_str() == "run" {
                reserved(&span, "run", "the run itself, as in run.id", diagnostics);
            }
            if id.as_str() == EACH {
                reserved(&span, EACH, "the row at hand, as in each.name", diagnostics);
            }
            self.enter(id, Entry { named: Named::Step(draft), list, index, span }, diagnostics);
        }
    }

    fn enter(&mut self, name: &'d Name, entry: Entry<'d>, diagnostics: &mut Vec<Diagnostic>) {
        if let Some(earlier) = self.entries.get(name) {
            let (first, second) = if earlier.span.range.start <= entry.span.range.start {
                (earlier.span.clone(), entry.span)
            } else {
                (entry.span, earlier.span.clone())
            };
            diagnostics.push(
                Diagnostic::error(
                    "duplicate-name",
                    second,
                    format!("the name `{name}` is taken"),
                    "steps, stages and ways share one name space: choose another id; a stage gets one by `@stage id`",
                )
                .with_related(first, "taken here"),
            );
            return;
        }
        self.entries.insert(name, entry);
    }

    /// What a name stands for.
    pub(crate) fn get(&self, name: &Name) -> Option<&Entry<'d>> {
        self.entries.get(name)
    }

    /// A sentence that names the nearest known name.
    pub(crate) fn nearest(&self, name: &Name) -> String {
        let suggested = self.suggested.get();
        self.suggested.set(suggested.saturating_add(1));
        if suggested >= SUGGESTIONS_MAX {
            return "check the spelling, or add the step".to_owned();
        }
        let near = self
            .entries
            .keys()
            .map(|known| (edit_distance(known.as_str(), name.as_str()), *known))
            .filter(|(distance, _)| *distance <= 2)
            .min_by_key(|(distance, _)| *distance);
        match near {
            Some((_, known)) => format!("did you mean `{known}`?"),
            None => "check the spelling, or add the step".to_owned(),
        }
    }
}

fn reserved(span: &Span, name: &str, means: &str, diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.push(Diagnostic::error(
        "name-reserved",
        span.clone(),
        format!("`{name}` is taken: it means {means}"),
        "choose another id",
    ));
}
