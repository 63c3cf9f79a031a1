//! Names of objects, read from the syntax tree and folded as PostgreSQL folds them.

use squawk_syntax::{SyntaxKind, SyntaxNode, SyntaxToken};

use crate::sql::ObjectName;

/// The name that `node` holds, taken as an object of `kind`. Its last part is the name, the part before it the schema.
pub(super) fn object(kind: &'static str, node: &SyntaxNode) -> Option<ObjectName> {
    let mut parts = parts(node);
    let name = parts.pop()?;
    Some(ObjectName { kind, schema: parts.pop(), name, part: None })
}

/// As [`object`], with a part of it such as a column.
pub(super) fn part_of(kind: &'static str, whole: &SyntaxNode, part: &SyntaxNode) -> Option<ObjectName> {
    let mut object = object(kind, whole)?;
    object.part = Some(parts(part).pop()?);
    Some(object)
}

/// The dotted parts of a name, folded.
pub(super) fn parts(node: &SyntaxNode) -> Vec<String> {
    node.descendants_with_tokens()
        .filter_map(|element| element.into_token())
        .filter(|token| !token.kind().is_trivia())
        .filter(|token| {
            !matches!(
                token.kind(),
                SyntaxKind::DOT
                    | SyntaxKind::ONLY_KW
                    | SyntaxKind::STAR
                    | SyntaxKind::L_PAREN
                    | SyntaxKind::R_PAREN
            )
        })
        .map(|token| folded(&token))
        .collect()
}

/// An identifier as PostgreSQL reads it: quotes taken off, or ASCII letters in lower case.
fn folded(token: &SyntaxToken) -> String {
    let text = token.text();
    let quoted = text.strip_prefix("U&").or_else(|| text.strip_prefix("u&")).unwrap_or(text);
    match quoted.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => text.to_ascii_lowercase(),
    }
}

/// The first child of one of `kinds`.
pub(super) fn child(node: &SyntaxNode, kinds: &[SyntaxKind]) -> Option<SyntaxNode> {
    node.children().find(|child| kinds.contains(&child.kind()))
}

/// Whether a node of `kind` stands directly under `node`.
pub(super) fn has_child(node: &SyntaxNode, kind: SyntaxKind) -> bool {
    node.children().any(|child| child.kind() == kind)
}

/// Whether a token of `kind` stands directly under `node`.
pub(super) fn has_token(node: &SyntaxNode, kind: SyntaxKind) -> bool {
    node.children_with_tokens().any(|element| element.kind() == kind)
}

/// Whether a token or node of `kind` stands anywhere under `node`.
pub(super) fn has_inside(node: &SyntaxNode, kind: SyntaxKind) -> bool {
    node.descendants_with_tokens().any(|element| element.kind() == kind)
}
