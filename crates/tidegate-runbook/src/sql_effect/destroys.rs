//! What a statement destroys, empties, hides or renames.

use squawk_syntax::{SyntaxKind as K, SyntaxNode};

use super::names::{child, has_child, object, part_of};
use crate::sql::Doomed;

/// All of it, in the order written. Rows that a query inside deletes are found by the walk over queries.
pub(super) fn of(statement: &SyntaxNode) -> Vec<Doomed> {
    match statement.kind() {
        K::TRUNCATE => {
            let list = child(statement, &[K::TABLE_LIST]);
            list.iter().flat_map(SyntaxNode::children).filter_map(|table| object("rows", &table)).collect()
        }
        K::DROP_TRIGGER => of_relation(statement, "trigger", K::TRIGGER_REF),
        K::DROP_POLICY => of_relation(statement, "policy", K::POLICY_REF),
        K::DROP_RULE => of_relation(statement, "rule", K::RULE_REF),
        kind => match (dropped_kind(kind), altered_kind(kind)) {
            (Some(what), _) => dropped(what, statement),
            (_, Some(what)) => altered(what, statement),
            _ => Vec::new(),
        },
    }
}

fn dropped_kind(kind: K) -> Option<&'static str> {
    Some(match kind {
        K::DROP_TABLE | K::DROP_FOREIGN_TABLE => "table",
        K::DROP_VIEW => "view",
        K::DROP_MATERIALIZED_VIEW => "materialized view",
        K::DROP_SCHEMA => "schema",
        K::DROP_SEQUENCE => "sequence",
        K::DROP_TYPE | K::DROP_DOMAIN => "type",
        K::DROP_EXTENSION => "extension",
        K::DROP_INDEX => "index",
        K::DROP_STATISTICS => "statistics",
        K::DROP_FUNCTION | K::DROP_PROCEDURE | K::DROP_ROUTINE | K::DROP_AGGREGATE => "function",
        K::DROP_DATABASE => "database",
        K::DROP_TABLESPACE => "tablespace",
        K::DROP_ROLE | K::DROP_USER | K::DROP_GROUP => "role",
        K::DROP_OWNED => "everything owned by",
        K::DROP_SERVER => "server",
        K::DROP_FOREIGN_DATA_WRAPPER => "foreign data wrapper",
        K::DROP_USER_MAPPING => "user mapping",
        K::DROP_PUBLICATION => "publication",
        K::DROP_SUBSCRIPTION => "subscription",
        K::DROP_CAST => "cast",
        K::DROP_COLLATION => "collation",
        K::DROP_CONVERSION => "conversion",
        K::DROP_EVENT_TRIGGER => "event trigger",
        K::DROP_LANGUAGE => "language",
        K::DROP_OPERATOR => "operator",
        K::DROP_OPERATOR_CLASS => "operator class",
        K::DROP_OPERATOR_FAMILY => "operator family",
        K::DROP_ACCESS_METHOD => "access method",
        K::DROP_TRANSFORM => "transform",
        K::DROP_TEXT_SEARCH_CONFIG
        | K::DROP_TEXT_SEARCH_DICT
        | K::DROP_TEXT_SEARCH_PARSER
        | K::DROP_TEXT_SEARCH_TEMPLATE => "text search object",
        _ => return None,
    })
}

fn altered_kind(kind: K) -> Option<&'static str> {
    Some(match kind {
        K::ALTER_TABLE | K::ALTER_FOREIGN_TABLE => "table",
        K::ALTER_VIEW => "view",
        K::ALTER_MATERIALIZED_VIEW => "materialized view",
        K::ALTER_SCHEMA => "schema",
        K::ALTER_SEQUENCE => "sequence",
        K::ALTER_TYPE | K::ALTER_DOMAIN => "type",
        K::ALTER_EXTENSION => "extension",
        K::ALTER_FUNCTION | K::ALTER_PROCEDURE | K::ALTER_ROUTINE | K::ALTER_AGGREGATE => "function",
        K::ALTER_DATABASE => "database",
        _ => return None,
    })
}

/// `DROP TRIGGER t ON relation` and its like.
fn of_relation(statement: &SyntaxNode, what: &'static str, name: K) -> Vec<Doomed> {
    let relation = child(statement, &[K::ON_RELATION, K::ON_TABLE])
        .and_then(|on| child(&on, &[K::RELATION_NAME_REF, K::TABLE_NAME_REF]));
    relation
        .zip(child(statement, &[name]))
        .and_then(|(relation, name)| part_of(what, &relation, &name))
        .into_iter()
        .collect()
}

