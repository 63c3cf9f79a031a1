//! Digests of what is not SQL: parts with their lengths, so that no two different lists give the same input.

use sha2::{Digest, Sha256};

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

/// The digest of a body in http, sh or text: every line counts, comments too, for a line that begins with `#` may be
/// part of a request, a document in a script, or a text. Line ends and blank lines after the last do not count.
pub(crate) fn plain_body(text: &str) -> [u8; 32] {
    let mut parts = Parts::default();
    parts.list(text.trim_end().lines());
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
    fn line_ends_carry_no_meaning_and_lines_do() {
        let plain = plain_body("echo a\n\necho b\n");
        assert_eq!(plain_body("echo a\r\n\r\necho b\r\n\n"), plain);
        assert_ne!(plain_body("echo a\necho b\n"), plain);
        assert_ne!(plain_body("echo a\n# c\necho b\n"), plain_body("echo a\necho b\n"));
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
