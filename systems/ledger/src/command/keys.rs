//! `ledger keys` and `ledger token`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use ledger::Ledger;
use ledger::keys::{SigningKey, publish, revoke};
use serde_json::json;
use uuid::Uuid;

use super::{say, told, why};

/// Keys of the services that may ask.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Makes a new private key and prints it: keep it where only the service that signs reads it.
    Generate {
        /// Writes it into this new file, which only its owner may read, instead of printing it.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Publishes the public half of a private key. One that was published before goes on being valid beside it.
    Publish {
        /// The file with the private key.
        #[arg(long)]
        key: PathBuf,
        /// By what tokens name it.
        #[arg(long)]
        kid: String,
        /// Whose it is.
        #[arg(long, value_parser = ["freeside", "finn"])]
        issuer: String,
        /// Until when, as in RFC 3339; unless said, until it is revoked.
        #[arg(long)]
        expires_at: Option<jiff::Timestamp>,
    },
    /// Ends a key. Tokens that it signed are refused within a minute.
    Revoke {
        /// Which.
        kid: String,
    },
}

/// What a token says.
#[derive(Debug, Args)]
pub(crate) struct TokenArguments {
    /// The file with the private key.
    #[arg(long)]
    key: PathBuf,
    /// By what the key is published.
    #[arg(long)]
    kid: String,
    /// Whose key it is.
    #[arg(long)]
    issuer: String,
    /// For which tenant; unless said, for all.
    #[arg(long)]
    community: Option<Uuid>,
    /// For which service.
    #[arg(long, default_value = "ledger")]
    audience: String,
    /// For how long, in seconds.
    #[arg(long, default_value_t = 3_600)]
    seconds: i64,
}

fn read(file: &PathBuf) -> Result<SigningKey, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    SigningKey::parse(&text).map_err(|error| format!("{}: {error}", file.display()))
}

pub(crate) fn generate(out: Option<&Path>) -> Result<(), String> {
    let text = SigningKey::generate().map_err(told)?.text();
    let Some(path) = out else {
        say(&text);
        return Ok(());
    };
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            format!("{} is there already, and was left as it is; name a new file", path.display())
        }
        _ => format!("{}: {error}; no key was made", path.display()),
    })?;
    writeln!(file, "{text}").and_then(|()| file.sync_all()).map_err(|error| {
        format!("{}: {error}; what is there is no whole key: remove it and make another", path.display())
    })
}

pub(crate) fn token(arguments: &TokenArguments) -> Result<(), String> {
    let now = jiff::Timestamp::now().as_second();
    let community = arguments.community.map_or_else(|| "*".to_owned(), |community| community.to_string());
    let claims = json!({
        "iss": arguments.issuer, "aud": arguments.audience, "iat": now,
        "exp": now.saturating_add(arguments.seconds), "community": community,
    });
    say(&read(&arguments.key)?.sign(&arguments.kid, &claims).map_err(told)?);
    Ok(())
}

pub(crate) async fn run(ledger: &Ledger, command: &KeysCommand) -> Result<(), String> {
    let session = ledger.application().get().await.map_err(why)?;
    match command {
        KeysCommand::Generate { out } => generate(out.as_deref()),
        KeysCommand::Publish { key, kid, issuer, expires_at } => {
            let (x, y) = read(key)?.coordinates();
            match publish(&session, kid, issuer, (&x, &y), *expires_at).await.map_err(why)? {
                true => Ok(()),
                false => Err(format!("a key {kid} is published already; nothing was changed")),
            }
        }
        KeysCommand::Revoke { kid } => match revoke(&session, kid).await.map_err(why)? {
            true => Ok(()),
            false => Err(format!("there is no key {kid} that stands")),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_written_for_its_owner_alone_and_over_nothing() {
        let path = std::env::temp_dir().join(format!("ledger-{}.key", Uuid::new_v4()));
        generate(Some(&path)).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        let kept = std::fs::read(&path).unwrap();
        let whole = read(&path).is_ok();
        let again = generate(Some(&path)).unwrap_err();
        let after = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!((mode & 0o777, whole), (0o600, true));
        assert!(again.contains("is there already, and was left as it is"), "{again}");
        assert_eq!(kept, after);
        let nowhere = generate(Some(&path.join("key"))).unwrap_err();
        assert!(nowhere.ends_with("no key was made"), "{nowhere}");
    }
}
