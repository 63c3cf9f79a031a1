//! Taking a snapshot.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncWriteExt, BufWriter};

use super::super::{Entry, Key, KvError, KvStore, Namespace, UnixSecond, Version};
use super::file_form::{EntryLine, FORMAT, HeaderLine, ManifestLine, VERSION, hexadecimal};
use super::listing::Listing;
use super::{ATTEMPTS_MAX, BATCH_ENTRIES, Manifest, RESERVED_PREFIX, SnapshotError, Taken};

/// Takes a snapshot of these namespaces, of the keys that start with `prefix` where one is given.
///
/// The entries are read, and then all keys are listed again: where each version is the one that was read and no key
/// came or went, they stood together in between, and the snapshot is consistent. Else it is taken anew, at most
/// [`ATTEMPTS_MAX`] times in all; the last is kept and says that it is not. It is written beside `path`, brought to
/// the disk and then given its name, with mode 0600.
///
/// # Errors
/// [`SnapshotError::Exists`], [`SnapshotError::File`], [`SnapshotError::Store`]; there is no new file then.
pub async fn take(
    store: &dyn KvStore,
    namespaces: &[Namespace],
    prefix: Option<&str>,
    path: &Path,
) -> Result<Taken, SnapshotError> {
    if tokio::fs::symlink_metadata(path).await.is_ok() {
        return Err(SnapshotError::Exists { path: path.to_owned() });
    }
    let mut namespaces = namespaces.to_vec();
    namespaces.sort();
    namespaces.dedup();
    let prefix = prefix.unwrap_or_default();
    let partial = Partial::beside(path);
    let mut attempts = 1;
    loop {
        let mut output = Output::create(&partial.0).await?;
        let header = header(store, &namespaces, prefix).await?;
        output.line(&header).await?;
        let (counts, read) = read_all(store, &namespaces, prefix, &mut output).await?;
        let consistent = list_all(store, &namespaces, prefix).await? == read;
        if !consistent && attempts < ATTEMPTS_MAX {
            attempts += 1;
            continue;
        }
        let sha256 = hexadecimal(output.hash.clone());
        let named = counts.iter().map(|(namespace, count)| (namespace.to_string(), *count)).collect();
        output.line(&ManifestLine { counts: named, consistent, sha256: sha256.clone() }).await?;
        output.finish().await?;
        name(&partial.0, path).await?;
        let (taken_at, store) = (header.taken_at, header.store);
        let manifest = Manifest { taken_at, store, prefix: prefix.to_owned(), counts, consistent, sha256 };
        return Ok(Taken { manifest, attempts });
    }
}

async fn header(
    store: &dyn KvStore,
    namespaces: &[Namespace],
    prefix: &str,
) -> Result<HeaderLine, SnapshotError> {
    let now = store.now().await?;
    let named = format!("{store:?}");
    let taken_at = jiff::Timestamp::from_second(now.0).map_err(|error| KvError::Corrupt {
        store: named.clone(),
        message: format!("its clock shows second {}: {error}", now.0),
    })?;
    Ok(HeaderLine {
        format: FORMAT.to_owned(),
        version: VERSION,
        taken_at: taken_at.to_string(),
        store: named,
        namespaces: namespaces.iter().map(Namespace::to_string).collect(),
        prefix: prefix.to_owned(),
        reserved_prefix: RESERVED_PREFIX.to_owned(),
    })
}

