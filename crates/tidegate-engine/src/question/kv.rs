//! Questions to a key-value store: what stands at a key, and which keys begin with a prefix. Nothing is written.

mod listing;
mod report;

use serde_json::Value as Json;
use tidegate_runbook::{Expectation, KvBody, KvCondition, KvRead, KvStatement, TextPiece, TextTemplate};
use tidegate_store::kv::{Entry, Key, Kv, Namespace};

use crate::outcome::ROWS_KEPT_MAX;
use crate::question::json::{judge_json, kept_value};
use crate::question::{Answered, Reply};
use crate::values::{Relation, Value, Values};
use crate::verdict::Verdict;
use listing::{Listing, Wanted};

/// Most keys that one statement goes through.
pub(crate) const KEYS_MAX: u64 = 1_000_000;

/// Most bytes of a whole value that are kept.
const VALUE_KEPT_BYTES_MAX: usize = 64 * 1024;

/// Most lines of reports that are told with a verdict that does not hold; the outcome of one that holds has all.
const TOLD_WITH_FAILURE_MAX: usize = 10;

/// A body with all that it needs.
pub(crate) struct KvQuestion<'a> {
    /// What the page says.
    pub(crate) body: &'a KvBody,
    /// How the one statement that is no report is judged; empty: the statements are kept.
    pub(crate) expect: &'a [Expectation],
    /// Values to be put in.
    pub(crate) values: &'a Values,
    /// Most keys that one statement goes through: [`KEYS_MAX`].
    pub(crate) keys_max: u64,
}

/// What one statement found.
enum Found {
    /// `get`
    At(At),
    /// `missing`
    Missing(bool),
    /// `count` and `list`
    Keys(Listing),
}

/// What stands at a key.
enum At {
    /// Nothing.
    Nothing,
    /// Something, which has nothing at the pointer.
    NoField,
    /// What the pointer leads to.
    Field(Json),
    /// All of it, where no pointer was asked.
    Whole(Entry),
}

/// Reads, judges or keeps, and reports.
pub(crate) async fn ask(store: &Kv, question: &KvQuestion<'_>) -> Answered {
    let mut answered =
        if question.expect.is_empty() { keep(store, question).await } else { check(store, question).await };
    for statement in question.body.statements.iter().filter(|statement| statement.report) {
        answered.told.extend(report::lines(statement, store, question).await);
    }
    let told = &answered.told;
    if let Verdict::Fail(text) | Verdict::Unknown(text) = &mut answered.verdict
        && !told.is_empty()
    {
        let shown: Vec<&str> = told.iter().take(TOLD_WITH_FAILURE_MAX).map(String::as_str).collect();
        let more = if told.len() > shown.len() { "; …" } else { "" };
        text.push_str(&format!("; reported: {}{more}", shown.join("; ")));
    }
    answered
}

async fn check(store: &Kv, question: &KvQuestion<'_>) -> Answered {
    let Some(statement) = question.body.answers().next() else {
        return Answered::unknown("no statement is judged".to_owned());
    };
    match read(statement, store, question).await {
        Err(why) => Answered::unknown(why),
        Ok((place, found)) => {
            let judged = question.expect.iter().map(|one| judge(one, &place, &found, question.values));
            let verdict = Verdict::worst(judged);
            Answered::new(verdict, evidence(&place, found))
        }
    }
}

/// What a check keeps where its step says `@evidence rows`.
fn evidence(place: &Place, found: Found) -> Reply {
    let text = match found {
        Found::Keys(listing) => return Reply::Rows(listing.relation),
        Found::Missing(_) | Found::At(At::Nothing) => return Reply::None,
        Found::At(At::NoField) => None,
        Found::At(At::Field(json)) => kept_value(&json).text,
        Found::At(At::Whole(entry)) => {
            let text =
                std::str::from_utf8(&entry.value).ok().filter(|text| text.len() <= VALUE_KEPT_BYTES_MAX);
            text.map(str::to_owned)
        }
    };
    let column = |name: &str| (name.to_owned(), "text".to_owned());
    let row = vec![Some(place.key.clone()), text];
    Reply::Rows(Relation { columns: vec![column("key"), column("value")], rows: vec![row] })
}

