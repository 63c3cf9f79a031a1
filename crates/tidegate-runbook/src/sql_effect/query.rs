//! Queries: what they read, write, lock and call.

use std::collections::BTreeSet;

use squawk_syntax::{SyntaxKind as K, SyntaxNode};

use super::names::{child, object, parts};
use super::{destroys, functions, whole};
use crate::sql::{Effect, ObjectName};

/// Walks the query and everything inside it, data-changing WITH parts included, and adds what it finds to `effect`.
pub(super) fn read(statement: &SyntaxNode, effect: &mut Effect) {
    let mut writes = false;
    let mut foreign_call = false;
    let mut with_names = BTreeSet::new();
    let mut reads = Vec::new();
    for node in statement.descendants() {
        if let Some(target) = target(&node).filter(|target| !effect.writes.contains(target)) {
            effect.writes.push(target);
        }
        match node.kind() {
            K::DELETE | K::UPDATE => {
                writes = true;
                effect.destroys.extend(destroys::keyless(&node));
            }
            K::INSERT
            | K::MERGE
            | K::SELECT_INTO
            | K::LOCKING_CLAUSE
            | K::CREATE_TABLE_AS
            | K::CREATE_MATERIALIZED_VIEW => writes = true,
            K::CTE_NAME => with_names.extend(parts(&node).pop()),
            K::RELATION_FROM_ITEM => {
                reads
                    .extend(child(&node, &[K::RELATION_NAME_REF]).and_then(|name| object("relation", &name)));
            }
            K::TABLE => {
                reads.extend(child(&node, &[K::RELATION_NAME]).and_then(|name| object("relation", &name)))
            }
            K::CALL_EXPR => foreign_call |= call(&node, effect),
            _ => {}
        }
    }
    for name in reads {
        let of_with = name.schema.is_none() && with_names.contains(&name.name);
        if !of_with && !effect.reads.contains(&name) {
            effect.reads.push(name);
        }
    }
    let selects = matches!(
        statement.kind(),
        K::SELECT | K::COMPOUND_SELECT | K::PAREN_SELECT | K::VALUES | K::TABLE | K::EXPLAIN
    );
    effect.reads_whole = whole::of(statement);
    effect.reads_whole.retain(|name| effect.reads.contains(name));
    effect.reads_only |= selects && !writes && effect.beyond_rollback.is_empty();
    effect.opaque |= selects && !writes && foreign_call;
}

/// The relation whose rows a command changes.
fn target(node: &SyntaxNode) -> Option<ObjectName> {
    let name = match node.kind() {
        K::INSERT => child(node, &[K::RELATION_NAME_REF]),
        K::UPDATE | K::DELETE => child(node, &[K::RELATION_NAME]),
        K::MERGE => child(node, &[K::TABLE_RELATION_NAME]),
        _ => None,
    };
    object("relation", &name?)
}

/// Notes what a call does; answers whether it is of a function that is not PostgreSQL's own.
fn call(node: &SyntaxNode, effect: &mut Effect) -> bool {
    let Some(callee) = child(node, &[K::NAME_REF, K::FIELD_EXPR]) else {
        // COALESCE, EXISTS, JSON_OBJECT and others that the grammar itself knows.
        return false;
    };
    let mut path = parts(&callee);
    let Some(name) = path.pop() else { return false };
    let schema = path.pop();
    let schema = schema.as_deref();
    if functions::is_beyond_rollback(schema, &name) && !effect.beyond_rollback.contains(&name) {
        effect.beyond_rollback.push(name.clone());
    }
    let state = match name.as_str() {
        "set_config" => (!is_local(node)).then_some("set_config(…, false)"),
        name => functions::session_state(name),
    };
    effect.session_state = effect.session_state.or(state);
    !functions::is_own(schema, &name)
}

/// Whether the third argument of a `set_config` call is the literal `true`.
fn is_local(call: &SyntaxNode) -> bool {
    let arguments = child(call, &[K::ARG_LIST]);
    let third = arguments.iter().flat_map(SyntaxNode::children).nth(2);
    third.is_some_and(|argument| {
        argument.descendants().any(|node| {
            node.kind() == K::LITERAL
                && matches!(node.text().to_string().to_ascii_lowercase().as_str(), "true" | "'true'" | "'t'")
        })
    })
}

/// Whether two names can mean the same relation: equal names, and schemas that are equal or not both written.
pub(crate) fn may_be_same(left: &ObjectName, right: &ObjectName) -> bool {
    left.name == right.name
        && match (&left.schema, &right.schema) {
            (Some(left), Some(right)) => left == right,
            _ => true,
        }
}