/// Writes every entry; answers how many there are, and the hash of their keys and versions.
async fn read_all(
    store: &dyn KvStore,
    namespaces: &[Namespace],
    prefix: &str,
    output: &mut Output,
) -> Result<(BTreeMap<Namespace, u64>, String), SnapshotError> {
    let (mut counts, mut hash) = (BTreeMap::new(), Sha256::new());
    for namespace in namespaces {
        let (mut listing, mut count) = (Listing::new(namespace, prefix), 0_u64);
        loop {
            let mut keys = Vec::with_capacity(BATCH_ENTRIES);
            while keys.len() < BATCH_ENTRIES {
                let Some(listed) = listing.next(store).await? else { break };
                keys.push(listed.key);
            }
            if keys.is_empty() {
                break;
            }
            let mut rest = keys.as_slice();
            while !rest.is_empty() {
                let entries = store.next_of(namespace, rest).await?;
                let (these, later) = rest.split_at(entries.len().min(rest.len()));
                for (key, entry) in these.iter().zip(entries) {
                    let Some(entry) = entry else { continue };
                    mark(&mut hash, namespace, key, entry.version);
                    output.line(&entry_line(namespace, key, entry)).await?;
                    count = count.saturating_add(1);
                }
                rest = later;
            }
        }
        counts.insert(namespace.clone(), count);
    }
    Ok((counts, hexadecimal(hash)))
}

/// The hash of all keys and versions, as they are listed now.
async fn list_all(
    store: &dyn KvStore,
    namespaces: &[Namespace],
    prefix: &str,
) -> Result<String, SnapshotError> {
    let mut hash = Sha256::new();
    for namespace in namespaces {
        let mut listing = Listing::new(namespace, prefix);
        while let Some(listed) = listing.next(store).await? {
            mark(&mut hash, namespace, &listed.key, listed.version);
        }
    }
    Ok(hexadecimal(hash))
}

fn mark(hash: &mut Sha256, namespace: &Namespace, key: &Key, version: Version) {
    for part in [namespace.as_str(), key.as_str()] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.update(version.0.to_le_bytes());
}

fn entry_line(namespace: &Namespace, key: &Key, entry: Entry) -> EntryLine {
    EntryLine {
        namespace: namespace.to_string(),
        key: key.to_string(),
        value: STANDARD.encode(&entry.value),
        metadata: entry.metadata,
        expires_at: entry.expires_at.map(|UnixSecond(second)| second),
    }
}

/// The file until it has its name. Dropping this removes it.
#[derive(Debug)]
struct Partial(PathBuf);

impl Partial {
    fn beside(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Self(path.with_file_name(format!(".{name}.{}.partial", std::process::id())))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Where the rename has been made there is nothing to remove.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The file, with the hash of what was written to it.
struct Output {
    path: PathBuf,
    file: BufWriter<File>,
    hash: Sha256,
}

impl Output {
    /// Makes it anew, so that its mode is ours from the first byte on.
    async fn create(path: &Path) -> Result<Self, SnapshotError> {
        match tokio::fs::remove_file(path).await {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(SnapshotError::file("remove", path)(error));
            }
            _ => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).await;
        let file = file.map_err(SnapshotError::file("make", path))?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file), hash: Sha256::new() })
    }

    async fn line(&mut self, line: &impl Serialize) -> Result<(), SnapshotError> {
        let failed = |error: serde_json::Error| SnapshotError::file("write", &self.path)(error.into());
        let mut bytes = serde_json::to_vec(line).map_err(failed)?;
        bytes.push(b'\n');
        self.hash.update(&bytes);
        self.file.write_all(&bytes).await.map_err(SnapshotError::file("write", &self.path))
    }

    /// Brings it to the disk.
    async fn finish(mut self) -> Result<(), SnapshotError> {
        self.file.flush().await.map_err(SnapshotError::file("write", &self.path))?;
        self.file.get_ref().sync_all().await.map_err(SnapshotError::file("bring to the disk", &self.path))
    }
}

/// Gives a finished file its name, unless another has taken it meanwhile.
async fn name(partial: &Path, path: &Path) -> Result<(), SnapshotError> {
    // A link, unlike a rename, never replaces a file. Not every file system has links.
    match tokio::fs::hard_link(partial, path).await {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(SnapshotError::Exists { path: path.to_owned() });
        }
        Err(_) => tokio::fs::rename(partial, path).await.map_err(SnapshotError::file("rename", partial))?,
    }
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let opened = File::open(directory).await.map_err(SnapshotError::file("open", directory))?;
    opened.sync_all().await.map_err(SnapshotError::file("bring to the disk", directory))
}
