//! Finds statements and values in SQL text by PostgreSQL's lexical rules alone.
//!
//! Values are written as psql writes them. Nothing inside strings, quoted identifiers, dollar quotes or comments is a
//! value; `::` is a cast, and the colon after an operand in `[1:2]` is a slice.

use std::ops::Range;

use squawk_lexer::{TokenKind, tokenize};

use crate::names::{Name, NotAName};
use crate::sql::{DifferencePart, RelationRef, SqlPiece};
use crate::value::ValueRef;

/// One statement's place in the text and the values in it.
#[derive(Debug)]
pub(super) struct Found {
    /// First to last byte that is neither white space nor comment, the semicolon left out.
    pub(super) range: Range<usize>,
    /// In order.
    pub(super) values: Vec<FoundValue>,
    /// A bound on the stack that parsing takes, in hundreds of bytes: brackets, words and operators since the last comma.
    pub(super) depth: usize,
}

/// A value asked for in a statement.
#[derive(Debug)]
pub(super) struct FoundValue {
    /// From the colon to the last byte.
    pub(super) range: Range<usize>,
    /// How it is written.
    pub(super) form: ValueForm,
    /// Which value, if its name is one.
    pub(super) piece: Result<SqlPiece, NoValue>,
}

/// Why what is written as a value can be none.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoValue {
    #[error(transparent)]
    Name(#[from] NotAName),
    /// What follows the dot in `:{a.b}` is no kind of difference.
    #[error(
        "a comparison keeps `missing`, `extra` and `differing`, and a record keeps one relation, `:{{id}}`"
    )]
    Part,
}

/// The four ways to write a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueForm {
    /// `:a`
    Bind,
    /// `:'a'`
    Literal,
    /// `:"a"`
    Identifier,
    /// `:{a}`
    Relation,
}

/// Splits `text` at its top-level semicolons. Statements without a token are dropped.
pub(super) fn scan(text: &str) -> Vec<Found> {
    let mut scanner = Scanner { text, ..Scanner::default() };
    let mut position = 0;
    while let Some(rest) = text.get(position..).filter(|rest| !rest.is_empty()) {
        position = scanner.run(rest, position);
    }
    scanner.end_statement();
    scanner.found
}

/// What the last token that is neither white space nor comment was, as far as colons care.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Before {
    /// The end of an operand: a colon after it, inside `[…]`, is a slice.
    Operand,
    /// Anything else.
    #[default]
    Other,
}

#[derive(Default)]
struct Scanner<'t> {
    text: &'t str,
    found: Vec<Found>,
    start: Option<usize>,
    end: usize,
    values: Vec<FoundValue>,
    before: Before,
    /// Open `(`, `[` and `{`, each with the depth in front of it.
    open: Vec<(TokenKind, usize)>,
    /// The first words of the statement, as far as they tell a routine's definition.
    words: Vec<String>,
    /// BEGIN and CASE that are open in a routine's `BEGIN ATOMIC` body.
    begins: usize,
    /// The depth at the current token, and the greatest of the statement.
    depth: usize,
    depth_most: usize,
}

