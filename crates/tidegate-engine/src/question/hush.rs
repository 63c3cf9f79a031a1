//! Before a secret is bound: the server must not write it into its log.

use tidegate_store::postgres::Session;

use crate::error::StepError;

/// Has the server log no bound values for the rest of the transaction, and, where the role may decide that, no errors,
/// whose text may repeat a value.
///
/// # Errors
/// [`StepError::Refused`] if the server logs bound values and the role may not stop that.
pub(crate) async fn hush(session: &Session) -> Result<(), StepError> {
    let rows = session.query(include_str!("hush.sql"), &[]).await?;
    let Some(row) = rows.first() else { return Ok(()) };
    let (would_log, may_hush, may_hush_errors): (bool, bool, bool) = (row.get(0), row.get(1), row.get(2));
    if would_log && !may_hush {
        let role: String = row.get(3);
        return Err(StepError::refused(
            format!(
                "the server would write a secret into its log: it logs statements with their values, and {role} may not stop that"
            ),
            format!(
                "GRANT SET ON PARAMETER log_parameter_max_length, log_min_messages TO {role}, or have the server log fewer statements."
            ),
        ));
    }
    if would_log {
        session.query("SELECT set_config('log_parameter_max_length', '0', true)", &[]).await?;
    }
    if may_hush_errors {
        session.query("SELECT set_config('log_min_messages', 'panic', true)", &[]).await?;
    }
    Ok(())
}
