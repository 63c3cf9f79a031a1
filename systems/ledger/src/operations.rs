//! The operations, for programs: each is one statement, and so one transaction and one round trip.
//!
//! A statement whose answer was lost may have been done: ask again with the same key.

use std::sync::LazyLock;

use serde_json::Value;
use tidegate_store::postgres::{
    Failure, FailureKind, Pool, PoolError, PoolOptions, Row, Session, ToSql, TxAttempts, TxOptions,
    TxOutcome, Type, quote_literal,
};
use uuid::Uuid;

use crate::config::Config;
use crate::lanes::{Lane, Lanes, Waiting};
use crate::operator::SCHEMA_NEEDED;
use crate::outcome::Outcome;

/// How often a statement is tried that lost against another one.
const ATTEMPTS: u32 = 5;
/// Debits of one batch.
pub const BATCH_MAX: usize = 1_000;
/// Seconds that a reservation lasts, unless its caller says otherwise; and at most.
pub const RESERVATION_S: i32 = 300;
/// The longest reservation, in seconds.
pub const RESERVATION_MAX_S: i32 = 86_400;

/// Why nothing is known of an operation.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database refused, or did not answer.
    #[error(transparent)]
    Store(#[from] Failure),
    /// There is no session.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// What it answered is not understood.
    #[error("the database answered what is not understood: {0}")]
    Answer(String),
    /// The system's address is not set.
    #[error("DATABASE_SYSTEM_URL is not set: what looks across tenants needs the database as arrakis_admin")]
    NoSystem,
    /// Nothing was asked: too many of the tenant's requests wait already.
    #[error("too many requests of this tenant wait already; ask again later, with the same key")]
    Crowded,
    /// The schema is too old.
    #[error("the database lacks migration {SCHEMA_NEEDED}; run the runbook economic-ledger.md first")]
    Schema,
    /// The system's login is not the system's.
    #[error(
        "DATABASE_SYSTEM_URL logs in as {role}, which does not see every tenant's rows: what looks across tenants would find nothing; it must log in as arrakis_admin"
    )]
    Blind {
        /// As whom it logs in.
        role: String,
    },
    /// Nothing was done: a lock of the tenant's was not free in time.
    #[error("the tenant's rows are locked by another transaction; nothing was done, try again later")]
    Held,
    /// Nothing was asked: whoever reads the keys of services does not come back.
    #[error("the keys of services could not be read in time; ask again later, and look at the database")]
    KeysUnread,
}

impl LedgerError {
    /// The same, for another one whom it concerns.
    fn again(&self) -> LedgerError {
        match self {
            LedgerError::Store(failure) => LedgerError::Store(failure.clone()),
            LedgerError::Pool(PoolError::Store(failure)) => {
                LedgerError::Pool(PoolError::Store(failure.clone()))
            }
            LedgerError::Pool(PoolError::Exhausted { size, wait }) => {
                LedgerError::Pool(PoolError::Exhausted { size: *size, wait: *wait })
            }
            LedgerError::Pool(PoolError::Closed) => LedgerError::Pool(PoolError::Closed),
            LedgerError::Answer(what) => LedgerError::Answer(what.clone()),
            LedgerError::NoSystem => LedgerError::NoSystem,
            LedgerError::Crowded => LedgerError::Crowded,
            LedgerError::Held => LedgerError::Held,
            LedgerError::Schema => LedgerError::Schema,
            LedgerError::Blind { role } => LedgerError::Blind { role: role.clone() },
            LedgerError::KeysUnread => LedgerError::KeysUnread,
        }
    }

    /// Whether the database would not hold a value, so that nothing was done: of many requests perhaps only one's.
    fn is_of_a_value(&self) -> bool {
        let LedgerError::Store(failure) = self else { return false };
        failure.sqlstate().is_some_and(|code| ["22", "23", "LG"].iter().any(|class| code.starts_with(class)))
    }
}

/// How every transaction of several statements is made.
pub(crate) static OPTIONS: LazyLock<TxOptions> = LazyLock::new(|| TxOptions {
    attempts: ATTEMPTS,
    jitter_seed: u64::from(std::process::id()),
    application_prefix: "ledger:".to_owned(),
    ..TxOptions::default()
});

/// What a finalize says of the use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage<'a> {
    /// Of which reservation.
    pub reservation_id: &'a str,
    /// What it cost, in micro-dollars.
    pub cost_micro: i64,
    /// What happens where that is more than was set aside.
    pub mode: Mode,
    /// The caller's fence; `None`: it has none.
    pub fence: Option<i64>,
    /// Whose use it was.
    pub nft_id: &'a str,
    /// Where.
    pub pool_id: &'a str,
    /// Tokens that came in.
    pub tokens_input: i32,
    /// Tokens that went out.
    pub tokens_output: i32,
}

