//! The credit ledger: its schema, the migrations that lead to it, and the runbook that performs them.
//!
//! ```text
//! base/roles.sql ─► base/application.sql ─► migrations/0008 … 0017 ─► schema.sql
//!                                           └── performed by runbooks/economic-ledger.md
//! ```
//!
//! | table | says | may change |
//! |---|---|---|
//! | `credit_lots` | one funding event of a tenant | status only, through `app.update_lot_status` |
//! | `lot_entries` | one journal entry of a lot | never |
//! | `lot_totals` | the journal's sum per lot; cannot be overdrawn | by the journal's triggers |
//! | `webhook_events` | one delivery of a payment provider | never |
//! | `crypto_payments` | one payment | forward |
//! | `usage_events` | one use that was paid for | never |
//! | `s2s_jwks_public_keys` | one public key | its end |
//! | `reconciliation_cursor` | how far reconciliation got | forward |
//!
//! Amounts are integer micro-dollars. A transaction names its tenant by `app.set_community_context`; without it a SELECT
//! finds no row, an INSERT is refused (42501), and a function that needs a tenant raises (P0001).
//!
//! | SQLSTATE | means |
//! |---|---|
//! | P0001 | `app.community_id is not set` |
//! | LG001 | the table is append-only, or TRUNCATE was tried |
//! | LG002 | a lot's status cannot move like that, or the lot is not this tenant's |
//! | LG003 | no such payment status |
//! | LG004 | a payment's status cannot move like that |
//! | LG005 | a payment's fixed column would change |
//! | LG006 | totals would change without the journal |
//! | LG007 | the cursor would go back, or to another tenant |
//! | 23514 | a lot would be overdrawn, or a value is out of range |

mod base;
mod migrations;
mod runbook;

pub use base::{BASE_APPLICATION, BASE_ROLES};
pub use migrations::{MIGRATIONS, SCHEMA};
pub use runbook::{RUNBOOK, directory, runbook_path};
