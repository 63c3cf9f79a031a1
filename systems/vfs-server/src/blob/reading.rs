//! An object on its way out of the store.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, GetResult, GetResultPayload, ObjectStore};
use tokio::task::spawn_blocking;

use super::classify::{ObjectCode, ObjectError};

/// Times that a body which broke off is asked for anew, in all of one read.
const RESUMES_MAX: u32 = 3;

/// Bytes of a file that are read at a time, on a thread that may wait for the disk. The client of files reads 8 KiB, and
/// the way to that thread and back takes longer than they do.
const PIECE_BYTES: u64 = 128 << 10;

/// Pieces of a file that are read ahead of the one that is sent, and that one.
const PIECES_AT_ONCE: usize = 2;

/// The rest of an object, which goes on where its body breaks off.
pub(super) struct Reading {
    store: Arc<dyn ObjectStore>,
    path: Path,
    e_tag: Option<String>,
    left: Range<u64>,
    body: Option<BoxStream<'static, object_store::Result<Bytes>>>,
    resumes: u32,
}

impl Reading {
    pub(super) fn new(store: Arc<dyn ObjectStore>, path: Path, found: GetResult) -> Reading {
        let (left, e_tag) = (found.range.clone(), found.meta.e_tag.clone());
        Reading { store, path, e_tag, left, body: Some(pieces(found)), resumes: 0 }
    }

    pub(super) fn into_stream(self) -> BoxStream<'static, Result<Bytes, ObjectError>> {
        stream::unfold(self, Reading::next).boxed()
    }

    async fn next(mut self) -> Option<(Result<Bytes, ObjectError>, Reading)> {
        loop {
            let body = self.body.as_mut()?;
            let error = match body.next().await {
                Some(Ok(piece)) => {
                    self.left.start += piece.len() as u64;
                    return Some((Ok(piece), self));
                }
                None if self.left.start >= self.left.end => return None,
                None => truncated(&self.left),
                Some(Err(error)) => ObjectError::of(&error),
            };
            if self.resumes >= RESUMES_MAX || self.left.start >= self.left.end {
                self.body = None;
                return Some((Err(error), self));
            }
            self.resumes += 1;
            tracing::debug!(
                code = error.code.name(),
                resumes = self.resumes,
                "a body that broke off is resumed"
            );
            // Only of the same content: another one must not be sewn to what went out.
            let options = GetOptions {
                range: Some(GetRange::Bounded(self.left.clone())),
                if_match: self.e_tag.clone(),
                ..GetOptions::default()
            };
            match self.store.get_opts(&self.path, options).await {
                Ok(found) => self.body = Some(pieces(found)),
                Err(refused) => {
                    self.body = None;
                    let is_another = matches!(refused, Error::Precondition { .. });
                    return Some((Err(if is_another { error } else { ObjectError::of(&refused) }), self));
                }
            }
        }
    }
}

fn truncated(left: &Range<u64>) -> ObjectError {
    ObjectError {
        code: ObjectCode::TruncatedBody,
        attempts: 1,
        message: format!("{} bytes are missing", left.end.saturating_sub(left.start)),
        after_doubt: false,
    }
}

fn pieces(found: GetResult) -> BoxStream<'static, object_store::Result<Bytes>> {
    match found.payload {
        GetResultPayload::File(file, path) => of_file(file, path, found.range),
        GetResultPayload::Stream(body) => body,
    }
}

fn of_file(file: File, path: PathBuf, range: Range<u64>) -> BoxStream<'static, object_store::Result<Bytes>> {
    let (file, path, end) = (Arc::new(file), Arc::new(path), range.end);
    let starts = stream::iter(range.step_by(usize::try_from(PIECE_BYTES).unwrap_or(usize::MAX)));
    let read = starts.map(move |start| {
        let (file, path) = (file.clone(), path.clone());
        async move {
            let bytes = spawn_blocking(move || read_at(&file, start..end.min(start + PIECE_BYTES))).await;
            bytes.map_err(io::Error::other).flatten().map_err(|error| Error::Generic {
                store: "LocalFileSystem",
                source: match error.kind() {
                    ErrorKind::UnexpectedEof => truncated(&(start..end)).into(),
                    _ => format!("{} cannot be read: {error}", path.display()).into(),
                },
            })
        }
    });
    read.buffered(PIECES_AT_ONCE).boxed()
}

/// All of these bytes: fails where the file ends before.
fn read_at(file: &File, range: Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?;
    let mut piece = vec![0; length];
    file.read_exact_at(&mut piece, range.start)?;
    Ok(piece.into())
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt as _;
    use object_store::local::LocalFileSystem;

    use super::*;

    const LENGTH: u64 = 3 * PIECE_BYTES + 17;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("vfs-reading-{}-{name}", std::process::id()));
            std::fs::create_dir(&path).unwrap();
            Folder(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn content() -> Vec<u8> {
        (0..LENGTH).map(|n| u8::try_from(n.wrapping_mul(n) % 251).unwrap()).collect()
    }

    async fn reading(folder: &std::path::Path, range: Option<Range<u64>>) -> Reading {
        let store: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new_with_prefix(folder).unwrap());
        let path = Path::from("object");
        let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
        let found = store.get_opts(&path, options).await.unwrap();
        Reading::new(store, path, found)
    }

    async fn all(reading: Reading) -> Result<Vec<u8>, ObjectError> {
        reading.into_stream().map_ok(|piece| piece.to_vec()).try_concat().await
    }

    #[tokio::test]
    async fn a_file_is_read_in_pieces_from_anywhere_to_anywhere() {
        let folder = Folder::new("whole");
        let content = content();
        std::fs::write(folder.0.join("object"), &content).unwrap();
        assert_eq!(all(reading(&folder.0, None).await).await.unwrap(), content);
        for (start, end) in
            [(0, 1), (PIECE_BYTES - 1, PIECE_BYTES + 1), (5, LENGTH - 5), (LENGTH - 1, LENGTH)]
        {
            let wanted = usize::try_from(start).unwrap()..usize::try_from(end).unwrap();
            let read = all(reading(&folder.0, Some(start..end)).await).await.unwrap();
            assert_eq!(read, content[wanted], "{start}..{end}");
        }
    }

    #[tokio::test]
    async fn an_empty_file_has_no_bytes() {
        let folder = Folder::new("empty");
        std::fs::write(folder.0.join("object"), "").unwrap();
        assert_eq!(all(reading(&folder.0, None).await).await.unwrap(), b"");
    }

    #[tokio::test]
    async fn a_file_that_becomes_shorter_or_another_one_is_not_sewn_together() {
        for put_back in [false, true] {
            let folder = Folder::new(&format!("shorter-{put_back}"));
            let path = folder.0.join("object");
            std::fs::write(&path, content()).unwrap();
            let reading = reading(&folder.0, None).await;
            let file = File::options().write(true).open(&path).unwrap();
            file.set_len(PIECE_BYTES + 1).unwrap();
            let mut body = reading.into_stream();
            let mut read = body.try_next().await.unwrap().unwrap().len();
            if put_back {
                std::fs::remove_file(&path).unwrap();
                std::fs::write(&path, vec![1; content().len()]).unwrap();
            }
            let error = loop {
                match body.try_next().await {
                    Ok(piece) => read += piece.expect("the body ends with an error").len(),
                    Err(error) => break error,
                }
            };
            assert_eq!((read as u64, &error.code), (PIECE_BYTES, &ObjectCode::TruncatedBody), "{error:?}");
            assert!(body.try_next().await.unwrap().is_none(), "nothing comes behind the error");
        }
    }
}
