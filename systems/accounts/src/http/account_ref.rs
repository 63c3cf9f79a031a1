//! Which account a request is about.

use super::answer::Refusal;
use super::call::Call;

/// The account that a request names, and by which name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccountRef {
    /// Its id. Blank: the user's oldest.
    pub(crate) id: String,
    /// Whether it was named as a workspace.
    pub(crate) aliased: bool,
}

impl AccountRef {
    /// Header before query before body; and `accountId`, wherever it stands, before `workspaceId`, which counts only
    /// while the alias is accepted. That the two disagree is no error.
    pub(crate) fn of(call: &Call, accepts_alias: bool) -> Result<AccountRef, Refusal> {
        let id = call.anywhere("x-account-id", "accountId")?;
        if !id.is_empty() || !accepts_alias {
            return Ok(AccountRef { id, aliased: false });
        }
        let id = call.anywhere("x-workspace-id", "workspaceId")?;
        Ok(AccountRef { aliased: !id.is_empty(), id })
    }
}
