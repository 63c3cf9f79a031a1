//! The file-sync client takes in what others changed, against `yrs`, `loro` and `automerge` that take in as many sets of
//! a map; and how many bytes an operation costs. Then ten clients with a thousand queued operations each converge.

use std::error::Error;
use std::time::{Duration, Instant};

use automerge::transaction::Transactable as _;
use serde_json::json;
use vfs_core::client::{Client, Effect, LocalOperation, Options, Reply, ReplyBody, Request, reply};
use vfs_core::model::{Model, Pull};
use vfs_core::{OpType, PushRequest, ReconcileRequest, Timestamp, UserId};
use yrs::updates::decoder::Decode as _;
use yrs::{Map as _, ReadTxn as _, Transact as _};

/// Operations of one measurement.
const OPERATIONS: usize = 200_000;
/// Operations of a page, and of one update of a peer.
const PAGE: usize = 500;
/// Containers that they lie in.
const FOLDERS: usize = 1_000;
/// Clients that converge, and what each has queued.
const CLIENTS: usize = 10;
const QUEUED: usize = 1_000;

type Failed = Box<dyn Error>;

fn time(millisecond: usize) -> Result<Timestamp, Failed> {
    Ok(Timestamp::from_millisecond(1_771_099_200_000 + i64::try_from(millisecond)?)?)
}

fn folder(number: usize) -> String {
    format!("folder-{:04}", number % FOLDERS)
}

fn file(number: usize) -> String {
    format!("file-{number:08}")
}

/// Pages as they come over the wire.
fn pages() -> Result<Vec<Vec<u8>>, Failed> {
    let mut pages = Vec::new();
    for start in (0..OPERATIONS).step_by(PAGE) {
        let mut items = Vec::new();
        for number in start..(start + PAGE).min(OPERATIONS) {
            items.push(json!({
                "opId": format!("0001-{:016}", number + 1), "itemId": file(number), "opType": "link_add",
                "principalType": null, "principalId": null, "accessLevel": null, "parentId": folder(number),
                "childId": file(number), "actorId": "ada", "sourceTable": "vfs_crdt_client_push",
                "sourceId": "s", "occurredAt": time(number)?.to_string(),
            }));
        }
        let has_more = start + PAGE < OPERATIONS;
        let last = start + items.len() - 1;
        let next = vfs_core::Cursor::new(time(last)?, &format!("0001-{:016}", last + 1));
        let next = next.filter(|_| has_more).map(|cursor| cursor.encode());
        let page = json!({
            "items": items, "nextCursor": next, "hasMore": has_more, "lastReconciledWriteIds": {},
        });
        pages.push(serde_json::to_vec(&page)?);
    }
    Ok(pages)
}

/// How long the client took to take all pages in, from their bytes.
struct Ours {
    took: Duration,
    /// The part of it in which pages were read, before anything was checked or applied.
    reading: Duration,
    /// Bytes of the state at the end.
    state: usize,
}

fn ours(pages: &[Vec<u8>]) -> Result<Ours, Failed> {
    let mut client = Client::new(Options::new("ada", "desk")?.pull_limit(PAGE)?);
    let mut reading = Duration::ZERO;
    let began = Instant::now();
    let mut effects = client.sync().effects();
    for page in pages {
        let Some(Effect::Send { id, request }) = effects.pop() else {
            return Err("no page was asked for".into());
        };
        let asked = Instant::now();
        let read = reply::read(&request, 200, page);
        reading += asked.elapsed();
        effects = client.reply(id, Reply::of(read));
    }
    let took = began.elapsed();
    let state = client.export_state();
    if state.replay_snapshot.links.len() != OPERATIONS {
        return Err(format!(
            "{} links instead of {OPERATIONS}: {effects:?}",
            state.replay_snapshot.links.len()
        )
        .into());
    }
    Ok(Ours { took, reading, state: serde_json::to_vec(&state)?.len() })
}

/// Updates of a peer, and how long another document takes to take them in.
struct Peer {
    took: Duration,
    wire: usize,
    state: usize,
}

