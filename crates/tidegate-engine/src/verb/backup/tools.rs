//! PostgreSQL's own programs: where they are, and which of them fit the server.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tidegate_store::postgres::{Address, ChildAccess, Session};
use tidegate_store::process::{self, Finished, Invocation, ProcessFailure};

use crate::error::StepError;
use crate::job::Job;

/// How long a program may take to say its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a dump or a replay may take where the step names no `@timeout`.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(24 * 60 * 60);
/// Bytes kept of what a program writes to stdout and stderr.
const OUTPUT_BYTES_MAX: usize = 1 << 20;
/// Longest piece of a program's complaint that goes into a message, in characters.
const COMPLAINT_CHARACTERS_MAX: usize = 1_000;
/// Where packages put the programs of several versions side by side, and what stands below each version.
const INSTALLATIONS: [(&str, &str, &str); 2] =
    [("/usr/lib/postgresql", "", "bin"), ("/usr", "pgsql-", "bin")];

/// The programs that this backup uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tools {
    /// Path of `pg_dump`.
    pub(crate) dump: String,
    /// Path of `pg_restore`, of the same version.
    pub(crate) restore: String,
    /// Such as `15.18`.
    pub(crate) version: String,
    major: u32,
}

/// The programs whose version is the server's, or else the nearest newer one: what they write must be understood by
/// this server, and a newer version may write more.
pub(crate) async fn find(job: Job<'_>, session: &Session) -> Result<Tools, StepError> {
    let server = major(session.server_version()).unwrap_or(0);
    let mut found = Vec::new();
    for directory in directories(job).await {
        if let Some(tools) = tools_in(&directory).await {
            found.push(tools);
        }
    }
    let fitting = found.iter().filter(|tools| tools.major >= server).min_by_key(|tools| tools.major);
    fitting.cloned().ok_or_else(|| {
        let seen = if found.is_empty() {
            "none was found".to_owned()
        } else {
            let versions: BTreeSet<&str> = found.iter().map(|tools| &*tools.version).collect();
            format!("found: {}", versions.into_iter().collect::<Vec<_>>().join(", "))
        };
        StepError::refused(
            format!("no pg_dump and pg_restore for a server of version {server}: {seen}"),
            format!("Install the client programs of PostgreSQL {server} or newer, or put them on PATH."),
        )
    })
}

