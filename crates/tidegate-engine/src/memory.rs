//! The newest head this user has seen of each store, so that an older copy of a store is told apart from the store.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::event::Binding;
use crate::history::History;
use crate::journal::Head;

/// The file for one store.
fn file(folder: &Path, binding: &Binding) -> PathBuf {
    let server = binding.system_identifier.map_or_else(|| "unknown".to_owned(), |id| id.to_string());
    let database: String =
        binding.database.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    folder.join(format!("{server}-{database}.head"))
}

/// Keeps the head. A head that cannot be kept is no reason to stop; it only proves less later.
pub(crate) fn remember(folder: &Path, binding: &Binding, head: Head) {
    let path = file(folder, binding);
    let written = std::fs::create_dir_all(folder).and_then(|()| {
        let partial = path.with_extension("partial");
        let mut out = std::fs::File::create(&partial)?;
        writeln!(out, "{} {}", head.seq, head.hash)?;
        std::fs::rename(&partial, &path)
    });
    if let Err(error) = written {
        tracing::debug!(%error, path = %path.display(), "the newest head could not be kept");
    }
}

/// What was seen here and is not in the journal any more.
pub(crate) fn missing(folder: &Path, binding: &Binding, history: &History) -> Option<String> {
    let text = std::fs::read_to_string(file(folder, binding)).ok()?;
    let (seq, hash) = text.trim().split_once(' ')?;
    let (seq, hash): (u64, Digest) = (seq.parse().ok()?, Digest::from_hex(hash)?);
    if history.head.seq < seq {
        return Some(format!(
            "the journal ends at event {} and event {seq} was seen here before",
            history.head.seq
        ));
    }
    (history.head.seq == seq && history.head.hash != hash)
        .then(|| format!("event {seq} of the journal is not the one that was seen here before"))
}
