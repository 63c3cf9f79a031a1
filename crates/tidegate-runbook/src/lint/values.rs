//! `bind-in-utility`: PostgreSQL takes bound values in queries and data changes only.

use super::body::Scope;
use crate::diagnostic::Diagnostic;
use crate::sql::SqlPiece;
use crate::sql_text::value_spans;

pub(super) fn judge(scope: &Scope<'_>, found: &mut Vec<Diagnostic>) {
    for body in scope.bodies() {
        for statement in body.statements.iter().filter(|statement| !statement.effect.bindable) {
            for (piece, span) in value_spans(statement) {
                let SqlPiece::Bind(value) = piece else { continue };
                let message = format!("PostgreSQL takes no bound value in {}", statement.effect.command);
                let help = format!(
                    "write :'{value}' for a string or :\"{value}\" for a name: both are quoted by the engine"
                );
                found.push(Diagnostic::error("bind-in-utility", span, message, help));
            }
        }
    }
}
