//! `trips seed` and `trips clear`: a keyspace to try things on, and its end.

use std::collections::BTreeMap;

use clap::Args;
use tidegate_store::kv::{Change, Condition, Key, Kv, Namespace, PAGE_MAX, Write};
use trips::{keyspace, shapes};

use super::{confirmed, say, told};

/// How large the keyspace is.
#[derive(Debug, Args)]
pub(crate) struct SeedArguments {
    /// Users.
    #[arg(long, default_value_t = 17)]
    users: usize,
    /// The same seed writes the same keys.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Their password.
    #[arg(long, default_value = "a long enough password")]
    password: String,
    /// Each user as a line of JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn seed(store: &Kv, arguments: &SeedArguments, hash: &str) -> Result<(), String> {
    let seeded = shapes::seed(store, hash, arguments.users, arguments.seed).await.map_err(told)?;
    let mut by_shape: BTreeMap<String, usize> = BTreeMap::new();
    for user in &seeded {
        if arguments.json {
            say(&serde_json::to_string(user).map_err(told)?);
        }
        *by_shape.entry(format!("{:?}", user.shape)).or_default() += 1;
    }
    if !arguments.json {
        by_shape.iter().for_each(|(shape, count)| say(&format!("{count:>6}  {shape}")));
    }
    Ok(())
}

impl SeedArguments {
    pub(crate) fn password(&self) -> &str {
        &self.password
    }
}

/// What is cleared, and whether to do it.
#[derive(Debug, Args)]
pub(crate) struct ClearArguments {
    /// Where; only `local` can be cleared. The store is that of TRIPS_STORE, whatever is said here.
    #[arg(long)]
    env: String,
    /// Erases; without it only says what would be erased.
    #[arg(long)]
    apply: bool,
    /// Does not ask.
    #[arg(long)]
    yes: bool,
}

/// Pages of one namespace that are looked at.
const PAGES_MAX: usize = 100_000;

pub(crate) async fn clear(
    store: &Kv,
    arguments: &ClearArguments,
    environment: Option<&str>,
) -> Result<(), String> {
    if arguments.env != "local" || !matches!(environment, None | Some("" | "local")) {
        return Err(
            "only a local store is cleared: --env=local, and TRIPS_ENV local or not set; nothing was erased"
                .to_owned(),
        );
    }
    let mut all = 0_usize;
    for namespace in keyspace::all() {
        let count = each_page(store, &namespace, false).await?;
        say(&format!("{count:>8}  {namespace}"));
        all += count;
    }
    if !arguments.apply {
        say(&format!("would erase {all} keys of the store of TRIPS_STORE; nothing was: add --apply"));
        return Ok(());
    }
    confirmed(&format!("Erase these {all} keys for good"), "erase", arguments.yes)?;
    let mut erased = 0_usize;
    for namespace in keyspace::all() {
        erased += each_page(store, &namespace, true).await?;
    }
    say(&format!("erased {erased} keys"));
    Ok(())
}

/// How many keys of a namespace are no tool's, and erases them where told to.
async fn each_page(store: &Kv, namespace: &Namespace, erase: bool) -> Result<usize, String> {
    let (mut count, mut after) = (0_usize, None::<Key>);
    for _page in 0..PAGES_MAX {
        let page = store.list(namespace, "", after.as_ref(), PAGE_MAX).await.map_err(told)?;
        let writes: Vec<Write> = page
            .entries
            .iter()
            .filter(|listed| !listed.key.as_str().starts_with(keyspace::RESERVED_PREFIX))
            .map(|listed| Write {
                namespace: namespace.clone(),
                key: listed.key.clone(),
                change: Change::Delete,
                condition: Condition::Always,
            })
            .collect();
        count += writes.len();
        if erase {
            store.write_each(&writes).await.map_err(told)?;
        }
        after = page.entries.into_iter().last().map(|listed| listed.key);
        if page.complete {
            break;
        }
    }
    Ok(count)
}
