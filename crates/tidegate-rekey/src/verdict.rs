//! Judges one record. Pure: what is known comes in, and what is to be done goes out.

use bytes::Bytes;
use serde_json::Value;
use tidegate_store::kv::{Entry, Key, UnixSecond, Version};

use crate::body::{Body, Found};
use crate::change_clock::changed_at;
use crate::claims::{Answers, Claim};
use crate::payload::{Owner, Payload, rewritten};
use crate::{Plan, Reason, Rule, Subject};

/// All that the judgement of one legacy record depends on.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The record's rule.
    pub rule: &'a Rule,
    /// Whose record it may be.
    pub subject: &'a Subject,
    /// Under which spelling it was found. In place: any; the body says which.
    pub spelling: &'a str,
    /// Its key.
    pub key: &'a Key,
    /// Its new key, if somebody has asked for it already.
    pub new_key: Option<&'a Key>,
    /// The record.
    pub source: &'a Entry,
    /// What stands at the new key. In place: nothing.
    pub destination: Option<&'a Entry>,
    /// What was copied before.
    pub copied: Copied,
    /// What people decided on it as it is now.
    pub decision: Option<Decided>,
    /// Who claims the spellings.
    pub claims: &'a Answers,
    /// The store's time.
    pub now: UnixSecond,
}

/// What the ledger knows of a record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// The version of this legacy record that was judged settled, if one was.
    pub source: Option<Version>,
    /// Whether anything was ever settled at the new key, from whichever spelling.
    pub destination: bool,
}

/// A decision on a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    /// It is this subject's.
    Given,
    /// It stays where it is.
    Left,
}

/// What is to be done with a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// In place: it is not a legacy record of the subject.
    NotOurs,
    /// Write it.
    Copy(Copy),
    /// The same stands there already.
    Identical,
    /// What stands there is newer, or came from this very record.
    SkippedNewer,
    /// It was copied and has been removed there; it stays removed.
    DeletedSince,
    /// It has ended.
    Expired,
    /// A decision leaves it where it is.
    Left,
    /// It differs from what stands there and neither is known to be newer.
    Conflict(Reason),
    /// It is not provably the subject's.
    Quarantine(Reason),
    /// It cannot be copied.
    Failed(Reason),
}

/// A record to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Copy {
    /// Where.
    pub key: Key,
    /// The bytes, rewritten.
    pub value: Bytes,
    /// The metadata, rewritten.
    pub metadata: Option<String>,
    /// The end of the legacy record, to the second.
    pub expires_at: Option<UnixSecond>,
    /// Whether an older record stands there, which is saved first.
    pub overwrites: bool,
}

/// Judges a record.
#[must_use]
pub fn judge(case: &Case<'_>) -> Verdict {
    judged(case).unwrap_or_else(|verdict| verdict)
}

/// The error is a verdict too: one that ends the judgement early.
fn judged(case: &Case<'_>) -> Result<Verdict, Verdict> {
    let (rule, source) = (case.rule, case.source);
    if source.expires_at.is_some_and(|end| end <= case.now) {
        return Err(Verdict::Expired);
    }
    if case.decision == Some(Decided::Left) {
        return Err(Verdict::Left);
    }
    let given = case.decision == Some(Decided::Given);
    let body: Option<Body<'_>> = match rule.opaque {
        true => None,
        false => Some(
            Body::parse(&source.value)
                .map_err(|error| Verdict::Failed(Reason::NotJson { message: error.to_string() }))?,
        ),
    };
    let spellings = named_spellings(case, body.as_ref());
    if rule.is_in_place() && spellings.is_empty() && !(given && names_another(case, body.as_ref())) {
        return Err(Verdict::NotOurs);
    }
    let key = match case.new_key {
        Some(key) => key.clone(),
        None => rule
            .destination(case.subject, case.spelling, case.key, &*case.plan.rewrite)
            .map_err(Verdict::Failed)?,
    };
    // Whose it is was settled when this very record was copied. Accounts that came since change nothing.
    let is_settled = !rule.is_in_place() && case.copied.source == Some(source.version);
    if !given && !is_settled {
        owned(case, body.as_ref(), &spellings).map_err(Verdict::Quarantine)?;
    }
    let named = spellings.first().filter(|_| rule.is_in_place()).map(|named| (*named).to_owned());
    let spelling = named.as_deref().unwrap_or(case.spelling);
    let owner = Owner { plan: case.plan, rule, subject: case.subject, spelling, given };
    let payload = rewritten(owner, source, body).map_err(Verdict::Failed)?;
    match case.destination {
        _ if rule.is_in_place() => {}
        None if is_settled => return Err(Verdict::DeletedSince),
        None if case.copied.source.is_some() || case.copied.destination => {
            return Err(Verdict::Conflict(Reason::ChangedAfterRemoval));
        }
        None => {}
        Some(destination) => compared(case, &payload, destination, is_settled)?,
    }
    let overwrites = !rule.is_in_place() && case.destination.is_some();
    let Payload { value, metadata, .. } = payload;
    Ok(Verdict::Copy(Copy { key, value, metadata, expires_at: source.expires_at, overwrites }))
}

