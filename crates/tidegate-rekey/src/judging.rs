//! Reads records in pages and judges them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use tidegate_store::kv::{Entry, Key, KvError, Namespace, READ_MAX_BYTES, UnixSecond, Version};

use crate::asking::Asking;
use crate::body::Body;
use crate::claims::Answers;
use crate::document::sha256;
use crate::known::{Known, hash_of};
use crate::payload::{Owner, rewritten};
use crate::report::List;
use crate::stream::Item;
use crate::verdict::{Case, Copied, Decided, judge};
use crate::{Claims, Kind, Plan, Refusal, RekeyError, Rule, RuleCounts, Subject, Verdict};

/// Records of the first page; how large they are is not known then.
const FIRST_PAGE: usize = 64;
/// Bytes that a page should have at most; the next page has fewer records where it had more.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Records of the largest page.
const PAGE_RECORDS_MAX: usize = 500;

/// New keys of one rule in one page from which on they are listed before they are read.
const LISTED_FROM: usize = 16;

/// The keys that may stand there, by the rules of which all are known.
#[derive(Debug, Default)]
struct StandingKeys(HashMap<usize, HashSet<Key>>);

impl StandingKeys {
    fn may_hold(&self, rule: usize, key: &Key) -> bool {
        self.0.get(&rule).is_none_or(|keys| keys.contains(key))
    }
}

/// A record that was judged.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) item: Item,
    pub(crate) source: Entry,
    pub(crate) destination: Option<(Key, Option<Entry>)>,
    pub(crate) copied: Copied,
    pub(crate) verdict: Verdict,
}

impl Judged {
    /// Its numbers.
    pub(crate) fn counts(&self) -> RuleCounts {
        let mut counts = RuleCounts { scanned: 1, ..RuleCounts::default() };
        match &self.verdict {
            Verdict::NotOurs => counts.scanned = 0,
            Verdict::Copy(_) => counts.migrated = 1,
            Verdict::Identical => counts.identical = 1,
            Verdict::SkippedNewer => counts.skipped_newer = 1,
            Verdict::DeletedSince => counts.deleted_since = 1,
            Verdict::Expired => counts.expired = 1,
            Verdict::Left => counts.left = 1,
            Verdict::Conflict(_) => counts.conflicts = 1,
            Verdict::Quarantine(_) => counts.quarantined = 1,
            Verdict::Failed(_) => counts.failed = 1,
        }
        counts
    }

    /// Its line in a report, if it has one.
    pub(crate) fn refusal(&self, rule: &Rule) -> Option<(List, Refusal)> {
        let (list, reason) = match &self.verdict {
            Verdict::Conflict(reason) => (List::Conflicts, reason),
            Verdict::Quarantine(reason) => (List::Quarantined, reason),
            Verdict::Failed(reason) => (List::Errors, reason),
            _ => return None,
        };
        let refusal = Refusal {
            rule: rule.name.clone(),
            namespace: rule.namespace.to_string(),
            key: self.item.key.to_string(),
            reason: reason.clone(),
        };
        Some((list, refusal))
    }

    /// Whether the ledger is to remember this version of the record.
    pub(crate) fn settles(&self, rule: &Rule) -> bool {
        let is_settled =
            matches!(self.verdict, Verdict::Copy(_) | Verdict::Identical | Verdict::SkippedNewer);
        is_settled && (rule.is_in_place() || self.copied.source != Some(self.source.version))
    }
}

/// Judges the records of one subject.
#[derive(Debug)]
pub(crate) struct Judging<'a> {
    pub(crate) store: &'a Asking,
    pub(crate) plan: &'a Plan,
    pub(crate) claims: &'a dyn Claims,
    pub(crate) subject: &'a Subject,
    answers: Answers,
    page: usize,
    /// In a dry run: which record would stand at a new key by now.
    would_stand: Option<HashMap<(Namespace, Key), Item>>,
}

impl<'a> Judging<'a> {
    pub(crate) fn new(
        store: &'a Asking,
        plan: &'a Plan,
        claims: &'a dyn Claims,
        subject: &'a Subject,
        is_dry: bool,
    ) -> Self {
        let would_stand = is_dry.then(HashMap::new);
        Self { store, plan, claims, subject, answers: Answers::default(), page: FIRST_PAGE, would_stand }
    }

    /// How many records the next page should have.
    pub(crate) fn page(&self) -> usize {
        self.page
    }

