//! Findings of squawk, the linter for PostgreSQL migrations, as warnings with codes `squawk-…`.
//!
//! Only rules about locks, rewrites, scans and broken clients are taken; style is the author's, timeouts are the
//! engine's, and transactions are our own rules. Squawk's ignore comments have no effect: a waiver needs a reason.

use squawk_linter::{Linter, LinterSettings, Rule};
use squawk_syntax::SourceFile;

use super::body::{Body, Place, Purpose, Scope};
use super::warning;
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::sql_text::with_stand_ins;
use crate::step::Action;

/// Rules on what blocks or rewrites, for every body.
const LOCKS: &[(Rule, &str)] = &[
    (Rule::AddingFieldWithDefault, "squawk-adding-field-with-default"),
    (Rule::AddingForeignKeyConstraint, "squawk-adding-foreign-key-constraint"),
    (Rule::AddingNotNullableField, "squawk-adding-not-nullable-field"),
    (Rule::AddingRequiredField, "squawk-adding-required-field"),
    (Rule::AddingSerialPrimaryKeyField, "squawk-adding-serial-primary-key-field"),
    (Rule::BanAlterDomainWithAddConstraint, "squawk-ban-alter-domain-with-add-constraint"),
    (Rule::BanDisableTrigger, "squawk-ban-disable-trigger"),
    (Rule::BanDuplicateColumnAssignments, "squawk-ban-duplicate-column-assignments"),
    (Rule::BanTruncateCascade, "squawk-ban-truncate-cascade"),
    (Rule::ChangingColumnType, "squawk-changing-column-type"),
    (Rule::ConstraintMissingNotValid, "squawk-constraint-missing-not-valid"),
    (Rule::DisallowedUniqueConstraint, "squawk-disallowed-unique-constraint"),
    (Rule::IdentifierTooLong, "squawk-identifier-too-long"),
    (Rule::RequireConcurrentIndexCreation, "squawk-require-concurrent-index-creation"),
    (Rule::RequireConcurrentIndexDeletion, "squawk-require-concurrent-index-deletion"),
    (Rule::RequireConcurrentPartitionDetach, "squawk-require-concurrent-partition-detach"),
    (Rule::RequireConcurrentReindex, "squawk-require-concurrent-reindex"),
];

/// Rules on what clients would miss. Going back, that is the purpose.
const CLIENTS: &[(Rule, &str)] = &[
    (Rule::BanDropColumn, "squawk-ban-drop-column"),
    (Rule::BanDropConstraint, "squawk-ban-drop-constraint"),
    (Rule::BanDropDatabase, "squawk-ban-drop-database"),
    (Rule::BanDropDomain, "squawk-ban-drop-domain"),
    (Rule::BanDropExtension, "squawk-ban-drop-extension"),
    (Rule::BanDropFunction, "squawk-ban-drop-function"),
    (Rule::BanDropNotNull, "squawk-ban-drop-not-null"),
    (Rule::BanDropSchema, "squawk-ban-drop-schema"),
    (Rule::BanDropSequence, "squawk-ban-drop-sequence"),
    (Rule::BanDropTable, "squawk-ban-drop-table"),
    (Rule::BanDropType, "squawk-ban-drop-type"),
    (Rule::BanDropView, "squawk-ban-drop-view"),
    (Rule::BanSetSchema, "squawk-ban-set-schema"),
    (Rule::RenamingColumn, "squawk-renaming-column"),
    (Rule::RenamingObject, "squawk-renaming-object"),
    (Rule::RenamingTable, "squawk-renaming-table"),
];

/// The oldest server that runbooks are run against.
const POSTGRES: &str = "15";

pub(super) fn judge(scope: &Scope<'_>, found: &mut Vec<Diagnostic>) {
    let Action::Migrate(migrate) = &scope.step.action else { return };
    for body in scope.bodies() {
        let back = body.purpose == Purpose::Undo || matches!(scope.place, Place::Way(_));
        let rules = if back { [LOCKS, &[]] } else { [LOCKS, CLIENTS] };
        found.extend(findings(&body, &rules.concat(), !migrate.outside_transaction));
    }
}

fn findings(body: &Body<'_>, rules: &[(Rule, &'static str)], in_transaction: bool) -> Vec<Diagnostic> {
    let text = Joined::new(body);
    let parse = SourceFile::parse(&text.text);
    let mut linter = Linter::from(rules.iter().map(|(rule, _)| *rule));
    linter.settings = LinterSettings {
        pg_version: POSTGRES.parse().unwrap_or_default(),
        assume_in_transaction: in_transaction,
    };
    let violations = linter.lint(&parse, &text.text);
    let report = |violation: squawk_linter::Violation| {
        let code = rules.iter().find(|(rule, _)| *rule == violation.code)?.1;
        let span =
            text.span(usize::from(violation.text_range.start()), usize::from(violation.text_range.end()))?;
        let message = violation.message.trim_end_matches('.').to_owned();
        let help =
            violation.help.unwrap_or_else(|| "make sure that no running client depends on it".to_owned());
        let help = format!("{}, or accept it with `@waive {code} reason`", help.trim_end_matches('.'));
        Some(warning(code, span, message, help))
    };
    violations.into_iter().filter_map(report).collect()
}

/// The body's statements with stand-ins for values, one after the other, so that squawk sees what belongs together.
struct Joined<'a> {
    text: String,
    /// Where each statement starts in `text`, and its place in the source.
    starts: Vec<(usize, &'a Span)>,
}

impl<'a> Joined<'a> {
    fn new(body: &Body<'a>) -> Self {
        let mut joined = Self { text: String::new(), starts: Vec::new() };
        for statement in body.statements {
            joined.starts.push((joined.text.len(), &statement.span));
            joined.text.push_str(&with_stand_ins(statement));
            joined.text.push_str(";\n");
        }
        joined
    }

    /// The place in the source of a range in `text`; what reaches into the next statement is cut.
    fn span(&self, start: usize, end: usize) -> Option<Span> {
        let (base, source) = self.starts.iter().rev().find(|(base, _)| *base <= start)?;
        let last = source.range.end;
        let at = |position: usize| (source.range.start + position.saturating_sub(*base)).min(last);
        Some(Span { path: source.path.clone(), range: at(start)..at(end) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_squawks_own_names() {
        for (rule, code) in LOCKS.iter().chain(CLIENTS) {
            assert_eq!(*code, format!("squawk-{rule}"));
        }
        assert!(POSTGRES.parse::<squawk_linter::Version>().is_ok());
    }
}
