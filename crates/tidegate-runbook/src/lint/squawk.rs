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
use crate::sql::SqlPiece;
use crate::sql_text::with_stand_ins;
use crate::step::Action;

/// A rule: the start of the commands it can speak of, the rule, and its code here. Rules that cannot speak are not run.
type Row = (&'static str, Rule, &'static str);

/// Stands in the place of a command for the rule on names that PostgreSQL would cut.
const LONG_NAME: &str = "a long name";

/// Longest name in bytes.
const NAME_BYTES_MAX: usize = 63;

/// Rules on what blocks or rewrites, for every body.
const LOCKS: &[Row] = &[
    ("ALTER", Rule::AddingFieldWithDefault, "squawk-adding-field-with-default"),
    ("ALTER", Rule::AddingForeignKeyConstraint, "squawk-adding-foreign-key-constraint"),
    ("ALTER", Rule::AddingNotNullableField, "squawk-adding-not-nullable-field"),
    ("ALTER", Rule::AddingRequiredField, "squawk-adding-required-field"),
    ("ALTER", Rule::AddingSerialPrimaryKeyField, "squawk-adding-serial-primary-key-field"),
    ("ALTER", Rule::BanAlterDomainWithAddConstraint, "squawk-ban-alter-domain-with-add-constraint"),
    ("ALTER", Rule::BanDisableTrigger, "squawk-ban-disable-trigger"),
    ("TRUNCATE", Rule::BanTruncateCascade, "squawk-ban-truncate-cascade"),
    ("ALTER", Rule::ChangingColumnType, "squawk-changing-column-type"),
    ("ALTER", Rule::ConstraintMissingNotValid, "squawk-constraint-missing-not-valid"),
    ("ALTER", Rule::DisallowedUniqueConstraint, "squawk-disallowed-unique-constraint"),
    (LONG_NAME, Rule::IdentifierTooLong, "squawk-identifier-too-long"),
    ("CREATE INDEX", Rule::RequireConcurrentIndexCreation, "squawk-require-concurrent-index-creation"),
    ("DROP INDEX", Rule::RequireConcurrentIndexDeletion, "squawk-require-concurrent-index-deletion"),
    ("ALTER", Rule::RequireConcurrentPartitionDetach, "squawk-require-concurrent-partition-detach"),
    ("REINDEX", Rule::RequireConcurrentReindex, "squawk-require-concurrent-reindex"),
];

/// Rules on what clients would miss. Going back, that is the purpose.
const CLIENTS: &[Row] = &[
    ("ALTER", Rule::BanDropColumn, "squawk-ban-drop-column"),
    ("ALTER", Rule::BanDropConstraint, "squawk-ban-drop-constraint"),
    ("DROP", Rule::BanDropDatabase, "squawk-ban-drop-database"),
    ("DROP", Rule::BanDropDomain, "squawk-ban-drop-domain"),
    ("DROP", Rule::BanDropExtension, "squawk-ban-drop-extension"),
    ("DROP", Rule::BanDropFunction, "squawk-ban-drop-function"),
    ("ALTER", Rule::BanDropNotNull, "squawk-ban-drop-not-null"),
    ("DROP", Rule::BanDropSchema, "squawk-ban-drop-schema"),
    ("DROP", Rule::BanDropSequence, "squawk-ban-drop-sequence"),
    ("DROP", Rule::BanDropTable, "squawk-ban-drop-table"),
    ("DROP", Rule::BanDropType, "squawk-ban-drop-type"),
    ("DROP", Rule::BanDropView, "squawk-ban-drop-view"),
    ("ALTER", Rule::BanSetSchema, "squawk-ban-set-schema"),
    ("ALTER", Rule::RenamingColumn, "squawk-renaming-column"),
    ("ALTER", Rule::RenamingObject, "squawk-renaming-object"),
    ("ALTER", Rule::RenamingTable, "squawk-renaming-table"),
];

/// The oldest server that runbooks are run against.
const POSTGRES: &str = "15";

pub(super) fn judge(scope: &Scope<'_>, found: &mut Vec<Diagnostic>) {
    let Action::Migrate(migrate) = &scope.step.action else { return };
    for body in scope.bodies() {
        let back = body.purpose == Purpose::Undo || matches!(scope.place, Place::Way(_));
        let rules = LOCKS.iter().chain(if back { &[] } else { CLIENTS });
        let rules: Vec<Row> = rules.copied().filter(|(trigger, ..)| can_speak(trigger, &body)).collect();
        if !rules.is_empty() {
            found.extend(findings(&body, &rules, !migrate.outside_transaction));
        }
    }
}

fn can_speak(trigger: &str, body: &Body<'_>) -> bool {
    body.statements.iter().any(|statement| match trigger {
        LONG_NAME => statement.pieces.iter().any(has_long_word),
        command => statement.effect.command.starts_with(command),
    })
}

/// Whether the text may hold a name that is too long: cheap, and wrong only about texts that are no names.
fn has_long_word(piece: &SqlPiece) -> bool {
    let SqlPiece::Text(text) = piece else { return false };
    text.split([' ', '\n', '(', ')', ',', '.']).any(|word| word.len() > NAME_BYTES_MAX)
}

fn findings(body: &Body<'_>, rules: &[Row], in_transaction: bool) -> Vec<Diagnostic> {
    let text = Joined::new(body);
    let parse = SourceFile::parse(&text.text);
    let mut linter = Linter::from(rules.iter().map(|(_, rule, _)| *rule));
    linter.settings = LinterSettings {
        pg_version: POSTGRES.parse().unwrap_or_default(),
        assume_in_transaction: in_transaction,
    };
    let violations = linter.lint(&parse, &text.text);
    let report = |violation: squawk_linter::Violation| {
        let code = rules.iter().find(|(_, rule, _)| *rule == violation.code)?.2;
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
        for (_, rule, code) in LOCKS.iter().chain(CLIENTS) {
            assert_eq!(*code, format!("squawk-{rule}"));
        }
        assert!(POSTGRES.parse::<squawk_linter::Version>().is_ok());
    }
}
