//! One apply: batch after batch, each written whole or not at all.

use std::collections::HashMap;
use std::hash::RandomState;

use tidegate_store::kv::KvError;

use crate::document::Cursor;
use crate::draft::{DRAFT_RECORDS_MAX, Draft, Taken};
use crate::foreground::GENTLE_RECORDS;
use crate::in_place::InPlaceOwners;
use crate::judging::Judging;
use crate::known::Known;
use crate::report::{List, Refusals};
use crate::stream::{Item, Stream};
use crate::writer::{Committed, Writer};
use crate::{Bounds, Counts, Reason, Refusal, Rekey, RekeyError, Stopped, Subject, Verdict};

/// How often a batch is judged anew because others wrote its records, before its records go one by one; and then each.
const CONTENDED_MAX: usize = 5;

/// One apply under its lease.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    pub(crate) rekey: &'a Rekey,
    pub(crate) subject: &'a Subject,
    pub(crate) actor: &'a str,
    pub(crate) bounds: &'a Bounds,
    pub(crate) in_place: InPlaceOwners,
    pub(crate) known: Known,
    pub(crate) writer: Writer<'a>,
    pub(crate) counts: Counts,
    pub(crate) refusals: Refusals,
    /// Records that the store refused: a second listing cannot see it in them.
    pub(crate) forced: Vec<(List, Refusal)>,
    pub(crate) iterations: usize,
    /// Of the records that its bounds allow.
    pub(crate) spent: usize,
    pub(crate) last_key: Option<String>,
}

impl Run<'_> {
    /// Visits every record behind the cursors, in batches. None: it came to the end.
    ///
    /// A later pass of one run counts only what it copies: the rest was counted before.
    pub(crate) async fn pass(
        &mut self,
        cursors: &HashMap<String, Cursor>,
        is_first: bool,
    ) -> Result<Option<Stopped>, RekeyError> {
        let rekey = self.rekey;
        let mut stream = Stream::new(&rekey.plan, self.subject, &self.known, cursors, &self.in_place);
        let mut judging = Judging::new(&rekey.store, &rekey.plan, &*rekey.claims, self.subject, false);
        let hasher = RandomState::new();
        let (mut contended, mut one_by_one) = (0, 0_usize);
        let mut ahead: Option<Draft> = None;
        loop {
            let limit = self.limit(one_by_one > 0);
            let mut draft = match ahead.take() {
                Some(draft) => draft,
                None => fill(&self.known, &mut stream, &mut judging, &hasher, limit).await?,
            };
            if draft.items.is_empty() {
                return Ok(None);
            }
            if self.spent >= self.bounds.batch.saturating_mul(self.bounds.iterations) {
                return Ok(Some(Stopped::Iterations));
            }
            let mut state = self.writer.state.clone();
            let counts = counted(&draft.counts, is_first);
            state.migrated += draft.counts.total().migrated;
            state.add(&counts);
            let writes = draft.writes(&rekey.plan, self.subject, &self.known)?;
            let commit = self.writer.commit(writes, state, true, None);
            // While a batch is on its way, the next one is read and judged. Its conditions hold it to what it saw.
            let (committed, next) = if one_by_one > 0 {
                (commit.await?, None)
            } else {
                let next = fill(&self.known, &mut stream, &mut judging, &hasher, limit);
                let (committed, next) = tokio::join!(commit, next);
                (committed?, Some(next))
            };
            match &committed {
                Committed::Done => {
                    self.take_in(&mut draft, &counts, is_first);
                    ahead = next.transpose()?;
                    // What it judged by has changed.
                    if ahead.as_ref().is_some_and(|ahead| ahead.judged_beside(&draft)) {
                        stream.put_back(ahead.take().map(|ahead| ahead.items).unwrap_or_default());
                    }
                }
                Committed::Stopped(_) => {}
                Committed::Contended | Committed::Rejected(_) => {
                    if let Some(next) = next {
                        stream.put_back(next?.items);
                    }
                }
            }
            match committed {
                Committed::Done => {
                    contended = 0;
                    one_by_one = one_by_one.saturating_sub(1);
                }
                Committed::Stopped(stopped) => return Ok(Some(stopped)),
                Committed::Contended => {
                    contended += 1;
                    let gives_up = contended >= CONTENDED_MAX;
                    let reason = Reason::Contended { tries: CONTENDED_MAX };
                    again(&mut stream, draft.items, gives_up.then_some(reason), &mut one_by_one);
                    if gives_up {
                        contended = 0;
                    }
                }
                Committed::Rejected(error) => {
                    let reason = match error {
                        KvError::TooLarge { what, bytes, limit, .. } => {
                            Reason::TooLarge { what: what.to_owned(), bytes, limit }
                        }
                        other => Reason::StoreFailed { message: other.to_string() },
                    };
                    // Alone or together, a batch without a record's write that is rejected is not the record's fault.
                    if draft.items.iter().any(|item| item.forced.is_some()) && draft.items.len() == 1 {
                        return Err(KvError::Unavailable {
                            store: format!("{:?}", rekey.store.0),
                            message: reason.to_string(),
                        }
                        .into());
                    }
                    again(&mut stream, draft.items, Some(reason), &mut one_by_one);
                }
            }
        }
    }

    /// Records of the next batch, at most.
    fn limit(&self, is_alone: bool) -> usize {
        let is_waited_for = self.rekey.foreground.is_busy(&self.subject.id);
        let gentle = if is_waited_for { GENTLE_RECORDS } else { DRAFT_RECORDS_MAX };
        if is_alone { 1 } else { self.bounds.batch.min(gentle) }
    }

    /// What a batch takes of the bounds: all that one may have, unless it is small because it gave way.
    fn share(&self, draft: &Draft) -> usize {
        let gave_way = draft.at_most == GENTLE_RECORDS;
        if gave_way { draft.items.len().min(self.bounds.batch) } else { self.bounds.batch }
    }

    /// Takes in what a written batch changed.
    fn take_in(&mut self, draft: &mut Draft, counts: &Counts, is_first: bool) {
        self.iterations += 1;
        self.spent = self.spent.saturating_add(self.share(draft));
        self.last_key = draft.last_key();
        self.counts += counts;
        if is_first {
            self.refusals.extend(&draft.refusals);
        }
        let was_forced = |refusal: &Refusal| {
            draft.items.iter().any(|item| item.forced.is_some() && item.key.as_str() == refusal.key)
        };
        let saved_too_large = |refusal: &Refusal| matches!(&refusal.reason, Reason::TooLarge { what, .. } if what == "the saved former record");
        let forced = draft.refusals.iter().filter(|(_, one)| was_forced(one) || saved_too_large(one));
        self.forced.extend(forced.cloned());
        if !draft.settled.is_empty() {
            self.known.next_chunk += 1;
            std::mem::take(&mut draft.settled).into_iter().for_each(|settled| self.known.ledger.add(settled));
        }
        for (hash, held) in &draft.held {
            match held {
                Some(held) => self.known.held.insert(hash.clone(), held.clone()),
                None => self.known.held.remove(hash),
            };
        }
    }
}

