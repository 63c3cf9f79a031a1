//! Putting the tables and functions there, and letting roles use them.

use tidegate_store::postgres::{Session, quote_literal};

use crate::answer::{found, value};
use crate::current::current;
use crate::error::FlagsError;

const IS_INSTALLED: &str = "SELECT count(*) = 2 FROM pg_catalog.pg_class AS c \
     JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
     WHERE n.nspname = 'tidegate' AND c.relname IN ('flag_set', 'flag_instance')";

/// The format of tables and functions that this program installs.
pub const FORMAT: i32 = 1;

const INSTALL: &str = concat!(include_str!("sql/schema.sql"), "\n", include_str!("sql/functions.sql"));

/// Asked of the catalog, since the function may not be there.
const FORMAT_THERE: &str = "SELECT pg_catalog.regexp_replace(p.prosrc, '[^0-9]', '', 'g')::pg_catalog.int4 \
     FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace \
     WHERE n.nspname = 'tidegate' AND p.proname = 'flag_format'";

/// Puts the tables and functions into schema `tidegate`, all or nothing.
///
/// # Idempotence
/// Where they are there nothing is touched, and no lock taken. Two at once wait for each other.
///
/// # Errors
/// [`FlagsError::Newer`], or the server's.
pub async fn install(session: &Session) -> Result<(), FlagsError> {
    let there = session.query(FORMAT_THERE, &[]).await?;
    let found: Option<i32> = there.first().map(|row| value(row, 0, "the format")).transpose()?;
    match found {
        Some(FORMAT) => return Ok(()),
        Some(found) if found > FORMAT => return Err(FlagsError::Newer { found, known: FORMAT }),
        _ => {}
    }
    // One message is one transaction where none is open.
    session.run(INSTALL).await?;
    Ok(())
}

/// Whether the tables are there. Needs no privilege on them.
///
/// # Errors
/// The server's.
pub async fn is_installed(session: &Session) -> Result<bool, FlagsError> {
    let rows = session.query(IS_INSTALLED, &[]).await?;
    rows.first().map_or(Ok(false), |row| value(row, 0, "the catalog"))
}

/// Lets a role obey the sets of this database: enter barriers, beat, and use the outbox. It may not move anything.
/// The functions are those of all sets; the name is only asked for.
///
/// # Idempotence
/// Granting again is success.
///
/// # Errors
/// [`FlagsError::UnknownSet`], or the server's.
pub async fn grant(session: &Session, name: &str, role: &str) -> Result<(), FlagsError> {
    if current(session, name).await?.is_none() {
        return Err(FlagsError::UnknownSet { set: name.to_owned() });
    }
    let setting = format!(
        "SELECT pg_catalog.set_config('tidegate.flag_grantee', {}, true);\n{}",
        quote_literal(role),
        include_str!("sql/grant.sql")
    );
    found(session.run(&setting).await)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{FORMAT, INSTALL};

    /// FNV-1a over the text, so that a change of it is noticed.
    fn checksum(text: &str) -> u64 {
        text.bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }

    #[test]
    fn what_is_installed_changes_under_a_new_format_only() {
        assert!(INSTALL.contains(&format!("AS $function$ SELECT {FORMAT} $function$")));
        assert_eq!(
            (FORMAT, checksum(INSTALL)),
            (1, 0xe509_5860_c4b5_b3ee),
            "raise FORMAT if this was published, and note the new checksum here"
        );
    }
}
