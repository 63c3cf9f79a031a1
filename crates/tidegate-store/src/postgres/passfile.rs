//! The password file of libpq: lines of `host:port:database:user:password`.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::address::AddressError;

/// Longest password file that is read, in bytes.
const PASSFILE_BYTES_MAX: u64 = 1 << 20;

/// What a line of the file must match.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) database: &'a str,
    pub(super) user: &'a str,
}

/// Finds the password of the first line that matches.
///
/// A file that does not exist holds no password. A file that others may read is refused rather than ignored: an
/// operator who relies on it should learn why it is not used.
pub(super) fn look_up(path: &Path, wanted: Wanted<'_>) -> Result<Option<String>, AddressError> {
    let unreadable = |source| AddressError::PassfileUnreadable { path: path.to_owned(), source };
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    // libpq skips what is no plain file: /dev/null is the usual way to say "no password file".
    if !metadata.is_file() {
        return Ok(None);
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(AddressError::PassfileTooOpen { path: path.to_owned(), mode });
    }
    if metadata.len() > PASSFILE_BYTES_MAX {
        return Err(unreadable(std::io::Error::other(format!(
            "it is longer than {PASSFILE_BYTES_MAX} bytes"
        ))));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    Ok(match_lines(&text, wanted))
}

fn match_lines(text: &str, wanted: Wanted<'_>) -> Option<String> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| match_line(line, wanted))
}

fn match_line(line: &str, wanted: Wanted<'_>) -> Option<String> {
    let port = wanted.port.to_string();
    let mut rest = line;
    for wanted in [wanted.host, &port, wanted.database, wanted.user] {
        let (field, after) = take_field(rest)?;
        if !(field.raw == "*" || field.value == wanted) {
            return None;
        }
        rest = after;
    }
    let password = take_field(rest).map_or_else(|| unescape(rest), |(field, _)| field.value);
    (!password.is_empty()).then_some(password)
}

struct Field<'a> {
    raw: &'a str,
    value: String,
}

/// Splits at the first colon that no backslash protects; `None` when there is none.
fn take_field(text: &str) -> Option<(Field<'_>, &str)> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ':' => {
                let (raw, after) = text.split_at(at);
                let after = after.strip_prefix(':').unwrap_or(after);
                let value = unescape(raw);
                return Some((Field { raw, value }, after));
            }
            _ => {}
        }
    }
    None
}

fn unescape(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => value.extend(rest.next()),
            c => value.push(c),
        }
    }
    value
}

/// Escapes one field of a line, so that [`look_up`] and libpq read it back unchanged.
pub(super) fn escape(field: &str) -> String {
    let mut escaped = String::with_capacity(field.len());
    for c in field.chars() {
        if matches!(c, '\\' | ':') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::{Wanted, escape, look_up, match_lines};
    use std::os::unix::fs::PermissionsExt;

    const WANTED: Wanted<'static> =
        Wanted { host: "db.example", port: 5432, database: "led:ger", user: "app" };

    #[test]
    fn the_first_matching_line_wins() {
        let text = "# db.example:*:*:*:comment\nother:*:*:*:no\ndb.example:5432:led\\:ger:app:first\n*:*:*:*:second\n";
        assert_eq!(match_lines(text, WANTED).as_deref(), Some("first"));
    }

    #[test]
    fn a_star_matches_anything_but_an_escaped_star_does_not() {
        assert_eq!(match_lines("*:*:*:*:any", WANTED).as_deref(), Some("any"));
        assert_eq!(match_lines("\\*:*:*:*:any", WANTED), None);
    }

    #[test]
    fn escaped_fields_are_read_back_unchanged() {
        let password = r"a:b\c\\:";
        let line = format!("*:*:{}:*:{}", escape("led:ger"), escape(password));
        assert_eq!(match_lines(&line, WANTED).as_deref(), Some(password));
    }

    #[test]
    fn short_and_empty_lines_hold_no_password() {
        assert_eq!(match_lines("\nhost:5432\n*:*:*:*:\n", WANTED), None);
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let path = std::env::temp_dir().join(format!("tidegate-passfile-{}", std::process::id()));
        std::fs::write(&path, "*:*:*:*:pw\n").unwrap();
        for (mode, readable) in [(0o640, false), (0o604, false), (0o600, true), (0o400, true)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let found = look_up(&path, WANTED);
            assert_eq!(found.is_ok(), readable, "mode {mode:o}");
            if let Ok(found) = found {
                assert_eq!(found.as_deref(), Some("pw"));
            }
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(look_up(&path, WANTED).unwrap(), None);
    }
}
