//! `trips kv-snapshot`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use trips::App;
use trips::migration::Migration;

use super::{say, told};

/// Where to.
#[derive(Debug, Args)]
pub(crate) struct SnapshotArguments {
    /// Of which environment; it is only said back. The store is that of TRIPS_STORE.
    #[arg(long)]
    env: String,
    /// The new file. It is readable by its owner alone: passwords' hashes and secrets are in it.
    #[arg(long)]
    out: PathBuf,
    /// Accepts a copy that is of no one moment, as of a store that is written meanwhile. The file says so.
    #[arg(long)]
    moving: bool,
}

pub(crate) async fn run(app: Arc<App>, arguments: &SnapshotArguments) -> Result<(), String> {
    if let Some(directory) = arguments.out.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        std::fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    }
    let taken = Migration::new(&app).map_err(told)?.snapshot(&arguments.out).await.map_err(told)?;
    for (namespace, count) in &taken.manifest.counts {
        say(&format!("{count:>8}  {namespace}"));
    }
    say(&format!("sha256 {}  {} ({})", taken.manifest.sha256, arguments.out.display(), arguments.env));
    match taken.manifest.consistent {
        true => Ok(()),
        false if arguments.moving => {
            say("the store was written meanwhile: each key is as it was at some moment, and not all at one");
            Ok(())
        }
        false => Err(format!(
            "the store was written while it was copied, {} times over: the file is kept, and is no one moment; take \
             another while less is written, or add --moving",
            taken.attempts
        )),
    }
}
