//! `opaque-without-protect`: code that the parser cannot see into may drop what it likes, unless the gate watches.

use super::body::{Purpose, Scope};
use crate::diagnostic::Diagnostic;

pub(super) fn judge(scope: &Scope<'_>, found: &mut Vec<Diagnostic>) {
    if scope.protects() {
        return;
    }
    for body in scope.bodies() {
        if !matches!(body.purpose, Purpose::Change | Purpose::Undo) {
            continue;
        }
        for statement in body.statements.iter().filter(|statement| statement.effect.opaque) {
            let message = match statement.effect.command.as_str() {
                "SELECT" => {
                    "this calls a function whose body is not seen here, and nothing is protected from it"
                        .to_owned()
                }
                command => {
                    format!("{command} runs code that is not seen here, and nothing is protected from it")
                }
            };
            let help = "list what must stay in `protect` of the runbook, the stage or the way, such as `protect = [\"public.*\"]`";
            found.push(Diagnostic::error("opaque-without-protect", statement.span.clone(), message, help));
        }
    }
}
