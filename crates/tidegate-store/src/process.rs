//! Child programs: a listed environment, bounded time and output, and nothing left behind.

mod piped;

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

pub use piped::Piped;

/// How long a program may take to end after SIGTERM, before SIGKILL.
pub const TERMINATION_GRACE: Duration = Duration::from_secs(2);
/// How long output is still read after the program has ended, when something else holds its pipes open.
pub const OUTPUT_GRACE: Duration = Duration::from_secs(1);

/// A program to run.
///
/// Its `Debug` shows neither stdin nor the values of the environment, which may be secrets.
#[derive(Clone)]
pub struct Invocation {
    /// The program and its arguments. A program without `/` is looked up in the `PATH` of `environment`.
    pub argv: Vec<String>,
    /// What it reads; `None` gives it an empty input.
    pub stdin: Option<Vec<u8>>,
    /// All its variables: none are inherited, `PATH` neither.
    pub environment: Vec<(String, String)>,
    /// How long it may run.
    pub timeout: Duration,
    /// Bytes kept of its stdout, and as many of its stderr; what comes after is read and dropped.
    pub output_bytes_max: usize,
    /// Where it runs; `None`: where this process does.
    pub directory: Option<PathBuf>,
}

impl std::fmt::Debug for Invocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.environment.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("Invocation")
            .field("argv", &self.argv)
            .field("environment", &names)
            .field("timeout", &self.timeout)
            .field("output_bytes_max", &self.output_bytes_max)
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

/// How a program ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// With this exit status.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// A program that ended in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub exit: Exit,
    /// What it wrote to stdout, up to the bound.
    pub stdout: Vec<u8>,
    /// What it wrote to stderr, up to the bound.
    pub stderr: Vec<u8>,
    /// Whether it wrote more than is kept.
    pub truncated: bool,
}

impl Finished {
    /// Whether it ended with status 0.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.exit == Exit::Code(0)
    }
}

