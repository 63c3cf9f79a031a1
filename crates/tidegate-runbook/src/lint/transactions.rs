//! `transaction-control`, `needs-outside-transaction`, `pooled-session-state`: what does not fit the transaction that the
//! engine opens, or outlives it.

use super::body::{Body, Purpose, Scope};
use super::warning;
use crate::diagnostic::Diagnostic;
use crate::sql::SqlStatement;
use crate::step::{Action, Via};

pub(super) fn judge(scope: &Scope<'_>, found: &mut Vec<Diagnostic>) {
    let outside = matches!(&scope.step.action, Action::Migrate(migrate) if migrate.outside_transaction);
    for body in scope.bodies() {
        for statement in body.statements {
            found.extend(transaction_control(statement));
            found.extend(session_state(scope, &body, statement));
        }
        if matches!(body.purpose, Purpose::Change | Purpose::Undo) {
            found.extend(misplaced(&body, outside));
        }
    }
}

fn transaction_control(statement: &SqlStatement) -> Option<Diagnostic> {
    let message = format!(
        "{} begins, ends or splits a transaction, and that is the engine's part",
        statement.effect.command
    );
    let help = "remove it: each step runs in one transaction of its own; make two steps where two transactions are meant";
    let control = statement.effect.transaction_control;
    control.then(|| Diagnostic::error("transaction-control", statement.span.clone(), message, help))
}

/// Statements that need `@outside-transaction` and do not have it, and bodies that have it and hold more than one.
fn misplaced(body: &Body<'_>, outside: bool) -> Vec<Diagnostic> {
    const CODE: &str = "needs-outside-transaction";
    let needs = |statement: &&SqlStatement| {
        statement.effect.outside_transaction.is_some() && !statement.effect.transaction_control
    };
    match (outside, body.statements) {
        (false, statements) => {
            let needy = statements.iter().filter(needs);
            let report = |statement: &SqlStatement| {
                let what = statement.effect.outside_transaction.unwrap_or_default();
                let message = format!("{what} cannot run inside a transaction");
                let help = "give it a step of its own and write `-- @outside-transaction` in its head";
                Diagnostic::error(CODE, statement.span.clone(), message, help)
            };
            needy.map(report).collect()
        }
        // An undo of several statements is fine where all of them can share a transaction.
        (true, [_, second, ..])
            if body.purpose == Purpose::Change || body.statements.iter().any(|one| needs(&one)) =>
        {
            let message = format!(
                "{} statements stand outside a transaction, where only one may",
                body.statements.len()
            );
            let help = "make each a step of its own, so that a halt between them is known";
            vec![Diagnostic::error(CODE, second.span.clone(), message, help)]
        }
        _ => Vec::new(),
    }
}

fn session_state(scope: &Scope<'_>, body: &Body<'_>, statement: &SqlStatement) -> Option<Diagnostic> {
    const CODE: &str = "pooled-session-state";
    let state = statement.effect.session_state?;
    if scope.step.via == Via::Pooled {
        let message = format!("{state} leaves state in a session that a pooler hands to others");
        let help = "use SET LOCAL or set_config(…, true), or take `@via direct`";
        return Some(Diagnostic::error(CODE, statement.span.clone(), message, help));
    }
    matches!(body.purpose, Purpose::Change | Purpose::Undo).then(|| {
        let message =
            format!("{state} outlives this step's transaction, and later steps of the session would see it");
        let help = "use SET LOCAL or set_config(…, true), or waive it with the reason";
        warning(CODE, statement.span.clone(), message, help)
    })
}
