//! The stores of a runbook, resolved to addresses, and connections to them.

use std::collections::BTreeMap;

use tidegate_runbook::{Address as Written, Name, Runbook, Step, Store, StoreKind, Via};
use tidegate_store::kv::{self, Kv, KvError};
use tidegate_store::postgres::{Address, AddressError, Failure, Session};

use crate::redact::{Redactor, secrets_of_url};

/// Looks up the environment. Only addresses written as `"$NAME"` and parameters with `env` ask it.
pub type Environment = dyn Fn(&str) -> Option<String>;

/// A store cannot be reached as the runbook describes it.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// An environment variable is not set.
    #[error("store {store}: {what} is read from ${variable}, which is not set")]
    Unset {
        /// The store.
        store: Name,
        /// `url`, `pooled`, or `login x`.
        what: String,
        /// The variable.
        variable: String,
    },
    /// The address is not one.
    #[error("store {store}: {what} cannot be used: {source}")]
    Address {
        /// The store.
        store: Name,
        /// `url`, `pooled`, or `login x`.
        what: String,
        /// Why.
        source: AddressError,
    },
    /// The runbook gives no such address.
    #[error("store {store} has no {what}; add it to [stores.{store}]")]
    Absent {
        /// The store.
        store: Name,
        /// `pooled` or `login x`.
        what: String,
    },
    /// The server cannot be reached or refuses the login.
    #[error("store {store}: cannot connect to {address}")]
    Connect {
        /// The store.
        store: Name,
        /// Without password.
        address: String,
        /// Why.
        #[source]
        failure: Failure,
    },
    /// The file of a key-value store is not there. None was made.
    #[error(
        "store {store}: {path} is no file, or an empty one; correct the url, or let the application make it first"
    )]
    NoKeyFile {
        /// The store.
        store: Name,
        /// As the url names it.
        path: String,
    },
    /// A key-value store cannot be opened.
    #[error("store {store}: {message}")]
    Keys {
        /// The store.
        store: Name,
        /// Why, without the url's password.
        message: String,
    },
    /// A key-value store cannot do what a step that changes it relies on.
    #[error(
        "store {store} has no {lacks}, without which a change of it could not be taken up again; no step may change it"
    )]
    KeysUnfit {
        /// The store.
        store: Name,
        /// What it cannot do.
        lacks: String,
    },
}

impl DoorError {
    /// The server's answer, if it was asked.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Connect { failure, .. } => Some(failure),
            Self::Unset { .. }
            | Self::Address { .. }
            | Self::Absent { .. }
            | Self::NoKeyFile { .. }
            | Self::Keys { .. }
            | Self::KeysUnfit { .. } => None,
        }
    }
}

/// One way into a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entrance {
    /// The store's `url`.
    Direct,
    /// The store's `pooled` address.
    Pooled,
    /// Another login, straight to the server.
    Login(Name),
    /// Another login, through the pooler: its user and password at the pooled address.
    PooledLogin(Name),
}

impl Entrance {
    /// The entrance a step asks for.
    #[must_use]
    pub fn of(step: &Step) -> Self {
        match (&step.login, step.via) {
            (None, Via::Direct) => Self::Direct,
            (None, Via::Pooled) => Self::Pooled,
            (Some(login), Via::Direct) => Self::Login(login.clone()),
            (Some(login), Via::Pooled) => Self::PooledLogin(login.clone()),
        }
    }
}

/// The stores of a runbook.
pub struct Doors {
    stores: BTreeMap<Name, Store>,
    home: Name,
    environment: Box<Environment>,
}

impl std::fmt::Debug for Doors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Doors").field("home", &self.home).finish_non_exhaustive()
    }
}

impl Doors {
    /// The stores of `runbook`; addresses are resolved when they are used.
    #[must_use]
    pub fn new(runbook: &Runbook, environment: Box<Environment>) -> Option<Self> {
        let home = runbook.home()?.name.clone();
        let stores = runbook.stores.iter().map(|store| (store.name.clone(), store.clone())).collect();
        Some(Self { stores, home, environment })
    }

    /// The home store's name.
    #[must_use]
    pub fn home(&self) -> &Name {
        &self.home
    }

    /// What the environment says.
    #[must_use]
    pub fn environment(&self, name: &str) -> Option<String> {
        (self.environment)(name)
    }

    /// A store as declared.
    ///
    /// # Errors
    /// [`DoorError::Absent`] if there is none of that name.
    pub fn store(&self, name: &Name) -> Result<&Store, DoorError> {
        self.stores
            .get(name)
            .ok_or_else(|| DoorError::Absent { store: name.clone(), what: "declaration".into() })
    }

    /// The text of an address, with the environment read.
    ///
    /// # Errors
    /// [`DoorError::Unset`], [`DoorError::Absent`].
    pub fn url(&self, store: &Name, entrance: &Entrance) -> Result<String, DoorError> {
        let declared = self.store(store)?;
        let (what, written) = match entrance {
            Entrance::Direct => ("url".to_owned(), Some(&declared.url)),
            Entrance::Pooled | Entrance::PooledLogin(_) => ("pooled".to_owned(), declared.pooled.as_ref()),
            Entrance::Login(login) => (
                format!("login {login}"),
                declared.logins.iter().find(|(name, _)| name == login).map(|(_, address)| address),
            ),
        };
        match written {
            None => Err(DoorError::Absent { store: store.clone(), what }),
            Some(Written::Literal(url)) => Ok(url.clone()),
            Some(Written::Environment(variable)) => self
                .environment(variable)
                .filter(|url| !url.is_empty())
                .ok_or_else(|| DoorError::Unset { store: store.clone(), what, variable: variable.clone() }),
        }
    }

