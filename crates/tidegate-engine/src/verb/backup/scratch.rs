//! The database that a dump is rehearsed in: given empty, or made for the time of the rehearsal.

use std::time::Duration;

use tidegate_runbook::Name;
use tidegate_store::postgres::{Address, FailureKind, Session, quote_identifier, quote_literal, sessions};

use super::snapshot;
use crate::doors::{DoorError, Entrance};
use crate::error::StepError;
use crate::job::Job;
use crate::verb::restore::removal::remove_everything;

/// The login that rehearses.
const SCRATCH: &str = "scratch";
/// What a database or schema that we made for a rehearsal is marked by.
const MARK: &str = "tidegate rehearsal of run ";
/// The schema that marks a given database while it is used.
const MARK_SCHEMA: &str = "tidegate_rehearsal";
/// What every session of ours begins its name with, whatever its epoch.
const OUR_SESSIONS: &str = "tidegate/";
/// How long ended sessions may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(30);
/// Databases from which another can be made.
const MAINTENANCE: [&str; 2] = ["postgres", "template1"];

/// What is found behind login `scratch`.
#[derive(Debug)]
pub(super) struct Found {
    /// Where it is.
    pub(super) address: Address,
    /// Whether the login is a superuser there, who may set owners.
    pub(super) superuser: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Not there; it may be made from here.
    Missing(Session),
    /// Made by us for a rehearsal that did not come to its end.
    Ours,
    /// Given, empty.
    Given(Session),
    /// Given, with what a rehearsal of ours left in it.
    GivenUsed(Session),
}

/// A scratch database that is ready.
pub(super) struct Scratch {
    pub(super) session: Session,
    pub(super) address: Address,
    pub(super) superuser: bool,
    made: bool,
}

fn login() -> Result<Entrance, StepError> {
    Name::parse(SCRATCH)
        .map(Entrance::Login)
        .map_err(|_| StepError::refused("login scratch has no name", "Report it."))
}

impl Found {
    /// Looks, changes nothing, and refuses what must not be used.
    pub(super) async fn look(job: Job<'_>) -> Result<Self, StepError> {
        let address = job.doors.address(job.store(), &login()?)?;
        let session = match Session::connect(&address, &job.application()).await {
            Ok(session) => session,
            Err(failure) if failure.kind() == FailureKind::DatabaseMissing => {
                return Self::missing(job, address).await;
            }
            Err(failure) => return Err(no_connection(job, &address, failure)),
        };
        let rows = session.query(include_str!("scratch.sql"), &[]).await?;
        let Some(row) = rows.first() else {
            return Err(StepError::refused(
                "the scratch database does not say what it is",
                "Look at its server.",
            ));
        };
        let name = address.database();
        let superuser: bool = row.get("superuser");
        let comment: String = row.get("comment");
        if is_same_database(job, &session).await? {
            return Err(StepError::refused(
                format!("login scratch leads to {name}, the database that is backed up"),
                "Let it lead to an empty database of another name.",
            ));
        }
        let mark: String = row.get("mark");
        for mark in [&comment, &mark] {
            must_not_be_in_use(job, &session, mark).await?;
        }
        if comment.starts_with(MARK) {
            session.close().await;
            return Ok(Self { address, superuser, state: State::Ours });
        }
        if row.get("journal") {
            return Err(StepError::refused(
                format!("the scratch database {name} has a schema tidegate: it is some run's own"),
                "Let login scratch lead to an empty database, or to one that is not there and that it may create.",
            ));
        }
        if !row.get::<_, bool>("owner") {
            return Err(StepError::refused(
                format!("login scratch does not own the database {name}, so it could not empty it again"),
                "Make it the owner, or let it lead to a database that is not there and that it may create.",
            ));
        }
        if mark.starts_with(MARK) {
            return Ok(Self { address, superuser, state: State::GivenUsed(session) });
        }
        let first: Option<String> = row.get("first");
        match first {
            Some(first) => Err(StepError::refused(
                format!("the scratch database {name} is not empty: it has {first}"),
                "Empty it, or let login scratch lead to another.",
            )),
            None => Ok(Self { address, superuser, state: State::Given(session) }),
        }
    }

    async fn missing(job: Job<'_>, address: Address) -> Result<Self, StepError> {
        let session = maintenance(job, &address).await?;
        let rows = session.query(include_str!("may_create.sql"), &[]).await?;
        let (superuser, may) = rows.first().map_or((false, false), |row| (row.get(0), row.get(1)));
        if !may {
            return Err(StepError::refused(
                format!("there is no database {}, and login scratch may not create it", address.database()),
                "Create it empty with that login as its owner, or give the login CREATEDB.",
            ));
        }
        Ok(Self { address, superuser, state: State::Missing(session) })
    }

    /// What `plan` says of it.
    pub(super) fn finding(&self) -> String {
        let name = self.address.database();
        let owners =
            if self.superuser { "" } else { "; owners and grants are left out, for it is no superuser" };
        match &self.state {
            State::Missing(_) => format!("the rehearsal creates and drops the database {name}{owners}"),
            State::Ours => {
                format!(
                    "the database {name} is left from a rehearsal that did not end and is made anew{owners}"
                )
            }
            State::Given(_) => {
                format!("the rehearsal uses the empty database {name} and empties it again{owners}")
            }
            State::GivenUsed(_) => {
                format!("what a rehearsal that did not end left in database {name} is removed first{owners}")
            }
        }
    }

