//! What a statement names that must be there: relations, functions and roles.

use std::collections::BTreeSet;

use squawk_syntax::{SyntaxKind as K, SyntaxNode};

use super::functions;
use super::names::{child, has_inside, object, parts};
use crate::sql::ObjectName;

/// Each once, in the order written. Errs towards naming too little: nothing where the statement says IF EXISTS, and
/// nothing of the bodies of functions, which are read when they are called.
pub(super) fn of(statement: &SyntaxNode) -> Vec<ObjectName> {
    if matches!(
        statement.kind(),
        K::CREATE_FUNCTION | K::CREATE_PROCEDURE | K::CREATE_RULE | K::CREATE_SCHEMA
    ) || has_inside(statement, K::IF_EXISTS)
    {
        return Vec::new();
    }
    let with_names: BTreeSet<String> = statement
        .descendants()
        .filter(|node| matches!(node.kind(), K::CTE_NAME | K::TRANSITION_RELATION_NAME))
        .filter_map(|node| parts(&node).pop())
        .collect();
    let mut needs: Vec<ObjectName> = Vec::new();
    for node in statement.descendants() {
        let found = match node.kind() {
            K::RELATION_NAME_REF | K::TABLE_NAME_REF => object("relation", &node)
                .filter(|name| name.schema.is_some() || !with_names.contains(&name.name)),
            K::CALL_EXPR => called(&node),
            // Elsewhere privileges are parsed as if they were roles.
            K::ROLE_REF if node.parent().is_some_and(|list| list.kind() == K::ROLE_REF_LIST) => role(&node),
            _ => None,
        };
        if let Some(found) = found.filter(|found| !found.name.starts_with(':') && !needs.contains(found)) {
            needs.push(found);
        }
    }
    needs
}

/// A function that is not PostgreSQL's own.
fn called(node: &SyntaxNode) -> Option<ObjectName> {
    let callee = child(node, &[K::NAME_REF, K::FIELD_EXPR])?;
    let mut path = parts(&callee);
    let name = path.pop()?;
    let schema = path.pop();
    (!functions::is_own(schema.as_deref(), &name)).then_some(ObjectName {
        kind: "function",
        schema,
        name,
        part: None,
    })
}

/// A role by its name; PUBLIC, CURRENT_USER and their like are none.
fn role(node: &SyntaxNode) -> Option<ObjectName> {
    let name = object("role", node)?;
    let word =
        matches!(name.name.as_str(), "public" | "current_user" | "current_role" | "session_user" | "user");
    (!word && name.schema.is_none()).then_some(name)
}
