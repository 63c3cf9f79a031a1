//! Reading a snapshot, and refusing one that is not whole.

use std::collections::BTreeMap;
use std::io::SeekFrom;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, BufReader};

use super::super::{Change, Condition, Key, KvError, Namespace, UnixSecond, Write, fit};
use super::file_form::{
    EntryLine, FORMAT, HeaderLine, LINE_MAX_BYTES, MANIFEST_START, ManifestLine, VERSION, hexadecimal,
};
use super::{Manifest, RESERVED_PREFIX, SnapshotError};

/// Reads a snapshot from its first byte to its last and answers what it holds.
///
/// # Errors
/// [`SnapshotError::Damaged`] where a byte is not as it was written, or is missing, or is too many;
/// [`SnapshotError::File`].
pub async fn verify(path: &Path) -> Result<Manifest, SnapshotError> {
    Reader::open(path).await?.drain().await
}

/// An entry of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) namespace: Namespace,
    pub(super) key: Key,
    pub(super) value: Bytes,
    pub(super) metadata: Option<String>,
    pub(super) expires_at: Option<UnixSecond>,
}

impl Held {
    /// The write that puts it.
    pub(super) fn put(&self, condition: Condition) -> Write {
        let (value, metadata) = (self.value.clone(), self.metadata.clone());
        Write {
            namespace: self.namespace.clone(),
            key: self.key.clone(),
            change: Change::Put { value, metadata, expires_at: self.expires_at },
            condition,
        }
    }
}

/// A place in a snapshot's file.
#[derive(Debug)]
pub(super) struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    /// The last line read, from 1.
    line: u64,
    hash: Sha256,
    last: Option<(Namespace, Key)>,
    /// As the first line says and the entries so far; whole once `ended`.
    manifest: Manifest,
    ended: bool,
}

impl Reader {
    /// Opens it and reads its first line.
    pub(super) async fn open(path: &Path) -> Result<Self, SnapshotError> {
        let file = File::open(path).await.map_err(SnapshotError::file("open", path))?;
        Self::begin(path, BufReader::new(file)).await
    }

    /// Goes to the start of the same file, also where another has its name by now.
    pub(super) async fn rewound(self) -> Result<Self, SnapshotError> {
        let mut file = self.file;
        file.seek(SeekFrom::Start(0)).await.map_err(SnapshotError::file("read", &self.path))?;
        Self::begin(&self.path, file).await
    }

    async fn begin(path: &Path, file: BufReader<File>) -> Result<Self, SnapshotError> {
        let manifest = Manifest {
            taken_at: String::new(),
            store: String::new(),
            prefix: String::new(),
            counts: BTreeMap::new(),
            consistent: false,
            sha256: String::new(),
        };
        let hash = Sha256::new();
        let mut reader =
            Self { path: path.to_owned(), file, line: 0, hash, last: None, manifest, ended: false };
        let line = reader.next_line().await?;
        reader.hash.update(&line);
        reader.head(&line)?;
        Ok(reader)
    }

    /// What the first line said; counts, hash and consistency only once the last line is read.
    pub(super) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads to the end.
    pub(super) async fn drain(mut self) -> Result<Manifest, SnapshotError> {
        while self.next().await?.is_some() {}
        Ok(self.manifest)
    }

    /// The next entry; none once the manifest is read and agrees with all that stood before it.
    pub(super) async fn next(&mut self) -> Result<Option<Held>, SnapshotError> {
        if self.ended {
            return Ok(None);
        }
        let line = self.next_line().await?;
        if line.starts_with(MANIFEST_START) {
            self.end(&line).await?;
            return Ok(None);
        }
        self.hash.update(&line);
        let held = self.entry(&line)?;
        let at = (held.namespace.clone(), held.key.clone());
        if self.last.as_ref().is_some_and(|last| *last >= at) {
            return Err(self.damaged("its key does not come behind that of the line before"));
        }
        self.last = Some(at);
        match self.manifest.counts.get_mut(&held.namespace) {
            Some(count) => *count = count.saturating_add(1),
            None => return Err(self.damaged("its namespace is not one of the first line")),
        }
        Ok(Some(held))
    }