    /// Makes it ready: empty, and marked as ours.
    pub(super) async fn make_ready(self, job: Job<'_>) -> Result<Scratch, StepError> {
        let Self { address, superuser, state } = self;
        let mark = format!("{MARK}{}", job.run());
        let (session, made) = match state {
            State::Missing(maintenance) => (create(job, &maintenance, &address, &mark).await?, true),
            State::Ours => {
                let maintenance = maintenance(job, &address).await?;
                drop_database(&maintenance, &address).await?;
                (create(job, &maintenance, &address, &mark).await?, true)
            }
            State::Given(session) => (session, false),
            State::GivenUsed(session) => {
                // A pg_restore whose runner died may go on.
                sessions::end_by_application(&session, OUR_SESSIONS, GONE_WITHIN).await?;
                empty(&session).await?;
                (session, false)
            }
        };
        if !made {
            let comment = quote_literal(&mark);
            session
                .run(&format!("CREATE SCHEMA {MARK_SCHEMA}; COMMENT ON SCHEMA {MARK_SCHEMA} IS {comment}"))
                .await?;
        }
        Ok(Scratch { session, address, superuser, made })
    }
}

impl Scratch {
    /// Leaves it as it was found: empty, or not there.
    pub(super) async fn put_away(self, job: Job<'_>) -> Result<(), StepError> {
        if !self.made {
            let emptied = empty(&self.session).await;
            self.session.close().await;
            return emptied;
        }
        self.session.close().await;
        let maintenance = maintenance(job, &self.address).await?;
        drop_database(&maintenance, &self.address).await
    }
}

async fn empty(session: &Session) -> Result<(), StepError> {
    session.run("BEGIN").await?;
    let removed = remove_everything(session, true).await;
    session.run(if removed.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
    removed
}

async fn create(
    job: Job<'_>,
    maintenance: &Session,
    address: &Address,
    mark: &str,
) -> Result<Session, StepError> {
    let store = snapshot::connect(job).await?;
    let rows = store.query(include_str!("locale.sql"), &[]).await?;
    store.close().await;
    let mut like = String::new();
    for row in rows {
        let (word, value): (String, String) = (row.get(0), row.get(1));
        like.push_str(&format!(" {word} {}", quote_literal(&value)));
    }
    let name = quote_identifier(address.database());
    maintenance.run(&format!("CREATE DATABASE {name} TEMPLATE template0{like}")).await?;
    maintenance.run(&format!("COMMENT ON DATABASE {name} IS {}", quote_literal(mark))).await?;
    Session::connect(address, &job.application())
        .await
        .map_err(|failure| no_connection(job, address, failure))
}

async fn drop_database(maintenance: &Session, address: &Address) -> Result<(), StepError> {
    let name = quote_identifier(address.database());
    maintenance.run(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
    Ok(())
}

/// A connection with the same credentials to a database that is always there.
async fn maintenance(job: Job<'_>, address: &Address) -> Result<Session, StepError> {
    let mut last = None;
    for database in MAINTENANCE {
        match Session::connect(&address.with_database(database), &job.application()).await {
            Ok(session) => return Ok(session),
            Err(failure) => last = Some(failure),
        }
    }
    let because = last.map_or(String::new(), |failure| format!(": {failure}"));
    Err(StepError::refused(
        format!(
            "login scratch reaches neither database postgres nor template1 to create {}{because}",
            address.database()
        ),
        "Let it connect to one of them, or create its database empty.",
    ))
}

/// What another run marked is left from it only if nobody is connected there any more.
async fn must_not_be_in_use(job: Job<'_>, session: &Session, mark: &str) -> Result<(), StepError> {
    let Some(run) = mark.strip_prefix(MARK).filter(|run| *run != job.run().to_string()) else {
        return Ok(());
    };
    let others = sessions::of_this_database(session).await?;
    if others.is_empty() {
        return Ok(());
    }
    Err(StepError::refused(
        format!("the scratch database is in use by {} sessions of the rehearsal of run {run}", others.len()),
        "Wait until it has ended, or let login scratch lead to another database.",
    ))
}

async fn is_same_database(job: Job<'_>, scratch: &Session) -> Result<bool, StepError> {
    let backed_up = snapshot::connect(job).await?;
    let mut marks = Vec::new();
    for session in [&backed_up, scratch] {
        let rows = session.query(include_str!("which_database.sql"), &[]).await?;
        marks.push(rows.first().map(|row| row.get::<_, String>(0)));
    }
    backed_up.close().await;
    Ok(marks.first() == marks.last())
}

fn no_connection(job: Job<'_>, address: &Address, failure: tidegate_store::postgres::Failure) -> StepError {
    StepError::Door(DoorError::Connect { store: job.store().clone(), address: address.redacted(), failure })
}
