//! What a statement does, told from its syntax tree. Text is never matched.

mod destroys;
mod functions;
mod names;
mod needs;
mod query;
mod whole;

use squawk_syntax::{SyntaxKind as K, SyntaxNode};

use crate::sql::{Effect, ObjectName};
pub(crate) use query::may_be_same;

use names::{child, has_child, has_inside, has_token, object, part_of};

/// Reads the effect of one statement.
pub(crate) fn effect_of(statement: &SyntaxNode) -> Effect {
    let kind = statement.kind();
    let mut effect = Effect {
        command: command(kind),
        destroys: destroys::of(statement),
        outside_transaction: outside_transaction(statement),
        transaction_control: controls_transaction(statement),
        session_state: session_state(statement),
        creates: creates(statement),
        needs: needs::of(statement),
        opaque: matches!(kind, K::DO | K::CALL | K::EXECUTE),
        reads_only: matches!(kind, K::SHOW),
        bindable: is_query(kind) || matches!(kind, K::CREATE_TABLE_AS | K::EXPLAIN | K::DECLARE | K::CALL),
        ..Effect::default()
    };
    if runs_its_query(statement) {
        query::read(statement, &mut effect);
    } else if kind == K::EXPLAIN {
        effect.reads_only = true;
    }
    if kind == K::COPY && has_child(statement, K::COPY_TO) {
        effect.beyond_rollback.push("COPY TO".to_owned());
    }
    effect
}

/// The command's name: that of the tree's node, in words.
fn command(kind: K) -> String {
    match kind {
        K::COMPOUND_SELECT | K::PAREN_SELECT => "SELECT".to_owned(),
        K::COMMIT_TRANSACTION => "COMMIT".to_owned(),
        K::ROLLBACK_TRANSACTION => "ROLLBACK".to_owned(),
        K::SAVEPOINT_CREATE => "SAVEPOINT".to_owned(),
        K::RELEASE_SAVEPOINT => "RELEASE".to_owned(),
        K::COMMENT_ON => "COMMENT".to_owned(),
        K::SET_SESSION_AUTH => "SET SESSION AUTHORIZATION".to_owned(),
        K::RESET_SESSION_AUTH => "RESET SESSION AUTHORIZATION".to_owned(),
        other => format!("{other:?}").replace('_', " "),
    }
}

/// SELECT and the commands that change rows.
fn is_query(kind: K) -> bool {
    matches!(
        kind,
        K::SELECT
            | K::SELECT_INTO
            | K::COMPOUND_SELECT
            | K::PAREN_SELECT
            | K::VALUES
            | K::TABLE
            | K::INSERT
            | K::UPDATE
            | K::DELETE
            | K::MERGE
    )
}

/// Whether executing the statement executes the query it holds, or its calls.
fn runs_its_query(statement: &SyntaxNode) -> bool {
    match statement.kind() {
        K::EXPLAIN => explains_by_running(statement),
        K::CREATE_TABLE_AS | K::CREATE_MATERIALIZED_VIEW => !has_child(statement, K::WITH_NO_DATA),
        K::DECLARE | K::COPY | K::CALL | K::EXECUTE => true,
        kind => is_query(kind),
    }
}

/// EXPLAIN ANALYZE, in either spelling; `(ANALYZE off)` is not told apart from `(ANALYZE)`.
fn explains_by_running(statement: &SyntaxNode) -> bool {
    statement.children().filter(|node| !is_query(node.kind())).any(|node| has_inside(&node, K::ANALYZE_KW))
}