    fn head(&mut self, line: &[u8]) -> Result<(), SnapshotError> {
        let header: HeaderLine = self.parsed(line)?;
        if header.format != FORMAT || header.version != VERSION {
            let (format, version) = (header.format, header.version);
            return Err(self.damaged(format!(
                "it is `{format}` {version}, and this program reads `{FORMAT}` {VERSION}"
            )));
        }
        if header.reserved_prefix != RESERVED_PREFIX {
            return Err(self.damaged("its reserved prefix is another"));
        }
        for name in header.namespaces {
            let namespace = Namespace::new(name).map_err(|error| self.damaged(error.to_string()))?;
            if self.manifest.counts.insert(namespace, 0).is_some() {
                return Err(self.damaged("it names a namespace twice"));
            }
        }
        self.manifest.taken_at = header.taken_at;
        self.manifest.store = header.store;
        self.manifest.prefix = header.prefix;
        Ok(())
    }

    fn entry(&self, line: &[u8]) -> Result<Held, SnapshotError> {
        let entry: EntryLine = self.parsed(line)?;
        let bad = |error: KvError| self.damaged(error.to_string());
        let value =
            STANDARD.decode(&entry.value).map_err(|error| self.damaged(format!("its value: {error}")))?;
        let held = Held {
            namespace: Namespace::new(entry.namespace).map_err(bad)?,
            key: Key::new(entry.key).map_err(bad)?,
            value: Bytes::from(value),
            metadata: entry.metadata,
            expires_at: entry.expires_at.map(UnixSecond),
        };
        // A value that no store takes must be found before the first write, not by it.
        fit(&[held.put(Condition::Always)]).map_err(bad)?;
        if !held.key.as_str().starts_with(&self.manifest.prefix) {
            return Err(self.damaged("its key does not have the prefix of the first line"));
        }
        if held.key.as_str().starts_with(RESERVED_PREFIX) {
            return Err(self.damaged("its key is one of the tool's own, which are never taken"));
        }
        Ok(held)
    }

    async fn end(&mut self, line: &[u8]) -> Result<(), SnapshotError> {
        let manifest: ManifestLine = self.parsed(line)?;
        let found = hexadecimal(self.hash.clone());
        if manifest.sha256 != found {
            return Err(self.damaged(format!(
                "the lines before it have the SHA-256 {found}, and it says {}",
                manifest.sha256
            )));
        }
        let counted = &self.manifest.counts;
        if !manifest
            .counts
            .iter()
            .map(|(name, count)| (name.as_str(), count))
            .eq(counted.iter().map(|(namespace, count)| (namespace.as_str(), count)))
        {
            return Err(self.damaged("it counts other entries than stand before it"));
        }
        let mut beyond = [0];
        let more = self.file.read(&mut beyond).await.map_err(SnapshotError::file("read", &self.path))?;
        if more != 0 {
            return Err(self.damaged("something follows it, and it should be the last line"));
        }
        self.manifest.consistent = manifest.consistent;
        self.manifest.sha256 = manifest.sha256;
        self.ended = true;
        Ok(())
    }

    /// The next line, with its end.
    async fn next_line(&mut self) -> Result<Vec<u8>, SnapshotError> {
        self.line = self.line.saturating_add(1);
        let mut line = Vec::new();
        let mut bounded = (&mut self.file).take(LINE_MAX_BYTES);
        let read = bounded.read_until(b'\n', &mut line).await;
        read.map_err(SnapshotError::file("read", &self.path))?;
        match line.last() {
            Some(b'\n') => Ok(line),
            None => Err(self.damaged("the file ends before its manifest")),
            Some(_) if line.len() as u64 == LINE_MAX_BYTES => {
                Err(self.damaged(format!("it has more than {LINE_MAX_BYTES} bytes")))
            }
            Some(_) => Err(self.damaged("the file ends within it")),
        }
    }

    /// Reads a line, which must be as we write it to the byte: what is the same only in meaning was edited.
    fn parsed<T: DeserializeOwned + serde::Serialize>(&self, line: &[u8]) -> Result<T, SnapshotError> {
        let parsed: T = serde_json::from_slice(line)
            .map_err(|error| self.damaged(format!("it cannot be read: {error}")))?;
        let mut again = serde_json::to_vec(&parsed)
            .map_err(|error| self.damaged(format!("it cannot be read: {error}")))?;
        again.push(b'\n');
        if again != line {
            return Err(self.damaged("it is not written as it was taken"));
        }
        Ok(parsed)
    }

    fn damaged(&self, what: impl Into<String>) -> SnapshotError {
        SnapshotError::Damaged { path: self.path.clone(), line: self.line, what: what.into() }
    }
}