/// Puts the records of a batch back, to go one by one from now on; one that did, with the reason why it fails.
fn again(stream: &mut Stream, mut items: Vec<Item>, gives_up: Option<Reason>, one_by_one: &mut usize) {
    if let Some(reason) = gives_up {
        match items.as_mut_slice() {
            [alone] => alone.forced = Some(reason),
            many => *one_by_one = (*one_by_one).max(many.len()),
        }
    }
    stream.put_back(items);
}

fn counted(counts: &Counts, is_first: bool) -> Counts {
    if is_first {
        return counts.clone();
    }
    let mut copied = Counts::default();
    for (name, of) in &counts.0 {
        if of.migrated > 0 {
            (copied.of(name).scanned, copied.of(name).migrated) = (of.migrated, of.migrated);
        }
    }
    copied
}

/// Judges as many of the next records as one batch holds.
async fn fill(
    known: &Known,
    stream: &mut Stream,
    judging: &mut Judging<'_>,
    hasher: &RandomState,
    limit: usize,
) -> Result<Draft, RekeyError> {
    let (store, plan, subject) = (judging.store, judging.plan, judging.subject);
    let mut draft = Draft::new(hasher.clone(), limit);
    while draft.items.len() < limit {
        let wanted = judging.page().min(limit - draft.items.len());
        let items = stream.take(store, plan, wanted).await?;
        if items.is_empty() {
            break;
        }
        let (judged, unread) = judging.judge(known, items).await?;
        stream.put_back(unread);
        let mut judged = judged.into_iter();
        while let Some(one) = judged.next() {
            if matches!(one.verdict, Verdict::NotOurs) {
                continue;
            }
            if let Taken::No(item) = draft.take(plan, subject, known, one)? {
                let rest = std::iter::once(item).chain(judged.map(|later| later.item));
                stream.put_back(rest.collect());
                return Ok(draft);
            }
        }
    }
    Ok(draft)
}