/// Why the statement is refused inside a transaction block.
fn outside_transaction(statement: &SyntaxNode) -> Option<&'static str> {
    match statement.kind() {
        K::CREATE_INDEX if has_token(statement, K::CONCURRENTLY_KW) => Some("CREATE INDEX CONCURRENTLY"),
        K::DROP_INDEX if has_token(statement, K::CONCURRENTLY_KW) => Some("DROP INDEX CONCURRENTLY"),
        K::REINDEX if has_inside(statement, K::CONCURRENTLY_KW) => Some("REINDEX CONCURRENTLY"),
        K::REINDEX if has_child(statement, K::REINDEX_TARGET_DATABASE) => Some("REINDEX DATABASE"),
        K::REINDEX if has_child(statement, K::REINDEX_TARGET_SCHEMA) => Some("REINDEX SCHEMA"),
        K::REINDEX if has_child(statement, K::REINDEX_TARGET_SYSTEM) => Some("REINDEX SYSTEM"),
        K::VACUUM => Some("VACUUM"),
        K::CLUSTER if !has_child(statement, K::TABLE_NAME_REF) => Some("CLUSTER of all tables"),
        K::CREATE_DATABASE => Some("CREATE DATABASE"),
        K::DROP_DATABASE => Some("DROP DATABASE"),
        K::ALTER_DATABASE if has_inside(statement, K::SET_TABLESPACE) => {
            Some("ALTER DATABASE SET TABLESPACE")
        }
        K::CREATE_TABLESPACE => Some("CREATE TABLESPACE"),
        K::DROP_TABLESPACE => Some("DROP TABLESPACE"),
        K::ALTER_SYSTEM => Some("ALTER SYSTEM"),
        K::ALTER_TABLE if has_inside(statement, K::DETACH_CONCURRENTLY) => {
            Some("DETACH PARTITION CONCURRENTLY")
        }
        K::CREATE_SUBSCRIPTION if !mentions(statement, &["create_slot", "connect"]) => {
            Some("CREATE SUBSCRIPTION")
        }
        K::DROP_SUBSCRIPTION => Some("DROP SUBSCRIPTION"),
        K::ALTER_SUBSCRIPTION if has_inside(statement, K::REFRESH_PUBLICATION) => {
            Some("ALTER SUBSCRIPTION REFRESH PUBLICATION")
        }
        K::ALTER_SUBSCRIPTION
            if has_inside(statement, K::PUBLICATION_KW) && !mentions(statement, &["refresh"]) =>
        {
            Some("ALTER SUBSCRIPTION SET PUBLICATION")
        }
        K::DISCARD if has_child(statement, K::DISCARD_ALL) => Some("DISCARD ALL"),
        K::COMMIT_PREPARED => Some("COMMIT PREPARED"),
        K::ROLLBACK_PREPARED => Some("ROLLBACK PREPARED"),
        _ => None,
    }
}

/// Whether one of `words` stands in the statement as an identifier.
fn mentions(statement: &SyntaxNode, words: &[&str]) -> bool {
    statement.descendants_with_tokens().filter_map(|element| element.into_token()).any(|token| {
        token.kind() == K::IDENT && words.iter().any(|word| token.text().eq_ignore_ascii_case(word))
    })
}

fn controls_transaction(statement: &SyntaxNode) -> bool {
    match statement.kind() {
        K::BEGIN
        | K::COMMIT_TRANSACTION
        | K::ROLLBACK_TRANSACTION
        | K::ROLLBACK_TO_SAVEPOINT
        | K::COMMIT_PREPARED
        | K::ROLLBACK_PREPARED
        | K::SAVEPOINT_CREATE
        | K::RELEASE_SAVEPOINT
        | K::PREPARE_TRANSACTION
        | K::SET_TRANSACTION => true,
        // The same by another door: SET transaction_read_only = off.
        K::SET | K::RESET => {
            mentions(statement, &["transaction_read_only", "transaction_isolation", "transaction_deferrable"])
        }
        _ => false,
    }
}

