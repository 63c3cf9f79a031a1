//! `quoted-secret`: secrets may be bound, and sent in headers and bodies; they are never part of a text that is written
//! out: SQL text, confirm texts, file names, expectations.

use super::body::Scope;
use crate::diagnostic::Diagnostic;
use crate::expectation::{Expectation, JsonOperand, JsonOperator};
use crate::runbook::Runbook;
use crate::source::Span;
use crate::sql::SqlPiece;
use crate::sql_text::value_spans;
use crate::step::{Action, Check, Question, Record};
use crate::value::{TextPiece, TextTemplate, ValueRef};

const CODE: &str = "quoted-secret";

pub(super) fn judge(scope: &Scope<'_>, found: &mut Vec<Diagnostic>) {
    for body in scope.bodies() {
        for (piece, span) in body.statements.iter().flat_map(value_spans) {
            let (SqlPiece::Literal(value) | SqlPiece::Identifier(value)) = piece else { continue };
            if is_secret(scope.runbook, value) {
                let message =
                    format!("the secret {value} would become part of the SQL text, which servers log");
                let help = format!("bind it as :{value}, in a statement that takes bound values");
                found.push(Diagnostic::error(CODE, span, message, help));
            }
        }
    }
    for (place, template) in written_out(&scope.step.action) {
        found.extend(secret_in(scope.runbook, template, place, &scope.step.head));
    }
}

/// The texts of stages that are written out.
pub(super) fn judge_stages(runbook: &Runbook, found: &mut Vec<Diagnostic>) {
    for stage in &runbook.stages {
        found.extend(
            stage.hold.as_ref().and_then(|hold| secret_in(runbook, hold, "the hold of a stage", &stage.span)),
        );
    }
}

fn secret_in(runbook: &Runbook, template: &TextTemplate, place: &str, span: &Span) -> Option<Diagnostic> {
    let mut values = template.pieces.iter().filter_map(|piece| match piece {
        TextPiece::Value(value) => Some(value),
        TextPiece::Text(_) => None,
    });
    let value = values.find(|value| is_secret(runbook, value))?;
    let message = format!("the secret {value} would be written out in {place}");
    Some(Diagnostic::error(
        CODE,
        span.clone(),
        message,
        "leave it out, or use a parameter that is not secret",
    ))
}

fn is_secret(runbook: &Runbook, value: &ValueRef) -> bool {
    value.field.is_none()
        && runbook.parameters.iter().any(|parameter| parameter.secret && parameter.name == value.root)
}

/// Texts of a step that people or files get to see.
fn written_out(action: &Action) -> Vec<(&'static str, &TextTemplate)> {
    let expect: &[Expectation] = match action {
        Action::Confirm(confirm) => return vec![("the text of a confirm", &confirm.text)],
        Action::Backup(backup) => return vec![("the name of a file", &backup.file)],
        Action::BackupKeys(backup) => {
            let prefix = backup.prefix.iter().map(|prefix| ("a key", prefix));
            return std::iter::once(("the name of a file", &backup.file)).chain(prefix).collect();
        }
        Action::Rekey(moved) => {
            return std::iter::once(&moved.id).chain(&moved.names).map(|key| ("a key", key)).collect();
        }
        Action::RestoreKeys(restore) => {
            return restore.keys.iter().chain(&restore.prefixes).map(|key| ("a key", key)).collect();
        }
        Action::Check(check) => &check.expect,
        Action::Watch(watch) => &watch.expect,
        Action::Command(command) => &command.expect,
        _ => &[],
    };
    let mut texts: Vec<_> = expect.iter().filter_map(operand).map(|text| ("an expectation", text)).collect();
    if let Action::Check(Check { question: Question::Kv(body), .. })
    | Action::Record(Record { question: Question::Kv(body), .. }) = action
    {
        for statement in &body.statements {
            texts.push(("a key", statement.read.key()));
            let compared = statement.read.conditions().iter();
            texts.extend(
                compared.filter_map(|one| compared_with(&one.operator)).map(|text| ("a condition", text)),
            );
        }
    }
    texts
}

fn operand(expectation: &Expectation) -> Option<&TextTemplate> {
    match expectation {
        Expectation::Json { operator, .. } => compared_with(operator),
        _ => None,
    }
}

fn compared_with(operator: &JsonOperator) -> Option<&TextTemplate> {
    match operator {
        JsonOperator::Equal(JsonOperand::Template(text))
        | JsonOperator::NotEqual(JsonOperand::Template(text))
        | JsonOperator::Less(JsonOperand::Template(text))
        | JsonOperator::LessOrEqual(JsonOperand::Template(text))
        | JsonOperator::Greater(JsonOperand::Template(text))
        | JsonOperator::GreaterOrEqual(JsonOperand::Template(text)) => Some(text),
        _ => None,
    }
}
