//! As much of PostgreSQL's message format (protocol 3.0) as a proxy needs to know which statement runs when.

use std::collections::HashMap;
use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncRead, AsyncReadExt};

/// Longest message that is taken whole.
const LONGEST_BYTES: usize = 256 * 1024 * 1024;

const CANCEL: u32 = 80_877_102;
const TLS: u32 = 80_877_103;
const GSS: u32 = 80_877_104;

/// The first message of a connection, which has no type byte.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// A session begins; the bytes are passed on.
    Session(Vec<u8>),
    /// Another session's statement is to be cancelled; the bytes are passed on and nothing follows.
    Cancel(Vec<u8>),
    /// The client asks for encryption and waits for one byte.
    Encryption,
}

/// One message with its type, as it travels.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) bytes: Vec<u8>,
}

/// Reads the first message.
pub(crate) async fn opening(from: &mut (impl AsyncRead + Unpin)) -> Result<Opening> {
    let length = from.read_u32().await?;
    let mut bytes = length.to_be_bytes().to_vec();
    read_rest(from, length, &mut bytes).await?;
    let code = bytes.get(4..8).and_then(|code| code.try_into().ok()).map(u32::from_be_bytes);
    Ok(match code {
        Some(TLS | GSS) => Opening::Encryption,
        Some(CANCEL) => Opening::Cancel(bytes),
        _ => Opening::Session(bytes),
    })
}

/// Reads the next message; `None` at the end of the stream.
pub(crate) async fn next(from: &mut (impl AsyncRead + Unpin)) -> Result<Option<Frame>> {
    let kind = match from.read_u8().await {
        Ok(kind) => kind,
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = from.read_u32().await?;
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&length.to_be_bytes());
    read_rest(from, length, &mut bytes).await?;
    Ok(Some(Frame { kind, bytes }))
}

/// Reads what a length (which counts its own four bytes) announces.
async fn read_rest(from: &mut (impl AsyncRead + Unpin), length: u32, into: &mut Vec<u8>) -> Result<()> {
    let rest = usize::try_from(length).ok().and_then(|length| length.checked_sub(4));
    let rest = rest
        .filter(|rest| *rest <= LONGEST_BYTES)
        .ok_or_else(|| Error::new(ErrorKind::InvalidData, format!("a message of {length} bytes")))?;
    let start = into.len();
    into.resize(start + rest, 0);
    if let Some(space) = into.get_mut(start..) {
        from.read_exact(space).await?;
    }
    Ok(())
}

impl Frame {
    /// Whether the server will answer this message with a *ready for query*.
    pub(crate) fn asks_for_ready(&self) -> bool {
        matches!(self.kind, b'Q' | b'S' | b'F')
    }

    /// Whether this is the server's *ready for query*.
    pub(crate) fn is_ready(&self) -> bool {
        self.kind == b'Z'
    }

    /// The zero-terminated texts at the start of the message's body.
    fn texts(&self) -> impl Iterator<Item = String> + '_ {
        let body = self.bytes.get(5..).unwrap_or_default();
        body.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned())
    }
}

/// The prepared statements and portals of one connection, so that an execution can be given its text.
#[derive(Debug, Default)]
pub(crate) struct Statements {
    prepared: HashMap<String, String>,
    portals: HashMap<String, String>,
}

impl Statements {
    /// The text of the statement that this message of the client executes, if it executes one.
    pub(crate) fn executed_by(&mut self, frame: &Frame) -> Option<String> {
        let mut texts = frame.texts();
        match frame.kind {
            b'Q' => texts.next(),
            b'P' => {
                let (name, text) = (texts.next()?, texts.next()?);
                self.prepared.insert(name, text);
                None
            }
            b'B' => {
                let (portal, name) = (texts.next()?, texts.next()?);
                self.portals.insert(portal, self.prepared.get(&name)?.clone());
                None
            }
            b'E' => self.portals.get(&texts.next()?).cloned(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, body: &[u8]) -> Frame {
        let length = u32::try_from(body.len() + 4).unwrap();
        let bytes = [&[kind][..], &length.to_be_bytes(), body].concat();
        Frame { kind, bytes }
    }

    #[test]
    fn an_execution_is_given_the_text_that_was_prepared() {
        let mut statements = Statements::default();
        assert_eq!(statements.executed_by(&frame(b'P', b"s1\0SELECT $1\0\0\0")), None);
        assert_eq!(statements.executed_by(&frame(b'B', b"\0s1\0\0\0")), None);
        assert_eq!(statements.executed_by(&frame(b'E', b"\0\0\0\0\0")).as_deref(), Some("SELECT $1"));
        assert_eq!(statements.executed_by(&frame(b'E', b"other\0\0\0\0\0")), None);
        assert_eq!(statements.executed_by(&frame(b'Q', b"COMMIT\0")).as_deref(), Some("COMMIT"));
    }

    #[tokio::test]
    async fn a_length_below_four_is_refused() {
        let mut bytes: &[u8] = &[b'Q', 0, 0, 0, 3];
        assert_eq!(next(&mut bytes).await.unwrap_err().kind(), ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn a_request_for_encryption_is_told_from_a_session() {
        let mut request: &[u8] = &[0, 0, 0, 8, 4, 210, 22, 47];
        assert_eq!(opening(&mut request).await.unwrap(), Opening::Encryption);
        let session = [0, 0, 0, 9, 0, 3, 0, 0, 0];
        assert_eq!(opening(&mut &session[..]).await.unwrap(), Opening::Session(session.to_vec()));
    }
}