/// What happens where a use costs more than was set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// What was set aside is charged, and nobody hears of the rest.
    Live,
    /// What was set aside is charged, and the rest is reported.
    Shadow,
    /// All of it is charged, as far as there is something to charge.
    Soft,
}

impl Mode {
    /// Reads its word; `None`: it is another.
    #[must_use]
    pub fn parse(word: &str) -> Option<Mode> {
        match word {
            "live" => Some(Mode::Live),
            "shadow" => Some(Mode::Shadow),
            "soft" => Some(Mode::Soft),
            _ => None,
        }
    }

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Mode::Live => "live",
            Mode::Shadow => "shadow",
            Mode::Soft => "soft",
        }
    }
}

/// The ledger of one database.
#[derive(Debug, Clone)]
pub struct Ledger {
    application: Pool,
    system: Option<Pool>,
    lanes: Lanes,
    notices: Lanes,
}

pub(crate) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

impl Ledger {
    /// The ledger that a configuration leads to. Nothing is connected yet.
    ///
    /// # Errors
    /// [`PoolError`].
    pub fn open(config: &Config) -> Result<Ledger, PoolError> {
        let pool = |address: &tidegate_store::postgres::Address, name: &str| {
            let options = PoolOptions {
                size: config.pool_max,
                application_name: name.to_owned(),
                ..PoolOptions::default()
            };
            Pool::new(address.clone(), options)
        };
        let application = pool(&config.application, "ledger")?;
        let system = config.system.as_ref().map(|address| pool(address, "ledger-system")).transpose()?;
        Ok(Ledger { application, system, lanes: Lanes::to(config.pool_max), notices: Lanes::single() })
    }

    /// Sessions of the application.
    #[must_use]
    pub fn application(&self) -> &Pool {
        &self.application
    }

    /// Sessions of the system role.
    ///
    /// # Errors
    /// [`LedgerError::NoSystem`].
    pub fn system(&self) -> Result<&Pool, LedgerError> {
        self.system.as_ref().ok_or(LedgerError::NoSystem)
    }

    pub(crate) fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// Where notices wait that are of one tenant's payments.
    pub(crate) fn notices(&self) -> &Lanes {
        &self.notices
    }

    /// Asks one function of the database for a tenant, again where it lost against another transaction.
    async fn call(
        &self,
        community: Uuid,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Value, LedgerError> {
        let _place = self.lanes.place(community).await?;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let session = self.application.get().await?;
            match session.query(sql, parameters).await {
                Ok(rows) => {
                    let text =
                        rows.first().and_then(|row| row.try_get::<_, Option<String>>(0).ok().flatten());
                    let text = text.ok_or_else(|| LedgerError::Answer("nothing".to_owned()))?;
                    return serde_json::from_str(&text)
                        .map_err(|error| LedgerError::Answer(error.to_string()));
                }
                Err(failure) if lost(&failure) && attempts < ATTEMPTS => {}
                Err(failure) => return Err(failure.into()),
            }
        }
    }

