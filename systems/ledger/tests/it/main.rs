//! The ledger's schema on real servers, for both deployments: SU, where a superuser migrates, and OWN, where a plain
//! owner of the database does.

#[cfg(test)]
mod append_only;
#[cfg(test)]
mod applying;
#[cfg(test)]
mod backup;
#[cfg(test)]
mod balances;
#[cfg(test)]
mod base;
#[cfg(test)]
mod batches;
#[cfg(test)]
mod bounds;
#[cfg(test)]
mod caller;
#[cfg(test)]
mod cursor;
#[cfg(test)]
mod ground;
#[cfg(test)]
mod histories;
#[cfg(test)]
mod isolation;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod lot_pages;
#[cfg(test)]
mod lot_status;
#[cfg(test)]
mod model;
#[cfg(test)]
mod neighbours;
#[cfg(test)]
mod notices;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod page;
#[cfg(test)]
mod payments;
#[cfg(test)]
mod pooling;
#[cfg(test)]
mod schema_file;
#[cfg(test)]
mod service;
#[cfg(test)]
mod sweeping;
#[cfg(test)]
mod system_role;
#[cfg(test)]
mod tenant_context;
#[cfg(test)]
mod town;
#[cfg(test)]
mod twins;
#[cfg(test)]
mod undoing;
#[cfg(test)]
mod verifying;
#[cfg(test)]
mod webhooks;
