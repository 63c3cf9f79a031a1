//! What the service is told by its environment.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tidegate_store::postgres::{Address, AddressError};

const PORT_DEFAULT: u16 = 4000;
const POOL_DEFAULT: usize = 10;
const POOL_MAX: usize = 200;

/// Why the environment cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A variable that is not what it must be.
    #[error("{name}: {reason}")]
    Variable {
        /// Which.
        name: &'static str,
        /// What it must be.
        reason: &'static str,
    },
    /// An address that cannot be read.
    #[error("{name}: {source}")]
    Database {
        /// Of which variable.
        name: &'static str,
        /// What is wrong with it.
        source: AddressError,
    },
}

/// Everything that the environment says.
#[derive(Debug, Clone)]
pub struct Config {
    /// `ADDRESS` (default 127.0.0.1) and `PORT` (default 4000; 0: any that is free).
    pub listen: SocketAddr,
    /// `DATABASE_URL`, as `arrakis_app`; a pooler in transaction mode may be in between.
    pub application: Address,
    /// `DATABASE_SYSTEM_URL`, as `arrakis_admin`. `None`: webhooks and sweeps are refused.
    pub system: Option<Address>,
    /// `DATABASE_POOL_MAX`.
    pub pool_max: usize,
    /// `NOWPAYMENTS_IPN_SECRET`. `None`: no notice is believed.
    pub webhook_secret: Option<String>,
    /// `BILLING_ENABLED`: whether notices are taken.
    pub billing_enabled: bool,
    /// `LEDGER_AUDIENCE`: whom tokens must be for.
    pub audience: String,
}

impl Config {
    /// Reads the environment, or what stands for it.
    ///
    /// # Errors
    /// [`ConfigError`] names the variable.
    pub fn read(env: &dyn Fn(&str) -> Option<String>) -> Result<Config, ConfigError> {
        let get =
            |name: &str| env(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let ip = match get("ADDRESS") {
            Some(text) => text.parse().map_err(|_| variable("ADDRESS", "must be an IP address"))?,
            None => IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let port = match get("PORT") {
            Some(text) => text.parse().map_err(|_| variable("PORT", "must be a port, 0 to 65535"))?,
            None => PORT_DEFAULT,
        };
        let pool_max = match get("DATABASE_POOL_MAX") {
            Some(text) => text
                .parse()
                .ok()
                .filter(|max| (1..=POOL_MAX).contains(max))
                .ok_or_else(|| variable("DATABASE_POOL_MAX", "must be a number from 1 to 200"))?,
            None => POOL_DEFAULT,
        };
        let billing_enabled = match get("BILLING_ENABLED").as_deref() {
            None | Some("true" | "1") => true,
            Some("false" | "0") => false,
            Some(_) => return Err(variable("BILLING_ENABLED", "must be true or false")),
        };
        let application = address("DATABASE_URL", env)?;
        let application =
            application.ok_or_else(|| variable("DATABASE_URL", "must be the URL of the database"))?;
        Ok(Config {
            listen: SocketAddr::new(ip, port),
            application,
            system: address("DATABASE_SYSTEM_URL", env)?,
            pool_max,
            webhook_secret: get("NOWPAYMENTS_IPN_SECRET"),
            billing_enabled,
            audience: get("LEDGER_AUDIENCE").unwrap_or_else(|| "ledger".to_owned()),
        })
    }
}

/// The address in a variable; `None`: it is not set.
///
/// # Errors
/// [`ConfigError::Database`].
pub fn address(
    name: &'static str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Address>, ConfigError> {
    let Some(url) = env(name).filter(|url| !url.trim().is_empty()) else { return Ok(None) };
    let address = Address::resolve(Some(url.trim()), &|name| env(name));
    address.map(Some).map_err(|source| ConfigError::Database { name, source })
}

fn variable(name: &'static str, reason: &'static str) -> ConfigError {
    ConfigError::Variable { name, reason }
}
