//! Running a program under test: bounded, observed, stopped and killed at will.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::warden::{self, Ending, Guard};
use crate::{Error, eventually};

/// A program to be run, with exactly the environment it is given.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    directory: Option<PathBuf>,
}

/// How long the output of an ended program is waited for.
const OUTPUT_BOUND: Duration = Duration::from_secs(2);

/// Variables of our own environment that a program gets unless it is given others.
const INHERITED: [&str; 6] = ["PATH", "HOME", "TMPDIR", "RUST_BACKTRACE", "LLVM_PROFILE_FILE", "LANG"];

impl Program {
    /// A program by its path, or by its name on the PATH.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let environment = INHERITED
            .iter()
            .filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)))
            .collect();
        Self { path: path.into(), arguments: Vec::new(), environment, directory: None }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Sets a variable of its environment. Nothing else is inherited but PATH and its like.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets its working directory.
    #[must_use]
    pub fn directory(mut self, directory: impl AsRef<Path>) -> Self {
        self.directory = Some(directory.as_ref().to_owned());
        self
    }

    /// Starts it without input.
    ///
    /// # Errors
    /// When the system cannot start it.
    pub fn start(&self) -> Result<Running, Error> {
        let name = self.path.display().to_string();
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).env_clear().envs(self.environment.iter().cloned());
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().map_err(Error::process("start", &name))?;
        let guard = warden::guard(process.id(), Ending::Kill)?;
        let stdout = Capture::start(process.stdout.take());
        let stderr = Capture::start(process.stderr.take());
        Ok(Running { name, process, status: None, stdout, stderr, _guard: guard })
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// When it cannot be started or does not end within the bound.
    pub async fn run(&self, bound: Duration) -> Result<Outcome, Error> {
        self.start()?.wait(bound).await
    }
}

/// How a program ended and what it wrote.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How it ended.
    pub status: ExitStatus,
    /// Everything it wrote to standard output.
    pub stdout: String,
    /// Everything it wrote to standard error.
    pub stderr: String,
}

impl Outcome {
    /// The exit code; `None` when a signal ended it.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }
}

/// A program that was started. Killed when dropped.
#[derive(Debug)]
pub struct Running {
    name: String,
    process: Child,
    status: Option<ExitStatus>,
    stdout: Capture,
    stderr: Capture,
    _guard: Guard,
}

impl Running {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        self.poll().is_none()
    }

    /// What it has written to standard output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has written to standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Stops it where it is (`SIGSTOP`).
    ///
    /// # Errors
    /// When it has ended.
    pub fn freeze(&mut self) -> Result<(), Error> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on (`SIGCONT`).
    ///
    /// # Errors
    /// When it has ended.
    pub fn thaw(&mut self) -> Result<(), Error> {
        self.signal(Signal::CONT)
    }

    /// Asks it to end (`SIGTERM`).
    ///
    /// # Errors
    /// When it has ended.
    pub fn terminate(&mut self) -> Result<(), Error> {
        self.signal(Signal::TERM)
    }

    /// Tells it that its terminal is gone (`SIGHUP`).
    ///
    /// # Errors
    /// When it has ended.
    pub fn hang_up(&mut self) -> Result<(), Error> {
        self.signal(Signal::HUP)
    }

    /// Interrupts it (`SIGINT`), as Ctrl-C does.
    ///
    /// # Errors
    /// When it has ended.
    pub fn interrupt(&mut self) -> Result<(), Error> {
        self.signal(Signal::INT)
    }

    /// Kills it (`SIGKILL`); nothing of it runs after that, but [`Running::wait`] still gives its output.
    ///
    /// # Errors
    /// When it has ended.
    pub fn kill(&mut self) -> Result<(), Error> {
        self.signal(Signal::KILL)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// [`Error::Timeout`] when it has not ended within the bound; it is killed then and the error holds what it wrote.
    pub async fn wait(mut self, bound: Duration) -> Result<Outcome, Error> {
        let what = format!("{} ends", self.name);
        let mut found = None;
        let started = std::time::Instant::now();
        while found.is_none() && started.elapsed() < bound {
            let left = bound.saturating_sub(started.elapsed()).min(Duration::from_millis(5));
            found = self.poll();
            if found.is_none() {
                tokio::time::sleep(left).await;
            }
        }
        match found {
            Some(status) => {
                // Readers end with the pipe, which something that the program left running may still hold.
                let ended =
                    || async { (self.stdout.is_finished() && self.stderr.is_finished()).then_some(()) };
                let _ = eventually("the output ends", OUTPUT_BOUND, ended).await;
                Ok(Outcome { status, stdout: self.stdout(), stderr: self.stderr() })
            }
            None => Err(Error::Timeout { what, bound, seen: format!("{}{}", self.stdout(), self.stderr()) }),
        }
    }

    /// Waits until its standard output contains a text.
    ///
    /// # Errors
    /// [`Error::Timeout`] when it does not within the bound; the error holds what it wrote.
    pub async fn until_stdout(&self, text: &str, bound: Duration) -> Result<(), Error> {
        self.until_contains(&self.stdout, text, bound).await
    }

    /// Waits until its standard error contains a text.
    ///
    /// # Errors
    /// [`Error::Timeout`] when it does not within the bound; the error holds what it wrote.
    pub async fn until_stderr(&self, text: &str, bound: Duration) -> Result<(), Error> {
        self.until_contains(&self.stderr, text, bound).await
    }

    async fn until_contains(&self, capture: &Capture, text: &str, bound: Duration) -> Result<(), Error> {
        let what = format!("{} says {text:?}", self.name);
        eventually(&what, bound, || async { capture.text().contains(text).then_some(()) }).await.map_err(
            |_| Error::Timeout {
                what: what.clone(),
                bound,
                seen: format!("{}{}", self.stdout(), self.stderr()),
            },
        )
    }

    fn poll(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.process.try_wait().ok().flatten();
        }
        self.status
    }

    fn signal(&mut self, signal: Signal) -> Result<(), Error> {
        match self.poll() {
            None => send(self.pid(), signal),
            Some(status) => Err(Error::State(format!("{} has ended already: {status}", self.name))),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.poll().is_none() {
            // A killed child ends at once, so that this wait is short; it also reaps it.
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

/// Sends a signal to a process of ours that has not been reaped.
pub(crate) fn send(pid: u32, signal: Signal) -> Result<(), Error> {
    let target = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let target = target.ok_or_else(|| Error::State(format!("{pid} is no process id")))?;
    rustix::process::kill_process(target, signal)
        .map_err(|errno| Error::process("signal", format!("process {pid}"))(errno.into()))
}

/// Reads a pipe to its end on a thread, so that the program never waits for us.
#[derive(Debug)]
struct Capture {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Capture {
    fn start(pipe: Option<impl Read + Send + 'static>) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let reader = pipe.map(|mut pipe| {
            let bytes = Arc::clone(&bytes);
            std::thread::spawn(move || {
                let mut buffer = [0_u8; 8192];
                while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                    if let Some(part) = buffer.get(..count) {
                        bytes.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(part);
                    }
                }
            })
        });
        Self { bytes, reader }
    }

    fn text(&self) -> String {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Whether the program's side of the pipe is closed and everything has been read.
    fn is_finished(&self) -> bool {
        self.reader.as_ref().is_none_or(JoinHandle::is_finished)
    }
}