/// Whether a record may replace what stands at its new key.
fn compared(
    case: &Case<'_>,
    payload: &Payload,
    destination: &Entry,
    is_settled: bool,
) -> Result<(), Verdict> {
    let same_rest = same_metadata(payload.metadata.as_deref(), destination.metadata.as_deref())
        && case.source.expires_at == destination.expires_at;
    if same_rest && payload.value == destination.value {
        return Err(Verdict::Identical);
    }
    let there = serde_json::from_slice::<Value>(&destination.value);
    let body = match case.rule.opaque {
        true => None,
        false => serde_json::from_slice::<Value>(&payload.value).ok(),
    };
    if same_rest && body.is_some() && body.as_ref() == there.as_ref().ok() {
        return Err(Verdict::Identical);
    }
    // Dealt with once: what stands there came from this very record or was newer, and was changed there since, by
    // whatever clock.
    if is_settled {
        return Err(Verdict::SkippedNewer);
    }
    let Some(body) = &body else { return Err(Verdict::Conflict(Reason::NoClock)) };
    let there = there
        .map_err(|error| Verdict::Conflict(Reason::DestinationNotJson { message: error.to_string() }))?;
    match (changed_at(case.rule, body), changed_at(case.rule, &there)) {
        (Some(legacy), Some(there)) if there > legacy => Err(Verdict::SkippedNewer),
        (Some(legacy), Some(there)) if legacy > there => Ok(()),
        (Some(_), Some(_)) => Err(Verdict::Conflict(Reason::SameClockDifferentBytes)),
        _ => Err(Verdict::Conflict(Reason::NoClock)),
    }
}

fn same_metadata(one: Option<&str>, other: Option<&str>) -> bool {
    let parsed = |text| serde_json::from_str::<Value>(text).ok();
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) if one == other => true,
        (Some(one), Some(other)) => parsed(one).is_some_and(|one| Some(one) == parsed(other)),
        _ => false,
    }
}

/// Whom the body names, where it names anybody.
fn named<'b>(case: &Case<'_>, body: Option<&'b Body<'_>>) -> Vec<Found<'b>> {
    let Some(body) = body else { return Vec::new() };
    case.rule.proof_pointers.iter().filter_map(|pointer| body.at(pointer)).collect()
}

/// The spellings that the body names.
fn named_spellings<'b>(case: &Case<'_>, body: Option<&'b Body<'_>>) -> Vec<&'b str> {
    let texts = named(case, body).into_iter().filter_map(Found::as_str);
    texts.filter(|text| case.subject.is_spelling(text)).collect()
}

/// Whether the body names anybody besides the subject's id.
fn names_another(case: &Case<'_>, body: Option<&Body<'_>>) -> bool {
    named(case, body).iter().any(|value| value.as_str() != Some(case.subject.id.as_str()))
}

/// Whether a record is provably the subject's.
fn owned(case: &Case<'_>, body: Option<&Body<'_>>, spellings: &[&str]) -> Result<(), Reason> {
    let subject = case.subject;
    let mut names_id = false;
    for value in named(case, body) {
        match value.as_str() {
            Some(text) if text == subject.id => names_id = true,
            Some(text) if subject.is_spelling(text) => {}
            _ => return Err(Reason::OtherOwner { named: value.told() }),
        }
    }
    if names_id {
        return Ok(());
    }
    let in_place = case.rule.is_in_place();
    for spelling in if in_place { spellings } else { std::slice::from_ref(&case.spelling) } {
        let nobody = Claim::default();
        let claim = case.claims.0.get(*spelling).unwrap_or(&nobody);
        if !claim.claimants.contains(&subject.id) {
            return Err(Reason::NotTheClaimant { ids: claim.claimants.clone() });
        }
        if claim.claimants.len() > 1 {
            return Err(Reason::SeveralClaimants { ids: claim.claimants.clone() });
        }
        let reads_too = |name: &&String| {
            matches!(case.rule.kind, crate::Kind::Prefixed { .. })
                && case.key.as_str().starts_with(&case.rule.keys_of(name))
        };
        if let Some(name) = claim.longer_names.iter().find(reads_too) {
            return Err(Reason::LongerName { name: name.clone() });
        }
    }
    Ok(())
}
