//! Everything put back: the page's way `put_back`, and what stands afterwards against the snapshot, key by key.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::stage::{Stage, at};
use super::{RUNNER, Show};
use crate::Error;
use crate::operator::{DONE, WAITING, WENT_BACK};
use crate::words::{heading, say};

/// By namespace and key: value, metadata and end.
type Contents = BTreeMap<(String, String), Value>;

impl Show {
    /// Goes back to the snapshot with all users, and holds every key against it.
    pub(super) async fn everything_is_put_back(&mut self, stage: &Stage) -> Result<(), Error> {
        heading("Something is wrong: everything is put back");
        let snapshot = snapshot_of(stage.folder())?;
        let wanted = contents(&snapshot)?;
        let before = contents(&self.taken(stage, "before.jsonl").await?)?;
        let moved = differing(&wanted, &before);
        say(&format!("{moved} keys differ from the snapshot. What would be lost by going back to it:"));
        let from = snapshot.display().to_string();
        let loss = stage.program(&["kv-restore", "--from", &from, "--mode", "exact"]).await?;
        for line in loss.lines().filter(|line| !line.starts_with("          ")) {
            println!("  {line}");
        }
        let (over, removed) = (told(&loss, "lost: written over"), told(&loss, "lost: removed"));
        self.proof.claim(
            over > 0 && removed > 0,
            format!("keys that the loss statement says are written over {over} and removed {removed}"),
        );
        let path = stage.folder().join("reason");
        std::fs::write(&path, "the demonstration says so").map_err(Error::file("write", &path))?;
        let words = ["rollback", "--way", "put_back", "--apply", "--actor", RUNNER];
        self.operator.run(&words, WAITING).await?;
        self.approve("accept_the_loss").await?;
        self.operator.run(&words, WENT_BACK).await?;
        let after = contents(&self.taken(stage, "after.jsonl").await?)?;
        let differing = differing(&wanted, &after);
        self.proof.claim(
            moved > 0 && differing == 0 && !after.is_empty(),
            format!("keys that differed from the snapshot {moved}, and do now {differing}"),
        );
        heading("What the journal says");
        self.operator.run(&["audit", "verify"], DONE).await
    }

    async fn taken(&self, stage: &Stage, name: &str) -> Result<PathBuf, Error> {
        let path = stage.folder().join(name);
        let out = path.display().to_string();
        stage.program(&["kv-snapshot", "--env", "local", "--out", &out]).await?;
        Ok(path)
    }
}

/// The snapshot that the run took.
fn snapshot_of(folder: &Path) -> Result<PathBuf, Error> {
    let files = std::fs::read_dir(folder).map_err(Error::file("read", folder))?;
    let paths = files.filter_map(|file| Some(file.ok()?.path()));
    let found = paths.filter(|path| path.extension().is_some_and(|kind| kind == "jsonl")).min();
    found.ok_or_else(|| Error::Task(format!("the run left no snapshot in {}", folder.display())))
}

/// What a snapshot holds, but for what a restore leaves (the trail, the kill switch) or makes anew (indexes and counts).
fn contents(path: &Path) -> Result<Contents, Error> {
    let text = std::fs::read_to_string(path).map_err(Error::file("read", path))?;
    let mut contents = Contents::new();
    for line in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let name = |pointer: &str| at(&line, pointer).as_str().map(str::to_owned);
        let (Some(namespace), Some(key)) = (name("/namespace"), name("/key")) else { continue };
        let is_left = key.starts_with("audit:") || key == "migration:stop";
        let is_made =
            namespace == "TRIP_INDEX" || key.ends_with(":trip_count") || key.ends_with(":index_dirty");
        if !is_left && !is_made {
            contents.insert((namespace, key), line);
        }
    }
    Ok(contents)
}

/// How many keys differ, but for what ends by itself at this time.
fn differing(wanted: &Contents, found: &Contents) -> usize {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let soon = since_1970.as_secs() + 5;
    let stays = |line: &Value| at(line, "/expiresAt").as_u64().is_none_or(|end| end > soon);
    let other = wanted.iter().filter(|(key, line)| stays(line) && found.get(*key) != Some(*line)).count();
    other + found.iter().filter(|(key, line)| stays(line) && !wanted.contains_key(*key)).count()
}

/// The number before a text.
fn told(loss: &str, what: &str) -> u64 {
    let line = loss.lines().find(|line| line.trim_end().ends_with(what));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
