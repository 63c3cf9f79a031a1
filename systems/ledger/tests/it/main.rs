//! The ledger's schema on real servers, for both deployments: SU, where a superuser migrates, and OWN, where a plain
//! owner of the database does.

mod append_only;
mod applying;
mod balances;
mod cursor;
mod ground;
mod keys;
mod lot_status;
mod page;
mod payments;
mod schema_file;
mod system_role;
mod tenant_context;
mod undoing;
mod webhooks;