    /// One statement of one tenant, behind the tenant's lock, in a transaction of its own. For what is no function of the
    /// database: row security asks for the tenant as a statement begins, so it is named in one before.
    pub(crate) async fn of_tenant(
        &self,
        name: &str,
        community: Uuid,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, LedgerError> {
        let _place = self.lanes.place(community).await?;
        let session = self.application.get().await?;
        let opening = format!("SELECT app.enter_tenant({})", quote_literal(&community.to_string()));
        let mut attempts = TxAttempts::new(&session, name, &OPTIONS, &opening);
        loop {
            let asked = match attempts.begin().await {
                Ok(_) => session.query(sql, parameters).await,
                Err(failure) => Err(failure),
            };
            match attempts.end(asked).await {
                None => {}
                Some(TxOutcome::Committed(rows)) => return Ok(rows),
                Some(TxOutcome::RolledBack(failure)) if failure.kind() == FailureKind::LockTimeout => {
                    return Err(LedgerError::Held);
                }
                Some(TxOutcome::RolledBack(failure) | TxOutcome::Unknown(failure)) => {
                    return Err(failure.into());
                }
            }
        }
    }

    /// As [`Ledger::of_tenant`], for the one text of JSON that the statement answers.
    pub(crate) async fn json_of_tenant(
        &self,
        name: &str,
        community: Uuid,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Value, LedgerError> {
        let rows = self.of_tenant(name, community, sql, parameters).await?;
        let text: Option<String> = rows.first().and_then(|row| row.try_get(0).ok());
        text.and_then(|text| serde_json::from_str(&text).ok())
            .ok_or_else(|| LedgerError::Answer(format!("nothing, asked for {name}")))
    }

    async fn operation(
        &self,
        community: Uuid,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Outcome, LedgerError> {
        let answer = match self.call(community, sql, parameters).await {
            Err(error) if error.is_beyond() => return Ok(Outcome::beyond()),
            answer => answer?,
        };
        Outcome::read(answer.clone()).ok_or_else(|| LedgerError::Answer(answer.to_string()))
    }

    /// Makes a lot.
    ///
    /// # Idempotence
    /// By the key: the same request is answered the same.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn mint(
        &self,
        community: Uuid,
        key: &str,
        source: &str,
        amount_micro: i64,
        expires_at: Option<jiff::Timestamp>,
    ) -> Result<Outcome, LedgerError> {
        let sql = "SELECT app.mint($1, $2, $3, $4, $5, NULL)::text";
        let parameters: [Parameter<'_>; 5] = [
            (&community, Type::UUID),
            (&key, Type::TEXT),
            (&source, Type::TEXT),
            (&amount_micro, Type::INT8),
            (&expires_at, Type::TIMESTAMPTZ),
        ];
        self.operation(community, sql, &parameters).await
    }

    /// Takes an amount, earliest expiry first; all of it or nothing.
    ///
    /// Where another debit of the tenant is at the database, those that come meanwhile go there together behind it, each
    /// with its own key and answer, and are answered once what holds all of them is committed.
    ///
    /// # Idempotence
    /// By the key: the same request is answered the same.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn debit(&self, community: Uuid, key: &str, amount_micro: i64) -> Result<Outcome, LedgerError> {
        match self.lanes.join(self, community, key, amount_micro)? {
            Lane::First(_turn) => self.debit_alone(community, key, amount_micro).await,
            Lane::Behind(told) => told
                .await
                .unwrap_or_else(|_| Err(LedgerError::Answer("nothing: the program is ending".to_owned()))),
        }
    }

    /// One debit in a transaction of its own, whoever else asks: behind all others of its tenant.
    ///
    /// # Idempotence
    /// By the key: the same request is answered the same.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn debit_alone(
        &self,
        community: Uuid,
        key: &str,
        amount_micro: i64,
    ) -> Result<Outcome, LedgerError> {
        let parameters: [Parameter<'_>; 3] =
            [(&community, Type::UUID), (&key, Type::TEXT), (&amount_micro, Type::INT8)];
        self.operation(community, "SELECT app.debit($1, $2, $3)::text", &parameters).await
    }

    /// Debits of several callers in one transaction; each caller is told what became of its own.
    pub(crate) async fn debit_together(&self, community: Uuid, waiting: Vec<Waiting>) {
        let debits: Vec<(&str, i64)> =
            waiting.iter().map(|one| (one.key.as_str(), one.amount_micro)).collect();
        let done = match debits.as_slice() {
            [_] => None,
            _ => match self.debit_many(community, &debits).await {
                // Nothing was done, and it may be the fault of one: each by itself.
                Err(error) if error.is_of_a_value() => None,
                done => Some(done),
            },
        };
        match done {
            Some(Ok(outcomes)) => {
                for (one, outcome) in waiting.into_iter().zip(outcomes) {
                    // Who has gone away needs no answer.
                    let _gone = one.answer.send(Ok(outcome));
                }
            }
            Some(Err(error)) => {
                for one in waiting {
                    let _gone = one.answer.send(Err(error.again()));
                }
            }
            None => {
                for one in waiting {
                    let outcome = self.debit_alone(community, &one.key, one.amount_micro).await;
                    let _gone = one.answer.send(outcome);
                }
            }
        }
    }

    /// Many debits in one transaction, at most [`BATCH_MAX`]; each has its own outcome, in order, as if they had been
    /// asked for one after the other.
    ///
    /// # Idempotence
    /// By each key.
    ///
    /// # Errors
    /// [`LedgerError`]; then nothing of it is done, or that is not known.
    pub async fn debit_many(
        &self,
        community: Uuid,
        debits: &[(&str, i64)],
    ) -> Result<Vec<Outcome>, LedgerError> {
        let keys: Vec<&str> = debits.iter().map(|(key, _)| *key).collect();
        let amounts: Vec<i64> = debits.iter().map(|(_, amount)| *amount).collect();
        let parameters: [Parameter<'_>; 3] =
            [(&community, Type::UUID), (&keys, Type::TEXT_ARRAY), (&amounts, Type::INT8_ARRAY)];
        let answer = self.call(community, "SELECT app.debit_many($1, $2, $3)::text", &parameters).await?;
        let answers = match answer {
            Value::Array(answers) if answers.len() == debits.len() => answers,
            other => return Err(LedgerError::Answer(other.to_string())),
        };
        answers
            .into_iter()
            .map(|one| Outcome::read(one.clone()).ok_or_else(|| LedgerError::Answer(one.to_string())))
            .collect()
    }

    /// Returns a part of what a debit took.
    ///
    /// # Idempotence
    /// By the key.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn credit_back(
        &self,
        community: Uuid,
        key: &str,
        debit_key: &str,
        amount_micro: i64,
    ) -> Result<Outcome, LedgerError> {
        let parameters: [Parameter<'_>; 4] = [
            (&community, Type::UUID),
            (&key, Type::TEXT),
            (&debit_key, Type::TEXT),
            (&amount_micro, Type::INT8),
        ];
        self.operation(community, "SELECT app.credit_back($1, $2, $3, $4)::text", &parameters).await
    }

    /// Sets an amount aside.
    ///
    /// # Idempotence
    /// By the reservation's id.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn reserve(
        &self,
        community: Uuid,
        reservation_id: &str,
        amount_micro: i64,
        seconds: i32,
    ) -> Result<Outcome, LedgerError> {
        let parameters: [Parameter<'_>; 4] = [
            (&community, Type::UUID),
            (&reservation_id, Type::TEXT),
            (&amount_micro, Type::INT8),
            (&seconds, Type::INT4),
        ];
        self.operation(community, "SELECT app.reserve($1, $2, $3, $4)::text", &parameters).await
    }

