//! What stands in the address of a request, and ids wherever they stand.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use serde_json::Value as Json;
use vfs_core::feed::{PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX};
use vfs_core::{Cursor, ItemId};

use super::answer::ApiError;

/// The first id in the path, without blanks around it; it may be blank.
#[derive(Debug)]
pub struct PathId(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<PathId, ApiError> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|_| ApiError::bad("The path is not valid UTF-8"))?;
        Ok(PathId(params.iter().next().map(|(_, id)| id.trim().to_owned()).unwrap_or_default()))
    }
}

/// The first two ids in the path, as [`PathId`].
#[derive(Debug)]
pub struct PathIds(pub String, pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathIds {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<PathIds, ApiError> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|_| ApiError::bad("The path is not valid UTF-8"))?;
        let mut ids = params.iter().map(|(_, id)| id.trim().to_owned());
        Ok(PathIds(ids.next().unwrap_or_default(), ids.next().unwrap_or_default()))
    }
}

/// The parameters of the query, each with all its values.
#[derive(Debug)]
pub struct QueryParams(HashMap<String, Vec<String>>);

impl<S: Send + Sync> FromRequestParts<S> for QueryParams {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<QueryParams, ApiError> {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| ApiError::bad("The query is not valid"))?;
        let mut all: HashMap<String, Vec<String>> = HashMap::new();
        for (name, value) in pairs.0 {
            all.entry(name).or_default().push(value);
        }
        Ok(QueryParams(all))
    }
}

impl QueryParams {
    /// The value of a parameter, without blanks around it; `None` where it is absent or blank.
    ///
    /// # Errors
    /// 400 `<name> must be a string` where it is repeated.
    pub fn one(&self, name: &str) -> Result<Option<String>, ApiError> {
        match self.0.get(name).map(Vec::as_slice) {
            None | Some([]) => Ok(None),
            Some([value]) => Ok(Some(value.trim()).filter(|value| !value.is_empty()).map(str::to_owned)),
            Some(_) => Err(ApiError::bad(format!("{name} must be a string"))),
        }
    }
}

impl QueryParams {
    /// As [`QueryParams::one`], for an id.
    ///
    /// # Errors
    /// The same text where it can be none.
    pub fn id(&self, name: &str) -> Result<Option<String>, ApiError> {
        match self.one(name)? {
            Some(id) if !is_id(&id) => Err(ApiError::bad(format!("{name} must be a string"))),
            id => Ok(id),
        }
    }

    /// `limit`: how many items a page may have.
    ///
    /// # Errors
    /// 400 with the spec's text.
    pub fn limit(&self) -> Result<usize, ApiError> {
        let number = match self.0.get("limit").map(Vec::as_slice) {
            None => return Ok(PAGE_ITEMS_DEFAULT),
            Some([value]) => leading_number(value),
            Some(_) => None,
        };
        number
            .and_then(|number| usize::try_from(number).ok())
            .filter(|limit| (1..=PAGE_ITEMS_MAX).contains(limit))
            .ok_or_else(|| ApiError::bad("limit must be an integer between 1 and 500"))
    }

    /// `cursor`, decoded.
    ///
    /// # Errors
    /// 400 `cursor must be a string` or `Invalid cursor`.
    pub fn cursor(&self) -> Result<Option<Cursor>, ApiError> {
        let text = self.one("cursor")?;
        text.map(|text| Cursor::decode(&text).ok_or_else(|| ApiError::bad("Invalid cursor"))).transpose()
    }
}

/// A required string of a body: trimmed, and not empty.
#[must_use]
pub fn required<'a>(body: &'a Json, name: &str) -> Option<&'a str> {
    body.get(name)?.as_str().map(str::trim).filter(|text| !text.is_empty())
}

/// Whether a text can be kept as an id.
#[must_use]
pub fn is_id(text: &str) -> bool {
    ItemId::parse(text).is_ok()
}

/// The number that a text begins with, as browsers read one: blanks, a sign, digits, and whatever follows.
fn leading_number(text: &str) -> Option<i64> {
    let text = text.trim_start();
    let digits_from = usize::from(text.starts_with(['+', '-']));
    let digits = text.bytes().skip(digits_from).take_while(u8::is_ascii_digit).count();
    text.get(..digits_from.checked_add(digits)?)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str) -> QueryParams {
        let uri: axum::http::Uri = format!("/?{query}").parse().unwrap();
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri).unwrap();
        let mut all: HashMap<String, Vec<String>> = HashMap::new();
        for (name, value) in pairs.0 {
            all.entry(name).or_default().push(value);
        }
        QueryParams(all)
    }

    #[test]
    fn a_limit_is_read_leniently_and_bounded() {
        for (query, limit) in [
            ("", 100),
            ("limit=1", 1),
            ("limit=500", 500),
            ("limit=10abc", 10),
            ("limit=%2010", 10),
            ("limit=7.9", 7),
            ("limit=%2B5", 5),
        ] {
            assert_eq!(params(query).limit().unwrap(), limit, "{query}");
        }
        for query in [
            "limit=",
            "limit=0",
            "limit=501",
            "limit=-1",
            "limit=abc",
            "limit=1&limit=2",
            "limit=99999999999999999999",
        ] {
            let error = params(query).limit().unwrap_err();
            assert_eq!(error.error(), "limit must be an integer between 1 and 500", "{query}");
        }
    }

    #[test]
    fn a_repeated_parameter_is_no_string_and_a_blank_one_is_absent() {
        assert_eq!(params("cursor=a&cursor=b").one("cursor").unwrap_err().error(), "cursor must be a string");
        assert_eq!(params("cursor=%20").one("cursor").unwrap(), None);
        assert_eq!(params("cursor=%20a").one("cursor").unwrap().as_deref(), Some("a"));
        assert_eq!(params("rootId=a%00b").id("rootId").unwrap_err().error(), "rootId must be a string");
    }
}
