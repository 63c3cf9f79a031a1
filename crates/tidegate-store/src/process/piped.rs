//! A program whose output is read while it runs, however much it writes.

use std::time::Duration;

use rustix::process::Signal;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, ChildStdout};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Capture, Finished, Group, Invocation, OUTPUT_GRACE, ProcessFailure, exit_of, look_up, start};

/// A running program whose stdout is read piece by piece. Nothing of it is kept in memory but the piece at hand.
///
/// The bounds are those of [`super::run`], except that of stdout. Dropping it kills the program and its group.
#[derive(Debug)]
pub struct Piped {
    child: Child,
    group: Group,
    stdout: Option<ChildStdout>,
    stderr: JoinHandle<Capture<ChildStderr>>,
    program: String,
    limit: Duration,
    until: Instant,
}

impl Piped {
    /// Starts a program. Its stdin is empty: [`Invocation::stdin`] is not sent.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(invocation: &Invocation) -> Result<Piped, ProcessFailure> {
        let program = invocation.argv.first().cloned().ok_or(ProcessFailure::Empty)?;
        let invocation = Invocation { stdin: None, ..invocation.clone() };
        let path = look_up(&program, &invocation)?;
        let mut child = start(&path, &program, &invocation)?;
        let group = Group::of(&child);
        let stdout = child.stdout.take();
        let mut stderr = Capture::new(child.stderr.take(), invocation.output_bytes_max);
        let stderr = tokio::spawn(async move {
            stderr.read_all().await;
            stderr
        });
        let limit = invocation.timeout;
        Ok(Piped { child, group, stdout, stderr, program, limit, until: Instant::now() + limit })
    }

    /// The next piece of stdout, at most `most` bytes; empty at its end.
    ///
    /// # Errors
    /// [`ProcessFailure::TimedOut`] when the program's time is up; it is killed.
    pub async fn read(&mut self, most: usize) -> Result<Vec<u8>, ProcessFailure> {
        let Some(stdout) = &mut self.stdout else {
            return Ok(Vec::new());
        };
        let mut piece = vec![0_u8; most];
        match timeout_at(self.until, stdout.read(&mut piece)).await {
            Ok(Ok(count)) => {
                piece.truncate(count);
                Ok(piece)
            }
            Ok(Err(source)) => Err(ProcessFailure::Lost { program: self.program.clone(), source }),
            Err(_) => Err(self.time_is_up()),
        }
    }

    /// Waits for the program's end. What it still writes to stdout is lost, and it may fail for that.
    ///
    /// # Errors
    /// [`ProcessFailure::TimedOut`] when the program's time is up; it is killed.
    pub async fn finish(mut self) -> Result<Finished, ProcessFailure> {
        drop(self.stdout.take());
        let status = match timeout_at(self.until, self.child.wait()).await {
            Ok(Ok(status)) => status,
            Ok(Err(source)) => return Err(ProcessFailure::Lost { program: self.program.clone(), source }),
            Err(_) => return Err(self.time_is_up()),
        };
        // Whatever else is in the group holds stderr open; it ends with its leader.
        self.group.signal(Signal::KILL);
        let (stderr, truncated) = match timeout(OUTPUT_GRACE, &mut self.stderr).await {
            Ok(Ok(capture)) => (capture.bytes, capture.truncated),
            Ok(Err(_)) | Err(_) => (Vec::new(), true),
        };
        Ok(Finished { exit: exit_of(status), stdout: Vec::new(), stderr, truncated })
    }

    fn time_is_up(&self) -> ProcessFailure {
        self.group.signal(Signal::KILL);
        ProcessFailure::TimedOut {
            program: self.program.clone(),
            limit: self.limit,
            stdout: Vec::new(),
            stderr: Vec::new(),
        }
    }
}
