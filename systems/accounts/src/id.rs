//! Ids that nobody else has.

use uuid::Uuid;

/// Longest id that a caller may choose, in bytes.
pub const ID_BYTES_MAX: usize = 128;

/// A fresh id: the prefix, an underscore, and 32 hexadecimal digits.
#[must_use]
pub fn fresh(prefix: &str) -> String {
    format!("{prefix}_{}", Uuid::new_v4().simple())
}

/// Whether a caller's own id can be used: letters, digits, `_` and `-`, at most [`ID_BYTES_MAX`].
#[must_use]
pub fn is_usable(id: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    !id.is_empty() && id.len() <= ID_BYTES_MAX && id.chars().all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_id_is_its_prefix_and_32_digits_and_usable() {
        let id = fresh("managed-user");
        let digits = id.strip_prefix("managed-user_").unwrap();
        assert!(digits.len() == 32 && digits.chars().all(|c| c.is_ascii_hexdigit()));
        assert!(is_usable(&id));
        assert_ne!(fresh("ws"), fresh("ws"));
    }

    #[test]
    fn what_could_not_stand_in_an_address_is_not_usable() {
        for bad in ["", "a b", "a/b", "a\0", "ä", &"a".repeat(ID_BYTES_MAX + 1)] {
            assert!(!is_usable(bad), "{bad}");
        }
    }
}
