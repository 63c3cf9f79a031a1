//! Steps written in kv.

use crate::action_plain::{only_unless, within};
use crate::diagnostic::Diagnostic;
use crate::expectation::Expectation;
use crate::kv::{KvBody, KvRead, KvStatement};
use crate::kv_text;
use crate::step::{Action, Check, Question, Record};
use crate::step_reader::Reader;

/// `record` in kv: named values, or one unnamed `list`, whose keys are the record's rows.
pub(crate) fn record(reader: &mut Reader<'_, '_>) -> Option<Action> {
    let body = body(reader)?;
    if body.answers().next().is_none() {
        let help = "add a line such as `total = count NAMESPACE PREFIX`, or a `list`";
        refuse_head(reader, "value-missing", "this record keeps nothing".into(), help);
    }
    let answers: Vec<&KvStatement> = body.answers().collect();
    let rows = answers.iter().any(|statement| matches!(statement.read, KvRead::List { .. }));
    for (position, statement) in answers.iter().enumerate() {
        let lists = matches!(statement.read, KvRead::List { .. });
        let twice = statement.name.is_some()
            && answers.iter().take(position).any(|earlier| earlier.name == statement.name);
        if lists && statement.name.is_some() {
            let message = "a `list` is kept as the record's rows, under the record's own id".into();
            refuse(reader, statement, message, "remove the name; steps in sql read it as `:{id}`");
        } else if rows && (!lists || position > 0) {
            let message = "a record keeps one `list` and nothing beside it, or single values".into();
            refuse(reader, statement, message, "make it a record of its own, or a `report`");
        } else if !lists && statement.name.is_none() {
            let message = format!("this `{}` is kept under no name", statement.read.word());
            refuse(reader, statement, message, "write `name = ` in front of it, or `report `");
        } else if twice && let Some(name) = &statement.name {
            let message = format!("`{name}` is kept above already");
            refuse(reader, statement, message, "choose another name");
        }
    }
    Some(Action::Record(Record { question: Question::Kv(body), rows, at: None, values: Vec::new() }))
}

/// `check` in kv: one statement is judged, reports are told beside it.
pub(crate) fn check(reader: &mut Reader<'_, '_>) -> Option<Action> {
    let expect = reader.expectations();
    let only_unless = only_unless(reader);
    let within = within(reader);
    let body = body(reader)?;
    let answers: Vec<&KvStatement> = body.answers().collect();
    match answers.as_slice() {
        [] => {
            let help = "write one statement without `report`";
            refuse_head(reader, "kv-unfit", "only reports stand here, so nothing is judged".into(), help);
        }
        [judged, more @ ..] => {
            for statement in more {
                let message = "a check judges one statement, and this is another".into();
                refuse(
                    reader,
                    statement,
                    message,
                    "give it a check of its own, or write `report ` in front of it",
                );
            }
            if judged.name.is_some() {
                refuse(
                    reader,
                    judged,
                    "a check keeps nothing, so it names nothing".into(),
                    "remove `name =`",
                );
            }
            for expectation in expect.iter().filter(|expectation| !fits(expectation, &judged.read)) {
                let message = format!("`{expectation}` cannot judge this `{}`", judged.read.word());
                let help = match judged.read {
                    KvRead::Get { pointer: None, .. } => "expect `json /pointer OP value`",
                    KvRead::Get { .. } => "expect `true`, or `json /pointer OP value` below its own pointer",
                    KvRead::Missing { .. } => "expect `true`",
                    KvRead::Count { .. } => {
                        "expect `zero`; to demand another number, record the count and judge that in sql"
                    }
                    KvRead::List { .. } => "expect `empty`",
                };
                let place = judged.span.clone();
                reader.diagnostics.push(Diagnostic::error("expectation-unfit", place, message, help));
            }
        }
    }
    Some(Action::Check(Check {
        question: Question::Kv(body),
        expect,
        attempt: false,
        each: None,
        over: None,
        within,
        only_unless,
        harmless: None,
        values: Vec::new(),
        cohort: None,
    }))
}

/// Whether the answer of such a reading can be judged so.
fn fits(expectation: &Expectation, read: &KvRead) -> bool {
    match expectation {
        Expectation::Zero => matches!(read, KvRead::Count { .. }),
        Expectation::True => {
            matches!(read, KvRead::Missing { .. } | KvRead::Get { pointer: Some(_), .. })
        }
        Expectation::Empty => matches!(read, KvRead::List { .. }),
        Expectation::Json { .. } => matches!(read, KvRead::Get { .. }),
        Expectation::Error { .. } | Expectation::Status(_) | Expectation::Exit(_) => false,
    }
}

fn body(reader: &mut Reader<'_, '_>) -> Option<KvBody> {
    let block = reader.block;
    if block.content == block.body.end {
        // That it is empty is reported for every language alike.
        return None;
    }
    let text = reader.page.slice(block.content..block.body.end);
    reader.bodies.push(kv_text::digest(text));
    kv_text::read(reader.page, block, &mut reader.uses, reader.diagnostics)
}

fn refuse(reader: &mut Reader<'_, '_>, statement: &KvStatement, message: String, help: &str) {
    reader.diagnostics.push(Diagnostic::error("kv-unfit", statement.span.clone(), message, help));
}

fn refuse_head(reader: &mut Reader<'_, '_>, code: &'static str, message: String, help: &str) {
    let head = reader.page.span(reader.block.head.clone());
    reader.diagnostics.push(Diagnostic::error(code, head, message, help));
}