fn with_yrs() -> Result<Peer, Failed> {
    let source = yrs::Doc::new();
    let map = source.get_or_insert_map("links");
    let mut updates = Vec::new();
    for start in (0..OPERATIONS).step_by(PAGE) {
        let before = source.transact().state_vector();
        {
            let mut transaction = source.transact_mut();
            for number in start..(start + PAGE).min(OPERATIONS) {
                map.insert(&mut transaction, format!("{}/{}", folder(number), file(number)), true);
            }
        }
        updates.push(source.transact().encode_state_as_update_v1(&before));
    }
    let doc = yrs::Doc::new();
    let there = doc.get_or_insert_map("links");
    let began = Instant::now();
    for update in &updates {
        doc.transact_mut().apply_update(yrs::Update::decode_v1(update)?)?;
    }
    let took = began.elapsed();
    let transaction = doc.transact();
    if there.len(&transaction) as usize != OPERATIONS {
        return Err("yrs lost something".into());
    }
    let state = transaction.encode_state_as_update_v1(&yrs::StateVector::default()).len();
    Ok(Peer { took, wire: updates.iter().map(Vec::len).sum(), state })
}

fn with_loro() -> Result<Peer, Failed> {
    let source = loro::LoroDoc::new();
    let map = source.get_map("links");
    let mut updates = Vec::new();
    for start in (0..OPERATIONS).step_by(PAGE) {
        let before = source.oplog_vv();
        for number in start..(start + PAGE).min(OPERATIONS) {
            map.insert(&format!("{}/{}", folder(number), file(number)), true)?;
        }
        source.commit();
        updates.push(source.export(loro::ExportMode::updates(&before))?);
    }
    let doc = loro::LoroDoc::new();
    let began = Instant::now();
    for update in &updates {
        doc.import(update)?;
    }
    let took = began.elapsed();
    if doc.get_map("links").len() != OPERATIONS {
        return Err("loro lost something".into());
    }
    let state = doc.export(loro::ExportMode::Snapshot)?.len();
    Ok(Peer { took, wire: updates.iter().map(Vec::len).sum(), state })
}

fn with_automerge() -> Result<Peer, Failed> {
    let mut source = automerge::AutoCommit::new();
    let mut updates = Vec::new();
    for start in (0..OPERATIONS).step_by(PAGE) {
        for number in start..(start + PAGE).min(OPERATIONS) {
            source.put(automerge::ROOT, format!("{}/{}", folder(number), file(number)), true)?;
        }
        source.commit();
        updates.push(source.save_incremental());
    }
    let mut doc = automerge::AutoCommit::new();
    let began = Instant::now();
    for update in &updates {
        doc.load_incremental(update)?;
    }
    let took = began.elapsed();
    if automerge::ReadDoc::length(&doc, automerge::ROOT) != OPERATIONS {
        return Err("automerge lost something".into());
    }
    Ok(Peer { took, wire: updates.iter().map(Vec::len).sum(), state: doc.save().len() })
}

/// What the model of the server answers.
fn answered(
    model: &mut Model,
    user: &UserId,
    now: Timestamp,
    request: &Request,
) -> Result<ReplyBody, Failed> {
    let body = match request {
        Request::Push { client_id, operations } => {
            let push = json!({ "clientId": client_id, "operations": operations });
            serde_json::to_vec(&model.push(now, user, &PushRequest::parse(&push)?))?
        }
        Request::Pull { cursor, limit } => {
            let pull = Pull { after: cursor.as_ref(), limit: usize::from(*limit), root_id: None };
            let page = model.pull(now, user, &pull)?;
            let next = page.next_cursor;
            serde_json::to_vec(&json!({
                "items": page.items, "nextCursor": next, "hasMore": page.has_more,
                "lastReconciledWriteIds": page.last_reconciled_write_ids,
            }))?
        }
        Request::Reconcile { client_id, state } => {
            let reconcile = json!({
                "clientId": client_id, "cursor": state.cursor.encode(),
                "lastReconciledWriteIds": state.last_reconciled_write_ids,
            });
            let kept = model.reconcile(user, &ReconcileRequest::parse(&reconcile)?);
            serde_json::to_vec(&json!({
                "clientId": client_id, "cursor": kept.cursor.encode(),
                "lastReconciledWriteIds": kept.last_reconciled_write_ids,
            }))?
        }
        Request::Snapshot => return Err("nobody starts over here".into()),
    };
    Ok(reply::read(request, 200, &body))
}

