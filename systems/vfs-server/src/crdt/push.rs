//! Pushing: one transaction, one question, one insertion, whatever the number of operations.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;
use tidegate_store::postgres::{Failure, Pool, Ready, Session, TxError as _, Type, quote_literal};
use vfs_core::{Operation, PushReply, PushRequest, PushStatus, Pushed};

use crate::db::{Trouble, Write, column};

/// What the database knows of a push before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Those of its items that are the caller's.
    pub owned: BTreeSet<String>,
    /// Those of its operations that the caller has pushed before, by the ids that the client gave.
    pub applied: BTreeSet<String>,
    /// The newest write of its replica; 0: none.
    pub newest_write: u64,
    /// The epoch of the feeds.
    pub epoch: i32,
}

/// What becomes of each operation, in their order. One that is applied counts for those behind it.
#[must_use]
pub fn decide(operations: &[Pushed], known: &Known) -> Vec<PushStatus> {
    let mut applied_now: BTreeSet<&str> = BTreeSet::new();
    let mut newest_write = known.newest_write;
    let mut status = |operation: &'_ Operation, op_id| {
        if !known.owned.contains(operation.item_id.as_str()) {
            PushStatus::InvalidOp
        } else if known.applied.contains(op_id) || applied_now.contains(op_id) {
            PushStatus::AlreadyApplied
        } else if operation.write_id.get() <= newest_write {
            PushStatus::StaleWriteId
        } else {
            applied_now.insert(op_id);
            newest_write = operation.write_id.get();
            PushStatus::Applied
        }
    };
    let each = operations.iter().map(|pushed| match pushed {
        Pushed::Valid(operation) => status(operation, operation.op_id.as_str()),
        Pushed::Invalid { .. } => PushStatus::InvalidOp,
    });
    each.collect()
}

/// The answer to a push, and the epoch that it is of.
pub type Told = (PushReply, i32);

/// Takes what a user pushes, in this order and in one transaction: all that is applied, or nothing. Returns the answers.
///
/// Two round trips, however many pushes there are: what they are decided by is asked for with BEGIN, and what is appended
/// goes out with COMMIT.
///
/// # Idempotence
/// An operation that was applied is known by the id that its client gave, and applied once.
///
/// # Locks
/// The user's pushes, one transaction after the other; then the feeds' head, to the end of the transaction.
///
/// # Errors
/// [`Trouble`].
pub async fn push(pool: &Pool, user: &str, requests: &[&PushRequest]) -> Result<Vec<Told>, Trouble> {
    // Hashes of different users may meet; they then wait for each other, and nothing else.
    let lock = format!(
        "SELECT pg_advisory_xact_lock(hashtextextended('vfs_crdt_feed:' || {}, 0))",
        quote_literal(user)
    );
    let session = pool.get_to_write().await?;
    let session: &Session = &session;
    let statements = Statements::ready(session).await?;
    let attempt = |repeats| write_down(session, &statements, &lock, user, requests, repeats);
    let statuses = match attempt(Repeats::Behind).await {
        // What looked new by its number was pushed before, as the index of the operations' ids says.
        Err(trouble) if is_repeat(&trouble) => attempt(Repeats::Anywhere).await?,
        outcome => outcome?,
    };
    let told = requests.iter().zip(statuses).map(|(request, (statuses, epoch))| {
        let results = request.operations.iter().zip(statuses);
        let results = results.map(|(pushed, status)| pushed.result(status)).collect();
        (PushReply { client_id: request.client_id.clone(), results }, epoch)
    });
    Ok(told.collect())
}

/// Which operations of a push may have been pushed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeats {
    /// Only those of a push that begins at a number not above its replica's newest: whatever a client repeats is there.
    Behind,
    /// Any: a client gave an operation another number, or another replica pushed it.
    Anywhere,
}

/// Whether an operation was to be appended that is there already.
fn is_repeat(trouble: &Trouble) -> bool {
    trouble.failure().and_then(Failure::constraint) == Some("vfs_crdt_ops_client_op_idx")
}