async fn keep(store: &Kv, question: &KvQuestion<'_>) -> Answered {
    let mut kept: Vec<(String, Value)> = Vec::new();
    for statement in question.body.answers() {
        let (place, found) = match read(statement, store, question).await {
            Ok(read) => read,
            Err(why) => return Answered::unknown(why),
        };
        let value = match found {
            Found::Keys(listing) if matches!(statement.read, KvRead::List { .. }) => {
                return keep_rows(&place, listing);
            }
            Found::Keys(listing) => value("bigint", listing.count.to_string()),
            Found::Missing(missing) => value("boolean", missing.to_string()),
            Found::At(At::Nothing) => return Answered::failed(format!("nothing stands at {place}")),
            Found::At(At::NoField) => {
                return Answered::failed(format!("{place} has nothing at {}", pointer(statement)));
            }
            Found::At(At::Field(json)) => kept_value(&json),
            Found::At(At::Whole(entry)) => match whole(&place, &entry) {
                Ok(text) => value("text", text),
                Err(found) => return Answered::failed(found),
            },
        };
        if let Some(name) = &statement.name {
            kept.push((name.to_string(), value));
        }
    }
    Answered::new(Verdict::Pass, Reply::Values(kept))
}

fn keep_rows(place: &Place, listing: Listing) -> Answered {
    if listing.relation.rows.len() > ROWS_KEPT_MAX {
        return Answered::failed(format!(
            "{} under {place} and at most {ROWS_KEPT_MAX} are kept: narrow the list, give it a `limit`, or count",
            keys(listing.count)
        ));
    }
    Answered::new(Verdict::Pass, Reply::Rows(listing.relation))
}

fn value(type_name: &str, text: String) -> Value {
    Value { type_name: type_name.to_owned(), text: Some(text), secret: false }
}

fn pointer(statement: &KvStatement) -> &str {
    match &statement.read {
        KvRead::Get { pointer: Some(pointer), .. } => pointer,
        _ => "",
    }
}

/// A value as text; else why it cannot be kept.
fn whole(place: &Place, entry: &Entry) -> Result<String, String> {
    if entry.value.len() > VALUE_KEPT_BYTES_MAX {
        return Err(format!(
            "{place} has {} bytes and at most {VALUE_KEPT_BYTES_MAX} are kept: add a pointer",
            entry.value.len()
        ));
    }
    match std::str::from_utf8(&entry.value) {
        Ok(text) if !text.contains('\0') => Ok(text.to_owned()),
        _ => Err(format!("{place} is no text, and only texts are kept")),
    }
}

fn judge(expectation: &Expectation, place: &Place, found: &Found, values: &Values) -> Verdict {
    match (expectation, found) {
        (Expectation::Zero | Expectation::Empty, Found::Keys(listing)) => match listing.count {
            0 => Verdict::Pass,
            count => Verdict::Fail(format!(
                "{} under {place}{} where none is expected: {}",
                keys(count),
                if listing.conditional { " that meet the conditions" } else { "" },
                listing.examples()
            )),
        },
        (Expectation::True, Found::Missing(true) | Found::At(At::Field(Json::Bool(true)))) => Verdict::Pass,
        (Expectation::True, Found::Missing(false)) => Verdict::Fail(format!("{place} is there")),
        (Expectation::True, Found::At(At::Field(json))) => {
            Verdict::Fail(format!("{place} is {json} where true is expected"))
        }
        (_, Found::At(At::Nothing)) => Verdict::Fail(format!("nothing stands at {place}")),
        (_, Found::At(At::NoField)) => Verdict::Fail(format!("{place} has nothing at its pointer")),
        (Expectation::Json { pointer, operator }, Found::At(At::Field(json))) => {
            placed(place, judge_json(pointer, operator, json.pointer(pointer), values))
        }
        (Expectation::Json { pointer, operator }, Found::At(At::Whole(entry))) => {
            match serde_json::from_slice::<Json>(&entry.value) {
                Ok(json) => placed(place, judge_json(pointer, operator, json.pointer(pointer), values)),
                Err(error) => Verdict::Unknown(not_json(place, pointer, &error)),
            }
        }
        (other, _) => Verdict::Fail(format!("`{other}` does not fit what is read")),
    }
}