    /// Judges these, in order, and gives back the last of them where all together are too large: they come with the next
    /// ones. Those that are not there any more are left out.
    pub(crate) async fn judge(
        &mut self,
        known: &Known,
        mut items: Vec<Item>,
    ) -> Result<(Vec<Judged>, Vec<Item>), RekeyError> {
        let now = self.store.now().await?;
        let wanted: Vec<_> = items.iter().map(|item| (item.rule, Some(&item.key))).collect();
        let sources = self.read_first(&wanted).await?;
        let mut rest = items.split_off(sources.len());
        let mut there: Vec<(Item, Entry)> =
            items.into_iter().zip(sources).filter_map(|(item, entry)| Some((item, entry?))).collect();
        self.learn(&there).await?;
        let keys: Vec<Option<Key>> = there.iter().map(|(item, _)| self.destination(item)).collect();
        let there_already = self.standing_at(&there, &keys).await?;
        let wanted = there.iter().zip(&keys).map(|((item, _), key)| {
            (item.rule, key.as_ref().filter(|key| there_already.may_hold(item.rule, key)))
        });
        let destinations = self.read_first(&wanted.collect::<Vec<_>>()).await?;
        let unread = there.split_off(destinations.len()).into_iter().map(|(item, _)| item);
        rest.splice(..0, unread);
        let bytes = there.iter().map(|(_, entry)| entry.value.len());
        let bytes: usize = bytes.chain(destinations.iter().flatten().map(|entry| entry.value.len())).sum();
        self.page = match bytes > PAGE_BYTES {
            true => (self.page / 2).max(1),
            false => (self.page * 2).min(PAGE_RECORDS_MAX),
        };
        let mut standing = self.standing(&there, &keys, now).await?;
        let mut judged = Vec::with_capacity(there.len());
        for (((item, source), key), destination) in there.drain(..).zip(keys).zip(destinations) {
            let Some(rule) = self.plan.rules.get(item.rule) else { continue };
            let place = match &self.would_stand {
                Some(_) => key.clone().map(|key| (rule.namespace.clone(), key)),
                None => None,
            };
            let simulated = place.as_ref().and_then(|place| standing.get(place).cloned());
            let destination = simulated.or(destination);
            let one = self.one(known, item, rule, source, key, destination, now);
            if let (Verdict::Copy(copy), Some(place), Some(would_stand)) =
                (&one.verdict, place, &mut self.would_stand)
                && !rule.is_in_place()
            {
                would_stand.insert(place.clone(), one.item.clone());
                let entry = Entry {
                    value: copy.value.clone(),
                    metadata: copy.metadata.clone(),
                    expires_at: copy.expires_at,
                    version: Version(0),
                };
                standing.insert(place, entry);
            }
            judged.push(one);
        }
        Ok((judged, rest))
    }

    #[expect(clippy::too_many_arguments, reason = "all that one judgement needs, at its only call")]
    fn one(
        &self,
        known: &Known,
        item: Item,
        rule: &Rule,
        source: Entry,
        key: Option<Key>,
        destination: Option<Entry>,
        now: UnixSecond,
    ) -> Judged {
        let copied = known.ledger.copied(&rule.namespace, &item.key, key.as_ref());
        let verdict = match &item.forced {
            Some(reason) => Verdict::Failed(reason.clone()),
            None => judge(&Case {
                plan: self.plan,
                rule,
                subject: self.subject,
                spelling: &item.spelling,
                key: &item.key,
                new_key: key.as_ref(),
                source: &source,
                destination: destination.as_ref().filter(|_| !rule.is_in_place()),
                copied,
                decision: self.decision(known, rule, &item, &source),
                claims: &self.answers,
                now,
            }),
        };
        Judged { item, source, destination: key.map(|key| (key, destination)), copied, verdict }
    }

    fn decision(&self, known: &Known, rule: &Rule, item: &Item, source: &Entry) -> Option<Decided> {
        if known.decisions.is_empty() {
            return None;
        }
        let hash = hash_of(&rule.namespace, &item.key);
        known.decided(&self.subject.id, &hash, || sha256(&source.value))
    }

    /// The new key of a record; none: it has none, or stays.
    fn destination(&self, item: &Item) -> Option<Key> {
        let rule = self.plan.rules.get(item.rule)?;
        if rule.is_in_place() {
            return None;
        }
        rule.destination(self.subject, &item.spelling, &item.key, &*self.plan.rewrite).ok()
    }

    /// Who may claim the names under which these stand, and all of the subject's for what stays in place.
    async fn learn(&mut self, there: &[(Item, Entry)]) -> Result<(), RekeyError> {
        let mut spellings = BTreeSet::new();
        for (item, _) in there {
            match self.plan.rules.get(item.rule) {
                Some(rule) if rule.is_in_place() => {
                    spellings.extend(self.subject.spellings.iter().map(String::as_str));
                }
                Some(_) => drop(spellings.insert(&*item.spelling)),
                None => {}
            }
        }
        self.answers.learn(self.claims, spellings).await
    }

    /// Which new keys stand there, by one listing for each rule that has many here: most of them do not.
    ///
    /// One that comes to stand there afterwards refuses the batch, which holds that nothing does.
    async fn standing_at(
        &self,
        there: &[(Item, Entry)],
        keys: &[Option<Key>],
    ) -> Result<StandingKeys, KvError> {
        let mut by_rule: BTreeMap<usize, Vec<&Key>> = BTreeMap::new();
        for ((item, _), key) in there.iter().zip(keys) {
            by_rule.entry(item.rule).or_default().extend(key);
        }
        let mut standing = StandingKeys::default();
        for (index, mut keys) in by_rule {
            let Some(rule) = self.plan.rules.get(index) else { continue };
            if keys.len() < LISTED_FROM || !matches!(rule.kind, Kind::Prefixed { .. }) {
                continue;
            }
            keys.sort_unstable();
            let (Some(first), Some(last)) = (keys.first(), keys.last()) else { continue };
            let prefix = rule.keys_of(&self.subject.id);
            let limit = keys.len() / 2;
            let page = self.store.list(&rule.namespace, &prefix, Some(*first), limit).await?;
            if page.complete || page.entries.last().is_some_and(|listed| listed.key >= **last) {
                let mut found: HashSet<Key> = page.entries.into_iter().map(|listed| listed.key).collect();
                // A listing starts behind it.
                found.insert((*first).clone());
                standing.0.insert(index, found);
            }
        }
        Ok(standing)
    }

