//! One file per verb: what it would do, what it does, how it is taken back.

pub(crate) mod backfill;
pub(crate) mod backup;
pub(crate) mod backup_keys;
pub(crate) mod command;
pub(crate) mod compare;
pub(crate) mod evict;
pub(crate) mod flags;
pub(crate) mod migrate;
pub(crate) mod rekey;
pub(crate) mod restore;
pub(crate) mod restore_keys;
pub(crate) mod retire;
pub(crate) mod seal;
