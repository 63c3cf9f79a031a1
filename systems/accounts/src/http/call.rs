//! One request, read whole: headers, query, the id in its path, a JSON body.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::{FromRequest, Query, RawPathParams, Request};
use axum::http::{HeaderMap, Method, StatusCode, header};
use serde_json::{Map, Value as Json};

use super::answer::Refusal;

/// Bytes of a body, unless a route says otherwise.
pub(crate) const BODY_BYTES_MAX: usize = 64 << 10;
/// Bytes of the body with which a state of a book is saved.
pub(crate) const SNAPSHOT_BYTES_MAX: usize = 1 << 20;
/// Characters of one text in a header, a query or a body.
const TEXT_CHARS_MAX: usize = 8 << 10;

/// One request.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) headers: HeaderMap,
    query: HashMap<String, String>,
    body: Map<String, Json>,
    id: String,
}

impl<S: Send + Sync> FromRequest<S> for Call {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Call, Refusal> {
        let (mut parts, body) = request.into_parts();
        let query = Query::<HashMap<String, String>>::try_from_uri(&parts.uri)
            .map_err(|_| Refusal::bad("The query cannot be read."))?;
        let id = {
            use axum::extract::FromRequestParts as _;
            let params = RawPathParams::from_request_parts(&mut parts, state).await;
            let params = params.map_err(|_| Refusal::bad("The path cannot be read."))?;
            params.iter().next().map(|(_, id)| id.to_owned()).unwrap_or_default()
        };
        let headers = parts.headers.clone();
        let changes = !matches!(parts.method, Method::GET | Method::HEAD);
        let request = Request::from_parts(parts, body);
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "The request body is too large.")
            } else {
                Refusal::bad("The request body could not be read to its end.")
            }
        })?;
        let body = if changes { json_body(&headers, &bytes)? } else { Map::new() };
        Ok(Call { headers, query: query.0, body, id })
    }
}

/// A body is an object, or there is none.
fn json_body(headers: &HeaderMap, bytes: &[u8]) -> Result<Map<String, Json>, Refusal> {
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    // Other sites' forms cannot send this type, so that a cookie alone changes nothing.
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        let text = "The request body must be application/json.";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    match serde_json::from_slice(bytes) {
        Ok(Json::Object(fields)) => Ok(fields),
        Ok(_) => Err(Refusal::bad("The request body must be a JSON object.")),
        Err(_) => Err(Refusal::bad("The request body is not valid JSON.")),
    }
}

impl Call {
    /// The id in the path.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// A header's text, without blanks around it; blank where there is none.
    pub(crate) fn header(&self, name: &str) -> Result<String, Refusal> {
        match self.headers.get(name).map(|value| value.to_str()) {
            None => Ok(String::new()),
            Some(Ok(text)) => bounded(name, text),
            Some(Err(_)) => Err(Refusal::bad(format!("Header {name} is not plain text."))),
        }
    }

    /// A text of the query; blank where there is none.
    pub(crate) fn query(&self, name: &str) -> Result<String, Refusal> {
        bounded(name, self.query.get(name).map_or("", String::as_str))
    }

    /// A text of the body; blank where there is none.
    pub(crate) fn text(&self, name: &str) -> Result<String, Refusal> {
        match self.body.get(name) {
            None | Some(Json::Null) => Ok(String::new()),
            Some(Json::String(text)) => bounded(name, text),
            Some(_) => Err(Refusal::bad(format!("{name} must be a text."))),
        }
    }

    /// A whole number of the body, which may be written as a text.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let number = match self.body.get(name) {
            None | Some(Json::Null) => return Ok(None),
            Some(Json::Number(number)) => number.as_i64(),
            Some(Json::String(text)) => text.trim().parse().ok(),
            Some(_) => None,
        };
        number.map(Some).ok_or_else(|| Refusal::bad(format!("{name} must be a whole number.")))
    }

    /// Anything of the body.
    pub(crate) fn json(&self, name: &str) -> Option<&Json> {
        self.body.get(name)
    }

    /// The first of a header, the query and the body that is not blank.
    pub(crate) fn anywhere(&self, header: &str, name: &str) -> Result<String, Refusal> {
        for text in [self.header(header)?, self.query(name)?, self.text(name)?] {
            if !text.is_empty() {
                return Ok(text);
            }
        }
        Ok(String::new())
    }
}

fn bounded(name: &str, text: &str) -> Result<String, Refusal> {
    let text = text.trim();
    if text.chars().count() > TEXT_CHARS_MAX {
        return Err(Refusal::bad(format!("{name} is too long.")));
    }
    if text.contains('\0') {
        return Err(Refusal::bad(format!("{name} holds a character that cannot be kept.")));
    }
    Ok(text.to_owned())
}