    /// A PostgreSQL or pooler address.
    ///
    /// # Errors
    /// All of [`DoorError`] but `Connect`.
    pub fn address(&self, store: &Name, entrance: &Entrance) -> Result<Address, DoorError> {
        let resolve = |entrance: &Entrance| {
            let url = self.url(store, entrance)?;
            Address::resolve(Some(&url), &*self.environment).map_err(|source| DoorError::Address {
                store: store.clone(),
                what: match entrance {
                    Entrance::Direct => "url".to_owned(),
                    Entrance::Pooled | Entrance::PooledLogin(_) => "pooled".to_owned(),
                    Entrance::Login(login) => format!("login {login}"),
                },
                source,
            })
        };
        match entrance {
            Entrance::PooledLogin(login) => {
                let pooled = resolve(&Entrance::Pooled)?;
                let other = resolve(&Entrance::Login(login.clone()))?;
                Ok(pooled.with_credentials_of(&other))
            }
            Entrance::Direct | Entrance::Pooled | Entrance::Login(_) => resolve(entrance),
        }
    }

    /// A new connection.
    ///
    /// # Errors
    /// All of [`DoorError`].
    pub async fn connect(
        &self,
        store: &Name,
        entrance: &Entrance,
        application: &str,
    ) -> Result<Session, DoorError> {
        let address = self.address(store, entrance)?;
        Session::connect(&address, application).await.map_err(|failure| DoorError::Connect {
            store: store.clone(),
            address: address.redacted(),
            failure,
        })
    }

    /// A new connection straight to the home store.
    ///
    /// # Errors
    /// All of [`DoorError`].
    pub async fn connect_home(&self, application: &str) -> Result<Session, DoorError> {
        self.connect(&self.home, &Entrance::Direct, application).await
    }

    /// A key-value store, to be read. A file that is not there is not made.
    ///
    /// # Errors
    /// [`DoorError::Unset`], [`DoorError::Absent`], [`DoorError::NoKeyFile`], [`DoorError::Keys`].
    pub async fn keys(&self, store: &Name) -> Result<Kv, DoorError> {
        let url = self.url(store, &Entrance::Direct)?;
        let runtime = tokio::runtime::Handle::current();
        // Opening a file waits for whoever writes to it: not on the thread that keeps the lease.
        let opened = tokio::task::spawn_blocking(move || {
            if let Some(path) = url.strip_prefix("sqlite:") {
                let there = std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() > 0);
                if !there {
                    return Err(Unopened::NoFile(path.to_owned()));
                }
            }
            runtime.block_on(kv::open(&url)).map_err(Unopened::Refused)
        });
        let opened = opened.await.unwrap_or_else(|error| {
            let why = KvError::Unavailable { store: store.to_string(), message: error.to_string() };
            Err(Unopened::Refused(why))
        });
        opened.map_err(|unopened| match unopened {
            Unopened::NoFile(path) => DoorError::NoKeyFile { store: store.clone(), path },
            Unopened::Refused(error) => self.keys_failed(store, &error),
        })
    }

    /// What a key-value store answered, as it may be written.
    pub(crate) fn keys_failed(&self, store: &Name, error: &KvError) -> DoorError {
        let message = self.without_password(store).redact(&error.to_string());
        DoorError::Keys { store: store.clone(), message }
    }

    /// Takes the password of a store's url out of texts.
    pub(crate) fn without_password(&self, store: &Name) -> Redactor {
        let secrets = self.url(store, &Entrance::Direct).map(|url| secrets_of_url(&url)).unwrap_or_default();
        Redactor::new(secrets.iter().map(String::as_str))
    }

    /// A key-value store, for a step that changes it: one that writes on conditions, and several keys as one.
    ///
    /// # Errors
    /// As [`Self::keys`]; [`DoorError::KeysUnfit`].
    pub async fn keys_to_change(&self, store: &Name) -> Result<Kv, DoorError> {
        let keys = self.keys(store).await?;
        match lacking(keys.properties()) {
            None => Ok(keys),
            Some(lacks) => Err(DoorError::KeysUnfit { store: store.clone(), lacks }),
        }
    }

    /// The kind of a store.
    ///
    /// # Errors
    /// [`DoorError::Absent`].
    pub fn kind(&self, store: &Name) -> Result<StoreKind, DoorError> {
        Ok(self.store(store)?.kind)
    }
}

/// Why a key-value store was not opened.
enum Unopened {
    NoFile(String),
    Refused(KvError),
}

/// What a store that is to be changed cannot do.
fn lacking(properties: kv::Properties) -> Option<String> {
    let wanted =
        [(properties.compare_and_set, "compare_and_set"), (properties.atomic_batches, "atomic_batches")];
    let lacking: Vec<&str> = wanted.into_iter().filter(|(has, _)| !has).map(|(_, name)| name).collect();
    (!lacking.is_empty()).then(|| lacking.join(" and no "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_changed_only_if_it_writes_on_conditions_and_in_whole_batches() {
        let all = kv::Properties {
            compare_and_set: true,
            atomic_batches: true,
            reads_own_writes: false,
            durable: false,
        };
        assert_eq!(lacking(all), None);
        let none = kv::Properties { compare_and_set: false, atomic_batches: false, ..all };
        assert_eq!(lacking(none).as_deref(), Some("compare_and_set and no atomic_batches"));
        let one = kv::Properties { atomic_batches: false, ..all };
        assert_eq!(lacking(one).as_deref(), Some("atomic_batches"));
    }
}
