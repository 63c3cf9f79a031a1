//! Hot standbys: a second server that follows the first, falls behind it, and takes its place.

use crate::cluster::Cluster;
use crate::image::{SUPERUSER, run};
use crate::{ClusterOptions, Error};

impl Cluster {
    /// Starts a hot standby of this cluster: a copy by `pg_basebackup` that streams what is written since.
    ///
    /// # Errors
    /// When the copy fails or the standby does not come up.
    pub async fn standby(&self, options: ClusterOptions) -> Result<Self, Error> {
        let standby = Self::place(options)?;
        let mut copy = standby.account.command(standby.programs.program("pg_basebackup"));
        copy.args(["--checkpoint", "fast", "--wal-method", "stream", "--no-sync", "--write-recovery-conf"]);
        copy.args(["--host", "127.0.0.1", "--username", SUPERUSER, "--port", &self.port().to_string()]);
        copy.arg("--pgdata").arg(standby.data());
        // It waits for the server's checkpoint; a runtime with one thread must not wait with it.
        let copied = tokio::task::spawn_blocking(move || run(copy, "pg_basebackup")).await;
        copied.map_err(|error| Error::State(format!("pg_basebackup was not waited for: {error}")))??;
        standby.launch().await?;
        Ok(standby)
    }

    /// Waits until this standby has replayed everything that its primary has written so far.
    ///
    /// # Errors
    /// [`Error::Timeout`] when it does not catch up within a minute.
    pub async fn catch_up_with(&self, primary: &Self) -> Result<(), Error> {
        let client = primary.connect("postgres").await?;
        let asked = "SELECT pg_current_wal_flush_lsn()::text";
        let row = client.query_one(asked, &[]).await.map_err(Error::postgres(asked))?;
        let position: String = row.try_get(0).map_err(Error::postgres(asked))?;
        self.until(&format!("SELECT pg_last_wal_replay_lsn() >= '{position}'::pg_lsn")).await
    }

    /// Cuts this standby off: it keeps what it has and hears nothing more. With [`Cluster::promote`] it becomes an
    /// older copy of its primary.
    ///
    /// # Errors
    /// When the server refuses it or goes on streaming.
    pub async fn detach(&self) -> Result<(), Error> {
        self.execute("ALTER SYSTEM SET primary_conninfo = ''").await?;
        self.execute("SELECT pg_reload_conf()").await?;
        self.until("SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver)").await
    }

    /// Makes this standby a primary and waits until it takes writes.
    ///
    /// # Errors
    /// When it is no standby, or does not become a primary in time.
    pub async fn promote(&self) -> Result<(), Error> {
        self.execute("SELECT pg_promote()").await?;
        self.until("SELECT NOT pg_is_in_recovery()").await
    }
}
