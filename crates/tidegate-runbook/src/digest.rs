//! Digests of what is not SQL: parts with their lengths, so that no two different lists give the same input.

use sha2::{Digest, Sha256};

use crate::vocabulary::Language;

/// Collects the parts of a digest.
#[derive(Default)]
pub(crate) struct Parts(Sha256);

impl Parts {
    /// Adds one part.
    pub(crate) fn add(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds a part that may be absent.
    pub(crate) fn maybe(&mut self, bytes: Option<impl AsRef<[u8]>>) -> &mut Self {
        match bytes {
            Some(bytes) => self.add([1]).add(bytes),
            None => self.add([0]),
        }
    }

    /// Adds a list and how long it is.
    pub(crate) fn list(&mut self, items: impl IntoIterator<Item = impl AsRef<[u8]>>) -> &mut Self {
        let mut count = 0_u64;
        for item in items {
            self.add(item);
            count += 1;
        }
        self.add(count.to_be_bytes())
    }

    /// The digest.
    pub(crate) fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// The digest of a body that is not SQL: comment lines, blank ends of lines and blank lines at both ends are dropped.
///
/// In text blocks only `@` lines are comments. In http and sh every other byte counts.
pub(crate) fn plain_body(language: Language, text: &str) -> [u8; 32] {
    let is_comment = |line: &str| match language {
        Language::Text => line.starts_with("# @") || line.starts_with("#@"),
        Language::Toml | Language::Sh | Language::Http => line.trim_start().starts_with('#'),
        Language::Sql => line.trim_start().starts_with("--"),
    };
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !is_comment(line)).collect();
    let is_blank = |line: &&str| line.is_empty();
    let start = lines.iter().position(|line| !is_blank(line)).unwrap_or(lines.len());
    let end = lines.iter().rposition(|line| !is_blank(line)).map_or(start, |last| last + 1);
    let mut parts = Parts::default();
    parts.list(lines.get(start..end).unwrap_or_default());
    parts.finish()
}

/// A digest in hexadecimal.
pub(crate) fn hex(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_blank_ends_carry_no_meaning() {
        let plain = plain_body(Language::Sh, "echo a\n\necho b\n");
        assert_eq!(plain_body(Language::Sh, "\n# why\necho a  \r\n\necho b\n\n"), plain);
        assert_ne!(plain_body(Language::Sh, "echo a\necho b\n"), plain);
        assert_ne!(plain_body(Language::Text, "# Title\na"), plain_body(Language::Text, "a"));
    }

    #[test]
    fn lists_that_are_cut_differently_differ() {
        let digest = |items: &[&str]| {
            let mut parts = Parts::default();
            parts.list(items);
            parts.finish()
        };
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_eq!(hex(&[0xab; 32]).len(), 64);
    }
}
