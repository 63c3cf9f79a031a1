//! The words of one line of a kv block.

use std::ops::Range;

/// A word: as it stands, or a JSON string in double quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word<'a> {
    /// As the page has it, quotes included.
    pub(crate) raw: &'a str,
    /// Bytes in the line.
    pub(crate) range: Range<usize>,
    /// What the quotes hold, with JSON's escapes resolved; `None` for a word without quotes.
    pub(crate) quoted: Option<String>,
}

impl Word<'_> {
    /// The text that is meant.
    pub(crate) fn text(&self) -> &str {
        self.quoted.as_deref().unwrap_or(self.raw)
    }

    /// Whether it is this word, without quotes.
    pub(crate) fn is(&self, word: &str) -> bool {
        self.quoted.is_none() && self.raw == word
    }
}

/// Quotes that are not closed, hold no JSON string, or touch their neighbour: where they begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BrokenQuotes(pub(crate) usize);

/// The words of a line, with white space between.
pub(crate) fn words(line: &str) -> Result<Vec<Word<'_>>, BrokenQuotes> {
    let mut words = Vec::new();
    let mut at = 0;
    loop {
        let rest = line.get(at..).unwrap_or_default();
        let trimmed = rest.trim_start();
        if trimmed.is_empty() {
            return Ok(words);
        }
        at += rest.len() - trimmed.len();
        let length = if trimmed.starts_with('"') {
            quoted_length(trimmed).ok_or(BrokenQuotes(at))?
        } else {
            trimmed.find(char::is_whitespace).unwrap_or(trimmed.len())
        };
        let raw = trimmed.get(..length).unwrap_or_default();
        let quoted = if raw.starts_with('"') {
            Some(serde_json::from_str::<String>(raw).map_err(|_| BrokenQuotes(at))?)
        } else {
            None
        };
        words.push(Word { raw, range: at..at + length, quoted });
        at += length;
    }
}

/// Bytes up to and with the closing quote, which ends its word.
fn quoted_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    let close = text.char_indices().skip(1).find(|(_, c)| {
        let closes = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        closes
    });
    let length = close.map(|(at, _)| at + 1)?;
    let after = text.get(length..)?.chars().next();
    after.is_none_or(char::is_whitespace).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_parted_by_spaces_and_kept_together_by_quotes() {
        let read = words("  get logs\t\"trip:Ann \\\"B\\\":1\" /a{{b}} \"\"").unwrap();
        let texts: Vec<&str> = read.iter().map(Word::text).collect();
        assert_eq!(texts, ["get", "logs", "trip:Ann \"B\":1", "/a{{b}}", ""]);
        assert_eq!(read[1].range, 6..10);
        assert!(read[0].is("get") && !read[4].is(""));
    }

    #[test]
    fn quotes_must_be_closed_and_stand_alone() {
        for (line, at) in [("a \"b", 2), ("\"a\"b", 0), ("a \"\\x\"", 2), ("\"\\\"", 0), ("\"", 0)] {
            assert_eq!(words(line), Err(BrokenQuotes(at)), "{line}");
        }
    }
}
