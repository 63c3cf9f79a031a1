//! What a member may do.

/// To see and change who and what an account looks after.
pub const MANAGE_ACCOUNT: &str = "platform.account.manage";
/// To change the account itself.
pub const MANAGE_WORKSPACE: &str = "platform.workspace.manage";

/// Everything that the owner of a new account may do. Others are granted row by row.
pub const OWNER: [&str; 6] = [
    MANAGE_ACCOUNT,
    MANAGE_WORKSPACE,
    "pixpax.admin.manage",
    "pixpax.analytics.read",
    "pixpax.creator.publish",
    "pixpax.creator.view",
];
