//! The credit ledger: its schema, the migrations that lead to it, and the runbook that performs them.
//!
//! ```text
//! base/roles.sql ─► base/application.sql ─► migrations/0008 … 0019 ─► schema.sql
//!                                           └── performed by runbooks/economic-ledger.md
//! ```
//!
//! | table | says | may change |
//! |---|---|---|
//! | `credit_lots` | one funding event of a tenant | status only, through `app.update_lot_status` |
//! | `lot_entries` | one journal entry of a lot | never |
//! | `lot_totals` | the journal's sum per lot; cannot be overdrawn | by the journal's triggers |
//! | `tenant_totals` | what a tenant was ever given; bounded | by a trigger on lots |
//! | `webhook_events` | one delivery of a payment provider | never |
//! | `crypto_payments` | one payment | forward |
//! | `usage_events` | one use that was paid for | never |
//! | `s2s_jwks_public_keys` | one public key | its end |
//! | `reconciliation_cursor` | how far reconciliation got | forward |
//!
//! Amounts are integer micro-dollars. A transaction names its tenant by `app.set_community_context`; without it a SELECT
//! finds no row, an INSERT is refused (42501), and a function that needs a tenant raises (P0001).
//!
//! The service ([`serve`](mod@serve), [`App`]) does what the functions of migrations 0018 and 0019 do, over HTTP; [`Ledger`] does it for
//! programs.
//!
//! | module | in one sentence |
//! |---|---|
//! | [`operations`], [`outcome`] | mint, debit, reserve, finalize, and what each came to |
//! | [`payments`], [`notice`], [`provider`] | the provider's notices, what it is asked where none came, and one lot for each payment |
//! | [`keys`] | public keys of services, and the tokens that they sign |
//! | [`conservation`] | a counter against the journal, and the breaker |
//! | [`balance`], [`statement`] | what a tenant has; what happened to it |
//! | [`verify`] | everything that must hold |
//! | [`bounds`] | how much can be booked, so that no sum overflows |
//! | [`config`], [`app`], [`http`], [`serve`](mod@serve) | the service |
//! | [`operator`] | whether the database is what it must be; what to do next about an error |
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
//! | LG008 | a reservation would change otherwise than out of pending |
//! | LG009 | more would come back than was taken |
//! | LG010 | rows from before migration 0019 are beyond what can be summed |
//! | 23514 | a lot would be overdrawn, or a value is out of range |

pub mod app;
pub mod balance;
mod base;
pub mod bounds;
pub mod config;
pub mod conservation;
pub mod http;
pub mod keys;
mod lanes;
mod migrations;
pub mod notice;
pub mod operations;
pub mod operator;
pub mod outcome;
pub mod payments;
pub mod provider;
mod runbook;
pub mod serve;
pub mod statement;
pub mod verify;

pub use app::App;
pub use config::Config;
pub use operations::{Ledger, LedgerError};
pub use outcome::{Outcome, Reason};

pub use base::{BASE_APPLICATION, BASE_ROLES};
pub use migrations::{MIGRATIONS, SCHEMA};
pub use runbook::{RUNBOOK, directory, runbook_path};
