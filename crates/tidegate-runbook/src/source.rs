//! The texts a runbook is made of, and places in them.

use std::collections::BTreeMap;
use std::ops::Range;

/// Names one text in [`Sources`]: the page itself or a file that a step names with `@file`.
///
/// The path is as the page writes it, with `.` and `..` resolved against the page's folder, relative to the
/// root that the caller chose, with `/` between parts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct SourcePath(pub String);

impl std::fmt::Display for SourcePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the caller found when it looked for a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileContent {
    /// The bytes of the file, not yet known to be UTF-8.
    Bytes(Vec<u8>),
    /// There is no such file.
    Missing,
    /// The path, links followed, leaves the root.
    OutsideRoot,
    /// The file could not be read; the text is the system's reason.
    Unreadable(String),
}

/// All texts that one parse may look at. The parser does no I/O; the caller fills this.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Where the page stands, relative to the root.
    pub page: SourcePath,
    /// The bytes of the page.
    pub page_bytes: Vec<u8>,
    /// The files that [`crate::files_wanted`] asked for, by resolved path.
    pub files: BTreeMap<SourcePath, FileContent>,
}

/// A range of bytes in one of the [`Sources`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The text the range is in.
    pub path: SourcePath,
    /// Byte range in that text (after a BOM was cut off and CRLF kept as it is).
    pub range: Range<usize>,
}
