//! Equal meaning, equal digest: what drift is judged by.

use sha2::{Digest, Sha256};
use squawk_lexer::{TokenKind, tokenize};

/// SHA-256 over the tokens of `text`.
///
/// White space, comments and semicolons that end nothing are dropped; literals and quoted identifiers are kept byte by
/// byte; keywords and other identifiers are folded as PostgreSQL folds them. Each token goes in with its length in
/// front, and with a mark where standing next to its neighbour makes it another thing (`<=`, `:a`), so that two
/// token streams never give the same input.
pub(crate) fn sql_tokens_digest(text: &str) -> [u8; 32] {
    let mut hasher = Sha256::new();
    let mut at = 0;
    let mut before = Before::default();
    let mut statement_open = false;
    let mut semicolon_due = false;
    for token in tokenize(text) {
        let next = at + token.len as usize;
        let written = text.get(at..next).unwrap_or_default();
        let start = std::mem::replace(&mut at, next);
        match token.kind {
            TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment { .. } => continue,
            TokenKind::Semi => {
                semicolon_due |= statement_open;
                statement_open = false;
                before = Before::default();
                continue;
            }
            _ => {}
        }
        if std::mem::take(&mut semicolon_due) {
            feed(&mut hasher, Mark::Apart, ";");
        }
        statement_open = true;
        let joined = before.end == start && before.joins(token.kind);
        let mark = if joined { Mark::Joined } else { Mark::Apart };
        if token.kind == TokenKind::Ident {
            feed(&mut hasher, mark, &written.to_ascii_lowercase());
        } else {
            feed(&mut hasher, mark, written);
        }
        before = Before {
            end: next,
            operator: is_operator(token.kind),
            lone_colon: token.kind == TokenKind::Colon && !(joined && before.lone_colon),
        };
    }
    hasher.finalize().into()
}

/// The token before, as far as standing next to it can matter.
#[derive(Default)]
struct Before {
    end: usize,
    operator: bool,
    /// A colon that is not the second of a `::`.
    lone_colon: bool,
}

impl Before {
    /// Whether a token of `kind` right after this one is read together with it.
    fn joins(&self, kind: TokenKind) -> bool {
        self.lone_colon || (self.operator && is_operator(kind))
    }
}

#[derive(Clone, Copy)]
enum Mark {
    Apart = 0,
    Joined = 1,
}

fn feed(hasher: &mut Sha256, mark: Mark, token: &str) {
    hasher.update([mark as u8]);
    hasher.update((token.len() as u64).to_le_bytes());
    hasher.update(token.as_bytes());
}

/// The characters that PostgreSQL builds operators from; a colon takes part in `::` and `:=`.
fn is_operator(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::Slash
            | TokenKind::Minus
            | TokenKind::Colon
            | TokenKind::Eq
            | TokenKind::Gt
            | TokenKind::And
            | TokenKind::Lt
            | TokenKind::Bang
            | TokenKind::Plus
            | TokenKind::Tilde
            | TokenKind::Pound
            | TokenKind::Question
            | TokenKind::Or
            | TokenKind::Percent
            | TokenKind::Caret
            | TokenKind::Star
            | TokenKind::Backtick
            | TokenKind::At
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn same(left: &str, right: &str) {
        assert_eq!(sql_tokens_digest(left), sql_tokens_digest(right), "{left:?} against {right:?}");
    }

    #[track_caller]
    fn differ(left: &str, right: &str) {
        assert_ne!(sql_tokens_digest(left), sql_tokens_digest(right), "{left:?} against {right:?}");
    }

    #[test]
    fn comments_white_space_and_case_of_keywords_keep_the_meaning() {
        same("SELECT 1", "select\r\n\t1 -- one\n");
        same("SELECT /* a /* nested */ one */ a FROM B", "select A from b");
        same("a<=b", "a <= b");
        same("x::int", "x :: INT");
        same("", "-- nothing\n");
    }

    #[test]
    fn semicolons_that_end_nothing_do_not_count() {
        same("SELECT 1", "SELECT 1;");
        same("SELECT 1; SELECT 2", ";SELECT 1;;\nSELECT 2;");
        differ("SELECT 1; SELECT 2", "SELECT 1 SELECT 2");
    }

    #[test]
    fn literals_and_quoted_names_are_kept_byte_by_byte() {
        differ("SELECT 'a'", "SELECT 'A'");
        differ("SELECT 'a b'", "SELECT 'a  b'");
        differ("SELECT \"a\"", "SELECT \"A\"");
        differ("SELECT \"a\"", "SELECT a");
        differ("SELECT $$a -- b$$", "SELECT $$a$$");
        differ("SELECT 1", "SELECT 2");
    }

    #[test]
    fn tokens_do_not_run_into_each_other() {
        differ("SELECT ab", "SELECT a b");
        differ("a < = b", "a <= b");
        differ("SELECT :a", "SELECT : a");
        differ("SELECT a - -1", "SELECT a -- 1");
        differ("SELECT 1 2", "SELECT 12");
    }

    #[test]
    fn an_operator_may_stand_next_to_its_operands() {
        same("SELECT a+b*-c", "SELECT a + b *-c");
        same("SELECT f(a),b", "SELECT f ( a ) , b");
    }
}
