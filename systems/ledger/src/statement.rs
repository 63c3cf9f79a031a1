//! What happened to a tenant's credit, entry by entry.

use serde_json::Value;
use tidegate_store::postgres::Type;
use uuid::Uuid;

use crate::operations::{Ledger, LedgerError, Parameter};

/// Entries of one page.
pub const PAGE_MAX: i64 = 500;

impl Ledger {
    /// Entries of a tenant, the newest first, those before `before` (an entry's id) only; at most [`PAGE_MAX`].
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn statement(
        &self,
        community: Uuid,
        before: Option<Uuid>,
        limit: i64,
    ) -> Result<Value, LedgerError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let parameters: [Parameter<'_>; 3] =
            [(&community, Type::UUID), (&before, Type::UUID), (&limit, Type::INT8)];
        self.json_of_tenant("statement", community, include_str!("sql/statement.sql"), &parameters).await
    }
}
