//! A script that `pg_restore` writes, read while it is written: statements, and the rows between them.

use tidegate_store::process::{Invocation, Piped};

use crate::error::StepError;
use crate::verb::backup::tools;

/// Bytes read at once.
const PIECE_BYTES: usize = 64 << 10;
/// Bytes that a script of definitions may have.
const DEFINITIONS_BYTES_MAX: usize = 256 << 20;
/// Bytes that one statement between rows may have.
const STATEMENT_BYTES_MAX: usize = 1 << 20;
/// Ends the rows of a COPY, at the beginning of a line.
const END_OF_ROWS: &[u8] = b"\\.\n";

/// The next statement of a script of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// `COPY … FROM stdin;`: its rows follow.
    Copy(String),
    /// Anything else, such as the setting of a sequence.
    Statement(String),
    /// The script is over.
    End,
}

/// A script that is read while it is written.
pub(crate) struct Script {
    source: Option<Piped>,
    buffer: Vec<u8>,
    at_line_start: bool,
    what: String,
}

impl Script {
    /// Starts the program that writes it; `what` names it in messages.
    pub(crate) fn start(what: &str, invocation: &Invocation) -> Result<Self, StepError> {
        let source = Piped::start(invocation).map_err(|failure| tools::did_not_end(what, &failure))?;
        Ok(Self { source: Some(source), buffer: Vec::new(), at_line_start: true, what: what.to_owned() })
    }

    /// All of it, for a script of definitions, without the lines that only psql understands.
    pub(crate) async fn definitions(mut self) -> Result<String, StepError> {
        while self.fill().await? {
            if self.buffer.len() > DEFINITIONS_BYTES_MAX {
                return Err(StepError::refused(
                    format!("{}: the definitions are larger than {DEFINITIONS_BYTES_MAX} bytes", self.what),
                    "Restore by hand with pg_restore.",
                ));
            }
        }
        let text = String::from_utf8(std::mem::take(&mut self.buffer)).map_err(|_| self.unreadable())?;
        Ok(without_restriction(&text))
    }

    /// The next statement of a script of rows.
    pub(crate) async fn next(&mut self) -> Result<Next, StepError> {
        loop {
            match skip_or_statement(&self.buffer) {
                Found::Skip(count) => drop(self.buffer.drain(..count)),
                Found::Statement(end) => {
                    let bytes: Vec<u8> = self.buffer.drain(..end).collect();
                    let text = String::from_utf8(bytes).map_err(|_| self.unreadable())?;
                    if text.starts_with("COPY ") {
                        self.skip_line_end().await?;
                        self.at_line_start = true;
                        return Ok(Next::Copy(text));
                    }
                    return Ok(Next::Statement(text));
                }
                Found::Unfinished => {
                    if self.buffer.len() > STATEMENT_BYTES_MAX {
                        return Err(self.unreadable());
                    }
                    if !self.fill().await? {
                        let rest = self.buffer.trim_ascii();
                        let over = rest.is_empty() || rest.starts_with(b"--") || rest.starts_with(b"\\");
                        return if over { Ok(Next::End) } else { Err(self.unreadable()) };
                    }
                }
            }
        }
    }

    /// The next rows of the COPY that [`Script::next`] gave; `None` at their end.
    pub(crate) async fn rows(&mut self) -> Result<Option<Vec<u8>>, StepError> {
        loop {
            let (ready, ended) = rows_ready(&self.buffer, self.at_line_start);
            if ready > 0 {
                let rows: Vec<u8> = self.buffer.drain(..ready).collect();
                self.at_line_start = rows.ends_with(b"\n");
                return Ok(Some(rows));
            }
            if ended {
                self.buffer.drain(..END_OF_ROWS.len());
                return Ok(None);
            }
            if !self.fill().await? {
                return Err(self.unreadable());
            }
        }
    }

    async fn skip_line_end(&mut self) -> Result<(), StepError> {
        while self.buffer.is_empty() {
            if !self.fill().await? {
                return Err(self.unreadable());
            }
        }
        if self.buffer.first() != Some(&b'\n') {
            return Err(self.unreadable());
        }
        self.buffer.remove(0);
        Ok(())
    }

    /// Reads one more piece; false at the end of a program that ended well.
    async fn fill(&mut self) -> Result<bool, StepError> {
        let Some(source) = &mut self.source else { return Ok(false) };
        let piece =
            source.read(PIECE_BYTES).await.map_err(|failure| tools::did_not_end(&self.what, &failure))?;
        if !piece.is_empty() {
            self.buffer.extend(piece);
            return Ok(true);
        }
        if let Some(source) = self.source.take() {
            let finished =
                source.finish().await.map_err(|failure| tools::did_not_end(&self.what, &failure))?;
            tools::must_have_succeeded(&self.what, &finished)?;
        }
        Ok(false)
    }

