//! `check-has-effects`: records, checks, comparisons and watches may be asked at any time, so they change nothing. A check with
//! `@attempt` may try what a rollback takes back.

use super::body::{Purpose, Scope};
use crate::diagnostic::Diagnostic;
use crate::sql::{Effect, SqlStatement};
use crate::step::Action;

pub(super) fn judge(scope: &Scope<'_>, found: &mut Vec<Diagnostic>) {
    for body in scope.bodies() {
        for statement in body.statements.iter().filter(|statement| !already_refused(scope, statement)) {
            let effect = &statement.effect;
            let why = match body.purpose {
                Purpose::Read => read_changes(effect),
                Purpose::Attempt => attempt_leaves(effect),
                Purpose::Change | Purpose::Undo => None,
            };
            let Some(why) = why.filter(|_| !effect.transaction_control) else { continue };
            let verb = match &scope.step.action {
                Action::Backfill(_) => "throttle",
                action => action.verb(),
            };
            let message = format!("a {verb} only looks, and {why}");
            let help = match body.purpose {
                Purpose::Attempt => {
                    "leave it out: `@attempt` lifts READ ONLY, but this would stay after the rollback"
                }
                _ if verb == "check" => {
                    "change things in a migrate step; for \"this is refused\" write `@attempt`"
                }
                _ => "change things in a migrate step, and only look here",
            };
            found.push(Diagnostic::error("check-has-effects", statement.span.clone(), message, help));
        }
    }
}

/// What is no query has been refused as a side of a comparison.
fn already_refused(scope: &Scope<'_>, statement: &SqlStatement) -> bool {
    let query = matches!(statement.effect.command.as_str(), "SELECT" | "VALUES" | "TABLE");
    matches!(scope.step.action, Action::Compare(_)) && !query
}

/// Why a statement is more than a look.
fn read_changes(effect: &Effect) -> Option<String> {
    if let Some(stays) = attempt_leaves(effect) {
        return Some(stays);
    }
    // Settings and cursors end with the transaction, which is rolled back.
    let harmless = matches!(
        effect.command.as_str(),
        "SET"
            | "SET ROLE"
            | "SET SESSION AUTHORIZATION"
            | "SET CONSTRAINTS"
            | "RESET"
            | "RESET ROLE"
            | "RESET SESSION AUTHORIZATION"
            | "DECLARE"
            | "FETCH"
            | "MOVE"
            | "CLOSE"
    );
    if effect.reads_only || harmless && effect.destroys.is_empty() {
        return None;
    }
    Some(match effect.command.as_str() {
        "SELECT" | "EXPLAIN" => "this statement locks or writes rows".to_owned(),
        command => format!("{command} changes something"),
    })
}

/// What the rollback at the end of an attempt does not take back.
fn attempt_leaves(effect: &Effect) -> Option<String> {
    if !effect.beyond_rollback.is_empty() {
        return Some(format!("no rollback takes back {}", effect.beyond_rollback.join(", ")));
    }
    if let Some(what) = effect.outside_transaction {
        return Some(format!("{what} cannot be rolled back"));
    }
    let stays = matches!(
        effect.command.as_str(),
        "COPY" | "PREPARE" | "DEALLOCATE" | "LOAD" | "DISCARD" | "CHECKPOINT" | "EXECUTE"
    );
    stays.then(|| format!("{} reaches beyond its transaction", effect.command))
}
