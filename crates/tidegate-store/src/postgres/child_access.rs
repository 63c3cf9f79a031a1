//! How a child program such as `pg_dump` gets at the database without a password in its arguments or environment.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::address::Address;

/// A private password file and the variables that point at it. The file is removed on drop.
#[derive(Debug)]
pub struct ChildAccess {
    passfile: PathBuf,
    environment: Vec<(String, String)>,
}

impl ChildAccess {
    /// Writes the password file (mode 0600, in the temporary directory) and works out the variables.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn new(address: &Address, application_name: &str) -> std::io::Result<ChildAccess> {
        let passfile = std::env::temp_dir().join(format!("tidegate-{}.pgpass", Uuid::new_v4()));
        let mut file =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&passfile)?;
        let mut environment = address.libpq_environment();
        environment.push(("PGPASSFILE".to_owned(), passfile.display().to_string()));
        environment.push((
            "PGAPPNAME".to_owned(),
            super::session::cut_application_name(application_name).to_owned(),
        ));
        let access = ChildAccess { passfile, environment };
        let lines = address.passfile_line().unwrap_or_default();
        file.write_all(lines.as_bytes())?;
        file.write_all(b"\n")?;
        Ok(access)
    }

    /// The variables for the child. None of them is a secret.
    #[must_use]
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// The password file.
    #[must_use]
    pub fn passfile(&self) -> &Path {
        &self.passfile
    }
}

impl Drop for ChildAccess {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.passfile) {
            tracing::warn!(
                path = %self.passfile.display(),
                %error,
                "a private password file could not be removed"
            );
        }
    }
}
