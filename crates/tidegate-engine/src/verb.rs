//! One file per verb: what it would do, what it does, how it is taken back.

pub(crate) mod backup;
pub(crate) mod command;
pub(crate) mod evict;
pub(crate) mod migrate;
pub(crate) mod restore;
pub(crate) mod retire;
pub(crate) mod seal;
