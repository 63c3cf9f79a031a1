//! Which relations a query reads whole: every row of them, each as a row of its own.

use squawk_syntax::{SyntaxKind as K, SyntaxNode};

use super::names::{child, has_child, has_token, object, parts};
use crate::sql::ObjectName;

/// Aggregates of PostgreSQL that people compare by. One of them makes a row of many.
const AGGREGATES: [&str; 14] = [
    "count",
    "sum",
    "min",
    "max",
    "avg",
    "array_agg",
    "string_agg",
    "json_agg",
    "jsonb_agg",
    "json_object_agg",
    "jsonb_object_agg",
    "bool_and",
    "bool_or",
    "every",
];

/// The relations of which no row is left out: no condition, no inner join, no limit, no grouping. Names of WITH queries
/// are for the caller to take out.
pub(super) fn of(query: &SyntaxNode) -> Vec<ObjectName> {
    if is_cut(query) {
        return Vec::new();
    }
    match query.kind() {
        K::TABLE => child(query, &[K::RELATION_NAME]).and_then(|name| relation(&name)).into_iter().collect(),
        K::PAREN_SELECT => query.children().flat_map(|inner| of(&inner)).collect(),
        K::COMPOUND_SELECT => {
            // Rows that both sides have count once under UNION, and a comparison's key is unique anyway.
            let whole = query.children().any(|node| node.kind() == K::UNION);
            query.children().filter(|_| whole).flat_map(|side| of(&side)).collect()
        }
        K::PAREN_EXPR => query.children().flat_map(|inner| of(&inner)).collect(),
        K::SELECT => selected(query),
        _ => Vec::new(),
    }
}

fn selected(select: &SyntaxNode) -> Vec<ObjectName> {
    let leaves_out = [K::WHERE_CLAUSE, K::GROUP_BY_CLAUSE, K::HAVING_CLAUSE];
    if leaves_out.into_iter().any(|kind| has_child(select, kind)) || gathers(select) {
        return Vec::new();
    }
    let Some(from) = child(select, &[K::FROM_CLAUSE]) else { return Vec::new() };
    let mut items = from.children();
    // A second item multiplies, and an empty one leaves nothing.
    let (Some(only), None) = (items.next(), items.next()) else { return Vec::new() };
    let mut kept = Vec::new();
    kept_by(&only, &mut kept);
    kept
}

/// The relations of which a FROM item keeps every row.
fn kept_by(item: &SyntaxNode, kept: &mut Vec<ObjectName>) {
    match item.kind() {
        K::RELATION_FROM_ITEM => {
            let part = has_token(item, K::ONLY_KW) || has_child(item, K::TABLESAMPLE_CLAUSE);
            let name = child(item, &[K::RELATION_NAME_REF]).filter(|_| !part);
            kept.extend(name.and_then(|name| relation(&name)));
        }
        K::JOIN_EXPR => {
            let Some(join) = child(item, &[K::JOIN]) else { return };
            let left = item.children().find(|node| node.kind() != K::JOIN);
            let right = join.children().find(|node| is_from_item(node.kind()));
            let full = has_child(&join, K::JOIN_FULL);
            if let Some(left) = left.filter(|_| full || has_child(&join, K::JOIN_LEFT)) {
                kept_by(&left, kept);
            }
            if let Some(right) = right.filter(|_| full || has_child(&join, K::JOIN_RIGHT)) {
                kept_by(&right, kept);
            }
        }
        _ => {}
    }
}

fn is_from_item(kind: K) -> bool {
    matches!(kind, K::RELATION_FROM_ITEM | K::JOIN_EXPR)
}

fn relation(name: &SyntaxNode) -> Option<ObjectName> {
    object("relation", name)
}

fn is_cut(query: &SyntaxNode) -> bool {
    [K::LIMIT_CLAUSE, K::OFFSET_CLAUSE, K::FETCH_CLAUSE].into_iter().any(|kind| has_child(query, kind))
}

/// Whether DISTINCT or an aggregate makes fewer rows of those that are read.
fn gathers(select: &SyntaxNode) -> bool {
    let Some(list) = child(select, &[K::SELECT_CLAUSE]) else { return false };
    let of_this_query = |node: &SyntaxNode| {
        let inner = node.ancestors().find(|above| matches!(above.kind(), K::SELECT | K::SELECT_CLAUSE));
        inner.is_some_and(|inner| inner == list)
    };
    has_child(&list, K::DISTINCT_CLAUSE)
        || list.descendants().filter(|node| node.kind() == K::CALL_EXPR).any(|call| {
            let name = child(&call, &[K::NAME_REF, K::FIELD_EXPR]).and_then(|callee| parts(&callee).pop());
            let aggregate = name.is_some_and(|name| AGGREGATES.contains(&name.as_str()));
            aggregate && !has_child(&call, K::OVER_CLAUSE) && of_this_query(&call)
        })
}
