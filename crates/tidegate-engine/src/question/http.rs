//! HTTP questions: one request, judged by status and JSON body.

use std::time::Duration;

use serde_json::Value as Json;
use tidegate_runbook::{Expectation, HttpRequest, JsonOperand, JsonOperator, KeptValue};
use tidegate_store::http::{Client, Request, Response};

use crate::question::{Answered, Reply};
use crate::values::{Value, ValueMissing, Values};
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
    Answered { verdict: Verdict::worst(verdicts), reply: Reply::Values(kept) }
}

fn kept_value(json: &Json) -> Value {
    let (type_name, text) = match json {
        Json::Null => ("text", None),
        Json::Bool(value) => ("boolean", Some(value.to_string())),
        Json::Number(number) => ("numeric", Some(number.to_string())),
        Json::String(text) => ("text", Some(text.clone())),
        Json::Array(_) | Json::Object(_) => ("jsonb", Some(json.to_string())),
    };
    Value { type_name: type_name.to_owned(), text, secret: false }
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

fn judge_json(pointer: &str, operator: &JsonOperator, found: Option<&Json>, values: &Values) -> Verdict {
    let Some(found) = found else {
        return Verdict::Fail(format!("the body has nothing at {pointer}"));
    };
    let (operand, holds): (&JsonOperand, fn(std::cmp::Ordering) -> bool) = match operator {
        JsonOperator::Exists => return Verdict::Pass,
        JsonOperator::Equal(operand) => return judge_equal(pointer, found, operand, true, values),
        JsonOperator::NotEqual(operand) => return judge_equal(pointer, found, operand, false, values),
        JsonOperator::Less(operand) => (operand, std::cmp::Ordering::is_lt),
        JsonOperator::LessOrEqual(operand) => (operand, std::cmp::Ordering::is_le),
        JsonOperator::Greater(operand) => (operand, std::cmp::Ordering::is_gt),
        JsonOperator::GreaterOrEqual(operand) => (operand, std::cmp::Ordering::is_ge),
    };
    let wanted = match operand_value(operand, values) {
        Ok(wanted) => wanted,
        Err(missing) => return Verdict::Unknown(missing.to_string()),
    };
    match order(found, &wanted) {
        None => Verdict::Fail(format!("{pointer} is {found}, which cannot be ordered against {wanted}")),
        Some(ordering) if holds(ordering) => Verdict::Pass,
        Some(_) => Verdict::Fail(format!("{pointer} is {found} where `{operator}` is expected")),
    }
}

fn judge_equal(
    pointer: &str,
    found: &Json,
    operand: &JsonOperand,
    wanted_equal: bool,
    values: &Values,
) -> Verdict {
    let wanted = match operand_value(operand, values) {
        Ok(wanted) => wanted,
        Err(missing) => return Verdict::Unknown(missing.to_string()),
    };
    let equal = order(found, &wanted).map_or(*found == wanted, std::cmp::Ordering::is_eq);
    if equal == wanted_equal {
        return Verdict::Pass;
    }
    let word = if wanted_equal { "where" } else { "where something other than" };
    Verdict::Fail(format!("{pointer} is {found} {word} {wanted} is expected"))
}

fn operand_value(operand: &JsonOperand, values: &Values) -> Result<Json, ValueMissing> {
    match operand {
        JsonOperand::Json(json) => Ok(json.clone()),
        JsonOperand::Template(template) => Ok(Json::String(values.text(template, true, str::to_owned)?)),
    }
}

/// Numbers against numbers (or texts that are numbers), texts against texts.
fn order(found: &Json, wanted: &Json) -> Option<std::cmp::Ordering> {
    match (found, wanted) {
        (Json::Number(a), Json::Number(b)) => order_numbers(&a.to_string(), &b.to_string()),
        (Json::Number(a), Json::String(b)) => order_numbers(&a.to_string(), b),
        (Json::String(a), Json::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// Whole numbers exactly, all others as 64-bit floating point.
fn order_numbers(a: &str, b: &str) -> Option<std::cmp::Ordering> {
    if let (Ok(a), Ok(b)) = (a.parse::<i128>(), b.parse::<i128>()) {
        return Some(a.cmp(&b));
    }
    a.parse::<f64>().ok()?.partial_cmp(&b.parse::<f64>().ok()?)
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
    fn json_compares_numbers_as_numbers() {
        let values = Values::default();
        let nine = Json::from(9);
        let ten = JsonOperator::Less(JsonOperand::Json(Json::from(10)));
        assert_eq!(judge_json("/n", &ten, Some(&nine), &values), Verdict::Pass);
        let text = JsonOperator::Less(JsonOperand::Json(Json::from("10")));
        assert!(judge_json("/n", &text, Some(&Json::from("9")), &values) != Verdict::Pass);
        assert!(matches!(judge_json("/n", &ten, Some(&Json::Null), &values), Verdict::Fail(_)));
        assert!(matches!(judge_json("/n", &ten, None, &values), Verdict::Fail(_)));
    }

    #[test]
    fn values_are_encoded_by_position() {
        assert_eq!(encode_in_url("a b/ü"), "a%20b%2F%C3%BC");
        assert_eq!(encode_in_json("say \"x\"\n"), "say \\\"x\\\"\\n");
        assert_eq!(without_line_ends("a\r\nSet-Cookie: x"), "aSet-Cookie: x");
    }
}