async fn directories(job: Job<'_>) -> Vec<PathBuf> {
    let path = job.doors.environment("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> =
        std::env::split_paths(&path).filter(|path| path.is_absolute()).collect();
    let asked = run(
        vec!["pg_config".to_owned(), "--bindir".to_owned()],
        vec![("PATH".to_owned(), path)],
        VERSION_TIMEOUT,
    );
    if let Ok(finished) = asked.await
        && finished.succeeded()
    {
        directories.push(PathBuf::from(String::from_utf8_lossy(&finished.stdout).trim()));
    }
    for (root, prefix, below) in INSTALLATIONS {
        let Ok(entries) = std::fs::read_dir(root) else { continue };
        let mut installed: Vec<PathBuf> = entries
            .filter_map(Result::ok)
            .filter(|entry| {
                let name = entry.file_name();
                name.to_string_lossy()
                    .strip_prefix(prefix)
                    .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            })
            .map(|entry| entry.path().join(below))
            .collect();
        installed.sort();
        directories.extend(installed);
    }
    directories
}

async fn tools_in(directory: &Path) -> Option<Tools> {
    let (dump, restore) = (program_in(directory, "pg_dump")?, program_in(directory, "pg_restore")?);
    let said = run(vec![dump.clone(), "--version".to_owned()], Vec::new(), VERSION_TIMEOUT).await.ok()?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let version =
        said.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?.to_owned();
    let major = major(&version)?;
    Some(Tools { dump, restore, version, major })
}

/// A wrapper that chooses a version by itself is passed over: what it chooses is found beside it.
fn program_in(directory: &Path, name: &str) -> Option<String> {
    let path = directory.join(name);
    let real = path.canonicalize().ok()?;
    (real.is_file() && real.file_name()? != "pg_wrapper").then(|| path.display().to_string())
}

fn major(version: &str) -> Option<u32> {
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// How long one program of this step may run.
pub(crate) fn timeout(job: Job<'_>) -> Duration {
    job.step.timeout.unwrap_or(TIMEOUT_DEFAULT)
}

/// What a program needs to run: no password among it, and messages in a language that can be read here.
pub(crate) fn environment(access: &ChildAccess) -> Vec<(String, String)> {
    let mut environment = access.environment().to_vec();
    environment.push(("LC_ALL".to_owned(), "C".to_owned()));
    environment
}

/// The private password file for a program's connection.
pub(crate) fn access(address: &Address, job: Job<'_>) -> Result<ChildAccess, StepError> {
    ChildAccess::new(address, &job.application()).map_err(|error| {
        StepError::refused(
            format!("the private password file for PostgreSQL's programs cannot be written: {error}"),
            "Free space in the temporary directory, or let TMPDIR name another one.",
        )
    })
}

/// One run of a program.
pub(crate) fn invocation(
    argv: Vec<String>,
    environment: Vec<(String, String)>,
    timeout: Duration,
) -> Invocation {
    Invocation {
        argv,
        stdin: None,
        environment,
        timeout,
        output_bytes_max: OUTPUT_BYTES_MAX,
        directory: None,
    }
}

/// Runs a program to its end.
pub(crate) async fn run(
    argv: Vec<String>,
    environment: Vec<(String, String)>,
    timeout: Duration,
) -> Result<Finished, ProcessFailure> {
    process::run(invocation(argv, environment, timeout)).await
}

/// Refuses with a program's own complaint, or with what it ran out of.
pub(crate) fn must_have_succeeded(what: &str, finished: &Finished) -> Result<(), StepError> {
    if finished.succeeded() {
        return Ok(());
    }
    let complaint = complaint(&finished.stderr);
    if complaint.contains("No space left on device") || complaint.contains("Disk quota exceeded") {
        return Err(StepError::refused(
            format!("{what}: the disk is full: {complaint}"),
            "Free space, or let `file` name a folder with more of it; nothing of this attempt was left behind.",
        ));
    }
    Err(StepError::refused(
        format!("{what} failed: {complaint}"),
        "Put right what it names, then run again; nothing of this attempt was left behind.",
    ))
}

/// A program that did not come to an end of its own.
pub(crate) fn did_not_end(what: &str, failure: &ProcessFailure) -> StepError {
    let cause = std::error::Error::source(failure).map_or(String::new(), |cause| format!(": {cause}"));
    StepError::refused(
        format!("{what}: {failure}{cause}"),
        "Give the step a longer `@timeout` if it was too slow; otherwise look at the program it names.",
    )
}

fn complaint(stderr: &[u8]) -> String {
    let said = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let text: String = lines.join("; ").chars().take(COMPLAINT_CHARACTERS_MAX).collect();
    if text.is_empty() { "it gave no reason".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use tidegate_store::process::Exit;

    use super::*;

    fn ended(stderr: &str) -> Finished {
        Finished { exit: Exit::Code(1), stdout: Vec::new(), stderr: stderr.into(), truncated: false }
    }

    #[test]
    fn a_full_disk_is_named_as_such() {
        let said = "pg_dump: error: could not write to output file: No space left on device\n";
        let error = must_have_succeeded("pg_dump", &ended(said)).unwrap_err().to_string();
        assert!(error.contains("the disk is full"), "{error}");
        let error = must_have_succeeded("pg_dump", &ended("pg_dump: error: x\n")).unwrap_err().to_string();
        assert_eq!(error, "pg_dump failed: pg_dump: error: x");
    }

    #[test]
    fn versions_are_read_by_their_first_number() {
        assert_eq!(major("15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(major("17beta1"), Some(17));
        assert_eq!(major("x"), None);
    }
}
