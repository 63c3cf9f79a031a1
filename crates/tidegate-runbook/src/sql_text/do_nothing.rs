//! `ON CONFLICT … DO NOTHING` at the end of an INSERT.

use squawk_lexer::{TokenKind, tokenize};

use crate::sql::{SqlPiece, SqlStatement};

/// An INSERT without the `ON CONFLICT DO NOTHING`, `ON CONFLICT (…) DO NOTHING` or `ON CONFLICT ON CONSTRAINT … DO
/// NOTHING` that ends it; `None` for every other statement.
///
/// Where no row is in the way, both do the same.
pub(crate) fn without_do_nothing(statement: &SqlStatement) -> Option<SqlStatement> {
    if statement.effect.command != "INSERT" {
        return None;
    }
    let (SqlPiece::Text(last), before) = statement.pieces.split_last()? else { return None };
    let end = clause_start(last)?;
    let mut pieces = before.to_vec();
    pieces.push(SqlPiece::Text(last.get(..end)?.to_owned()));
    Some(SqlStatement { pieces, span: statement.span.clone(), effect: statement.effect.clone() })
}

/// Where the clause begins that ends `text`. What ends a statement stands in no brackets.
fn clause_start(text: &str) -> Option<usize> {
    let mut at = 0;
    let mut words = Vec::new();
    for token in tokenize(text) {
        let start = at;
        at += token.len as usize;
        match token.kind {
            TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment { .. } => {}
            kind => words.push((kind, start, text.get(start..at)?)),
        }
    }
    let mut words = words.into_iter().rev();
    let mut next = || words.next();
    let is = |word: &str, wanted: &str| word.eq_ignore_ascii_case(wanted);
    for wanted in ["nothing", "do"] {
        next().filter(|(_, _, word)| is(word, wanted))?;
    }
    let mut word = next()?;
    if matches!(word.0, TokenKind::CloseParen) {
        let mut open = 1;
        while open > 0 {
            word = next()?;
            match word.0 {
                TokenKind::CloseParen => open += 1,
                TokenKind::OpenParen => open -= 1,
                _ => {}
            }
        }
        word = next()?;
    } else if !is(word.2, "conflict") {
        for wanted in ["constraint", "on"] {
            next().filter(|(_, _, word)| is(word, wanted))?;
        }
        word = next()?;
    }
    if !is(word.2, "conflict") {
        return None;
    }
    next().filter(|(_, _, word)| is(word, "on")).map(|(_, start, _)| start)
}