impl Scanner<'_> {
    /// Reads tokens of `rest`, which starts at `base`, up to its end or the end of the next value; answers where to go on.
    fn run(&mut self, rest: &str, base: usize) -> usize {
        let mut at = base;
        let mut skip_colon = false;
        for token in tokenize(rest) {
            let next = at + token.len as usize;
            match token.kind {
                TokenKind::Whitespace
                | TokenKind::LineComment
                | TokenKind::BlockComment { terminated: true } => {}
                TokenKind::Semi if self.open.is_empty() && self.begins == 0 => self.end_statement(),
                TokenKind::Colon => {
                    self.touch(at, next);
                    if std::mem::take(&mut skip_colon) {
                        self.before = Before::Other;
                    } else if self.text.get(next..).is_some_and(|after| after.starts_with(':')) {
                        skip_colon = true;
                    } else if let Some(value) = self.value(at) {
                        let end = value.range.end;
                        self.touch(at, end);
                        self.values.push(value);
                        self.before = Before::Operand;
                        return end;
                    } else {
                        self.before = Before::Other;
                    }
                }
                kind => {
                    self.touch(at, next);
                    self.token(kind, self.text.get(at..next).unwrap_or_default());
                }
            }
            at = next;
        }
        at.max(base + 1)
    }

    fn touch(&mut self, start: usize, end: usize) {
        self.start.get_or_insert(start);
        self.end = end;
    }

    fn token(&mut self, kind: TokenKind, text: &str) {
        let before = std::mem::take(&mut self.before);
        match kind {
            TokenKind::OpenParen | TokenKind::OpenBracket | TokenKind::OpenCurly => {
                self.open.push((kind, self.depth));
                self.deepen(BRACKET);
            }
            TokenKind::CloseParen | TokenKind::CloseBracket | TokenKind::CloseCurly => {
                self.before = Before::Operand;
                if let Some((_, outside)) = self.open.pop() {
                    self.depth = outside;
                }
                self.deepen(OPERAND);
            }
            TokenKind::Comma | TokenKind::Semi => {
                self.depth = self.open.last().map_or(0, |(_, outside)| outside + BRACKET);
            }
            TokenKind::Ident => {
                self.word(text);
                self.before = Before::Operand;
            }
            TokenKind::Literal { .. } | TokenKind::QuotedIdent { .. } | TokenKind::PositionalParam { .. } => {
                self.before = Before::Operand;
                self.deepen(OPERAND);
            }
            TokenKind::Dot | TokenKind::Colon => self.deepen(OPERAND),
            _ if before == Before::Operand => self.deepen(OPERATOR),
            _ => self.deepen(WORD),
        }
    }

    fn deepen(&mut self, by: usize) {
        self.depth += by;
        self.depth_most = self.depth_most.max(self.depth);
    }

    /// Follows `CREATE [OR REPLACE] {FUNCTION | PROCEDURE} … BEGIN ATOMIC …; …; END` as psql does.
    fn word(&mut self, text: &str) {
        let word = text.to_ascii_lowercase();
        self.deepen(if matches!(word.as_str(), "and" | "or") { OPERAND } else { WORD });
        if self.begins_routine() && self.open.is_empty() {
            match word.as_str() {
                "begin" => self.begins += 1,
                "case" if self.begins > 0 => self.begins += 1,
                "end" => self.begins = self.begins.saturating_sub(1),
                _ => {}
            }
        }
        if self.words.len() < 4 {
            self.words.push(word);
        }
    }

    fn begins_routine(&self) -> bool {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        matches!(
            words.as_slice(),
            ["create", "function" | "procedure", ..] | ["create", "or", "replace", "function" | "procedure"]
        )
    }

    fn end_statement(&mut self) {
        if let Some(start) = self.start.take() {
            self.found.push(Found {
                range: start..self.end,
                values: std::mem::take(&mut self.values),
                depth: self.depth_most,
            });
        }
        self.before = Before::Other;
        self.open.clear();
        self.words.clear();
        self.begins = 0;
        self.depth = 0;
        self.depth_most = 0;
    }

    /// The value whose colon stands at `colon`, if it is one.
    fn value(&self, colon: usize) -> Option<FoundValue> {
        let rest = self.text.get(colon + 1..)?;
        let in_brackets = self.open.last().is_some_and(|(kind, _)| *kind == TokenKind::OpenBracket);
        if in_brackets && self.before == Before::Operand {
            return None;
        }
        let (form, inner) = match rest.chars().next()? {
            '\'' => (ValueForm::Literal, enclosed(rest, '\'')?),
            '"' => (ValueForm::Identifier, enclosed(rest, '"')?),
            '{' => (ValueForm::Relation, enclosed(rest, '}')?),
            _ => {
                let inner = bare(rest)?;
                if in_brackets && inner.bytes().all(|byte| byte.is_ascii_digit()) {
                    return None;
                }
                (ValueForm::Bind, inner)
            }
        };
        let width = 1 + inner.len() + if form == ValueForm::Bind { 0 } else { 2 };
        Some(FoundValue { range: colon..colon + width, form, piece: piece(form, inner) })
    }
}

/// What a token may cost the parser in stack, in hundreds of bytes, measured in builds without optimization: a bracket
/// opens several levels of the grammar, a word or sign may be a prefix such as NOT or CASE, an operator between operands
/// may bind to the right, an operand only makes the tree deeper.
const BRACKET: usize = 45;
const WORD: usize = 15;
const OPERATOR: usize = 8;
const OPERAND: usize = 2;

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii()
}

/// `'name'`, `"name"`, `{name}` after the colon, without the quotes; `None` when it holds anything but name characters and dots.
fn enclosed(rest: &str, close: char) -> Option<&str> {
    let inner = rest.get(1..)?;
    let inner = inner.get(..inner.find(close)?)?;
    let plain = !inner.is_empty() && inner.chars().all(|c| is_name_char(c) || c == '.');
    plain.then_some(inner)
}

/// `name` or `name.field` at the start of `rest`.
fn bare(rest: &str) -> Option<&str> {
    let root = rest.find(|c| !is_name_char(c)).unwrap_or(rest.len());
    if root == 0 {
        return None;
    }
    let field = rest.get(root..).and_then(|tail| tail.strip_prefix('.')).map_or(0, |tail| {
        let length = tail.find(|c| !is_name_char(c)).unwrap_or(tail.len());
        if length == 0 { 0 } else { length + 1 }
    });
    rest.get(..root + field)
}

fn piece(form: ValueForm, inner: &str) -> Result<SqlPiece, NoValue> {
    if form == ValueForm::Relation {
        return relation(inner).map(SqlPiece::Relation);
    }
    let value = match inner.split_once('.') {
        Some((root, field)) => ValueRef { root: Name::parse(root)?, field: Some(Name::parse(field)?) },
        None => ValueRef { root: Name::parse(inner)?, field: None },
    };
    Ok(match form {
        ValueForm::Bind => SqlPiece::Bind(value),
        ValueForm::Literal => SqlPiece::Literal(value),
        ValueForm::Identifier | ValueForm::Relation => SqlPiece::Identifier(value),
    })
}

/// `id` or `id.part`, as it stands between the braces.
pub(super) fn relation(inner: &str) -> Result<RelationRef, NoValue> {
    let (step, part) = match inner.split_once('.') {
        None => (inner, None),
        Some((step, part)) => (step, Some(DifferencePart::parse(part).ok_or(NoValue::Part)?)),
    };
    Ok(RelationRef { step: Name::parse(step)?, part })
}
