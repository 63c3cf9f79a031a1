//! Removing everything that is neither the server's nor the journal's.

use tidegate_store::postgres::{Session, quote_identifier};

use crate::error::StepError;

/// Most names that a message lists.
const NAMED_MAX: usize = 20;

/// Something that is dropped as a whole, with what hangs on it.
struct Root {
    kind: String,
    name: String,
    /// The name is SQL already, as that of a cast is.
    written: bool,
    owner: String,
    mine: bool,
}

/// Drops all that stands in this database but what the server brings and schema `tidegate`, and makes an empty schema
/// `public` as PostgreSQL does if `public` says so. It is done in the session's transaction, if there is one.
///
/// # Locks
/// ACCESS EXCLUSIVE on every table.
pub(crate) async fn remove_everything(session: &Session, public: bool) -> Result<(), StepError> {
    let roots = roots(session).await?;
    refuse_what_is_not_ours(&roots)?;
    for root in &roots {
        let name = if root.written { root.name.clone() } else { quote_identifier(&root.name) };
        session.run(&format!("DROP {} IF EXISTS {name} CASCADE", root.kind)).await?;
    }
    session.run(include_str!("remove_large_objects.sql")).await?;
    forget_default_privileges(session).await?;
    if public {
        learn_who_owns_the_database(session).await?;
        session.run(include_str!("create_public.sql")).await?;
    }
    let left = session.query(include_str!("remaining.sql"), &[]).await?;
    if left.is_empty() {
        return Ok(());
    }
    let left: Vec<String> = left.iter().take(NAMED_MAX).map(|row| row.get(0)).collect();
    Err(StepError::refused(
        format!("objects would be left that the backup may not have: {}", left.join(", ")),
        "Nothing was changed. Drop them first, or restore by hand.",
    ))
}

/// Why this role could not restore the database as it is now; nothing is changed.
pub(crate) async fn obstacles(session: &Session) -> Result<Vec<String>, StepError> {
    let mut obstacles = Vec::new();
    match refuse_what_is_not_ours(&roots(session).await?) {
        Err(StepError::Refused { message, .. }) => obstacles.push(message),
        refused => refused?,
    }
    let rows = session.query(include_str!("other_owners.sql"), &[]).await?;
    let owners: Vec<String> = rows.iter().take(NAMED_MAX).map(|row| row.get(0)).collect();
    if !owners.is_empty() {
        obstacles.push(format!("this role may not give objects back to their owners: {}", owners.join(", ")));
    }
    Ok(obstacles)
}

async fn roots(session: &Session) -> Result<Vec<Root>, StepError> {
    let rows = session.query(include_str!("roots.sql"), &[]).await?;
    Ok(rows
        .iter()
        .map(|row| Root {
            kind: row.get(0),
            name: row.get(1),
            written: row.get(2),
            owner: row.get(3),
            mine: row.get(4),
        })
        .collect())
}

fn refuse_what_is_not_ours(roots: &[Root]) -> Result<(), StepError> {
    let subscriptions: Vec<&str> =
        roots.iter().filter(|root| root.kind == "SUBSCRIPTION").map(|root| &*root.name).collect();
    if !subscriptions.is_empty() {
        return Err(StepError::refused(
            format!("subscriptions cannot be removed in a transaction: {}", subscriptions.join(", ")),
            "Nothing was changed. Drop them by hand, restore, and make them again.",
        ));
    }
    let others: Vec<String> = roots
        .iter()
        .filter(|root| !root.mine)
        .take(NAMED_MAX)
        .map(|root| format!("{} {} (owner {})", root.kind.to_lowercase(), root.name, root.owner))
        .collect();
    if others.is_empty() {
        return Ok(());
    }
    Err(StepError::refused(
        format!("this role may not remove what others own: {}", others.join(", ")),
        "Nothing was changed. Restore as their owner or a superuser, or give this role membership in the owners.",
    ))
}

/// Where `pg_hba.conf` names a group, PostgreSQL 15 reads the login's memberships before it knows the database, and
/// goes on without that of the owner in `pg_database_owner`. A change of the database's row that changes nothing lets
/// it read them anew.
async fn learn_who_owns_the_database(session: &Session) -> Result<(), StepError> {
    let rows = session.query(include_str!("forgotten_ownership.sql"), &[]).await?;
    for row in rows {
        let (database, limit): (String, i32) = (row.get(0), row.get(1));
        let database = quote_identifier(&database);
        session.run(&format!("ALTER DATABASE {database} CONNECTION LIMIT {limit}")).await?;
    }
    Ok(())
}

/// Default privileges of the whole database are no member of any schema: they are set back to PostgreSQL's own.
async fn forget_default_privileges(session: &Session) -> Result<(), StepError> {
    let rows = session.query(include_str!("default_privileges.sql"), &[]).await?;
    for row in rows {
        let (role, kind, grantee): (String, String, Option<String>) = (row.get(0), row.get(1), row.get(2));
        let grantee = grantee.map_or_else(|| "PUBLIC".to_owned(), |name| quote_identifier(&name));
        let role = quote_identifier(&role);
        session
            .run(&format!("ALTER DEFAULT PRIVILEGES FOR ROLE {role} REVOKE ALL ON {kind} FROM {grantee}"))
            .await?;
        let public = match kind.as_str() {
            "FUNCTIONS" | "TYPES" => ", PUBLIC",
            _ => "",
        };
        session
            .run(&format!("ALTER DEFAULT PRIVILEGES FOR ROLE {role} GRANT ALL ON {kind} TO {role}{public}"))
            .await?;
    }
    Ok(())
}
