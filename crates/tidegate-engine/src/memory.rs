//! The newest head this user has seen of each store, so that an older copy of a store is told apart from the store.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::event::Binding;
use crate::history::History;
use crate::journal::Head;

/// Where the newest head of a database's journal is kept.
pub(crate) fn file(folder: &Path, binding: &Binding) -> PathBuf {
    let server = binding.system_identifier.map_or_else(|| "unknown".to_owned(), |id| id.to_string());
    folder.join(format!("{server}-{}.head", plain(&binding.database)))
}

/// A name that any file system takes, another one for each database.
fn plain(database: &str) -> String {
    let keeps = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    database
        .bytes()
        .map(|byte| if keeps(&byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") })
        .collect()
}

/// Keeps the head. A head that cannot be kept is no reason to stop; it only proves less later.
///
/// It is kept after every commit, so it is written over the one before, in one piece: to make a file and put it in the
/// other's place takes as long as a commit where the server makes files at the same time.
pub(crate) fn remember(folder: &Path, binding: &Binding, head: Head) {
    let path = file(folder, binding);
    let line = line(head);
    let written = match std::fs::OpenOptions::new().write(true).open(&path) {
        Ok(mut out) => out.write_all(line.as_bytes()),
        Err(error) if error.kind() == ErrorKind::NotFound => make(folder, &path, &line),
        Err(error) => Err(error),
    };
    if let Err(error) = written {
        tracing::debug!(%error, path = %path.display(), "the newest head could not be kept");
    }
}

fn make(folder: &Path, path: &Path, line: &str) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let partial = path.with_extension("partial");
    std::fs::write(&partial, line)?;
    std::fs::rename(&partial, path)
}

/// The head as it is kept. The number stands at both ends: whoever reads while it is written takes no half for a head.
fn line(head: Head) -> String {
    format!("{} {} {}\n", head.seq, head.hash, head.seq)
}

/// The head in the first line; what follows is of a longer one before. The number at the end may be missing.
fn read(text: &str) -> Option<Head> {
    let words: Vec<&str> = text.lines().next()?.split_whitespace().collect();
    let (seq, hash) = match words.as_slice() {
        [seq, hash] => (seq, hash),
        [seq, hash, again] if seq == again => (seq, hash),
        _ => return None,
    };
    Some(Head { seq: seq.parse().ok()?, hash: Digest::from_hex(hash)? })
}

/// What was seen here and is not in the journal any more.
pub(crate) fn missing(folder: &Path, binding: &Binding, history: &History) -> Option<String> {
    let text = std::fs::read_to_string(file(folder, binding)).ok()?;
    let Head { seq, hash } = read(&text)?;
    match history.hash_of(seq) {
        _ if seq == 0 => None,
        None => Some(format!(
            "the journal ends at event {} and event {seq} was seen here before: this is an older copy of the store",
            history.head.seq
        )),
        Some(found) => (found != hash).then(|| {
            format!(
                "event {seq} of the journal is not the one that was seen here before: this is an older copy of the store, \
                 which went on by itself"
            )
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_head_is_kept_over_those_before_and_a_half_is_none() {
        let folder = std::env::temp_dir().join(format!("tidegate-heads-{}", std::process::id()));
        let binding = Binding { system_identifier: Some(7), database: "a-b".into() };
        let kept = || read(&std::fs::read_to_string(file(&folder, &binding)).unwrap());
        for seq in [9, 1_000, 10] {
            let head = Head { seq, hash: Digest::of(&seq.to_be_bytes()) };
            remember(&folder, &binding, head);
            assert_eq!(kept(), Some(head), "also under what is left of a longer one");
        }
        let other = Binding { system_identifier: Some(7), database: "a_b".into() };
        assert_ne!(file(&folder, &binding), file(&folder, &other), "each database has its own");
        assert_eq!(plain("é/.."), "%c3%a9%2f%2e%2e");
        std::fs::remove_dir_all(&folder).unwrap();
        let head = Head { seq: 12, hash: Digest::of(b"12") };
        assert_eq!(read(&format!("12 {}\n", head.hash)), Some(head), "as it was kept before");
        assert_eq!(read(&line(head).replace(" 12\n", " 11\n")), None);
        assert_eq!(read("12 ab"), None);
        assert_eq!(read(""), None);
    }
}
