//! A client that was away for long: much of its own to push, more of others' to read.

use std::time::Instant;

use serde_json::json;
use vfs_core::client::{Begun, Client, Effect, Options, Reply, Request};

use super::ground::{echo, link, page, put, results};
use crate::scene::at;

/// Queues `local` operations, then pushes them and reads `remote` items; how long each took.
fn catch_up(local: usize, remote: usize) {
    let mut client = Client::new(Options::new("alice", "desktop").unwrap().pull_limit(500).unwrap());
    let started = Instant::now();
    for number in 0..local {
        client.queue_local_operation(&put(&format!("p{number}"), "c"), at(1)).unwrap();
    }
    let queued = started.elapsed();
    let Begun::Now(mut effects) = client.flush() else { panic!("nothing else is under way") };
    let (mut told, mut pushes, mut pages) = (0, 0, 0);
    let outcome = loop {
        let mut sent = None;
        let mut ended = None;
        for effect in effects {
            match effect {
                Effect::Send { id, request } => sent = Some((id, request)),
                Effect::Finished(end) => ended = Some(end),
                Effect::Persist | Effect::Tell(_) => {}
            }
        }
        if let Some(ended) = ended {
            break ended.unwrap();
        }
        let (id, request) = sent.expect("a request or the end");
        let body = match &request {
            Request::Push { operations, .. } => {
                assert!(operations.len() <= 500, "never more than a push may carry");
                pushes += 1;
                let answer = |op_id: &str| (op_id.to_owned(), "applied".to_owned());
                results(operations.iter().map(|queued| answer(queued.operation.op_id.as_str())))
            }
            Request::Pull { limit, .. } => {
                pages += 1;
                let count = usize::from(*limit).min(remote - told);
                let item = |number: usize| link(&format!("n{number:07}"), 10 + number as i64);
                let items = (told..told + count).map(item).collect();
                told += count;
                page(items, None, told < remote, json!({ "desktop": local }))
            }
            other => echo(other),
        };
        effects = client.reply(id, Reply::of(body));
    };
    let took = started.elapsed() - queued;
    println!(
        "{local} queued in {queued:?}; pushed in {pushes} and {remote} read in {pages} pages in {took:?}"
    );
    assert_eq!((outcome.pushed_operations, outcome.pulled_operations), (local, remote));
    assert_eq!((client.pending().len(), outcome.pull_pages), (0, pages));
    assert_eq!(client.snapshot().next_local_write_id.get(), local as u64 + 1);
}

#[test]
fn ten_thousand_local_and_a_hundred_thousand_remote_operations_are_caught_up_with() {
    catch_up(10_000, 100_000);
}
