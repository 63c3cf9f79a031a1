//! Steps written in http, sh and text.

use std::time::Duration;

use crate::cohort;
use crate::diagnostic::Diagnostic;
use crate::draft::Handing;
use crate::expect;
use crate::http_text;
use crate::names::Name;
use crate::step::{
    Action, Check, Command, Confirm, Deed, HttpRequest, KeptValue, OnTrip, Question, Record, Script, Watch,
};
use crate::step_reader::Reader;
use crate::template::TemplateSink;
use crate::vocabulary::Language;

/// Longest script, in bytes.
const SCRIPT_BYTES_MAX: usize = 64 * 1024;

/// Most fails that `@trips-after` may wait for.
const TRIPS_AFTER_MAX: u32 = 1_000;

/// `record` in http.
pub(crate) fn record(reader: &mut Reader<'_, '_>) -> Option<Action> {
    let values = kept_values(reader);
    if values.is_empty() && !reader.block.has("value") {
        reader.diagnostics.push(Diagnostic::error(
            "value-missing",
            reader.page.span(reader.block.head.clone()),
            "this record keeps nothing",
            "add a line such as `# @value name /pointer`",
        ));
    }
    let request = request(reader)?;
    if request.method != "GET" {
        reader.diagnostics.push(Diagnostic::error(
            "http-method",
            reader.page.span(reader.block.head.clone()),
            format!("a record may not send {}: it must leave the service as it is", request.method),
            "use GET, or a check with `@harmless why` and `@value`",
        ));
    }
    Some(Action::Record(Record { question: Question::Http(request), rows: false, at: None, values }))
}

/// `check` in http and sh.
pub(crate) fn check(reader: &mut Reader<'_, '_>) -> Option<Action> {
    let expect = reader.expectations();
    let only_unless = only_unless(reader);
    let within = within(reader);
    let harmless = reader.property("harmless").map(|property| property.text.to_owned());
    let values = kept_values(reader);
    let cohort = cohort::read(reader);
    let question = if reader.block.language == Language::Http {
        let request = request(reader)?;
        demand_harmless(reader, &request, harmless.as_deref());
        Question::Http(request)
    } else {
        let script = script(reader)?;
        if harmless.is_none() {
            reader.diagnostics.push(Diagnostic::error(
                "harmless-missing",
                reader.page.span(reader.block.head.clone()),
                "nobody can see from outside that this script changes nothing",
                "add `# @harmless why`, or make it a `@command`",
            ));
        }
        Question::Sh(script)
    };
    Some(Action::Check(Check {
        question,
        expect,
        attempt: false,
        each: None,
        over: None,
        within,
        only_unless,
        harmless,
        values,
        cohort,
    }))
}

/// `watch` in http.
pub(crate) fn watch(reader: &mut Reader<'_, '_>) -> Option<Action> {
    let expect = reader.expectations();
    let harmless = reader.property("harmless").map(|property| property.text.to_owned());
    let timing = timing(reader);
    let request = request(reader)?;
    demand_harmless(reader, &request, harmless.as_deref());
    Some(Action::Watch(timing.watch(Question::Http(request), expect, harmless)))
}

/// `command` in http and sh.
pub(crate) fn command(reader: &mut Reader<'_, '_>) -> Option<Action> {
    // Each subject of a cohort is noted when it is done.
    if !reader.block.has("unless") && !reader.block.has("for-each") {
        reader.diagnostics.push(Diagnostic::error(
            "unless-missing",
            reader.page.span(reader.block.head.clone()),
            "a command without `@unless` could not be resumed: nothing would tell whether it was done",
            "name a check that holds once it is done: `# @unless that_check`",
        ));
    }
    let expect = expect::read_all(reader.block, &mut reader.uses, reader.diagnostics);
    let values = kept_values(reader);
    let deed = if reader.block.language == Language::Http {
        Deed::Http(request(reader)?)
    } else {
        Deed::Sh(script(reader)?)
    };
    let cohort = cohort::read(reader);
    Some(Action::Command(Command { deed, expect, values, cohort }))
}

/// `confirm`
pub(crate) fn confirm(reader: &mut Reader<'_, '_>) -> Option<Action> {
    let block = reader.block;
    let mut approvers: Vec<String> = Vec::new();
    for property in block.all("approvers") {
        for name in property.text.split_whitespace() {
            let is_name = name
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '@' | '_' | '-' | '.' | '+' | '/' | '#'));
            if is_name && !approvers.iter().any(|known| known == name) {
                approvers.push(name.to_owned());
            } else {
                let property = property.clone();
                let message = format!("{name:?} is no name of an approver, or stands there twice");
                reader.refuse(&property, message, "write names with spaces between, no commas");
            }
        }
    }
    let not_actor = block.has("not-actor");
    reader.take_plain_body();
    let text = reader.page.slice(block.content..block.body.end).trim_end();
    let range = block.content..block.content + text.len();
    let mut sink = TemplateSink { uses: &mut reader.uses, diagnostics: reader.diagnostics };
    let text = http_text::in_page(reader.page, range, Handing::InText, &mut sink);
    Some(Action::Confirm(Confirm { text, approvers, not_actor }))
}

