//! `[stores.<name>]` of the `@runbook` block.

use crate::diagnostic::Diagnostic;
use crate::names::Name;
use crate::runbook::{Address, Store, StoreKind};
use crate::source::Span;
use crate::toml_table::{Spelt, TomlTable};

impl StoreKind {
    /// The word that `kind` takes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Pgbouncer => "pgbouncer",
            Self::Http => "http",
            Self::Kv => "kv",
        }
    }
}

/// Most stores of one runbook.
const STORES_MAX: usize = 100;

/// Reads every store and settles which is the home.
pub(crate) fn read(runbook: &mut TomlTable<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Vec<Store> {
    let mut stores: Vec<Store> = Vec::new();
    let mut whole = true;
    for (position, (name, table)) in runbook.tables("stores", diagnostics).into_iter().enumerate() {
        if position == STORES_MAX {
            let message = format!("more than {STORES_MAX} stores are declared");
            diagnostics.push(Diagnostic::error("toml-value", name.span, message, "split the runbook"));
            break;
        }
        match read_store(&name, table, diagnostics) {
            Some(store) => stores.push(store),
            None => whole = false,
        }
    }
    settle_home(&mut stores, whole, runbook.place(), diagnostics);
    report_same_database(&stores, diagnostics);
    stores
}

fn read_store(
    name: &Spelt,
    mut table: TomlTable<'_, '_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Store> {
    let parsed = Name::parse(&name.text);
    if let Err(error) = &parsed {
        diagnostics.push(Diagnostic::error(
            "id-malformed",
            name.span.clone(),
            error.to_string(),
            "name the store with lower-case letters, digits and underscores",
        ));
    }
    let kind = match table.text("kind", diagnostics) {
        None => {
            if !table.has("kind") {
                table.missing("kind", "\"postgres\"", diagnostics);
            }
            None
        }
        Some(word) => match word.text.as_str() {
            "postgres" => Some(StoreKind::Postgres),
            "pgbouncer" => Some(StoreKind::Pgbouncer),
            "http" => Some(StoreKind::Http),
            "kv" => Some(StoreKind::Kv),
            other => {
                diagnostics.push(Diagnostic::error(
                    "unknown-store-kind",
                    word.span.clone(),
                    format!("{other:?} is no kind of store"),
                    "this version knows postgres, pgbouncer, http and kv",
                ));
                None
            }
        },
    };
    let url = match table.text("url", diagnostics) {
        Some(url) => address(&url, kind, diagnostics),
        None => {
            if !table.has("url") {
                table.missing("url", "\"$DATABASE_URL\"", diagnostics);
            }
            None
        }
    };
    let pooled = table.text("pooled", diagnostics).and_then(|url| address(&url, kind, diagnostics));
    let logins = read_logins(&mut table, kind, diagnostics);
    let database = table.text("database", diagnostics).map(|spelt| spelt.text);
    let system_identifier =
        table.integer("system_identifier", 1, u64::MAX, diagnostics).map(|(number, _)| number);
    let home = table.boolean("home", diagnostics);
    let only_postgres = [
        (pooled.is_some(), "pooled"),
        (!logins.is_empty(), "logins"),
        (database.is_some(), "database"),
        (system_identifier.is_some(), "system_identifier"),
        (home && kind != Some(StoreKind::Kv), "home"),
    ];
    if home && kind == Some(StoreKind::Kv) {
        diagnostics.push(Diagnostic::error(
            "kv-home",
            name.span.clone(),
            format!("store {:?} holds keys and values, and cannot be the home of a run yet", name.text),
            "remove `home`: lease and journal need a store of kind postgres",
        ));
    }
    if kind.is_some_and(|kind| kind != StoreKind::Postgres) {
        for (_, key) in only_postgres.into_iter().filter(|(given, _)| *given) {
            diagnostics.push(Diagnostic::error(
                "misplaced-key",
                table.place().clone(),
                format!("`{key}` has no meaning in store {:?}", name.text),
                "it belongs to stores of kind postgres",
            ));
        }
    }
    table.finish(diagnostics);
    Some(Store {
        name: parsed.ok()?,
        kind: kind?,
        url: url?,
        pooled,
        logins,
        database,
        system_identifier,
        home: home && kind == Some(StoreKind::Postgres),
        span: name.span.clone(),
    })
}

fn read_logins(
    store: &mut TomlTable<'_, '_>,
    kind: Option<StoreKind>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<(Name, Address)> {
    let Some(table) = store.table("logins", diagnostics) else { return Vec::new() };
    let mut logins = Vec::new();
    for (name, url) in table.all_texts(diagnostics) {
        let address = address(&url, kind, diagnostics);
        match Name::parse(&name.text) {
            Ok(name) => logins.extend(address.map(|address| (name, address))),
            Err(error) => diagnostics.push(Diagnostic::error(
                "id-malformed",
                name.span,
                error.to_string(),
                "name the login with lower-case letters, digits and underscores",
            )),
        }
    }
    logins
}

/// Reads an address: `"$NAME"`, or a URL without a password.
fn address(url: &Spelt, kind: Option<StoreKind>, diagnostics: &mut Vec<Diagnostic>) -> Option<Address> {
    if let Some(name) = url.text.strip_prefix('$') {
        if is_environment_name(name) {
            return Some(Address::Environment(name.to_owned()));
        }
        diagnostics.push(Diagnostic::error(
            "address-malformed",
            url.span.clone(),
            format!("{:?} names no environment variable", url.text),
            "write \"$NAME\": the whole text is the variable, nothing is put together",
        ));
        return None;
    }
    if holds_password(&url.text) {
        diagnostics.push(Diagnostic::error(
            "password-in-url",
            url.span.clone(),
            "this address holds a password, and a page is read by many",
            "write \"$NAME\" and set the variable, or leave the password to a passfile",
        ));
        return None;
    }
    let schemes: &[&str] = match kind {
        Some(StoreKind::Http) => &["http://", "https://"],
        Some(StoreKind::Kv) => &["sqlite:", "redis://"],
        Some(StoreKind::Postgres | StoreKind::Pgbouncer) => &["postgres://", "postgresql://"],
        None => return None,
    };
    let rest = schemes.iter().find_map(|scheme| url.text.strip_prefix(scheme));
    if rest.is_none_or(|rest| rest.is_empty() && kind == Some(StoreKind::Kv)) {
        diagnostics.push(Diagnostic::error(
            "address-malformed",
            url.span.clone(),
            format!("{:?} is no address of this kind of store", url.text),
            format!("begin it with {}, or write \"$NAME\"", schemes.join(" or ")),
        ));
        return None;
    }
    Some(Address::Literal(url.text.clone()))
}

/// Whether `name` can name an environment variable.
pub(crate) fn is_environment_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn holds_password(url: &str) -> bool {
    let lower = url.to_ascii_lowercase();
    if lower.contains("password=") {
        return true;
    }
    let Some((_, rest)) = url.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let at = rest.rfind('@');
    let user = match (authority.rsplit_once('@'), at) {
        (Some((user, _)), _) => user,
        (None, Some(at)) => rest.get(..at).unwrap_or_default(),
        (None, None) => return false,
    };
    user.contains(':')
}

fn settle_home(stores: &mut [Store], whole: bool, block: &Span, diagnostics: &mut Vec<Diagnostic>) {
    let homes: Vec<&Store> = stores.iter().filter(|store| store.home).collect();
    if let [first, second, ..] = homes.as_slice() {
        diagnostics.push(
            Diagnostic::error(
                "two-homes",
                second.span.clone(),
                format!("store `{}` is a home, too", second.name),
                "keep `home = true` on the one store whose database is migrated",
            )
            .with_related(first.span.clone(), "the first home"),
        );
        return;
    }
    if homes.len() == 1 || !whole {
        return;
    }
    let mut postgres: Vec<&mut Store> =
        stores.iter_mut().filter(|store| store.kind == StoreKind::Postgres).collect();
    match postgres.as_mut_slice() {
        [only] => only.home = true,
        [] => diagnostics.push(Diagnostic::error(
            "no-home",
            block.clone(),
            "no store of kind postgres is declared, so nothing can hold the run's lease and journal",
            "declare one: `[stores.db]`, `kind = \"postgres\"`, `url = \"$DATABASE_URL\"`",
        )),
        [first, ..] => diagnostics.push(Diagnostic::error(
            "no-home",
            first.span.clone(),
            "there are several stores of kind postgres, and none is the home",
            "write `home = true` in the one whose database is migrated",
        )),
    }
}

fn report_same_database(stores: &[Store], diagnostics: &mut Vec<Diagnostic>) {
    for (position, store) in stores.iter().enumerate() {
        let earlier = stores.iter().take(position).find(|other| other.url == store.url);
        if let Some(earlier) = earlier {
            diagnostics.push(
                Diagnostic::error(
                    "same-store-twice",
                    store.span.clone(),
                    format!("store `{}` has the same address as `{}`", store.name, earlier.name),
                    "declare one store; other logins and the pooler's address belong to it",
                )
                .with_related(earlier.span.clone(), "the first"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_found_wherever_an_address_can_hold_one() {
        for url in [
            "postgres://a:b@host/db",
            "postgres://a:b/c@host/db",
            "postgresql://host/db?user=a&password=b",
            "https://a:b@host",
            "redis://:b@host:6379/0",
            "host=a PASSWORD=b",
        ] {
            assert!(holds_password(url), "{url}");
        }
        for url in
            ["postgres://a@host:5432/db", "http://host:80/a", "postgres:///db?host=/run", "sqlite:a:b@c.db"]
        {
            assert!(!holds_password(url), "{url}");
        }
    }
}
