//! A throwaway Redis that keeps its data over a kill.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::account::Account;
use crate::lifecycle::last_lines;
use crate::port::Port;
use crate::warden::{self, Ending, Guard};
use crate::{Error, eventually, prerequisites, scratch};

/// How long it may take to come up.
const BOUND: Duration = Duration::from_secs(30);
/// Most bytes of an answer to [`Redis::ask`].
const ANSWER_MAX_BYTES: usize = 64 * 1024;

/// A server with a data directory of its own. Every write is on the disk before it is answered, unless the settings
/// say otherwise. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Redis {
    port: Port,
    directory: PathBuf,
    settings: Vec<(String, String)>,
    running: Option<(Child, Guard)>,
}

impl Redis {
    /// Starts a server.
    ///
    /// # Errors
    /// When Redis is not installed or does not come up; the error carries its log.
    pub async fn start() -> Result<Self, Error> {
        Self::start_with(&[]).await
    }

    /// Starts a server with further lines of its configuration, which win over ours.
    ///
    /// # Errors
    /// As for [`Redis::start`].
    pub async fn start_with(settings: &[(&str, &str)]) -> Result<Self, Error> {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut redis = Self {
            port: Port::reserve()?,
            directory: scratch::directory("r")?,
            settings: settings.collect(),
            running: None,
        };
        redis.restart().await?;
        Ok(redis)
    }

    /// The TCP port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The URL of its database 0.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port())
    }

    /// Kills it, as a power cut does. Its data stay.
    pub fn kill(&mut self) {
        let Some((mut process, guard)) = self.running.take() else { return };
        let started = Instant::now();
        let _ = process.kill();
        while started.elapsed() < BOUND && matches!(process.try_wait(), Ok(None)) {
            std::thread::park_timeout(Duration::from_millis(2));
        }
        // The guard ends only now: until the process is gone, the warden must know of it.
        drop(guard);
    }

    /// Kills it if it runs, and starts it on the same data and port.
    ///
    /// # Errors
    /// As for [`Redis::start`].
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.kill();
        let program = prerequisites::redis()?;
        let log_path = self.directory.join("log");
        let log = OpenOptions::new().create(true).append(true).open(&log_path);
        let log: File = log.map_err(Error::file("make", &log_path))?;
        let mut command = Account::for_servers()?.command(program);
        command.arg("-").stdin(Stdio::piped()).stdout(log).stderr(Stdio::null());
        let mut process = command.spawn().map_err(Error::process("start", "redis-server"))?;
        let guard = warden::guard(process.id(), Ending::Kill)?;
        let input = process.stdin.take();
        self.running = Some((process, guard));
        // The configuration goes in by standard input, so that no file of it needs an owner.
        if let Some(mut input) = input {
            use std::io::Write;
            let written = input.write_all(self.configuration().as_bytes());
            written.map_err(Error::process("configure", "redis-server"))?;
        }
        let port = self.port();
        let running = &mut self.running;
        let ready = eventually("Redis answers", BOUND, || {
            let ended = running.as_mut().is_none_or(|(process, _)| !matches!(process.try_wait(), Ok(None)));
            async move {
                // One that asks for a password first is there, too.
                let is_there = |answer: String| answer.starts_with("+PONG") || answer.starts_with("-NOAUTH");
                let answered = ask(port, "PING").await.is_ok_and(is_there);
                (answered || ended).then_some(answered)
            }
        })
        .await;
        match ready {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(Error::Timeout {
                what: "Redis answers".to_owned(),
                bound: BOUND,
                seen: last_lines(&self.log().unwrap_or_default()),
            }),
        }
    }

    /// Stops it where it stands; connections stay open and nothing is answered until [`Redis::resume`].
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self) -> Result<(), Error> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> Result<(), Error> {
        self.signal(Signal::CONT)
    }

    /// Sends one command as a line and answers what comes back first, in the form of the protocol: `+OK`, `:1`, and
    /// so on. For short commands on the side, such as `CONFIG SET` or `FLUSHDB`.
    ///
    /// # Errors
    /// When it cannot be reached or says nothing.
    pub async fn ask(&self, line: &str) -> Result<String, Error> {
        ask(self.port(), line).await
    }

    /// What it has logged so far.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn log(&self) -> Result<String, Error> {
        let path = self.directory.join("log");
        std::fs::read_to_string(&path).map_err(Error::file("read", path))
    }

    fn signal(&self, signal: Signal) -> Result<(), Error> {
        let pid = self.running.as_ref().and_then(|(process, _)| Pid::from_raw(process.id().cast_signed()));
        let Some(pid) = pid else { return Err(Error::State("this Redis does not run".to_owned())) };
        kill_process(pid, signal).map_err(|error| Error::process("signal", "redis-server")(error.into()))
    }

    fn configuration(&self) -> String {
        let mut text = format!(
            "bind 127.0.0.1\n\
             port {}\n\
             dir {}\n\
             appendonly yes\n\
             appendfsync always\n\
             save \"\"\n\
             daemonize no\n",
            self.port(),
            self.directory.display(),
        );
        for (name, value) in &self.settings {
            text.push_str(&format!("{name} {value}\n"));
        }
        text
    }
}

async fn ask(port: u16, line: &str) -> Result<String, Error> {
    let failed = || Error::process("ask", "redis-server");
    let asked = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        let mut answer = vec![0; ANSWER_MAX_BYTES];
        let read = stream.read(&mut answer).await?;
        answer.truncate(read);
        if answer.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    match tokio::time::timeout(BOUND, asked).await {
        Ok(answer) => answer.map_err(failed()),
        Err(elapsed) => Err(failed()(elapsed.into())),
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
