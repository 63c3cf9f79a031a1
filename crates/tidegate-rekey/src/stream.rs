//! The legacy keys of a subject, one after the other.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tidegate_store::kv::{Key, KvError, PAGE_MAX, Version};

use crate::asking::Asking;
use crate::document::Cursor;
use crate::in_place::InPlaceOwners;
use crate::known::Known;
use crate::{Kind, Plan, Reason, Subject};

/// A key to be looked at.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// Its rule's place in the plan.
    pub(crate) rule: usize,
    /// The name of its cursor; none: it is visited anew by each run.
    pub(crate) cursor: Option<Arc<str>>,
    pub(crate) spelling: Arc<str>,
    pub(crate) key: Key,
    /// The version in the listing; none: the key was not listed.
    pub(crate) version: Option<Version>,
    /// Why it has failed, where the store refused it.
    pub(crate) forced: Option<Reason>,
}

/// The legacy keys of a subject: rule by rule, spelling by spelling, in the order of the keys' bytes.
#[derive(Debug)]
pub(crate) struct Stream {
    sources: VecDeque<Source>,
    waiting: VecDeque<Item>,
}

#[derive(Debug)]
struct Source {
    rule: usize,
    cursor: Option<Arc<str>>,
    spelling: Arc<str>,
    keys: Keys,
}

#[derive(Debug)]
enum Keys {
    Listed { prefix: String, longer: Vec<String>, after: Option<Key> },
    Fixed(VecDeque<Key>),
}

impl Stream {
    /// All keys behind the cursors.
    pub(crate) fn new(
        plan: &Plan,
        subject: &Subject,
        known: &Known,
        cursors: &HashMap<String, Cursor>,
        in_place: &InPlaceOwners,
    ) -> Self {
        let mut sources = VecDeque::new();
        for (index, rule) in plan.rules.iter().enumerate() {
            if rule.is_in_place() {
                let name = format!("{}:0", rule.name);
                let after = cursors.get(&name).map(|cursor| cursor.key.clone());
                let mut keys = in_place.keys_of(&rule.name, &subject.spellings);
                keys.retain(|key| after.as_ref().is_none_or(|after| key.as_str() > after.as_str()));
                sources.push_back(Source {
                    rule: index,
                    cursor: Some(name.into()),
                    spelling: Arc::from(""),
                    keys: Keys::Fixed(keys.into()),
                });
                continue;
            }
            for (number, spelling) in subject.spellings.iter().enumerate() {
                let name = format!("{}:{number}", rule.name);
                let cursor = cursors.get(&name).filter(|cursor| cursor.spelling == *spelling);
                let after = cursor.and_then(|cursor| Key::new(cursor.key.as_str()).ok());
                let start = rule.keys_of(spelling);
                let keys = match &rule.kind {
                    Kind::Prefixed { .. } => {
                        // A key that fits two names of the subject is the longer one's.
                        let longer = subject.spellings.iter().map(|other| rule.keys_of(other));
                        let longer = longer.filter(|other| *other != start && other.starts_with(&start));
                        Keys::Listed { longer: longer.collect(), prefix: start, after }
                    }
                    _ => match Key::new(start) {
                        Ok(key) if after.is_none() => Keys::Fixed([key].into()),
                        _ => continue,
                    },
                };
                let spelling = Arc::from(spelling.as_str());
                sources.push_back(Source { rule: index, cursor: Some(name.into()), spelling, keys });
            }
        }
        sources.extend(given(plan, subject, known, in_place));
        Self { sources, waiting: VecDeque::new() }
    }

    /// The next keys, at most so many; none: there are no more.
    pub(crate) async fn take(
        &mut self,
        store: &Asking,
        plan: &Plan,
        at_most: usize,
    ) -> Result<Vec<Item>, KvError> {
        while self.waiting.len() < at_most {
            let Some(source) = self.sources.front_mut() else { break };
            let wanted = at_most - self.waiting.len();
            let complete = match &mut source.keys {
                Keys::Fixed(keys) => {
                    let some: Vec<Key> = keys.drain(..wanted.min(keys.len())).collect();
                    self.waiting.extend(some.into_iter().map(|key| source.item(key, None)));
                    matches!(&source.keys, Keys::Fixed(keys) if keys.is_empty())
                }
                Keys::Listed { prefix, longer, after } => {
                    let Some(rule) = plan.rules.get(source.rule) else { break };
                    let limit = wanted.min(PAGE_MAX);
                    let page = store.list(&rule.namespace, prefix, after.as_ref(), limit).await?;
                    if let Some(last) = page.entries.last() {
                        *after = Some(last.key.clone());
                    }
                    let mut listed = page.entries;
                    listed
                        .retain(|listed| !longer.iter().any(|start| listed.key.as_str().starts_with(start)));
                    let items: Vec<Item> = listed
                        .into_iter()
                        .map(|listed| source.item(listed.key, Some(listed.version)))
                        .collect();
                    self.waiting.extend(items);
                    page.complete
                }
            };
            if complete {
                self.sources.pop_front();
            }
        }
        Ok(self.waiting.drain(..at_most.min(self.waiting.len())).collect())
    }

    /// Puts keys before all others, in their order.
    pub(crate) fn put_back(&mut self, items: Vec<Item>) {
        for item in items.into_iter().rev() {
            self.waiting.push_front(item);
        }
    }
}

impl Source {
    fn item(&self, key: Key, version: Option<Version>) -> Item {
        Item {
            rule: self.rule,
            cursor: self.cursor.clone(),
            spelling: Arc::clone(&self.spelling),
            key,
            version,
            forced: None,
        }
    }
}

/// Records that decisions gave to the subject and that stand under none of its own names.
fn given(plan: &Plan, subject: &Subject, known: &Known, in_place: &InPlaceOwners) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut decisions: Vec<_> = known.given(&subject.id).collect();
    decisions.sort_by(|one, other| (&one.namespace, &one.key).cmp(&(&other.namespace, &other.key)));
    for decision in decisions {
        let is_its_rule = |rule: &crate::Rule| rule.name == decision.rule;
        let Some(index) = plan.rules.iter().position(is_its_rule) else { continue };
        let Some(rule) = plan.rules.get(index) else { continue };
        let is_visited = subject.spellings.iter().any(|spelling| match &rule.kind {
            Kind::Prefixed { .. } => decision.key.starts_with(&rule.keys_of(spelling)),
            Kind::Single { .. } => decision.key == rule.keys_of(spelling),
            Kind::InPlace { .. } => false,
        });
        let is_visited = is_visited
            || (rule.is_in_place()
                && in_place
                    .keys_of(&rule.name, &subject.spellings)
                    .iter()
                    .any(|key| key.as_str() == decision.key));
        if let (false, Ok(key)) = (is_visited, Key::new(decision.key.as_str())) {
            let spelling = Arc::from(decision.spelling.as_str());
            sources.push(Source { rule: index, cursor: None, spelling, keys: Keys::Fixed([key].into()) });
        }
    }
    sources
}
