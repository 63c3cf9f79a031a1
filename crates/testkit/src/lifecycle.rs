//! Starting, stopping, killing and restarting a server.

use std::fs::File;
use std::process::Stdio;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cluster::{Cluster, Server};
use crate::warden::{self, Ending};
use crate::{Error, eventually};

/// How long a server may take to come up or to stop.
const BOUND: Duration = Duration::from_secs(60);

/// How long dropping a cluster waits for its server.
const DROP_BOUND: Duration = Duration::from_secs(10);

/// How much of a log an error carries, in lines.
const LOG_LINES: usize = 40;

/// How a server is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// `SIGINT`: sessions are ended, a checkpoint is written.
    Fast,
    /// `SIGQUIT`: as in a crash; the next start recovers.
    Immediate,
    /// `SIGKILL` to the postmaster; its backends find out and end by themselves.
    Kill,
}

impl Cluster {
    /// Starts the server again after a stop, on the same port, and waits until it takes connections.
    ///
    /// # Errors
    /// When it runs already, or does not come up; the error carries the end of its log.
    pub async fn launch(&self) -> Result<(), Error> {
        self.spawn()?;
        let look = || async { self.poll_ready().await };
        match eventually("the server takes connections", BOUND, look).await {
            Ok(ready) => ready,
            Err(_) => Err(self.timeout("the server takes connections")),
        }
    }

    /// Stops the server as an administrator would: sessions end, a checkpoint is written.
    ///
    /// # Errors
    /// When it does not stop within a minute.
    pub async fn stop(&self) -> Result<(), Error> {
        self.end(Stop::Fast).await
    }

    /// Stops the server without a checkpoint; the next start recovers from the log.
    ///
    /// # Errors
    /// When it does not stop within a minute.
    pub async fn stop_immediate(&self) -> Result<(), Error> {
        self.end(Stop::Immediate).await
    }

    /// Kills the postmaster and waits until its backends have gone too.
    ///
    /// # Errors
    /// When a backend is left after a minute.
    pub async fn kill9(&self) -> Result<(), Error> {
        self.end(Stop::Kill).await
    }

    /// Stops and starts.
    ///
    /// # Errors
    /// As for [`Cluster::stop`] and [`Cluster::launch`].
    pub async fn restart(&self) -> Result<(), Error> {
        self.stop().await?;
        self.launch().await
    }

    /// Makes new transactions of new sessions read-only by default, or no longer.
    ///
    /// # Errors
    /// When the server refuses it.
    pub async fn read_only(&self, on: bool) -> Result<(), Error> {
        let client = self.connect("postgres").await?;
        let value = if on { "on" } else { "off" };
        for sql in [
            "SET default_transaction_read_only = off",
            &format!("ALTER SYSTEM SET default_transaction_read_only = {value}"),
            "SELECT pg_reload_conf()",
        ] {
            client.batch_execute(sql).await.map_err(Error::postgres(format!("run {sql}")))?;
        }
        self.until(&format!("SELECT current_setting('default_transaction_read_only') = '{value}'")).await
    }

    /// Waits until a query of one boolean is true for the superuser on a new connection.
    ///
    /// # Errors
    /// [`Error::Timeout`] after a minute.
    pub async fn until(&self, sql: &str) -> Result<(), Error> {
        eventually(sql, BOUND, || async {
            let client = self.connect("postgres").await.ok()?;
            let row = client.query_one(sql, &[]).await.ok()?;
            row.try_get::<_, bool>(0).ok()?.then_some(())
        })
        .await
    }

    fn lock_server(&self) -> MutexGuard<'_, Option<Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(&self) -> Result<(), Error> {
        let mut server = self.lock_server();
        if server.is_some() {
            return Err(Error::State("the server runs already; stop it first".to_owned()));
        }
        let path = self.log_path();
        let log =
            File::options().create(true).append(true).open(&path).map_err(Error::file("open", &path))?;
        let errors = log.try_clone().map_err(Error::file("open", &path))?;
        // The shell waits for one line before it becomes the server, and ends if we die first: so there is no moment
        // at which a server runs that the warden has not heard of.
        let mut command = self.account.command("/bin/sh");
        command.args(["-c", "read -r go && exec \"$@\" </dev/null", "sh"]);
        command.arg(self.programs.program("postgres")).arg("-D").arg(self.data());
        for (name, value) in self.server_settings() {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        command.stdin(Stdio::piped()).stdout(log).stderr(errors);
        let mut process = command.spawn().map_err(Error::process("start", "postgres"))?;
        let guard = warden::guard(process.id(), Ending::Immediate)?;
        if let Some(mut go) = process.stdin.take() {
            std::io::Write::write_all(&mut go, b"go\n").map_err(Error::process("start", "postgres"))?;
        }
        *server = Some(Server { process, _guard: guard });
        Ok(())
    }

