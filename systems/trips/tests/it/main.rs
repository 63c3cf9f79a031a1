//! The trip log and the migration of its keys, on real stores and over HTTP.

#[cfg(test)]
mod admin;
#[cfg(test)]
mod admin_doors;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod auto;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod commands_grant;
#[cfg(test)]
mod commands_index;
#[cfg(test)]
mod giving_way;
#[cfg(test)]
mod hazards;
#[cfg(test)]
mod legacy_reads;
#[cfg(test)]
mod masked;
#[cfg(test)]
mod migration_after;
#[cfg(test)]
mod migration_beside;
#[cfg(test)]
mod migration_control;
#[cfg(test)]
mod migration_copy;
#[cfg(test)]
mod migration_dies;
#[cfg(test)]
mod migration_ground;
#[cfg(test)]
mod migration_killed;
#[cfg(test)]
mod migration_ownership;
#[cfg(test)]
mod migration_race;
#[cfg(test)]
mod migration_restore;
#[cfg(test)]
mod migration_sequences;
#[cfg(test)]
mod migration_service;
#[cfg(test)]
mod migration_shapes;
#[cfg(test)]
mod migration_sync;
#[cfg(test)]
mod mileage;
#[cfg(test)]
mod service_accounts;
#[cfg(test)]
mod service_beside;
#[cfg(test)]
mod service_deletion;
#[cfg(test)]
mod service_index;
#[cfg(test)]
mod service_names;
#[cfg(test)]
mod service_records;
#[cfg(test)]
mod service_sync;
#[cfg(test)]
mod status;