    fn unreadable(&self) -> StepError {
        StepError::refused(
            format!("{}: the script is not one that this program understands", self.what),
            "Nothing was changed. Restore by hand with pg_restore, and report it.",
        )
    }
}

enum Found {
    /// White space, a comment or a command of psql of this length.
    Skip(usize),
    /// A statement up to and with its semicolon.
    Statement(usize),
    /// More must be read to tell.
    Unfinished,
}

/// What a script of rows holds next; nothing in it but names and numbers stands in quotes.
fn skip_or_statement(buffer: &[u8]) -> Found {
    let blank = buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    if blank > 0 {
        return Found::Skip(blank);
    }
    if buffer.len() < 2 {
        return Found::Unfinished;
    }
    if buffer.starts_with(b"--") || buffer.starts_with(b"\\") {
        let end = buffer.iter().position(|byte| *byte == b'\n');
        return end.map_or(Found::Unfinished, |end| Found::Skip(end + 1));
    }
    let mut quote = None;
    for (at, byte) in buffer.iter().enumerate() {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            (None, b';') => return Found::Statement(at + 1),
            _ => {}
        }
    }
    Found::Unfinished
}

/// How many bytes are certainly rows, and whether the end of the rows stands right behind them.
fn rows_ready(buffer: &[u8], at_line_start: bool) -> (usize, bool) {
    let mut begins = 0;
    let mut line_start = at_line_start;
    loop {
        let rest = buffer.get(begins..).unwrap_or_default();
        if line_start && rest.starts_with(END_OF_ROWS) {
            return (begins, true);
        }
        match rest.iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                begins += end + 1;
                line_start = true;
            }
            // A line that may yet become the end of the rows waits; any other goes on at once, however long it is.
            None if line_start && END_OF_ROWS.starts_with(rest) => return (begins, false),
            None => return (buffer.len(), false),
        }
    }
}

/// Newer programs bracket a script with commands of psql: the first and the last line that begin with a backslash.
fn without_restriction(text: &str) -> String {
    let Some((before, rest)) = text.split_once("\n\\restrict ") else { return text.to_owned() };
    let in_head = before.lines().all(|line| line.is_empty() || line.starts_with("--"));
    let Some((key, body)) = rest.split_once('\n').filter(|_| in_head) else { return text.to_owned() };
    let body = match body.rsplit_once(&format!("\n\\unrestrict {key}")) {
        Some((body, after)) if after.trim().is_empty() => body,
        _ => body,
    };
    format!("{before}\n{body}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_rows_is_found_at_the_beginning_of_a_line_only() {
        assert_eq!(rows_ready(b"a\nb\n\\.\nX", true), (4, true));
        assert_eq!(rows_ready(b"\\.\n", true), (0, true));
        assert_eq!(rows_ready(b"\\.\n", false), (3, false));
        assert_eq!(rows_ready(b"a\\\\.\nb\n", true), (7, false));
        assert_eq!(rows_ready(b"a\n\\", true), (2, false));
        assert_eq!(rows_ready(b"a\n\\.", true), (2, false));
        assert_eq!(rows_ready(b"long line", true), (9, false));
        assert_eq!(rows_ready(b"\\N\n\\.\n", true), (3, true));
    }

    #[test]
    fn statements_end_at_a_semicolon_outside_quotes() {
        let copy = b"COPY public.\"odd\nname; FROM stdin;\" (\"c;\") FROM stdin;\n1\n";
        assert!(matches!(skip_or_statement(copy), Found::Statement(end) if end == copy.len() - 3));
        assert!(matches!(skip_or_statement(b"SELECT 'a;b"), Found::Unfinished));
        assert!(matches!(skip_or_statement(b"-- a\nSELECT"), Found::Skip(5)));
        assert!(matches!(skip_or_statement(b"\\restrict x\nSELECT"), Found::Skip(12)));
    }

    #[test]
    fn commands_of_psql_are_taken_off_both_ends_and_nowhere_else() {
        let body = "SET a = 1;\nCREATE FUNCTION f() AS $$\n\\restrict y\n\\unrestrict y\n$$;\n";
        let text = format!("--\n-- dump\n--\n\n\\restrict k\n{body}\n--\n-- end\n--\n\n\\unrestrict k\n\n");
        let plain = without_restriction(&text);
        assert!(plain.contains(body), "{plain}");
        assert!(!plain.contains("restrict k"), "{plain}");
        assert_eq!(without_restriction(body), body);
    }
}
