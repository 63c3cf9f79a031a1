//! What clients say of broken guardrails: whoever runs the servers sees here what clients refuse to believe.

use tidegate_store::postgres::{Pool, Session, Type};

use crate::app::text;
use crate::db::{Trouble, transact};

/// Violations that one request may tell of.
pub const VIOLATIONS_MAX: i64 = 1_000_000;

/// Takes note of violations of one guardrail.
///
/// # Errors
/// [`Trouble`].
pub async fn note_violations(
    pool: &Pool,
    user: &str,
    client: &str,
    signature: &str,
    violations: i64,
) -> Result<(), Trouble> {
    let session = pool.get_to_write().await?;
    let session: &Session = &session;
    transact!(session, "guardrails", "", {
        let parameters = [text(&user), text(&signature), (&violations, Type::INT8), text(&client)];
        session.execute_prepared(include_str!("sql/note_violations.sql"), &parameters).await?;
        Ok(())
    })
}
