//! Payments: asked for, told of by the provider, minted once, refunded.
//!
//! A notice is one transaction: its delivery is noted, the payment locked, its status moved, the lot minted and stamped.
//! What fails leaves nothing, so that the provider's next delivery does all of it.
//!
//! Sessions of the system are few, and all tenants' notices share them. A notice asks first whose it is, without a lock;
//! then those of one tenant follow each other, with one session for all of them, and none waits long for a lock.

use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_store::postgres::{
    Failure, FailureKind, Session, TxAttempts, TxError, TxOptions, TxOutcome, Type,
};
use uuid::Uuid;

use crate::bounds::is_beyond;
use crate::notice::Notice;
use crate::operations::{Ledger, LedgerError, OPTIONS, Parameter};

/// Days after which what was bought expires.
pub const PURCHASE_DAYS: i64 = 90;

/// How the request keys of lots begin that a payment mints. Under a key that a tenant had used, its payment could not.
pub const PAYMENT_KEYS: &str = "payment:";

/// How long a notice waits for a lock. Whoever holds the tenant's for longer does not keep a session from others' notices.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// How the transaction of a notice is made.
static NOTICE: LazyLock<TxOptions> =
    LazyLock::new(|| TxOptions { lock_timeout: Some(LOCK_WAIT), ..OPTIONS.clone() });

/// What became of a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noticed {
    /// It moved the payment; `minted_micro` is what that minted.
    Processed {
        /// In micro-dollars; 0: nothing.
        minted_micro: i64,
    },
    /// This delivery was processed before.
    Duplicate,
    /// No payment of that id is known here, yet.
    UnknownPayment,
    /// The payment is further already, or is over.
    Skipped {
        /// How it stands.
        status: String,
    },
    /// Its lot would lead beyond what a tenant may be given in all.
    LimitExceeded,
    /// It speaks of another price than was asked for.
    AmountMismatch {
        /// What was asked for, in dollars.
        expected: String,
    },
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// Nothing is kept of it.
    #[error("refused")]
    Refused(Noticed),
    #[error(transparent)]
    Store(#[from] Failure),
}

impl TxError for Trouble {
    fn failure(&self) -> Option<&Failure> {
        match self {
            Trouble::Store(failure) => Some(failure),
            Trouble::Refused(_) => None,
        }
    }
}

/// A payment as it was found.
struct Payment {
    id: Uuid,
    community: Uuid,
    status: String,
    amount_usd: String,
    amount_micro: i64,
    lot: Option<Uuid>,
}