/// All clients push what they have queued and read what the others had: against the model of the server, in memory.
fn convergence() -> Result<Duration, Failed> {
    let user = UserId::parse("ada")?;
    let mut model = Model::new(time(0)?);
    let mut clients = Vec::new();
    for client in 0..CLIENTS {
        let mut made = Client::new(Options::new("ada", &format!("client-{client}"))?.pull_limit(PAGE)?);
        for number in 0..QUEUED {
            let item = format!("file-{client}-{number}");
            model.register(time(1)?, &user, &vfs_core::ItemId::parse(&item)?)?;
            made.queue_local_operation(
                &LocalOperation::link(OpType::LinkAdd, &folder(number), &item),
                time(number)?,
            )?;
        }
        clients.push(made);
    }
    let began = Instant::now();
    for _ in 0..2 {
        for client in &mut clients {
            let mut effects = std::collections::VecDeque::from(client.flush().effects());
            while let Some(effect) = effects.pop_front() {
                if let Effect::Send { id, request } = effect {
                    let body = answered(&mut model, &user, time(10_000)?, &request)?;
                    effects.extend(client.reply(id, Reply::of(body)));
                }
            }
        }
    }
    let took = began.elapsed();
    for client in &clients {
        let links = client.snapshot().links.len();
        if links != CLIENTS * QUEUED || !client.pending().is_empty() {
            return Err(format!("{links} links, {} wait", client.pending().len()).into());
        }
    }
    Ok(took)
}

fn median(mut times: Vec<Duration>) -> (Duration, Duration, Duration) {
    times.sort();
    let at = |index: usize| times.get(index).copied().unwrap_or_default();
    (at(times.len() / 2), at(0), at(times.len().saturating_sub(1)))
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn main() -> Result<(), Failed> {
    let pairs = std::env::args().nth(1).map_or(Ok(5), |text| text.parse())?;
    let pages = pages()?;
    let first = ours(&pages)?;
    let wire: usize = pages.iter().map(Vec::len).sum();
    let (wire, state) = (wire / OPERATIONS, first.state / OPERATIONS);
    println!("vfs-core: {wire} bytes an operation on the wire, {state} in the exported state");
    let mut reading = Vec::new();
    let peers: [(&str, fn() -> Result<Peer, Failed>); 3] =
        [("yrs", with_yrs), ("loro", with_loro), ("automerge", with_automerge)];
    for (name, peer) in peers {
        let (mut here, mut there, mut last) = (Vec::new(), Vec::new(), None);
        for _ in 0..pairs {
            let taken = ours(&pages)?;
            here.push(taken.took);
            reading.push(taken.reading);
            let taken = peer()?;
            there.push(taken.took);
            last = Some(taken);
        }
        let (a, a_min, a_max) = median(here);
        let (b, b_min, b_max) = median(there);
        let rate = |took: Duration| OPERATIONS as f64 / took.as_secs_f64() / 1e6;
        println!(
            "vfs-core {:.3} s ({:.3} to {:.3}), {:.2} M/s; {name} {:.3} s ({:.3} to {:.3}), {:.2} M/s; ratio {:.2}",
            a.as_secs_f64(),
            a_min.as_secs_f64(),
            a_max.as_secs_f64(),
            rate(a),
            b.as_secs_f64(),
            b_min.as_secs_f64(),
            b_max.as_secs_f64(),
            rate(b),
            a.as_secs_f64() / b.as_secs_f64()
        );
        if let Some(peer) = last {
            println!(
                "{name}: {} bytes a set on the wire, {} in its state",
                peer.wire / OPERATIONS,
                peer.state / OPERATIONS
            );
        }
    }
    let (read, least, most) = median(reading);
    println!(
        "of that, vfs-core reads pages for {:.3} s ({:.3} to {:.3}); the rest is checking and applying them",
        read.as_secs_f64(),
        least.as_secs_f64(),
        most.as_secs_f64()
    );
    let (took, least, most) = median((0..pairs).map(|_| convergence()).collect::<Result<_, _>>()?);
    println!(
        "{CLIENTS} clients with {QUEUED} queued operations each converge in {:.3} s ({:.3} to {:.3})",
        took.as_secs_f64(),
        least.as_secs_f64(),
        most.as_secs_f64()
    );
    Ok(())
}
