//! The person at the terminal: types commands of the real program and sees what it answers.

use std::io::{BufRead, BufReader, IsTerminal, PipeReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::JoinHandle;

use testkit::warden::{self, Ending, Guard};
use tokio::process::{Child, Command};

use crate::{Error, words};

/// Variables of our own environment that the program gets.
const INHERITED: [&str; 8] =
    ["PATH", "HOME", "TMPDIR", "TERM", "NO_COLOR", "LANG", "LC_ALL", "RUST_BACKTRACE"];

/// The exit code after which everything is done.
pub(crate) const DONE: i32 = 0;
/// Something did not hold.
pub(crate) const HALTED: i32 = 3;
/// Another runner holds the lease.
pub(crate) const HELD: i32 = 4;
/// It waits for a person.
pub(crate) const WAITING: i32 = 6;
/// It went back.
pub(crate) const WENT_BACK: i32 = 7;
/// The server could not be asked.
pub(crate) const IN_DOUBT: i32 = 8;

/// A terminal with an environment, in the repository's root.
#[derive(Debug)]
pub(crate) struct Operator {
    program: PathBuf,
    directory: PathBuf,
    environment: Vec<(String, String)>,
    /// Whether what commands say passes through us, also on a terminal.
    is_piped: bool,
}

/// A command that runs.
#[derive(Debug)]
pub(crate) struct Running {
    process: Child,
    typed: String,
    /// Copies what it says, where that is no terminal.
    copier: Option<JoinHandle<()>>,
    _guard: Option<Guard>,
}

impl Operator {
    /// A terminal whose commands get this environment and nothing else but PATH and its like.
    pub(crate) fn new(program: &Path, directory: &Path, environment: Vec<(String, String)>) -> Self {
        Self { program: program.to_owned(), directory: directory.to_owned(), environment, is_piped: false }
    }

    /// The same with one more variable.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let (program, directory) = (self.program.clone(), self.directory.clone());
        let mut environment = self.environment.clone();
        environment.push((name.to_owned(), value.to_owned()));
        Self { program, directory, environment, is_piped: self.is_piped }
    }

    /// The same, for somebody who says something between the lines of a command.
    pub(crate) fn piped(mut self) -> Self {
        self.is_piped = true;
        self
    }

    /// Shows a command of `tidegate` and starts it; what it says is shown as it comes.
    ///
    /// On a terminal it speaks to the terminal itself. Elsewhere its data and its talk are put into one stream, in their
    /// order, and lines that are too long are folded.
    pub(crate) fn start(&self, arguments: &[&str]) -> Result<Running, Error> {
        self.start_as(arguments, arguments)
    }

    fn start_as(&self, shown: &[&str], arguments: &[&str]) -> Result<Running, Error> {
        show(shown);
        let mut command = self.command(arguments);
        let copier = if std::io::stdout().is_terminal() && !self.is_piped {
            None
        } else {
            let (reader, writer) = std::io::pipe().map_err(Error::file("make", "a pipe"))?;
            let second = writer.try_clone().map_err(Error::file("share", "a pipe"))?;
            command.stdout(Stdio::from(writer)).stderr(Stdio::from(second));
            Some(reader)
        };
        let process = command.spawn().map_err(Error::file("start", &self.program))?;
        // The command holds our ends of the pipe, which would else never close.
        drop(command);
        let guard = process.id().map(|pid| warden::guard(pid, Ending::Kill)).transpose()?;
        let copier = copier.map(|reader| std::thread::spawn(move || copy(reader)));
        Ok(Running { process, typed: typed(shown), copier, _guard: guard })
    }

    /// Shows a command of `tidegate` and runs it to its end, which must be the expected one.
    pub(crate) async fn run(&self, arguments: &[&str], expected: i32) -> Result<(), Error> {
        self.start(arguments)?.ends_with(expected).await
    }

    /// As [`Self::run`], with less shown than is typed.
    pub(crate) async fn run_as(&self, shown: &[&str], typed: &[&str], expected: i32) -> Result<(), Error> {
        self.start_as(shown, typed)?.ends_with(expected).await
    }

    /// Shows a command of `tidegate`, runs it to its end, which must be 0, and shows the first and the last lines of what
    /// it wrote.
    pub(crate) async fn excerpt(&self, arguments: &[&str], first: usize, last: usize) -> Result<(), Error> {
        show(arguments);
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::inherit());
        let output = command.output().await.map_err(Error::file("start", &self.program))?;
        let text = String::from_utf8_lossy(&output.stdout);
        for line in words::excerpt(&text, first, last) {
            println!("{line}");
        }
        check(typed(arguments), DONE, output.status)
    }

    /// Runs a command of `tidegate` to its end, which must be 0, and gives what it wrote.
    pub(crate) async fn output(&self, arguments: &[&str]) -> Result<String, Error> {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::inherit());
        let output = command.output().await.map_err(Error::file("start", &self.program))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.code() != Some(DONE) {
            println!("{text}");
        }
        check(typed(arguments), DONE, output.status)?;
        Ok(text)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(&self.directory).stdin(Stdio::null()).env_clear();
        command.envs(INHERITED.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.kill_on_drop(true);
        command
    }
}