/// A program that did not come to an end of its own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessFailure {
    /// No program was named.
    #[error("no program to run: the list of arguments is empty")]
    Empty,
    /// A bare name without a PATH to look in.
    #[error(
        "'{program}' cannot be looked up: its environment lists no PATH; list one, or write the program's path"
    )]
    NoPath {
        /// The program.
        program: String,
    },
    /// There is no such program.
    #[error("there is no program '{program}' in {searched}; install it, or correct the name or PATH")]
    NotFound {
        /// The program.
        program: String,
        /// Where it was looked for.
        searched: String,
    },
    /// It could not be started.
    #[error("'{program}' could not be started")]
    NotStarted {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It took too long and was killed, with everything in its process group.
    #[error("'{program}' did not end within {limit:?} and was killed")]
    TimedOut {
        /// The program.
        program: String,
        /// The limit.
        limit: Duration,
        /// What it had written to stdout, up to the bound.
        stdout: Vec<u8>,
        /// What it had written to stderr, up to the bound.
        stderr: Vec<u8>,
    },
    /// It ran, but its end could not be observed.
    #[error("the end of '{program}' could not be observed")]
    Lost {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Runs a program to its end.
///
/// It leads a process group of its own. When it ends, takes too long, or the returned future is dropped, everything
/// in that group is killed; only a descendant that has left the group (a daemon) goes on.
///
/// # Errors
/// Exit statuses are no errors: see [`Finished::exit`].
pub async fn run(invocation: Invocation) -> Result<Finished, ProcessFailure> {
    let program = invocation.argv.first().cloned().ok_or(ProcessFailure::Empty)?;
    let path = look_up(&program, &invocation)?;
    let mut child = start(&path, &program, &invocation)?;
    let group = Group::of(&child);
    let limit = invocation.timeout;
    let kept = invocation.output_bytes_max;
    let stdin = child.stdin.take();
    let mut stdout = Capture::new(child.stdout.take(), kept);
    let mut stderr = Capture::new(child.stderr.take(), kept);
    let input = invocation.stdin.unwrap_or_default();
    let feed = async {
        if let Some(mut pipe) = stdin {
            // A program may end without reading its input; that is its own affair.
            let _closed = pipe.write_all(&input).await;
        }
    };
    let lost = |source| ProcessFailure::Lost { program: program.clone(), source };
    let ended = {
        let output = async { tokio::join!(feed, stdout.read_all(), stderr.read_all()) };
        let mut output = std::pin::pin!(output);
        let ending = async {
            let mut all_read = false;
            loop {
                tokio::select! {
                    status = child.wait() => break (status, all_read),
                    _ = &mut output, if !all_read => all_read = true,
                }
            }
        };
        match timeout(limit, ending).await {
            Ok((status, all_read)) => {
                if !all_read && timeout(OUTPUT_GRACE, &mut output).await.is_err() {
                    // Something in the group holds the pipes: it ends now, and its output with it.
                    group.signal(Signal::KILL);
                    let _still_open = timeout(OUTPUT_GRACE, &mut output).await;
                }
                Some(status)
            }
            Err(_) => None,
        }
    };
    match ended {
        Some(status) => {
            let exit = exit_of(status.map_err(lost)?);
            Ok(Finished {
                exit,
                truncated: stdout.truncated || stderr.truncated,
                stdout: stdout.bytes,
                stderr: stderr.bytes,
            })
        }
        None => {
            group.signal(Signal::TERM);
            if timeout(TERMINATION_GRACE, child.wait()).await.is_err() {
                group.signal(Signal::KILL);
                child.wait().await.map_err(lost)?;
            }
            Err(ProcessFailure::TimedOut { program, limit, stdout: stdout.bytes, stderr: stderr.bytes })
        }
    }
}

fn start(path: &Path, program: &str, invocation: &Invocation) -> Result<Child, ProcessFailure> {
    let mut command = Command::new(path);
    command
        .arg0(program)
        .args(invocation.argv.iter().skip(1))
        .env_clear()
        .envs(invocation.environment.iter().map(|(name, value)| (name, value)))
        .stdin(match invocation.stdin {
            Some(_) => Stdio::piped(),
            None => Stdio::null(),
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    if let Some(directory) = &invocation.directory {
        command.current_dir(directory);
    }
    command.spawn().map_err(|source| ProcessFailure::NotStarted { program: program.to_owned(), source })
}

/// Finds the program as `execvp` would with the child's own PATH and directory.
fn look_up(program: &str, invocation: &Invocation) -> Result<PathBuf, ProcessFailure> {
    let base = invocation.directory.as_deref().unwrap_or(Path::new(""));
    let is_program = |path: &Path| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    let not_found = |searched: &OsStr| ProcessFailure::NotFound {
        program: program.to_owned(),
        searched: searched.to_string_lossy().into_owned(),
    };
    if program.contains('/') {
        let path = base.join(program);
        // The child runs in its own directory: a path relative to ours would be looked for there.
        let path = std::path::absolute(&path).unwrap_or(path);
        return if is_program(&path) {
            Ok(path)
        } else {
            Err(not_found(path.parent().unwrap_or(&path).as_os_str()))
        };
    }
    let paths = invocation
        .environment
        .iter()
        .rev()
        .find(|(name, _)| name == "PATH")
        .map(|(_, paths)| paths)
        .ok_or_else(|| ProcessFailure::NoPath { program: program.to_owned() })?;
    std::env::split_paths(paths)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(program))
        .find(|path| is_program(path))
        .ok_or_else(|| not_found(OsStr::new(paths)))
}

fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or_default()),
    }
}

/// The process group that a child leads; killed when this is dropped.
#[derive(Debug)]
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Group {
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        Group(pid.and_then(Pid::from_raw))
    }

    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.0 {
            // It fails when nobody is left in the group, which is what is wanted.
            let _nobody_left = kill_process_group(leader, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Reads a pipe to its end and keeps its beginning.
#[derive(Debug)]
struct Capture<R> {
    pipe: Option<R>,
    bytes: Vec<u8>,
    kept: usize,
    truncated: bool,
}

impl<R: AsyncRead + Unpin> Capture<R> {
    fn new(pipe: Option<R>, kept: usize) -> Capture<R> {
        Capture { pipe, bytes: Vec::new(), kept, truncated: false }
    }

    async fn read_all(&mut self) {
        let Some(pipe) = &mut self.pipe else {
            return;
        };
        let mut buffer = [0_u8; 8192];
        // A pipe that cannot be read is at its end.
        while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
            let room = self.kept.saturating_sub(self.bytes.len());
            self.bytes.extend(buffer.iter().take(count.min(room)));
            self.truncated |= count > room;
        }
    }
}