    /// What stands at the first of these keys of a rule, in their order: at as many as come to the bytes of one reading.
    async fn read_first(&self, wanted: &[(usize, Option<&Key>)]) -> Result<Vec<Option<Entry>>, KvError> {
        let namespace_of = |rule: usize| self.plan.rules.get(rule).map(|rule| &rule.namespace);
        let (mut found, mut bytes) = (Vec::with_capacity(wanted.len()), 0);
        while let Some((rule, _)) = wanted.get(found.len()).filter(|_| bytes < READ_MAX_BYTES) {
            let Some(namespace) = namespace_of(*rule) else {
                found.push(None);
                continue;
            };
            let rest = wanted.get(found.len()..).unwrap_or_default();
            let here = rest.iter().take_while(|(rule, _)| namespace_of(*rule) == Some(namespace));
            let keys: Vec<Key> = here.clone().filter_map(|(_, key)| key.cloned()).collect();
            let read = match keys.is_empty() {
                true => Vec::new(),
                false => self.store.get_some(namespace, &keys).await?,
            };
            let is_whole = read.len() == keys.len();
            bytes += read.iter().flatten().map(|entry| entry.value.len()).sum::<usize>();
            let mut read = read.into_iter();
            for (_, key) in here {
                match key.map(|_| read.next()) {
                    None => found.push(None),
                    Some(Some(entry)) => found.push(entry),
                    Some(None) => break,
                }
            }
            if !is_whole {
                break;
            }
        }
        Ok(found)
    }

    /// What stands at each of these keys of a rule, in their order; one call a namespace.
    async fn read(
        &self,
        wanted: impl Iterator<Item = (usize, Option<Key>)>,
    ) -> Result<Vec<Option<Entry>>, KvError> {
        let mut by_namespace: Vec<(&Namespace, Vec<usize>, Vec<Key>)> = Vec::new();
        let mut count = 0;
        for (index, (rule, key)) in wanted.enumerate() {
            count = index + 1;
            let (Some(rule), Some(key)) = (self.plan.rules.get(rule), key) else { continue };
            match by_namespace.iter_mut().find(|(namespace, ..)| **namespace == rule.namespace) {
                Some((_, indexes, keys)) => {
                    indexes.push(index);
                    keys.push(key);
                }
                None => by_namespace.push((&rule.namespace, vec![index], vec![key])),
            }
        }
        let mut found: Vec<Option<Entry>> = vec![None; count];
        for (namespace, indexes, keys) in by_namespace {
            for (index, entry) in indexes.into_iter().zip(self.store.get_many(namespace, &keys).await?) {
                if let Some(place) = found.get_mut(index) {
                    *place = entry;
                }
            }
        }
        Ok(found)
    }

    /// In a dry run: what earlier records would have put at these records' new keys.
    async fn standing(
        &self,
        there: &[(Item, Entry)],
        keys: &[Option<Key>],
        now: UnixSecond,
    ) -> Result<HashMap<(Namespace, Key), Entry>, KvError> {
        let mut standing = HashMap::new();
        let Some(would_stand) = &self.would_stand else { return Ok(standing) };
        let (mut places, mut earlier) = (Vec::new(), Vec::new());
        for ((item, _), key) in there.iter().zip(keys) {
            let (Some(rule), Some(key)) = (self.plan.rules.get(item.rule), key) else { continue };
            let place = (rule.namespace.clone(), key.clone());
            if let Some(before) = would_stand.get(&place) {
                places.push(place);
                earlier.push(before.clone());
            }
        }
        let sources = self.read(earlier.iter().map(|item| (item.rule, Some(item.key.clone())))).await?;
        for ((place, item), source) in places.into_iter().zip(earlier).zip(sources) {
            let (Some(rule), Some(source)) = (self.plan.rules.get(item.rule), source) else { continue };
            let body = (!rule.opaque).then(|| Body::parse(&source.value).ok()).flatten();
            let (plan, subject, spelling) = (self.plan, self.subject, &*item.spelling);
            // How a decision rewrites it makes no difference to its time.
            let owner = Owner { plan, rule, subject, spelling, given: false };
            if let Ok(payload) = rewritten(owner, &source, body)
                && source.expires_at.is_none_or(|end| end > now)
            {
                let (value, metadata) = (payload.value, payload.metadata);
                standing.insert(place, Entry { value, metadata, ..source });
            }
        }
        Ok(standing)
    }
}