impl Ledger {
    /// Asks for a payment: its row, which notices find by the provider's id.
    ///
    /// # Errors
    /// [`LedgerError`]; an id that is there already is the database's 23505.
    pub async fn ask_payment(
        &self,
        community: Uuid,
        payment_id: &str,
        amount_usd: &str,
    ) -> Result<Uuid, LedgerError> {
        let sql = "INSERT INTO public.crypto_payments (community_id, payment_id, amount_usd)
                   VALUES ($1, $2, $3::numeric) RETURNING id";
        let parameters: [Parameter<'_>; 3] =
            [(&community, Type::UUID), (&payment_id, Type::TEXT), (&amount_usd, Type::TEXT)];
        let rows = self.of_tenant("ask payment", community, sql, &parameters).await?;
        let row = rows.first().ok_or_else(|| LedgerError::Answer("no row".to_owned()))?;
        row.try_get(0).map_err(|error| LedgerError::Answer(error.to_string()))
    }

    /// Takes a notice whose signature was looked at.
    ///
    /// # Locks
    /// The tenant's and the payment's, each waited for no longer than a second; then [`LedgerError::Held`].
    ///
    /// # Idempotence
    /// By payment and status. However often and in whichever order notices come, a payment mints once.
    ///
    /// # Errors
    /// [`LedgerError`]; then nothing of it is kept, or that is not known: the same notice again ends it.
    pub async fn take_notice(&self, notice: &Notice) -> Result<Noticed, LedgerError> {
        let community = match self.whose(notice).await? {
            Ok(community) => community,
            Err(noticed) => return Ok(noticed),
        };
        let _place = self.notices().place(community).await?;
        let pool = self.system()?.get().await?;
        let session: &Session = &pool;
        let mut attempts = TxAttempts::new(session, "notice", &NOTICE, "");
        loop {
            let taken = match attempts.begin().await {
                Ok(_) => take(session, notice, community).await,
                Err(failure) => Err(failure.into()),
            };
            match attempts.end(taken).await {
                None => {}
                Some(TxOutcome::Committed(noticed) | TxOutcome::RolledBack(Trouble::Refused(noticed))) => {
                    return Ok(noticed);
                }
                Some(TxOutcome::RolledBack(Trouble::Store(failure)))
                    if failure.kind() == FailureKind::LockTimeout =>
                {
                    return Err(LedgerError::Held);
                }
                Some(TxOutcome::RolledBack(Trouble::Store(failure)) | TxOutcome::Unknown(failure)) => {
                    return Err(failure.into());
                }
            }
        }
    }

    /// Whose payment a notice is of; or what became of it, where there is nothing to wait for.
    async fn whose(&self, notice: &Notice) -> Result<Result<Uuid, Noticed>, LedgerError> {
        let session = self.system()?.get().await?;
        let event = notice.event_id();
        let parameters: [Parameter<'_>; 2] = [(&notice.payment_id, Type::TEXT), (&event, Type::TEXT)];
        let rows = session.query(include_str!("sql/whose_notice.sql"), &parameters).await?;
        let row = rows.first().ok_or_else(|| LedgerError::Answer("no row".to_owned()))?;
        let read = || -> Result<(Option<Uuid>, bool), Box<dyn std::error::Error>> {
            Ok((row.try_get(0)?, row.try_get(1)?))
        };
        let (community, is_known) = read().map_err(|error| LedgerError::Answer(error.to_string()))?;
        Ok(match community {
            _ if is_known => Err(Noticed::Duplicate),
            None => Err(Noticed::UnknownPayment),
            Some(community) => Ok(community),
        })
    }
}

async fn take(session: &Session, notice: &Notice, community: Uuid) -> Result<Noticed, Trouble> {
    let event = notice.event_id();
    let sql = "INSERT INTO public.webhook_events (provider, event_id, payload) VALUES ('nowpayments', $1, $2)
               ON CONFLICT DO NOTHING";
    let noted = session.execute(sql, &[(&event, Type::TEXT), (&notice.payload, Type::JSONB)]).await?;
    if noted == 0 {
        return Err(Trouble::Refused(Noticed::Duplicate));
    }
    // From here on as the application, under the row security of the tenant whose payment it is.
    session.run("SET LOCAL ROLE arrakis_app").await?;
    crate::operations::enter(session, community).await?;
    let payment = locked(session, &notice.payment_id).await?;
    if let Some(price) = &notice.price_amount
        && !is_equal(session, price, &payment.amount_usd).await?
    {
        return Err(Trouble::Refused(Noticed::AmountMismatch { expected: payment.amount_usd }));
    }
    if !may_move(&payment.status, &notice.status) {
        return Ok(Noticed::Skipped { status: payment.status });
    }
    let mut minted_micro = 0;
    match notice.status.as_str() {
        "finished" => {
            let lot = mint(session, &payment, &notice.payment_id).await?;
            move_to(session, &payment, "finished", Some(lot), None).await?;
            minted_micro = payment.amount_micro;
        }
        "refunded" => {
            let refund = claw_back(session, &payment, &notice.payment_id).await?;
            move_to(session, &payment, "refunded", None, Some(&refund)).await?;
        }
        status => move_to(session, &payment, status, None, None).await?,
    }
    Ok(Noticed::Processed { minted_micro })
}

async fn locked(session: &Session, payment_id: &str) -> Result<Payment, Failure> {
    let sql = include_str!("sql/payment.sql");
    let rows = session.query(sql, &[(&payment_id, Type::TEXT)]).await?;
    let row = rows.first().ok_or_else(|| Failure::unusable_answer("the payment is gone"))?;
    let read = || -> Result<Payment, Box<dyn std::error::Error>> {
        Ok(Payment {
            id: row.try_get(0)?,
            community: row.try_get(1)?,
            status: row.try_get(2)?,
            amount_usd: row.try_get(3)?,
            amount_micro: row.try_get(4)?,
            lot: row.try_get(5)?,
        })
    };
    read().map_err(|error| Failure::unusable_answer(error.to_string()))
}

async fn is_equal(session: &Session, one: &str, other: &str) -> Result<bool, Failure> {
    let sql = "SELECT $1::numeric = $2::numeric";
    match session.query(sql, &[(&one, Type::TEXT), (&other, Type::TEXT)]).await {
        Ok(rows) => Ok(rows.first().and_then(|row| row.try_get(0).ok()).unwrap_or(false)),
        Err(failure) => Err(failure),
    }
}

/// Whether a payment moves from one status to another: forward, past the ends only from finished to refunded. A status
/// that is kept is no move. One that was refunded before it was heard to be finished mints nothing any more.
#[must_use]
pub fn may_move(from: &str, to: &str) -> bool {
    let rank = |status: &str| crate::notice::STATUSES.iter().position(|known| *known == status);
    let (Some(old), Some(new)) = (rank(from), rank(to)) else { return false };
    let is_over = matches!(from, "finished" | "expired" | "failed" | "refunded");
    new > old && (!is_over || (from == "finished" && to == "refunded"))
}

async fn mint(session: &Session, payment: &Payment, payment_id: &str) -> Result<Uuid, Trouble> {
    let key = format!("{PAYMENT_KEYS}{payment_id}");
    let sql =
        "SELECT app.mint($1, $2, 'purchase', $3, clock_timestamp() + make_interval(days => $4), $5)::text";
    let days = i32::try_from(PURCHASE_DAYS).unwrap_or(i32::MAX);
    let rows = session
        .query(
            sql,
            &[
                (&payment.community, Type::UUID),
                (&key, Type::TEXT),
                (&payment.amount_micro, Type::INT8),
                (&days, Type::INT4),
                (&payment_id, Type::TEXT),
            ],
        )
        .await
        .map_err(|failure| match is_beyond(&failure) {
            true => Trouble::Refused(Noticed::LimitExceeded),
            false => failure.into(),
        })?;
    let text: Option<String> = rows.first().and_then(|row| row.try_get(0).ok());
    let answer: Value = text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let lot = answer.get("lotId").and_then(Value::as_str).and_then(|lot| lot.parse().ok());
    lot.ok_or_else(|| Failure::unusable_answer(format!("a payment was not minted: {answer}")).into())
}

async fn move_to(
    session: &Session,
    payment: &Payment,
    status: &str,
    lot: Option<Uuid>,
    refund: Option<&Value>,
) -> Result<(), Failure> {
    let parameters: [Parameter<'_>; 4] =
        [(&payment.id, Type::UUID), (&status, Type::TEXT), (&lot, Type::UUID), (&refund, Type::JSONB)];
    session.query(include_str!("sql/move_payment.sql"), &parameters).await.map(drop)
}

/// Takes back what is left of the lot; what was spent of it stays as a debt, which is noted.
async fn claw_back(session: &Session, payment: &Payment, payment_id: &str) -> Result<Value, Trouble> {
    let Some(lot) = payment.lot else { return Ok(json!({ "clawedBackMicro": 0, "debtMicro": 0 })) };
    let reference = format!("refund:{payment_id}");
    let sql = include_str!("sql/claw_back.sql");
    let rows = session
        .query(sql, &[(&lot, Type::UUID), (&payment.community, Type::UUID), (&reference, Type::TEXT)])
        .await?;
    let number = |at: usize| rows.first().and_then(|row| row.try_get::<_, i64>(at).ok()).unwrap_or(0);
    Ok(json!({ "clawedBackMicro": number(0), "debtMicro": number(1) }))
}
