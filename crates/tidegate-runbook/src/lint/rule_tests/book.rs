//! Small runbooks, put together without a page.

use std::time::Duration;

use crate::diagnostic::{Diagnostic, Severity};
use crate::expectation::Expectation;
use crate::lint::lint;
use crate::names::Name;
use crate::runbook::{Limits, Runbook, Stage, Versions};
use crate::source::{SourcePath, Span};
use crate::sql_text::parse_statements;
use crate::step::{
    Action, Backfill, BackfillSource, Backup, Check, Compare, CompareMode, Equality, Migrate, Question,
    Record, Step, Via, Waiver,
};
use crate::value::{TextPiece, TextTemplate};

pub(super) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub(super) fn span(start: usize, end: usize) -> Span {
    Span { path: SourcePath("page.md".to_owned()), range: start..end }
}

pub(super) fn sql(text: &str) -> crate::sql::SqlBody {
    let mut diagnostics = Vec::new();
    let body = parse_statements(text, &SourcePath("page.md".to_owned()), 0, &mut diagnostics);
    assert_eq!(diagnostics, [], "{text}");
    body
}

pub(super) fn step(id: &str, action: Action) -> Step {
    Step {
        id: name(id),
        span: span(0, 10_000),
        head: span(0, 1),
        store: None,
        via: Via::Direct,
        role: None,
        login: None,
        timeout: None,
        valid: None,
        says: None,
        requires: Vec::new(),
        ensures: Vec::new(),
        unless: None,
        conserves: Vec::new(),
        evidence_rows: false,
        waivers: Vec::new(),
        action,
        meaning: [0; 32],
    }
}

pub(super) fn migrate(id: &str, forward: &str, undo: Option<&str>) -> Step {
    let migrate = Migrate {
        version: None,
        name: id.to_owned(),
        body: sql(forward),
        undo: undo.map(sql),
        outside_transaction: false,
        checksum: String::new(),
    };
    step(id, Action::Migrate(migrate))
}

pub(super) fn outside(mut step: Step) -> Step {
    if let Action::Migrate(migrate) = &mut step.action {
        migrate.outside_transaction = true;
    }
    step
}

pub(super) fn check(id: &str, text: &str, expect: Expectation) -> Step {
    let check = Check {
        question: Question::Sql(sql(text)),
        expect: vec![expect],
        attempt: false,
        each: None,
        over: None,
        within: None,
        only_unless: false,
        harmless: None,
        values: Vec::new(),
        cohort: None,
    };
    step(id, Action::Check(check))
}

pub(super) fn attempt(id: &str, text: &str) -> Step {
    let mut step = check(id, text, Expectation::Error { sqlstate: "42501".to_owned(), message: None });
    if let Action::Check(check) = &mut step.action {
        check.attempt = true;
    }
    step
}

pub(super) fn record(id: &str, text: &str) -> Step {
    let question = Question::Sql(sql(text));
    step(id, Action::Record(Record { question, rows: false, at: None, values: Vec::new() }))
}

pub(super) fn compare(id: &str, left: &str, right: &str) -> Step {
    let query = |text| sql(text).statements.remove(0);
    let compare = Compare {
        left: query(left),
        right: query(right),
        key: vec!["id".to_owned()],
        mode: CompareMode::Equal,
        equal: Equality::Text,
        expect_differences: false,
        settle: None,
        at_most: 1,
        accepted: Vec::new(),
    };
    step(id, Action::Compare(compare))
}

pub(super) fn backfill(id: &str, text: &str, reads: &[&str]) -> Step {
    let backfill = Backfill {
        version: None,
        name: id.to_owned(),
        source: BackfillSource::Table("s".to_owned()),
        key: vec!["id".to_owned()],
        after: None,
        body: sql(text).statements.remove(0),
        hopeful: None,
        reads: reads.iter().map(ToString::to_string).collect(),
        workers: 1,
        target: Duration::from_millis(80),
        rows: (1, 1),
        throttles: Vec::new(),
        checksum: String::new(),
    };
    step(id, Action::Backfill(backfill))
}

pub(super) fn backup(id: &str) -> Step {
    let file = TextTemplate { pieces: vec![TextPiece::Text("b.dump".to_owned())] };
    step(id, Action::Backup(Backup { file, tables: Vec::new(), rehearse: Ok(()), bytes_max: None }))
}

pub(super) fn requires(mut step: Step, names: &[&str]) -> Step {
    step.requires = names.iter().copied().map(name).collect();
    step
}

pub(super) fn waives(mut step: Step, rule: &str) -> Step {
    step.waivers.push(Waiver { rule: rule.to_owned(), reason: "known".to_owned() });
    step
}

pub(super) fn runbook(steps: Vec<Step>) -> Runbook {
    let stage = Stage {
        id: name("stage"),
        title: String::new(),
        span: span(0, 1),
        manual: false,
        no_return: false,
        hold: None,
        protect: Vec::new(),
        steps,
    };
    Runbook {
        id: name("book"),
        title: String::new(),
        page: SourcePath("page.md".to_owned()),
        stores: Vec::new(),
        parameters: Vec::new(),
        flags: Vec::new(),
        rekeys: Vec::new(),
        versions: Versions { adopted: None, first: None, manual: Vec::new() },
        limits: Limits::default(),
        contacts: Vec::new(),
        on_halt: Vec::new(),
        protect: Vec::new(),
        repeatable: false,
        needs_run: None,
        stages: vec![stage],
        ways: Vec::new(),
        not_steps: Vec::new(),
        meaning: [0; 32],
    }
}

pub(super) fn findings(runbook: &Runbook) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    lint(runbook, &mut diagnostics);
    diagnostics
}

/// Codes of errors, sorted, then codes of warnings, sorted.
pub(super) fn codes(steps: Vec<Step>) -> Vec<&'static str> {
    codes_of(&runbook(steps))
}

pub(super) fn codes_of(runbook: &Runbook) -> Vec<&'static str> {
    let mut found = findings(runbook);
    found.sort_by_key(|finding| (finding.severity, finding.code));
    found.iter().map(|finding| finding.code).collect()
}

pub(super) fn errors(steps: Vec<Step>) -> Vec<&'static str> {
    findings(&runbook(steps)).iter().filter(|f| f.severity == Severity::Error).map(|f| f.code).collect()
}