/// The names after DROP. A list of signatures holds each name in its first child.
fn dropped(what: &'static str, statement: &SyntaxNode) -> Vec<Doomed> {
    let mut doomed = Vec::new();
    for node in statement.children() {
        match node.kind() {
            K::IF_EXISTS | K::CASCADE | K::RESTRICT => {}
            K::FUNCTION_SIG_LIST | K::PROCEDURE_SIG_LIST | K::ROUTINE_SIG_LIST => doomed.extend(
                node.children()
                    .filter_map(|signature| object(what, &signature.children().next().unwrap_or(signature))),
            ),
            K::AGGREGATE => {
                doomed.extend(child(&node, &[K::PATH_REF]).and_then(|path| object(what, &path)));
            }
            K::ROLE_REF_LIST => doomed.extend(node.children().filter_map(|role| object(what, &role))),
            K::CAST_SIG | K::OP_SIG_LIST => doomed.push(whole_text(what, &node)),
            _ => doomed.extend(object(what, &node)),
        }
    }
    doomed
}

/// A name for what has none: the text between the command and its end.
fn whole_text(what: &'static str, node: &SyntaxNode) -> Doomed {
    Doomed { kind: what, schema: None, name: node.text().to_string().trim().to_owned(), part: None }
}

/// Column and constraint drops, renames, moves and detachments of an ALTER.
fn altered(what: &'static str, statement: &SyntaxNode) -> Vec<Doomed> {
    let Some(subject) = subject(statement) else {
        return Vec::new();
    };
    let mut doomed = Vec::new();
    for action in statement.children() {
        match action.kind() {
            K::DROP_COLUMN | K::RENAME_COLUMN => {
                let column = child(&action, &[K::COLUMN_NAME_REF]);
                doomed.extend(column.and_then(|column| part_of("column", &subject, &column)));
            }
            K::DROP_CONSTRAINT => {
                let constraint = child(&action, &[K::CONSTRAINT_NAME_REF]);
                doomed.extend(constraint.and_then(|name| part_of("constraint", &subject, &name)));
            }
            K::DETACH_PARTITION => {
                let partition = child(&action, &[K::TABLE_NAME_REF]);
                doomed.extend(partition.and_then(|name| part_of("partition", &subject, &name)));
            }
            K::ALTER_TYPE_ATTRIBUTE_ACTION_LIST => {
                let drops = action.children().filter(|node| node.kind() == K::DROP_ATTRIBUTE);
                let fields = drops.filter_map(|node| child(&node, &[K::COMPOSITE_FIELD_REF]));
                doomed.extend(fields.filter_map(|field| part_of("attribute", &subject, &field)));
            }
            K::RENAME_ATTRIBUTE => {
                let field = child(&action, &[K::COMPOSITE_FIELD_REF]);
                doomed.extend(field.and_then(|field| part_of("attribute", &subject, &field)));
            }
            K::RENAME_VALUE
            | K::SET_SCHEMA
            | K::TABLE_RENAME_TO
            | K::VIEW_RENAME_TO
            | K::SCHEMA_RENAME_TO
            | K::SEQUENCE_RENAME_TO
            | K::TYPE_RENAME_TO
            | K::DOMAIN_RENAME_TO
            | K::FUNCTION_RENAME_TO
            | K::PROCEDURE_RENAME_TO
            | K::ROUTINE_RENAME_TO
            | K::AGGREGATE_RENAME_TO
            | K::DATABASE_RENAME_TO => doomed.extend(object(what, &subject)),
            _ => {}
        }
    }
    doomed
}

/// The node that names what an ALTER is about.
fn subject(statement: &SyntaxNode) -> Option<SyntaxNode> {
    let first = statement.children().find(|node| node.kind() != K::IF_EXISTS)?;
    match first.kind() {
        K::FUNCTION_SIG | K::PROCEDURE_SIG | K::ROUTINE_SIG => first.children().next(),
        K::AGGREGATE => child(&first, &[K::PATH_REF]),
        _ => Some(first),
    }
}

/// `DELETE` or `UPDATE` without a condition on rows: all rows of its target are meant. `WHERE true` is no condition.
pub(super) fn keyless(node: &SyntaxNode) -> Option<Doomed> {
    if has_child(node, K::WHERE_CURRENT_OF) {
        return None;
    }
    let condition = child(node, &[K::WHERE_CLAUSE]).and_then(|clause| clause.children().next());
    if condition.is_some_and(|condition| condition.kind() != K::LITERAL) {
        return None;
    }
    object("rows", &child(node, &[K::RELATION_NAME])?)
}
