//! `trips grant-admin`.

use clap::Args;
use tidegate_store::kv::{Kv, Namespace};
use trips::keyspace;
use trips::migration::grant::Grants;

use super::{confirmed, say, told};

/// Who becomes an administrator, or is none any more.
#[derive(Debug, Args)]
pub(crate) struct GrantArguments {
    /// Where: local, staging or production. It is only said back; the store is that of TRIPS_STORE.
    #[arg(long)]
    env: String,
    /// The id of the user.
    #[arg(long = "userId")]
    user_id: String,
    /// Writes; without it only says what would change.
    #[arg(long, requires = "actor")]
    apply: bool,
    /// Who does it: it stands in the trail.
    #[arg(long)]
    actor: Option<String>,
    /// Takes the role back.
    #[arg(long)]
    revoke: bool,
    /// Does not ask.
    #[arg(long)]
    yes: bool,
}

/// What of the environment is read.
const CLOUDFLARE: [&str; 2] = ["CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_API_TOKEN"];

pub(crate) async fn run(
    store: Kv,
    arguments: &GrantArguments,
    get: &(dyn Fn(&str) -> Option<String> + Sync),
) -> Result<(), String> {
    if !["local", "staging", "production"].contains(&arguments.env.as_str()) {
        return Err(format!("`{}` is no environment; write local, staging or production", arguments.env));
    }
    let named = |name: &str, default: Namespace| match get(name).filter(|id| !id.is_empty()) {
        Some(id) => Namespace::new(id).map_err(|error| format!("{name}: {error}")),
        None => Ok(default),
    };
    let users = named("USERS_KV_ID", keyspace::users())?;
    let migrations = named("MIGRATIONS_KV_ID", keyspace::migrations())?;
    let id = &arguments.user_id;
    let grants = Grants::new(store, users.clone(), migrations);
    let change = grants.preview(id, arguments.revoke).await.map_err(told)?;
    let role = |role: &Option<String>| role.clone().unwrap_or_else(|| "none".to_owned());
    say(&format!(
        "{} in {} ({}): role {} -> {}",
        id,
        users,
        arguments.env,
        role(&change.before),
        role(&change.after)
    ));
    if change.is_nothing() {
        say("nothing to do");
        return Ok(());
    }
    if !arguments.apply {
        say("dry run: nothing was written; add --apply --actor \"your name\" to write it");
        return Ok(());
    }
    let Some(actor) = arguments.actor.as_deref().map(str::trim).filter(|actor| !actor.is_empty()) else {
        return Err("--apply needs --actor: who does this".to_owned());
    };
    confirmed(&format!("Change the role of {id} in {}", arguments.env), id, arguments.yes)?;
    grants.prove_scope().await.map_err(told)?;
    grants.apply(id, arguments.revoke, actor).await.map_err(told)?;
    say("done, and in the trail");
    Ok(())
}

/// Why a store is refused that the environment asks for.
pub(crate) fn refused(get: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let set: Vec<&str> =
        CLOUDFLARE.into_iter().filter(|name| get(name).is_some_and(|value| !value.is_empty())).collect();
    (!set.is_empty()).then(|| {
        format!(
            "{} set: stores of Cloudflare are not supported, as they have no conditional writes; unset it and name a \
             store in TRIPS_STORE (sqlite:PATH or redis://HOST:PORT/DB). Nothing was changed",
            if set.len() == 2 { "CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_API_TOKEN are".to_owned() } else { format!("{} is", set.join("")) }
        )
    })
}
