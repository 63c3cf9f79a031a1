//! Nothing is left behind, also when the process that started it is killed.
//!
//! The first thing that a process starts through the kit is a *warden*: a shell in a process group of its own that
//! reads a pipe from us. It is told the process id of everything started since. When the pipe closes (normal end,
//! panic, abort, SIGKILL, a test runner that loses patience) it ends what is left and removes the directory under
//! which all of it lived. The pipe's other end is closed on exec, so no child can keep it open.

use std::io::Write;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use std::os::unix::process::CommandExt;

use crate::Error;

/// What the warden does, in the shell's words.
const SCRIPT: &str = include_str!("warden.sh");

/// How a guarded process is ended when we are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// `SIGQUIT`: PostgreSQL's immediate shutdown.
    Immediate,
    /// `SIGKILL`.
    Kill,
}

impl Ending {
    fn signal(self) -> &'static str {
        match self {
            Self::Immediate => "QUIT",
            Self::Kill => "KILL",
        }
    }
}

/// The pipe to this process's warden.
#[derive(Debug)]
pub(crate) struct Warden {
    pipe: Mutex<ChildStdin>,
    // Kept so that the warden is a child with an owner; it is never waited for, it outlives us.
    _shell: Child,
}

/// A process under guard; dropping this ends the guard, not the process.
#[derive(Debug)]
pub struct Guard {
    pid: u32,
}

impl Warden {
    /// Starts the warden of this process over `directory`.
    pub(crate) fn start(directory: &Path) -> Result<Self, Error> {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "testkit-warden"])
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            .process_group(0)
            .spawn()
            .map_err(Error::process("start", "/bin/sh"))?;
        let pipe = shell
            .stdin
            .take()
            .ok_or_else(|| Error::State("the warden's standard input was not piped".to_owned()))?;
        Ok(Self { pipe: Mutex::new(pipe), _shell: shell })
    }

    fn tell(&self, line: &str) {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        // A warden that is gone cannot guard; the tests that look for leftovers notice.
        let _ = pipe.write_all(line.as_bytes());
    }
}

/// The warden of this process, started with its scratch directory.
pub(crate) static WARDEN: OnceLock<Warden> = OnceLock::new();

/// Puts a process of ours under guard. Take the guard before anything else can fail.
///
/// # Errors
/// When the scratch directory or its warden cannot be made.
pub fn guard(pid: u32, ending: Ending) -> Result<Guard, Error> {
    crate::scratch::root()?;
    if let Some(warden) = WARDEN.get() {
        warden.tell(&format!("guard {} {pid}\n", ending.signal()));
    }
    Ok(Guard { pid })
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(warden) = WARDEN.get() {
            warden.tell(&format!("release - {}\n", self.pid));
        }
    }
}