/// Decides and appends, in one transaction. Returns what became of each operation of each push, and the epoch.
async fn write_down(
    session: &Session,
    statements: &Statements,
    lock: &str,
    user: &str,
    requests: &[&PushRequest],
    repeats: Repeats,
) -> Result<Vec<(Vec<PushStatus>, i32)>, Trouble> {
    let mut write = Write::new(session, "push", lock);
    loop {
        let asked = requests.iter().zip(oldest_writes(requests, repeats));
        let asked = asked.map(|(request, oldest)| known(session, &statements.known, user, request, oldest));
        let begun = write.begin_with(try_join_all(asked)).await;
        let decided = begun.map(|known| decide_all(requests, known));
        let ended = match decided {
            Err(trouble) => write.end(Err(trouble)).await,
            Ok(statuses) => {
                let applied = Applied::of(requests, &statuses);
                if applied.is_empty() {
                    write.end(Ok(statuses)).await
                } else {
                    let appended = applied.append(session, &statements.append, user);
                    write
                        .end_behind(async {
                            let epoch = appended.await?;
                            Ok(statuses.into_iter().map(|(statuses, _)| (statuses, epoch)).collect())
                        })
                        .await
                }
            }
        };
        if let Some(outcome) = ended {
            return outcome;
        }
    }
}

/// What becomes of the operations of each push of one user: one that is applied counts for the pushes behind it.
fn decide_all(requests: &[&PushRequest], known: Vec<Known>) -> Vec<(Vec<PushStatus>, i32)> {
    let mut applied: BTreeSet<&str> = BTreeSet::new();
    let mut newest: BTreeMap<&str, u64> = BTreeMap::new();
    let each = requests.iter().zip(known).map(|(request, mut known)| {
        let client = request.client_id.as_str();
        known.applied.extend(applied.iter().map(|id| (*id).to_owned()));
        known.newest_write = known.newest_write.max(newest.get(client).copied().unwrap_or_default());
        let statuses = decide(&request.operations, &known);
        for (pushed, status) in request.operations.iter().zip(&statuses) {
            if let (Pushed::Valid(operation), PushStatus::Applied) = (pushed, status) {
                applied.insert(operation.op_id.as_str());
                let write = newest.entry(client).or_default();
                *write = operation.write_id.get().max(*write);
            }
        }
        (statuses, known.epoch)
    });
    each.collect()
}

/// What a push asks the server, prepared.
struct Statements {
    known: Ready,
    append: Ready,
}

impl Statements {
    async fn ready(session: &Session) -> Result<Statements, Failure> {
        const KNOWN: [Type; 5] = [Type::TEXT, Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::TEXT, Type::INT8];
        const APPEND: [Type; 11] = [
            Type::TEXT,
            Type::INT4,
            Type::TEXT_ARRAY,
            Type::TEXT_ARRAY,
            Type::TEXT_ARRAY,
            Type::TEXT_ARRAY,
            Type::TEXT_ARRAY,
            Type::TEXT_ARRAY,
            Type::TEXT_ARRAY,
            Type::TEXT_ARRAY,
            Type::INT8_ARRAY,
        ];
        Ok(Statements {
            known: session.ready(include_str!("sql/known.sql"), &KNOWN).await?,
            append: session.ready(include_str!("sql/append.sql"), &APPEND).await?,
        })
    }
}

/// The number of the oldest write of each push: above its replica's newest one, nothing of it was pushed before. 0 where
/// that cannot be said by a number.
///
/// So it is where the numbers do not rise, within a push or from one to the next of a replica: what comes too late by its
/// number is told from what was applied long ago by its id.
fn oldest_writes(requests: &[&PushRequest], repeats: Repeats) -> Vec<i64> {
    let mut newest: BTreeMap<&str, u64> = BTreeMap::new();
    let each = requests.iter().map(|request| {
        let last = newest.entry(request.client_id.as_str()).or_default();
        let mut oldest = None;
        let mut rise = true;
        for pushed in &request.operations {
            let Pushed::Valid(operation) = pushed else { continue };
            let number = operation.write_id.get();
            oldest.get_or_insert(number);
            rise &= number > *last;
            *last = number.max(*last);
        }
        let oldest = oldest.filter(|_| rise && repeats == Repeats::Behind).unwrap_or_default();
        i64::try_from(oldest).unwrap_or(i64::MAX)
    });
    each.collect()
}

/// Asks for everything that is decided by.
async fn known(
    session: &Session,
    statement: &Ready,
    user: &str,
    request: &PushRequest,
    oldest_write: i64,
) -> Result<Known, Failure> {
    let valid = request.operations.iter().filter_map(|pushed| match pushed {
        Pushed::Valid(operation) => Some(operation),
        Pushed::Invalid { .. } => None,
    });
    let (items, ids): (BTreeSet<&str>, Vec<&str>) =
        valid.map(|operation| (operation.item_id.as_str(), operation.op_id.as_str())).unzip();
    let items: Vec<&str> = items.into_iter().collect();
    let client = request.client_id.as_str();
    let rows = session.query_ready(statement, &[&user, &items, &ids, &client, &oldest_write]).await?;
    let mut known = Known::default();
    for row in &rows {
        let (kind, id, number): (i32, String, i64) = (column(row, 0)?, column(row, 1)?, column(row, 2)?);
        match kind {
            1 => drop(known.owned.insert(id)),
            2 => drop(known.applied.insert(id)),
            3 => known.newest_write = u64::try_from(number).unwrap_or_default(),
            _ => known.epoch = i32::try_from(number).unwrap_or_default(),
        }
    }
    Ok(known)
}