fn session_state(statement: &SyntaxNode) -> Option<&'static str> {
    let local = has_child(statement, K::LOCAL_SCOPE);
    match statement.kind() {
        K::SET if !local => Some("SET"),
        K::SET_ROLE if !local => Some("SET ROLE"),
        K::SET_SESSION_AUTH if !local => Some("SET SESSION AUTHORIZATION"),
        K::SET_TRANSACTION if has_inside(statement, K::CHARACTERISTICS_KW) => {
            Some("SET SESSION CHARACTERISTICS")
        }
        K::RESET => Some("RESET"),
        K::RESET_ROLE => Some("RESET ROLE"),
        K::RESET_SESSION_AUTH => Some("RESET SESSION AUTHORIZATION"),
        K::PREPARE => Some("PREPARE"),
        K::DEALLOCATE => Some("DEALLOCATE"),
        K::LISTEN => Some("LISTEN"),
        K::UNLISTEN => Some("UNLISTEN"),
        K::LOAD => Some("LOAD"),
        K::DISCARD => Some("DISCARD"),
        K::DECLARE if has_inside(statement, K::WITH_HOLD) => Some("DECLARE … WITH HOLD"),
        K::CREATE_TABLE | K::CREATE_TABLE_AS | K::CREATE_VIEW | K::CREATE_SEQUENCE
            if has_child(statement, K::TEMP) =>
        {
            let gone_at_commit =
                child(statement, &[K::ON_COMMIT]).is_some_and(|clause| has_inside(&clause, K::DROP_KW));
            (!gone_at_commit).then_some("CREATE TEMPORARY")
        }
        K::SELECT_INTO => child(statement, &[K::INTO_CLAUSE])
            .filter(|into| has_child(into, K::TEMP))
            .map(|_| "SELECT INTO TEMPORARY"),
        _ => None,
    }
}

/// What the statement makes, by name.
fn creates(statement: &SyntaxNode) -> Vec<ObjectName> {
    let made = |kind, name| child(statement, &[name]).and_then(|node| object(kind, &node));
    let made_on = |kind, name| {
        let relation = child(statement, &[K::ON_RELATION, K::ON_TABLE])
            .and_then(|on| child(&on, &[K::RELATION_NAME_REF, K::TABLE_NAME_REF]))?;
        part_of(kind, &relation, &child(statement, &[name])?)
    };
    let one = match statement.kind() {
        K::CREATE_TABLE | K::CREATE_TABLE_AS | K::CREATE_FOREIGN_TABLE => made("table", K::TABLE_NAME),
        K::SELECT_INTO => child(statement, &[K::INTO_CLAUSE])
            .and_then(|into| child(&into, &[K::TABLE_NAME]))
            .and_then(|node| object("table", &node)),
        K::CREATE_VIEW => made("view", K::VIEW),
        K::CREATE_MATERIALIZED_VIEW => made("materialized view", K::VIEW),
        K::CREATE_SCHEMA => child(statement, &[K::NAMED_SCHEMA])
            .and_then(|named| child(&named, &[K::SCHEMA]))
            .and_then(|node| object("schema", &node)),
        K::CREATE_SEQUENCE => made("sequence", K::SEQUENCE),
        K::CREATE_TYPE => made("type", K::TYPE_NAME),
        K::CREATE_DOMAIN => made("type", K::DOMAIN),
        K::CREATE_EXTENSION => made("extension", K::EXTENSION),
        K::CREATE_INDEX => made("index", K::INDEX),
        K::CREATE_FUNCTION => made("function", K::FUNCTION_NAME),
        K::CREATE_PROCEDURE => made("function", K::PROCEDURE_NAME),
        K::CREATE_TRIGGER => made_on("trigger", K::TRIGGER),
        K::CREATE_POLICY => made_on("policy", K::POLICY),
        K::CREATE_RULE => child(statement, &[K::RULE_ON])
            .and_then(|on| child(&on, &[K::RELATION_NAME_REF]))
            .and_then(|relation| part_of("rule", &relation, &child(statement, &[K::RULE])?)),
        _ => None,
    };
    let inner =
        statement.children().filter(|_| statement.kind() == K::CREATE_SCHEMA).flat_map(|node| creates(&node));
    one.into_iter().chain(inner).collect()
}

#[cfg(test)]
mod tests;
