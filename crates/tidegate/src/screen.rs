//! Where words go: data to stdout, talk to stderr, every secret taken out on the way.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tidegate_engine::redact::Redactor;
use tracing_subscriber::fmt::MakeWriter;

use crate::arguments::{Color, Manner};

/// Returns to the start of the line and clears it.
const CLEAR_LINE: &str = "\r\u{1b}[2K";

/// Where words go. Clones speak to the same screen.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    inner: Arc<Mutex<Inner>>,
    json: bool,
    redraws: bool,
    colors: bool,
}

#[derive(Debug, Default)]
struct Inner {
    redactor: Redactor,
    /// The line that is redrawn, as it stands on the terminal.
    standing: Option<String>,
    /// What was written to stdout last could not be.
    unread: bool,
}

/// How a word is shown on a terminal with colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// It holds.
    Good,
    /// It does not hold.
    Bad,
    /// A person should look.
    Careful,
    /// Beside the matter.
    Faint,
    /// What matters most.
    Strong,
}

impl Screen {
    /// As the command line and the terminal say.
    pub(crate) fn new(manner: &Manner) -> Self {
        let terminal =
            std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let redraws = terminal && !no_color && manner.color != Color::Never && !manner.json;
        let colors = match manner.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => !no_color && std::io::stdout().is_terminal(),
        };
        Self { inner: Arc::default(), json: manner.json, redraws, colors: colors && !manner.json }
    }

    /// Whether stdout is for programs.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether a line can be redrawn.
    pub(crate) fn redraws(&self) -> bool {
        self.redraws
    }

    /// Whether a person can be asked.
    pub(crate) fn can_ask(&self) -> bool {
        !self.json && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Knows secrets from now on.
    pub(crate) fn hide(&self, redactor: Redactor) {
        self.lock().redactor = redactor;
    }

    /// The word, coloured where colour is wanted.
    pub(crate) fn paint(&self, tone: Tone, text: &str) -> String {
        if !self.colors {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "1;31",
            Tone::Careful => "33",
            Tone::Faint => "2",
            Tone::Strong => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// Writes lines of data to stdout.
    pub(crate) fn data(&self, text: &str) {
        let mut inner = self.lock();
        inner.wipe();
        let text = inner.redactor.redact(text);
        let mut stdout = std::io::stdout().lock();
        let written = writeln!(stdout, "{}", text.trim_end_matches('\n')).and_then(|()| stdout.flush());
        // A reader that went away wants no more.
        inner.unread = written.is_err();
        inner.redraw();
    }

    /// Whether what was written to stdout last could not be: its reader went away.
    pub(crate) fn is_unread(&self) -> bool {
        self.lock().unread
    }

    /// Writes a text to stdout byte by byte as it is, but for secrets.
    pub(crate) fn raw(&self, bytes: &[u8]) {
        let inner = self.lock();
        inner.wipe();
        let _ = std::io::stdout().lock().write_all(bytes);
        let _ = std::io::stdout().lock().flush();
    }

    /// Writes one JSON document, or one line of several, to stdout.
    pub(crate) fn json<T: Serialize>(&self, value: &T) {
        match serde_json::to_string(value) {
            Ok(text) => self.data(&text),
            Err(error) => self.talk(&format!("tidegate: a result could not be written as JSON: {error}")),
        }
    }

    /// Writes lines of talk to stderr.
    pub(crate) fn talk(&self, text: &str) {
        let inner = self.lock();
        inner.wipe();
        let text = inner.redactor.redact(text);
        let _ = writeln!(std::io::stderr().lock(), "{}", text.trim_end_matches('\n'));
        inner.redraw();
    }

    /// Writes a question to stderr, without a line's end.
    pub(crate) fn prompt(&self, text: &str) {
        let inner = self.lock();
        inner.wipe();
        let text = inner.redactor.redact(text);
        let _ = write!(std::io::stderr().lock(), "{text}");
        let _ = std::io::stderr().lock().flush();
    }

    /// Replaces the line that is redrawn; `None` takes it away. Nothing happens where lines cannot be redrawn.
    pub(crate) fn stand(&self, line: Option<String>) {
        if !self.redraws {
            return;
        }
        let mut inner = self.lock();
        inner.wipe();
        inner.standing = line.map(|line| inner.redactor.redact(&line));
        inner.redraw();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn wipe(&self) {
        if self.standing.is_some() {
            let _ = write!(std::io::stderr().lock(), "{CLEAR_LINE}");
        }
    }

    fn redraw(&self) {
        if let Some(line) = &self.standing {
            let width = terminal_width();
            let shown: String = line.chars().take(width.saturating_sub(1)).collect();
            let _ = write!(std::io::stderr().lock(), "{shown}");
            let _ = std::io::stderr().lock().flush();
        }
    }
}

/// Columns of the terminal; 80 where it does not tell.
fn terminal_width() -> usize {
    match rustix::termios::tcgetwinsize(std::io::stderr()) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
        Ok(_) | Err(_) => 80,
    }
}

/// The log goes the same way as talk.
impl<'a> MakeWriter<'a> for Screen {
    type Writer = LogWriter;

    fn make_writer(&'a self) -> LogWriter {
        LogWriter { screen: self.clone(), line: Vec::new() }
    }
}

/// Collects one line of the log.
pub(crate) struct LogWriter {
    screen: Screen,
    line: Vec<u8>,
}

impl std::io::Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.line.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.screen.talk(&String::from_utf8_lossy(&self.line));
        }
    }
}