fn keys(count: u64) -> String {
    if count == 1 { "1 key".to_owned() } else { format!("{count} keys") }
}

/// The verdict, told with the key that it is about.
fn placed(place: &Place, verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Pass => Verdict::Pass,
        Verdict::Fail(found) => Verdict::Fail(format!("{place}: {found}")),
        Verdict::Unknown(why) => Verdict::Unknown(format!("{place}: {why}")),
    }
}

fn not_json(place: &Place, pointer: &str, error: &serde_json::Error) -> String {
    format!("{place} is not JSON ({error}), so {pointer} cannot be read")
}

/// A namespace with a key or prefix in it.
struct Place {
    namespace: Namespace,
    key: String,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} of {}", self.key, self.namespace)
    }
}

impl Place {
    fn of(namespace: &str, key: &TextTemplate, values: &Values) -> Result<Self, String> {
        let key = rendered_key(key, values)?;
        Ok(Self { namespace: Namespace::new(namespace).map_err(|error| error.to_string())?, key })
    }
}

/// A key or prefix with its values.
///
/// # Errors
/// `trip:{{user}}:` without a user would be another prefix, with other people's keys behind it: it is refused.
pub(crate) fn rendered_key(key: &TextTemplate, values: &Values) -> Result<String, String> {
    for piece in &key.pieces {
        if let TextPiece::Value(name) = piece
            && values.get(name).is_ok_and(|value| value.text.as_deref() == Some(""))
        {
            return Err(format!("the value {name} is empty, and a key needs all of its parts"));
        }
    }
    values.text(key, false, str::to_owned).map_err(|missing| missing.to_string())
}

/// Reads what one statement asks; else why it could not be told.
async fn read(
    statement: &KvStatement,
    store: &Kv,
    question: &KvQuestion<'_>,
) -> Result<(Place, Found), String> {
    let place = |namespace: &str, key: &TextTemplate| Place::of(namespace, key, question.values);
    match &statement.read {
        KvRead::Get { namespace, key, pointer } => {
            let place = place(namespace, key)?;
            let at = match (at(store, &place).await?, pointer) {
                (None, _) => At::Nothing,
                (Some(entry), None) => At::Whole(entry),
                (Some(entry), Some(pointer)) => {
                    let json: Json = serde_json::from_slice(&entry.value)
                        .map_err(|error| not_json(&place, pointer, &error))?;
                    json.pointer(pointer).map_or(At::NoField, |field| At::Field(field.clone()))
                }
            };
            Ok((place, Found::At(at)))
        }
        KvRead::Missing { namespace, key } => {
            let place = place(namespace, key)?;
            let missing = at(store, &place).await?.is_none();
            Ok((place, Found::Missing(missing)))
        }
        KvRead::Count { namespace, prefix, conditions } => {
            let place = place(namespace, prefix)?;
            let wanted =
                Wanted { conditions: prepared(conditions, question.values)?, columns: &[], limit: None };
            let listing = listing::read(store, &place, &wanted, question.keys_max).await?;
            Ok((place, Found::Keys(listing)))
        }
        KvRead::List { namespace, prefix, conditions, columns, limit } => {
            let place = place(namespace, prefix)?;
            let conditions = prepared(conditions, question.values)?;
            let wanted = Wanted { conditions, columns, limit: *limit };
            let listing = listing::read(store, &place, &wanted, question.keys_max).await?;
            Ok((place, Found::Keys(listing)))
        }
    }
}

async fn at(store: &Kv, place: &Place) -> Result<Option<Entry>, String> {
    let key = Key::new(place.key.as_str()).map_err(|error| error.to_string())?;
    store.get(&place.namespace, &key).await.map_err(|error| error.to_string())
}

/// The conditions with what they compare with.
fn prepared<'q>(
    conditions: &'q [KvCondition],
    values: &Values,
) -> Result<Vec<(&'q KvCondition, Option<Json>)>, String> {
    let one = |condition: &'q KvCondition| {
        let wanted =
            super::json::wanted(&condition.operator, values).map_err(|missing| missing.to_string())?;
        Ok((condition, wanted))
    };
    conditions.iter().map(one).collect()
}

#[cfg(test)]
mod tests;
