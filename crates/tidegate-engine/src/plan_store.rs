//! The texts of a run, kept beside the journal, so that a run is resumed and taken back by what it was started with.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidegate_runbook::{FileContent, SourcePath, Sources, parse};
use tidegate_store::postgres::{Failure, Session};
use tokio_postgres::types::Type;

use crate::digest::Digest;
use crate::program::Program;

/// The texts as stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    page: SourcePath,
    text: String,
    files: BTreeMap<String, String>,
}

/// The texts as JSON, with their digest.
#[must_use]
pub fn encode(sources: &Sources) -> (Digest, String) {
    let files = sources
        .files
        .iter()
        .filter_map(|(path, content)| match content {
            FileContent::Bytes(bytes) => Some((path.0.clone(), String::from_utf8_lossy(bytes).into_owned())),
            FileContent::Missing | FileContent::OutsideRoot | FileContent::Unreadable(_) => None,
        })
        .collect();
    let stored = Stored {
        page: sources.page.clone(),
        text: String::from_utf8_lossy(&sources.page_bytes).into_owned(),
        files,
    };
    let text = serde_json::to_string(&stored).unwrap_or_default();
    (Digest::of(text.as_bytes()), text)
}

/// The program that stored texts make; `None` if they are gone, were changed, or parse no more.
///
/// # Errors
/// [`Failure`] if the server refused or did not answer.
pub async fn load(session: &Session, digest: Digest) -> Result<Option<Program>, Failure> {
    let rows = session
        .query("SELECT sources FROM tidegate.plan WHERE digest = $1", &[(&digest.0.as_slice(), Type::BYTEA)])
        .await?;
    let Some(text) = rows.first().map(|row| row.get::<_, String>(0)) else { return Ok(None) };
    if Digest::of(text.as_bytes()) != digest {
        return Ok(None);
    }
    let Ok(stored) = serde_json::from_str::<Stored>(&text) else { return Ok(None) };
    let sources = Sources {
        page: stored.page,
        page_bytes: stored.text.into_bytes(),
        files: stored
            .files
            .into_iter()
            .map(|(path, text)| (SourcePath(path), FileContent::Bytes(text.into_bytes())))
            .collect(),
    };
    Ok(parse(&sources).runbook.map(|runbook| Program::new(runbook, sources)))
}

/// Keeps the texts.
///
/// # Errors
/// [`Failure`] if the server refused or did not answer.
pub async fn store(session: &Session, digest: Digest, text: &str) -> Result<(), Failure> {
    session
        .execute(
            "INSERT INTO tidegate.plan (digest, sources) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            &[(&digest.0.as_slice(), Type::BYTEA), (&text, Type::TEXT)],
        )
        .await?;
    Ok(())
}
