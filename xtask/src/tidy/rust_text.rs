//! Rust source as a rule sees it: code without comments and literals, and the literals by themselves.

/// One string literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Literal {
    /// The line where it begins, from 1.
    pub(crate) line: usize,
    /// What stands between its quotes, as written.
    pub(crate) text: String,
}

/// A source file taken apart.
#[derive(Debug, Default)]
pub(crate) struct RustText {
    /// The source with comments and the insides of literals blanked; lines are kept.
    pub(crate) code: String,
    /// Its string literals, in order.
    pub(crate) literals: Vec<Literal>,
}

impl RustText {
    /// Takes a source apart. It is one that compiles, or will be once the compiler has had its say.
    pub(crate) fn of(source: &str) -> Self {
        let mut scan = Scan { rest: source, line: 1, parts: Self::default(), word: false };
        while scan.step() {}
        scan.parts
    }

    /// The line of the unit tests at the end of the file; past its end when there are none.
    pub(crate) fn first_test_line(&self) -> usize {
        let position = self.code.lines().position(|line| line.trim() == "#[cfg(test)]");
        position.map_or(usize::MAX, |position| position + 1)
    }
}

struct Scan<'a> {
    rest: &'a str,
    line: usize,
    parts: RustText,
    /// The last character of code belongs to a word, so that an `r` or `b` now is not the start of a literal.
    word: bool,
}

impl Scan<'_> {
    /// Takes the next piece; false at the end.
    fn step(&mut self) -> bool {
        let Some(first) = self.rest.chars().next() else { return false };
        if self.rest.starts_with("//") {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.blank(end);
        } else if self.rest.starts_with("/*") {
            self.blank(block_comment(self.rest));
        } else if first == '"' {
            self.literal(1, plain_end(self.rest, 1), 1);
        } else if let Some((start, hashes)) = raw_start(self.rest).filter(|_| !self.word) {
            let close = format!("\"{}", "#".repeat(hashes));
            let inside = self.rest.get(start..).unwrap_or_default();
            let end = inside.find(&close).map_or(self.rest.len(), |end| start + end);
            self.literal(start, end, close.len());
        } else if first == '\'' {
            self.blank(character(self.rest));
        } else {
            self.take(first);
        }
        true
    }

    fn take(&mut self, c: char) {
        self.parts.code.push(c);
        self.line += usize::from(c == '\n');
        self.word = c.is_alphanumeric() || c == '_';
        self.rest = self.rest.get(c.len_utf8()..).unwrap_or_default();
    }

    fn blank(&mut self, length: usize) {
        let (gone, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        for c in gone.chars() {
            self.parts.code.push(if c == '\n' { '\n' } else { ' ' });
            self.line += usize::from(c == '\n');
        }
        self.word = false;
        self.rest = rest;
    }

    fn literal(&mut self, start: usize, end: usize, close: usize) {
        let text = self.rest.get(start..end).unwrap_or_default().to_owned();
        self.parts.literals.push(Literal { line: self.line, text });
        self.blank((end + close).min(self.rest.len()));
    }
}

/// Where a nested block comment ends.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth = depth.saturating_sub(1);
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Where the quote stands that ends a literal with escapes.
fn plain_end(text: &str, start: usize) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().filter(|(at, _)| *at >= start) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at,
            _ => {}
        }
    }
    text.len()
}

/// The start of a raw literal's inside and its number of hashes.
fn raw_start(text: &str) -> Option<(usize, usize)> {
    let rest =
        text.strip_prefix("br").or_else(|| text.strip_prefix("cr")).or_else(|| text.strip_prefix('r'))?;
    let hashes = rest.chars().take_while(|c| *c == '#').count();
    let inside = rest.get(hashes..)?.strip_prefix('"')?;
    Some((text.len() - inside.len(), hashes))
}

/// The length of a character literal, or 1 for the quote of a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((escaped, c))) => {
            let start = escaped + c.len_utf8();
            text.get(start..).and_then(|rest| rest.find('\'')).map_or(1, |end| start + end + 1)
        }
        (Some(_), Some((close, '\''))) => close + 1,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_lines_kept() {
        let source = "let a = \"x\\\"y\"; // c \"no\"\n/* d /* e */ \"no\" */ let b = r#\"p\"q\"#;\nf('\"', 'a', b'\\'');";
        let text = RustText::of(source);
        let literals: Vec<_> = text.literals.iter().map(|found| (found.line, found.text.as_str())).collect();
        assert_eq!(literals, [(1, "x\\\"y"), (2, "p\"q")]);
        assert_eq!(text.code.lines().count(), 3);
        assert!(!text.code.contains("no") && text.code.contains("let b ="));
    }

    #[test]
    fn a_lifetime_is_not_a_character() {
        let text = RustText::of("fn f<'a>(x: &'a str) { g(\"in\") }");
        assert_eq!(text.literals, [Literal { line: 1, text: "in".to_owned() }]);
    }

    #[test]
    fn a_word_that_ends_in_r_is_not_a_raw_literal() {
        assert_eq!(RustText::of("for\"x\"").literals[0].text, "x");
        assert_eq!(RustText::of("r\"x\\\" y").literals[0].text, "x\\");
    }

    #[test]
    fn unit_tests_begin_at_their_attribute() {
        assert_eq!(RustText::of("fn a() {}\n\n#[cfg(test)]\nmod tests {}\n").first_test_line(), 3);
        assert_eq!(RustText::of("// #[cfg(test)]\n").first_test_line(), usize::MAX);
    }
}
