//! The two flag sets that the service obeys, and the variables that stand for them where there are no tables.

use tidegate_switch::{Environment, Variable};

/// The set that says which schema is read and written.
pub const ACCOUNTS_SET: &str = "accounts";
/// The set that says whether an account may still be named as a workspace.
pub const ALIAS_SET: &str = "alias";
/// The alias set's one column.
pub const ALIAS_COLUMN: &str = "accept_workspace_id";

/// What stands for the set `accounts`.
pub const ACCOUNTS_VARIABLES: [Variable; 3] = [
    Variable { column: "reads", name: "ACCOUNT_SCHEMA_V2_READS", default: false },
    Variable { column: "writes", name: "ACCOUNT_SCHEMA_V2_WRITES", default: false },
    Variable { column: "dual", name: "ACCOUNT_SCHEMA_V2_DUAL_WRITE", default: false },
];

/// What stands for the set `alias`.
pub const ALIAS_VARIABLES: [Variable; 1] =
    [Variable { column: ALIAS_COLUMN, name: "ACCOUNT_API_ACCEPT_WORKSPACE_ALIAS", default: true }];

/// Both environments, read through `get`.
#[must_use]
pub fn environments(get: &dyn Fn(&str) -> Option<String>) -> (Environment, Environment) {
    (Environment::read(&ACCOUNTS_VARIABLES, get), Environment::read(&ALIAS_VARIABLES, get))
}