/// The operations that are applied, column by column.
#[derive(Default)]
struct Applied<'a> {
    replicas: Vec<&'a str>,
    op_ids: Vec<&'a str>,
    items: Vec<&'a str>,
    types: Vec<&'a str>,
    kinds: Vec<Option<&'a str>>,
    whom: Vec<Option<&'a str>>,
    levels: Vec<Option<&'a str>>,
    parents: Vec<Option<&'a str>>,
    writes: Vec<i64>,
}

impl<'a> Applied<'a> {
    fn of(requests: &[&'a PushRequest], statuses: &[(Vec<PushStatus>, i32)]) -> Applied<'a> {
        let mut applied = Applied::default();
        let each = requests.iter().zip(statuses).flat_map(|(request, (statuses, _))| {
            let replica = request.client_id.as_str();
            request.operations.iter().zip(statuses).map(move |(pushed, status)| (replica, pushed, status))
        });
        for (replica, pushed, status) in each {
            let (Pushed::Valid(operation), PushStatus::Applied) = (pushed, status) else { continue };
            applied.replicas.push(replica);
            let principal = operation.change.principal();
            applied.op_ids.push(operation.op_id.as_str());
            applied.items.push(operation.item_id.as_str());
            applied.types.push(operation.op_type().as_str());
            applied.kinds.push(principal.map(|who| who.kind.as_str()));
            applied.whom.push(principal.map(|who| who.id.as_str()));
            applied.levels.push(operation.change.level().map(|level| level.as_str()));
            applied.parents.push(operation.change.parent_id().map(AsRef::as_ref));
            applied.writes.push(i64::try_from(operation.write_id.get()).unwrap_or(i64::MAX));
        }
        applied
    }

    fn is_empty(&self) -> bool {
        self.op_ids.is_empty()
    }

    /// Appends them to the feed, in their order, and notes the newest write of each replica. Returns the epoch.
    async fn append(&self, session: &Session, statement: &Ready, user: &str) -> Result<i32, Failure> {
        let count = i32::try_from(self.op_ids.len()).unwrap_or(i32::MAX);
        let rows = session
            .query_ready(
                statement,
                &[
                    &user,
                    &count,
                    &self.replicas,
                    &self.op_ids,
                    &self.items,
                    &self.types,
                    &self.kinds,
                    &self.whom,
                    &self.levels,
                    &self.parents,
                    &self.writes,
                ],
            )
            .await?;
        let row = rows.first().ok_or_else(|| Failure::unusable_answer("vfs_feed_head has no row"))?;
        let (epoch, appended): (i32, i64) = (column(row, 0)?, column(row, 1)?);
        if appended != i64::from(count) {
            return Err(Failure::unusable_answer(format!("{appended} of {count} operations were appended")));
        }
        Ok(epoch)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn operation(op_id: &str, item: &str, write_id: u64) -> Json {
        json!({
            "opId": op_id, "opType": "link_add", "itemId": item, "replicaId": "a", "writeId": write_id,
            "occurredAt": "2026-02-14T20:00:00Z", "parentId": "p",
        })
    }

    #[test]
    fn each_operation_is_decided_by_what_is_known_and_by_those_before_it() {
        let operations = json!([
            operation("other", "not-mine", 9),
            operation("known", "mine", 10),
            operation("old", "mine", 5),
            operation("x", "mine", 6),
            operation("x", "mine", 7),
            operation("y", "mine", 6),
            operation("z", "mine", 7),
            7,
        ]);
        let request = PushRequest::parse(&json!({ "clientId": "a", "operations": operations })).unwrap();
        let known = Known {
            owned: BTreeSet::from(["mine".to_owned()]),
            applied: BTreeSet::from(["known".to_owned()]),
            newest_write: 5,
            epoch: 1,
        };
        use PushStatus::{AlreadyApplied, Applied, InvalidOp, StaleWriteId};
        assert_eq!(
            decide(&request.operations, &known),
            [
                InvalidOp,
                AlreadyApplied,
                StaleWriteId,
                Applied,
                AlreadyApplied,
                StaleWriteId,
                Applied,
                InvalidOp
            ]
        );
    }
}
