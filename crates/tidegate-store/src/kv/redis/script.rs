//! The scripts that Redis runs.

use std::sync::LazyLock;

use redis::Script;

/// Reads entries.
pub(super) static GET_SOME: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("get_some.lua")));
/// Reads a step of a listing.
pub(super) static LIST: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("list.lua")));
/// Makes writes.
pub(super) static WRITE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("write.lua")));
