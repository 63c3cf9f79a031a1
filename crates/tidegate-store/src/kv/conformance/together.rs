//! Several use one store at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::{Condition, Key, Kv, Written, WrittenAll};
use super::{Broken, Examined, Verdict, equal, holds};

/// Tasks at once.
const TASKS: usize = 16;
/// What each adds to the counter.
const ADDED: u64 = 10;
/// Most tries of one addition: each failure means that another succeeded.
const TRIES_MAX: usize = TASKS * 10 * 10;
/// Batches that are seen whole.
const BATCHES: u64 = 100;

pub(super) async fn two_handles_see_one_store(store: Examined) -> Verdict {
    let mut other = store.clone();
    std::mem::swap(&mut other.made.store, &mut other.made.other);
    let first = store.version("a put", store.put("k", b"1", Condition::Always)?).await?;
    equal("it by the other handle", other.value("k").await?, Some(b"1".to_vec()))?;
    other.done("a put on its version", other.put("k", b"2", Condition::Version(first))?).await?;
    let second = other.entry("k").await?.map(|entry| entry.version);
    store
        .refused("a put on the version before", store.put("k", b"3", Condition::Version(first))?, second)
        .await?;
    equal("the listing by the other", other.listed("", 10).await?, vec!["k".to_owned()])?;
    store.done("a deletion", store.delete("k", Condition::Always)?).await?;
    equal("it by the other handle", other.value("k").await?, None)
}

/// The two handles in turn.
fn handles(store: &Examined) -> impl Iterator<Item = Kv> {
    let (one, other) = (store.made.store.clone(), store.made.other.clone());
    (0..TASKS).map(move |task| if task % 2 == 0 { one.clone() } else { other.clone() })
}

async fn joined<T>(tasks: Vec<tokio::task::JoinHandle<Result<T, Broken>>>) -> Result<Vec<T>, Broken> {
    let mut answers = Vec::with_capacity(tasks.len());
    for task in tasks {
        answers.push(task.await.map_err(|error| Broken(format!("a task ended: {error}")))??);
    }
    Ok(answers)
}

pub(super) async fn counters_are_exact(store: Examined) -> Verdict {
    store.done("a put", store.put("counter", b"0", Condition::Always)?).await?;
    let mut tasks = Vec::new();
    for handle in handles(&store) {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            for _ in 0..ADDED {
                add_one(&store, &handle).await?;
            }
            Ok(())
        }));
    }
    joined(tasks).await?;
    let expected = (TASKS as u64 * ADDED).to_string();
    equal("the counter", store.value("counter").await?, Some(expected.into_bytes()))
}

async fn add_one(store: &Examined, handle: &Kv) -> Verdict {
    let key = Key::new("counter")?;
    for _ in 0..TRIES_MAX {
        let Some(entry) = handle.get(&store.namespace, &key).await? else {
            return Err(Broken("the counter is gone".to_owned()));
        };
        let number: Option<u64> = std::str::from_utf8(&entry.value).ok().and_then(|text| text.parse().ok());
        let Some(number) = number else {
            return Err(Broken(format!("the counter shows {:?}", entry.value)));
        };
        let next =
            store.put("counter", (number + 1).to_string().as_bytes(), Condition::Version(entry.version))?;
        if let Written::Done(_) = handle.write(next).await? {
            return Ok(());
        }
    }
    Err(Broken(format!("{TRIES_MAX} tries of one addition were refused")))
}

pub(super) async fn one_of_many_makes_an_absent_key(store: Examined) -> Verdict {
    for round in 0..10 {
        let key = format!("k{round}");
        let mut tasks = Vec::new();
        for (task, handle) in handles(&store).enumerate() {
            let write = store.put(&key, task.to_string().as_bytes(), Condition::Absent)?;
            tasks.push(tokio::spawn(async move {
                let made = matches!(handle.write_all(&[write]).await?, WrittenAll::Done(_));
                Ok(made.then_some(task))
            }));
        }
        let winners: Vec<usize> = joined(tasks).await?.into_iter().flatten().collect();
        holds(winners.len() == 1, || format!("{key} was made, as absent, by {winners:?}; expected: by one"))?;
        let value = winners.first().map(|task| task.to_string().into_bytes());
        equal("the value of the one that made it", store.value(&key).await?, value)?;
    }
    Ok(())
}

pub(super) async fn a_batch_is_seen_whole(store: Examined) -> Verdict {
    let keys = [Key::new("one")?, Key::new("two")?];
    let ended = Arc::new(AtomicBool::new(false));
    let reading = {
        let (store, ended) = (store.clone(), ended.clone());
        tokio::spawn(async move {
            let mut read = 0_u64;
            while !ended.load(Ordering::SeqCst) || read == 0 {
                let found = store.made.other.get_many(&store.namespace, &keys).await?;
                let values: Vec<_> =
                    found.iter().map(|entry| entry.as_ref().map(|entry| &entry.value)).collect();
                holds(values.first() == values.get(1), || format!("half of a batch is seen: {values:?}"))?;
                read += 1;
            }
            Ok(read)
        })
    };
    let mut written = Ok(());
    for number in 0..BATCHES {
        let value = number.to_string();
        let batch = [
            store.put("one", value.as_bytes(), Condition::Always)?,
            store.put("two", value.as_bytes(), Condition::Always)?,
        ];
        written = store.all(&batch).await.map(|_| ());
        if written.is_err() {
            break;
        }
    }
    ended.store(true, Ordering::SeqCst);
    joined(vec![reading]).await?;
    written
}