impl Running {
    /// Waits for its end, which must be the expected one.
    pub(crate) async fn ends_with(mut self, expected: i32) -> Result<(), Error> {
        let status = self.process.wait().await.map_err(Error::file("wait for", "tidegate"))?;
        self.hear();
        check(self.typed, expected, status)
    }

    /// Waits for its end and gives the exit code; `None`: a signal ended it. May be given up and asked again.
    pub(crate) async fn code(&mut self) -> Result<Option<i32>, Error> {
        let status = self.process.wait().await.map_err(Error::file("wait for", "tidegate"))?;
        self.hear();
        Ok(status.code())
    }

    /// `kill -9`; gives whether that is what ended it.
    pub(crate) async fn kill(&mut self) -> Result<bool, Error> {
        use std::os::unix::process::ExitStatusExt;
        const SIGKILL: i32 = 9;
        let pid = self.process.id().unwrap_or_default();
        // It may have ended by itself, which is then what the status says.
        let _ = self.process.start_kill();
        let status = self.process.wait().await.map_err(Error::file("wait for", "tidegate"))?;
        self.hear();
        println!("\n$ kill -9 {pid}");
        Ok(status.signal() == Some(SIGKILL))
    }

    /// Waits until everything that it said is shown.
    fn hear(&mut self) {
        if let Some(copier) = self.copier.take() {
            // It ends with the pipe; a panic in it would have been told already.
            let _ = copier.join();
        }
    }

    /// Waits for something that must come true while the command is at work.
    pub(crate) async fn at_work<T>(
        &mut self,
        what: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            done = what => done,
            ended = self.process.wait() => {
                self.hear();
                let status = ended.map_err(Error::file("wait for", "tidegate"))?;
                let message = format!("`{}` ended too early, with {status}", self.typed);
                Err(Error::Task(message))
            }
        }
    }
}

/// Shows lines as they come, folded.
fn copy(reader: PipeReader) {
    for line in BufReader::new(reader).lines().map_while(Result::ok) {
        for piece in words::folded(&line) {
            println!("{piece}");
        }
    }
}

fn show(arguments: &[&str]) {
    let mut line = vec!["tidegate"];
    line.extend(arguments);
    words::command(&line);
}

fn typed(arguments: &[&str]) -> String {
    format!("tidegate {}", arguments.join(" "))
}

fn check(command: String, expected: i32, status: std::process::ExitStatus) -> Result<(), Error> {
    if status.code() == Some(expected) {
        return Ok(());
    }
    Err(Error::Exit { command, expected, got: status.to_string() })
}
