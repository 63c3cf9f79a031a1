//! `vfs-server token`.

use std::time::Duration;

use clap::Args;
use vfs_server::auth::{SESSION_LIFE_DEFAULT, TokenSecret, start_session};

use super::{connect, duration, say};

#[derive(Debug, Args)]
pub(crate) struct TokenArguments {
    /// Whose session. The user must exist.
    #[arg(long)]
    user: String,
    /// How long it lasts. Default: 24h.
    #[arg(long = "for", value_parser = duration, value_name = "TIME")]
    life: Option<Duration>,
}

/// Prints the token of a new session.
pub(super) async fn run(arguments: &TokenArguments) -> Result<(), String> {
    let secret = std::env::var("JWT_SECRET").ok().filter(|secret| !secret.trim().is_empty());
    let secret = secret.ok_or("JWT_SECRET: must be the secret that the server signs with")?;
    let session = connect("vfs-server token").await?;
    let life = arguments.life.unwrap_or(SESSION_LIFE_DEFAULT);
    let token = start_session(&session, &TokenSecret::of(secret.trim()), &arguments.user, life).await;
    say(&token.map_err(|error| error.to_string())?);
    Ok(())
}
