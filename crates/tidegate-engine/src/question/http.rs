//! HTTP questions: one request, judged by status and JSON body.

use std::time::Duration;

use serde_json::Value as Json;
use tidegate_runbook::{Expectation, HttpRequest, KeptValue};
use tidegate_store::http::{Client, Request, Response};

use crate::question::json::{judge_json, kept_value};
use crate::question::{Answered, Reply};
use crate::values::{ValueMissing, Values};
use crate::verdict::Verdict;

/// A request with all that it needs.
pub(crate) struct HttpQuestion<'a> {
    /// The store's address.
    pub(crate) base: &'a str,
    /// What the page says.
    pub(crate) request: &'a HttpRequest,
    /// How the answer is judged; empty means 2xx.
    pub(crate) expect: &'a [Expectation],
    /// What is kept of the body.
    pub(crate) keep: &'a [KeptValue],
    /// Headers that the engine adds, such as `Idempotency-Key`.
    pub(crate) extra_headers: Vec<(String, String)>,
    /// Bounds the whole request.
    pub(crate) timeout: Duration,
    /// Values to be put in.
    pub(crate) values: &'a Values,
}

/// Sends the request and judges the answer. No answer is unknown.
pub(crate) async fn ask(client: &Client, question: &HttpQuestion<'_>) -> Answered {
    let request = match build(question) {
        Ok(request) => request,
        Err(missing) => return Answered::unknown(missing.to_string()),
    };
    match client.request(request).await {
        Err(failure) => Answered::unknown(failure.to_string()),
        Ok(response) => judge(question, &response),
    }
}

/// As [`ask`], and names the request where it does not hold. Where there is one for each row of a cohort, the row is named.
pub(crate) async fn ask_one(client: &Client, question: &HttpQuestion<'_>) -> Answered {
    let mut answered = ask(client, question).await;
    let path = question.values.text(&question.request.path, true, encode_in_url);
    if let (Verdict::Fail(found) | Verdict::Unknown(found), Ok(path)) = (&mut answered.verdict, path) {
        *found = format!("{} {path}: {found}", question.request.method);
    }
    answered
}

/// The request can be written.
///
/// # Errors
/// [`ValueMissing`] for the first value that is not there or is NULL.
pub(crate) fn must_render(question: &HttpQuestion<'_>) -> Result<(), ValueMissing> {
    build(question).map(|_| ())
}

fn build(question: &HttpQuestion<'_>) -> Result<Request, ValueMissing> {
    let path = question.values.text(&question.request.path, true, encode_in_url)?;
    let url = format!("{}{path}", question.base.trim_end_matches('/'));
    let mut headers = Vec::new();
    for (name, template) in &question.request.headers {
        headers.push((name.clone(), question.values.text(template, true, without_line_ends)?));
    }
    headers.extend(question.extra_headers.iter().cloned());
    let json = headers
        .iter()
        .any(|(name, value)| name.eq_ignore_ascii_case("content-type") && value.contains("json"));
    let body = match &question.request.body {
        None => None,
        Some(template) => {
            let encode = |text: &str| if json { encode_in_json(text) } else { text.to_owned() };
            Some(question.values.text(template, true, encode)?.into_bytes())
        }
    };
    Ok(Request { method: question.request.method.clone(), url, headers, body, timeout: question.timeout })
}

fn judge(question: &HttpQuestion<'_>, response: &Response) -> Answered {
    let json = serde_json::from_slice::<Json>(&response.body).ok();
    let mut verdicts: Vec<Verdict> = question
        .expect
        .iter()
        .map(|expect| judge_one(expect, response.status, json.as_ref(), question.values))
        .collect();
    let says_status = question.expect.iter().any(|expect| matches!(expect, Expectation::Status(_)));
    if !says_status && !(200..300).contains(&response.status) {
        verdicts.push(Verdict::Fail(format!("status {} where 2xx is expected", response.status)));
    }
    let mut kept = Vec::new();
    for keep in question.keep {
        match json.as_ref().and_then(|json| json.pointer(&keep.pointer)) {
            None => verdicts.push(Verdict::Unknown(format!("the body has nothing at {}", keep.pointer))),
            Some(found) => kept.push((keep.name.to_string(), kept_value(found))),
        }
    }
    Answered::new(Verdict::worst(verdicts), Reply::Values(kept))
}

fn judge_one(expect: &Expectation, status: u16, json: Option<&Json>, values: &Values) -> Verdict {
    match expect {
        Expectation::Status(wanted) if *wanted == status => Verdict::Pass,
        Expectation::Status(wanted) => Verdict::Fail(format!("status {status} where {wanted} is expected")),
        Expectation::Json { pointer, operator } => match json {
            None => Verdict::Fail(format!("the body is no JSON, so {pointer} cannot be read")),
            Some(json) => judge_json(pointer, operator, json.pointer(pointer), values),
        },
        other => Verdict::Fail(format!("`{other}` does not fit an http step")),
    }
}

/// RFC 3986: everything but unreserved characters is percent-encoded.
#[must_use]
pub(crate) fn encode_in_url(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn without_line_ends(text: &str) -> String {
    text.chars().filter(|c| *c != '\r' && *c != '\n').collect()
}

fn encode_in_json(text: &str) -> String {
    let quoted = Json::String(text.to_owned()).to_string();
    quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_encoded_by_position() {
        assert_eq!(encode_in_url("a b/ü"), "a%20b%2F%C3%BC");
        assert_eq!(encode_in_json("say \"x\"\n"), "say \\\"x\\\"\\n");
        assert_eq!(without_line_ends("a\r\nSet-Cookie: x"), "aSet-Cookie: x");
    }
}
