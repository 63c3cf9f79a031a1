//! `vfs init`.

use std::path::PathBuf;

use clap::Args;
use uuid::Uuid;
use vfs_client::transport::TransportError;
use vfs_client::{Home, Identity};

use super::{CommandError, open, say};

/// Who the client is, and whom it asks.
#[derive(Debug, Args)]
pub(crate) struct InitArguments {
    /// A server's base URL; more than one are any of which may be asked.
    #[arg(long, required = true, value_name = "URL")]
    server: Vec<String>,
    /// The user's id.
    #[arg(long, value_name = "ID")]
    user: String,
    /// This client's id, unlike that of every other client of the user; unless said, a new one.
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// A file with the bearer token; unless said, VFS_TOKEN has it.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

pub(crate) fn run(home: &Home, arguments: InitArguments) -> Result<(), CommandError> {
    for server in &arguments.server {
        if !server.starts_with("http://") && !server.starts_with("https://") {
            return Err(CommandError::refused(format!(
                "{server:?} is no URL that begins with http:// or https://"
            )));
        }
    }
    let token_file = match arguments.token_file {
        None => None,
        // So that it is found from every directory.
        Some(path) => {
            let whole = std::path::absolute(&path);
            Some(whole.map_err(|error| CommandError::refused(format!("{}: {error}", path.display())))?)
        }
    };
    let client_id = arguments.client.unwrap_or_else(|| {
        let unique: String = Uuid::new_v4().simple().to_string().chars().take(12).collect();
        format!("vfs-{unique}")
    });
    let identity = Identity { user_id: arguments.user, client_id, servers: arguments.server, token_file };
    identity.options().map_err(CommandError::refused)?;
    identity.transport(&identity.servers).refuse_other_users().map_err(|error| match error {
        TransportError::OtherUser { place, theirs, ours } => CommandError::refused(format!(
            "the token in {place} is of {theirs}, and --user says {ours}: {} was not made a client's. Give a token of \
             {ours}, or say --user {theirs}",
            home.path().display()
        )),
        error => CommandError::refused(error),
    })?;
    home.make(&identity)?;
    open(home.clone())?;
    say(format!("{} is the client {} of {}", home.path().display(), identity.client_id, identity.user_id));
    Ok(())
}
