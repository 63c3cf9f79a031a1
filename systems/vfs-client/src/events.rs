//! Being told by a server that there is something new.

use std::io::{BufRead as _, BufReader, Read};

use crate::transport::{Transport, TransportError};

/// Bytes of one line that are looked at.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// A stream of what a server tells.
pub struct Events {
    lines: BufReader<Box<dyn Read + Send>>,
    /// The place of the last event that was told: where the next stream goes on.
    pub last_id: Option<String>,
}

/// One thing told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The stream is open.
    Open,
    /// There is something new.
    Change,
    /// The feed is another one now.
    Epoch,
}

impl Events {
    /// Opens a stream that goes on where another ended; `None`: from now.
    ///
    /// # Errors
    /// [`TransportError`].
    pub fn open(transport: &Transport, last_id: Option<String>) -> Result<Self, TransportError> {
        let body = transport.events(last_id.as_deref())?;
        Ok(Self { lines: BufReader::new(body), last_id })
    }

    /// Waits for the next event; `None`: the stream has ended, as each does after a while.
    ///
    /// # Errors
    /// The connection's.
    pub fn next_event(&mut self) -> std::io::Result<Option<Event>> {
        let (mut name, mut id) = (String::new(), None);
        loop {
            let mut line = Vec::new();
            let read = (&mut self.lines).take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(None);
            }
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches(['\n', '\r']);
            if text.is_empty() {
                let event = match name.as_str() {
                    "open" => Event::Open,
                    "change" => Event::Change,
                    "epoch" => Event::Epoch,
                    // A sign of life, or what a later server tells.
                    _ => {
                        name.clear();
                        continue;
                    }
                };
                if id.is_some() {
                    self.last_id = id;
                }
                return Ok(Some(event));
            }
            let (field, value) = text.split_once(':').unwrap_or((text, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut name),
                "id" => id = Some(value.to_owned()),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_and_what_is_not_known_is_passed_over() {
        let text = ": alive\n\nevent: open\nid: a\ndata: {}\n\nevent: news\n\nevent: change\r\nid: b\r\n\r\nevent: epo";
        let body: Box<dyn Read + Send> = Box::new(std::io::Cursor::new(text.as_bytes().to_vec()));
        let mut events = Events { lines: BufReader::new(body), last_id: None };
        assert_eq!(events.next_event().unwrap(), Some(Event::Open));
        assert_eq!(events.next_event().unwrap(), Some(Event::Change));
        assert_eq!(events.last_id.as_deref(), Some("b"));
        assert_eq!(events.next_event().unwrap(), None);
    }
}
