//! `accounts seed`.

use std::process::ExitCode;

use accounts::auth::{HashCost, Passwords};
use accounts::seed::{ROWS_MAX, Seeded, seed, seed_credentials};
use accounts::store::StoreError;
use clap::Args;
use tidegate_store::postgres::{Session, TxOptions, TxOutcome, run_tx};

use super::{Refusal, connect, failed, say};

#[derive(Debug, Args)]
pub(crate) struct SeedArguments {
    /// How many accounts.
    #[arg(long, value_parser = clap::value_parser!(i32).range(0..=i64::from(ROWS_MAX)))]
    rows: i32,
    /// One password for all of the seeded users, who are then able to sign in as user1@example.org and so on.
    #[arg(long, env = "ACCOUNT_SEED_PASSWORD", hide_env_values = true)]
    password: Option<String>,
}

/// Fills the first schema.
pub(super) async fn run(arguments: &SeedArguments) -> ExitCode {
    match fill(arguments).await {
        Ok(seeded) => {
            for Seeded { table, rows } in seeded {
                say(&format!("{table}: {rows}"));
            }
            ExitCode::SUCCESS
        }
        Err(Refusal { code, why }) => failed(&why, code),
    }
}

async fn fill(arguments: &SeedArguments) -> Result<Vec<Seeded>, Refusal> {
    let session = connect("accounts seed").await?;
    let hash = match &arguments.password {
        Some(password) => {
            let passwords = Passwords::new(HashCost::LEAST).map_err(|error| error.to_string())?;
            Some(passwords.hash(password.clone()).await.map_err(|error| error.to_string())?)
        }
        None => None,
    };
    let options = TxOptions { statement_timeout: None, ..TxOptions::default() };
    let outcome = run_tx(&session, "accounts seed", &options, async |session: &Session| {
        let mut seeded = seed(session, arguments.rows).await?;
        if let Some(hash) = &hash {
            let rows = seed_credentials(session, arguments.rows, hash).await?;
            seeded.push(Seeded { table: "auth_credentials", rows });
        }
        Ok::<_, StoreError>(seeded)
    })
    .await;
    match outcome {
        TxOutcome::Committed(seeded) => {
            session.run("ANALYZE").await.map_err(|failure| failure.to_string())?;
            Ok(seeded)
        }
        TxOutcome::RolledBack(error) => {
            Err(format!("{error}; nothing was added. Are the migrations applied?").into())
        }
        TxOutcome::Unknown(failure) => Err(format!("{failure}; whether rows were added is not known").into()),
    }
}