    /// Charges what a use cost, gives the rest back, and writes the usage event.
    ///
    /// # Idempotence
    /// By the finalization's id.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn finalize(
        &self,
        community: Uuid,
        finalization_id: &str,
        usage: &Usage<'_>,
    ) -> Result<Outcome, LedgerError> {
        let mode = usage.mode.as_str();
        let parameters: [Parameter<'_>; 10] = [
            (&community, Type::UUID),
            (&finalization_id, Type::TEXT),
            (&usage.reservation_id, Type::TEXT),
            (&usage.cost_micro, Type::INT8),
            (&mode, Type::TEXT),
            (&usage.fence, Type::INT8),
            (&usage.nft_id, Type::TEXT),
            (&usage.pool_id, Type::TEXT),
            (&usage.tokens_input, Type::INT4),
            (&usage.tokens_output, Type::INT4),
        ];
        let sql = "SELECT app.finalize($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)::text";
        self.operation(community, sql, &parameters).await
    }

    /// Gives a reservation back whole.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn release(&self, community: Uuid, reservation_id: &str) -> Result<Outcome, LedgerError> {
        let parameters: [Parameter<'_>; 2] = [(&community, Type::UUID), (&reservation_id, Type::TEXT)];
        self.operation(community, "SELECT app.release($1, $2, 'released')::text", &parameters).await
    }

    /// Gives back reservations and expires lots of one tenant whose time is over, at most so many of each.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn sweep(&self, community: Uuid, at_most: i32) -> Result<Value, LedgerError> {
        let parameters: [Parameter<'_>; 2] = [(&community, Type::UUID), (&at_most, Type::INT4)];
        self.json_of_tenant("sweep", community, "SELECT app.sweep($1, $2)::text", &parameters).await
    }

    /// Looks at the next usage events of one tenant, at most so many, and moves its cursor behind them.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn reconcile(&self, community: Uuid, at_most: i32) -> Result<Value, LedgerError> {
        let parameters: [Parameter<'_>; 2] = [(&community, Type::UUID), (&at_most, Type::INT4)];
        self.json_of_tenant("reconcile", community, "SELECT app.reconcile($1, $2)::text", &parameters).await
    }

    /// Tenants for whom something is due, at most so many.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn due(&self, at_most: i64) -> Result<Vec<Uuid>, LedgerError> {
        let session = self.system()?.get().await?;
        let rows = session.query(include_str!("sql/due.sql"), &[(&at_most, Type::INT8)]).await?;
        rows.iter().map(tenant).collect()
    }

    /// Every tenant that has a lot.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn tenants(&self) -> Result<Vec<Uuid>, LedgerError> {
        let session = self.system()?.get().await?;
        let sql = "SELECT DISTINCT community_id FROM public.credit_lots ORDER BY 1";
        session.query(sql, &[]).await?.iter().map(tenant).collect()
    }
}

fn tenant(row: &tidegate_store::postgres::Row) -> Result<Uuid, LedgerError> {
    row.try_get(0).map_err(|error| LedgerError::Answer(error.to_string()))
}

/// Whether a statement lost against another transaction, and may be tried again as it is.
fn lost(failure: &Failure) -> bool {
    matches!(failure.kind(), FailureKind::Serialization | FailureKind::Deadlock)
}

/// Names the tenant of a transaction that is open.
pub(crate) async fn enter(session: &Session, community: Uuid) -> Result<(), Failure> {
    session.query("SELECT app.enter_tenant($1)", &[(&community, Type::UUID)]).await.map(drop)
}