fn request(reader: &mut Reader<'_, '_>) -> Option<HttpRequest> {
    reader.take_plain_body();
    http_text::read(reader.page, reader.block, &mut reader.uses, reader.diagnostics)
}

fn script(reader: &mut Reader<'_, '_>) -> Option<Script> {
    reader.take_plain_body();
    let text = reader.page.slice(reader.block.content..reader.block.body.end);
    if text.len() > SCRIPT_BYTES_MAX {
        reader.diagnostics.push(Diagnostic::error(
            "script-too-long",
            reader.page.span(reader.block.head.clone()),
            format!("this script has {} bytes; at most {SCRIPT_BYTES_MAX} are run", text.len()),
            "put it into a program of its own and call that",
        ));
        return None;
    }
    Some(Script { text: text.replace("\r\n", "\n"), values: Vec::new() })
}

fn demand_harmless(reader: &mut Reader<'_, '_>, request: &HttpRequest, harmless: Option<&str>) {
    if request.method != "GET" && harmless.is_none() {
        reader.diagnostics.push(Diagnostic::error(
            "harmless-missing",
            reader.page.span(reader.block.head.clone()),
            format!("{} may change something", request.method),
            "use GET, add `# @harmless why`, or make it a `@command`",
        ));
    }
}

/// `@only unless`
pub(crate) fn only_unless(reader: &mut Reader<'_, '_>) -> bool {
    let Some(property) = reader.property("only") else { return false };
    if property.text != "unless" {
        let message = format!("`@only {}` means nothing", property.text);
        reader.refuse(&property, message, "write `@only unless`, or leave it out");
        return false;
    }
    true
}

/// Longest that a check is waited for.
const WITHIN_MAX: Duration = Duration::from_secs(3_600);

/// `@within time`
pub(crate) fn within(reader: &mut Reader<'_, '_>) -> Option<Duration> {
    let property = reader.property("within")?;
    let within = reader.duration("within")?;
    for (word, why) in [
        ("only", "a check of `@only unless` never stands in a place of its own, so nothing is waited for"),
        ("for-each", "a check that is done for each row is not asked again"),
    ] {
        if reader.block.has(word) {
            reader.refuse(&property, why.to_owned(), "remove one of the two");
            return None;
        }
    }
    if within > WITHIN_MAX {
        let message = "a check is waited for an hour at most".to_owned();
        reader.refuse(&property, message, "for longer let the stage hold, with a watch");
        return None;
    }
    Some(within)
}

fn kept_values(reader: &mut Reader<'_, '_>) -> Vec<KeptValue> {
    let block = reader.block;
    let mut values: Vec<KeptValue> = Vec::new();
    for property in block.all("value") {
        let (name, pointer) = property.text.split_once(char::is_whitespace).unwrap_or((property.text, "-"));
        let pointer = pointer.trim();
        let known = |values: &[KeptValue], name: &Name| values.iter().any(|kept| &kept.name == name);
        match Name::parse(name) {
            Ok(name) if expect::is_pointer(pointer) && !known(&values, &name) => {
                values.push(KeptValue { name, pointer: pointer.to_owned() });
            }
            _ => {
                let property = property.clone();
                let message =
                    format!("`@value {}` names no value, or one that is kept already", property.text);
                reader.refuse(&property, message, "write `@value name /pointer/into/the/body`");
            }
        }
    }
    values
}

/// What `@every` and its kin say.
pub(crate) struct Timing {
    every: Duration,
    from: Option<Name>,
    until: Option<Name>,
    trips_after: u32,
    unknown_after: Duration,
    on_trip: OnTrip,
}

/// Default of `@every`.
const EVERY_DEFAULT: Duration = Duration::from_secs(10);

/// Default of `@unknown-after`.
const UNKNOWN_AFTER_DEFAULT: Duration = Duration::from_secs(60);

/// Reads the properties that only watches have.
pub(crate) fn timing(reader: &mut Reader<'_, '_>) -> Timing {
    let every = reader.duration("every").unwrap_or(EVERY_DEFAULT);
    let from = reader.name("from");
    let until = reader.name("until");
    let trips_after = reader.count("trips-after", TRIPS_AFTER_MAX).unwrap_or(1);
    let unknown_after = reader.duration("unknown-after").unwrap_or(UNKNOWN_AFTER_DEFAULT);
    let on_trip = match reader.property("on-trip") {
        None => OnTrip::Halt,
        Some(property) => match property.text {
            "halt" => OnTrip::Halt,
            "rollback" => OnTrip::Rollback,
            "notify" => OnTrip::Notify,
            other => {
                let message = format!("{other:?} is nothing that a watch can do");
                reader.refuse(&property, message, "write halt, rollback or notify");
                OnTrip::Halt
            }
        },
    };
    Timing { every, from, until, trips_after, unknown_after, on_trip }
}

impl Timing {
    /// The watch that asks `question`.
    pub(crate) fn watch(
        self,
        question: Question,
        expect: Vec<crate::Expectation>,
        harmless: Option<String>,
    ) -> Watch {
        let Self { every, from, until, trips_after, unknown_after, on_trip } = self;
        Watch {
            question,
            expect,
            over: None,
            every,
            from,
            until,
            trips_after,
            unknown_after,
            on_trip,
            harmless,
        }
    }
}
