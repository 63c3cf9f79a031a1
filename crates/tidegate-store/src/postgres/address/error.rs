//! Why an address cannot be used.

use std::path::PathBuf;

/// An address that cannot be used. No message repeats the text of a URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The text is no connection string.
    #[error("the database address cannot be read: {what}")]
    Syntax {
        /// What is wrong with it.
        what: String,
    },
    /// A keyword that means nothing here.
    #[error("the database address sets '{keyword}', which is not supported; remove it")]
    UnknownKeyword {
        /// The keyword.
        keyword: String,
    },
    /// A value that its keyword does not take.
    #[error("{name}='{value}' in the database address or environment is not valid: expected {expected}")]
    BadValue {
        /// The keyword or environment variable.
        name: String,
        /// The value given.
        value: String,
        /// What it takes.
        expected: &'static str,
    },
    /// Numbers of hosts, ports and numeric addresses that do not fit.
    #[error(
        "the database address names {hosts} host(s) but {others} {what}; give one for all or one for each"
    )]
    CountMismatch {
        /// How many hosts.
        hosts: usize,
        /// How many of the others.
        others: usize,
        /// What the others are.
        what: &'static str,
    },
    /// Nobody said who connects.
    #[error("no database user is known; name one in the address, or set PGUSER")]
    NoUser,
    /// The password file cannot be read.
    #[error("the password file {} cannot be read", path.display())]
    PassfileUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The password file is open to others.
    #[error("the password file {} may be read by others (mode {mode:04o}); run chmod 600 on it", path.display())]
    PassfileTooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Verification was asked for without anything to verify against.
    #[error("sslmode={mode} needs root certificates: set sslrootcert to a PEM file or to 'system'")]
    NoRootCertificates {
        /// The mode.
        mode: &'static str,
    },
}