    fn server_settings(&self) -> Vec<(String, String)> {
        let flush = if self.options.fsync { "on" } else { "off" };
        let statements = if self.options.log_statements { "all" } else { "none" };
        let socket = self.socket_directory().display().to_string();
        let port = self.port().to_string();
        let fixed = [
            ("listen_addresses", "127.0.0.1"),
            ("port", port.as_str()),
            ("unix_socket_directories", socket.as_str()),
            ("fsync", flush),
            ("full_page_writes", flush),
            ("log_statement", statements),
            ("log_line_prefix", "%m [%p] user=%u db=%d app=%a "),
            ("shared_buffers", "64MB"),
            ("dynamic_shared_memory_type", "mmap"),
            ("max_connections", "200"),
        ];
        let own = self.options.settings.iter().cloned();
        fixed.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).chain(own).collect()
    }

    /// `None` while it is starting; an error when it has ended instead.
    async fn poll_ready(&self) -> Option<Result<(), Error>> {
        if let Some(status) = self.ended() {
            let output = self.log_end();
            self.lock_server().take();
            return Some(Err(Error::Failed { program: "postgres".to_owned(), status, output }));
        }
        let client = self.connect("postgres").await.ok()?;
        client.batch_execute("SELECT 1").await.ok().map(Ok)
    }

    fn ended(&self) -> Option<String> {
        let mut server = self.lock_server();
        let status = server.as_mut()?.process.try_wait().ok()??;
        Some(status.to_string())
    }

    async fn end(&self, how: Stop) -> Result<(), Error> {
        if !self.signal(how)? {
            return Ok(());
        }
        let what = "the server ends";
        let left = eventually(what, BOUND, || async { self.ended() }).await;
        if left.is_err() {
            return Err(self.timeout(what));
        }
        self.lock_server().take();
        if how == Stop::Kill {
            let data = self.data();
            return eventually("the killed server's backends end", BOUND, || async {
                (!any_process_in(&data)).then_some(())
            })
            .await;
        }
        Ok(())
    }

    /// Sends the signal; false when no server runs.
    fn signal(&self, how: Stop) -> Result<bool, Error> {
        let Some(pid) = self.pid() else { return Ok(false) };
        let signal = match how {
            Stop::Fast => rustix::process::Signal::INT,
            Stop::Immediate => rustix::process::Signal::QUIT,
            Stop::Kill => rustix::process::Signal::KILL,
        };
        crate::program::send(pid, signal)?;
        Ok(true)
    }

    fn timeout(&self, what: &str) -> Error {
        Error::Timeout { what: what.to_owned(), bound: BOUND, seen: self.log_end() }
    }

    fn log_end(&self) -> String {
        last_lines(&self.log().unwrap_or_default())
    }
}

/// The end of a log.
pub(crate) fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(LOG_LINES)).copied().collect::<Vec<_>>().join("\n")
}

/// Whether a process still works in this data directory (a server's processes have it as working directory).
fn any_process_in(data: &std::path::Path) -> bool {
    let Ok(entries) = std::fs::read_dir("/proc") else { return false };
    entries.flatten().any(|entry| std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == data))
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Whatever fails here is left to the warden, which removes it when this process ends.
        let _ = self.signal(Stop::Immediate);
        if let Some(mut server) = self.lock_server().take() {
            let started = Instant::now();
            while started.elapsed() < DROP_BOUND {
                match server.process.try_wait() {
                    Ok(None) => std::thread::park_timeout(Duration::from_millis(2)),
                    Ok(Some(_)) | Err(_) => break,
                }
            }
        }
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
