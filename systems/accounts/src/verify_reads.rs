//! A running service is asked the same in both schemas, and the answers are compared.

use std::time::Duration;

use serde_json::{Value as Json, json};
use tidegate_store::http::{Client, Request};

/// How long one request may take.
const REQUEST_BOUND: Duration = Duration::from_secs(30);
/// How often both schemas are asked before a difference counts: between two requests somebody may write.
const ROUNDS_MAX: usize = 5;
/// What the service answers while only one schema is written to.
const NOT_MIRRORED: &str = "ACCOUNT_SCHEMAS_NOT_MIRRORED";
/// Bytes of a text that go into an address as they are.
const PLAIN: &str = "-._~";

/// What is asked, and as whom.
#[derive(Debug, Clone, Default)]
pub struct ReadsWanted {
    /// The service's address.
    pub api: String,
    /// What the `Cookie` header says.
    pub cookie: String,
    /// A profile whose book is looked at, too. Blank: none.
    pub profile_id: String,
    /// That profile's key.
    pub identity_public_key: String,
    /// That book's collection.
    pub collection_id: String,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadsSeen {
    /// The account.
    pub account: String,
    /// Its people.
    pub users: usize,
    /// Its books.
    pub books: usize,
    /// Whether the profile's book was found; `false` where none was asked for.
    pub pixbook: bool,
    /// The paths whose answers are equal in both schemas; none where only one is written to.
    pub compared: Vec<String>,
}

impl ReadsSeen {
    /// As a document.
    #[must_use]
    pub fn to_json(&self) -> Json {
        json!({
            "ok": true, "accountId": self.account, "userCount": self.users, "bookCount": self.books,
            "pixbookResolved": self.pixbook, "schemasCompared": !self.compared.is_empty(), "compared": self.compared,
        })
    }
}

/// Why nothing is proven.
#[derive(Debug, thiserror::Error)]
pub enum ReadsError {
    /// There is no cookie.
    #[error("Missing session cookie. Provide --cookie or ACCOUNT_VERIFY_COOKIE.")]
    NoCookie,
    /// The service named no account.
    #[error("Unable to resolve accountId from /v1/account/session response.")]
    NoAccount,
    /// Another status than 200.
    #[error("HTTP {status} for {path}")]
    Status {
        /// The status.
        status: u16,
        /// The path, without its query.
        path: String,
        /// The answer.
        details: Json,
    },
    /// No answer.
    #[error("{0}")]
    NoAnswer(String),
    /// The two schemas answer differently.
    #[error("v1 and v2 answer differently for {path}")]
    Differs {
        /// The path, without its query.
        path: String,
        /// What v1 answers.
        v1: Json,
        /// What v2 answers.
        v2: Json,
    },
}

impl ReadsError {
    /// As a document.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let details = match self {
            ReadsError::Status { details, .. } => details.clone(),
            ReadsError::Differs { v1, v2, .. } => json!({ "v1": v1, "v2": v2 }),
            _ => Json::Null,
        };
        json!({ "ok": false, "error": self.to_string(), "details": details })
    }
}

/// Asks who is signed in, for the people and the books of that account and, where a profile is given, for its book:
/// first as the service reads, then in both schemas by name.
///
/// # Errors
/// [`ReadsError`].
pub async fn verify_reads(wanted: &ReadsWanted) -> Result<ReadsSeen, ReadsError> {
    if wanted.cookie.trim().is_empty() {
        return Err(ReadsError::NoCookie);
    }
    let asking = Asking { client: Client::new(), wanted };
    let session = asking.get("/v1/account/session", "", None).await?;
    let named = |key: &str| session.pointer(&format!("/workspace/{key}")).and_then(Json::as_str);
    let account = named("accountId")
        .or_else(|| named("workspaceId"))
        .filter(|id| !id.is_empty())
        .ok_or(ReadsError::NoAccount)?
        .to_owned();
    let query = format!("?accountId={}", percent_encoded(&account));
    let users = asking.get("/v1/account/users", &query, None).await?;
    let books = asking.get("/v1/account/books", &query, None).await?;
    let count = |answer: &Json, key: &str| answer[key].as_array().map_or(0, Vec::len);
    let mut paths = vec![
        ("/v1/account/session", query.clone()),
        ("/v1/account/workspace", query.clone()),
        ("/v1/account/users", query.clone()),
        ("/v1/account/books", query.clone()),
    ];
    let mut pixbook = false;
    if !wanted.profile_id.is_empty() && !wanted.identity_public_key.is_empty() {
        let query = format!(
            "{query}&profileId={}&identityPublicKey={}&collectionId={}",
            percent_encoded(&wanted.profile_id),
            percent_encoded(&wanted.identity_public_key),
            percent_encoded(&wanted.collection_id),
        );
        asking.get("/v1/account/pixbook", &query, None).await?;
        pixbook = true;
        paths.push(("/v1/account/pixbook", query));
    }
    let mut compared = Vec::new();
    for (path, query) in &paths {
        match asking.compare(path, query).await {
            Ok(()) => compared.push((*path).to_owned()),
            Err(ReadsError::Status { status: 409, details, .. })
                if details.get("code").is_some_and(|code| code == NOT_MIRRORED) =>
            {
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(ReadsSeen { account, users: count(&users, "users"), books: count(&books, "books"), pixbook, compared })
}

struct Asking<'a> {
    client: Client,
    wanted: &'a ReadsWanted,
}

impl Asking<'_> {
    /// Both schemas' answers are equal, at the latest in the last round.
    async fn compare(&self, path: &str, query: &str) -> Result<(), ReadsError> {
        let mut differing = None;
        for _ in 0..ROUNDS_MAX {
            let v1 = self.get(path, query, Some("v1")).await?;
            let v2 = self.get(path, query, Some("v2")).await?;
            if v1 == v2 {
                return Ok(());
            }
            differing = Some((v1, v2));
        }
        let (v1, v2) = differing.unwrap_or_default();
        Err(ReadsError::Differs { path: path.to_owned(), v1, v2 })
    }

    async fn get(&self, path: &str, query: &str, schema: Option<&str>) -> Result<Json, ReadsError> {
        let mut headers = vec![
            ("cookie".to_owned(), self.wanted.cookie.trim().to_owned()),
            ("x-client-name".to_owned(), "accounts-verify-reads".to_owned()),
        ];
        if let Some(schema) = schema {
            headers.push(("x-account-schema".to_owned(), schema.to_owned()));
        }
        let request = Request {
            method: "GET".to_owned(),
            url: format!("{}{path}{query}", self.wanted.api.trim_end_matches('/')),
            headers,
            body: None,
            timeout: REQUEST_BOUND,
        };
        let answer =
            self.client.request(request).await.map_err(|error| ReadsError::NoAnswer(error.to_string()))?;
        let body: Json = serde_json::from_slice(&answer.body).unwrap_or(Json::Null);
        if answer.status == 200 {
            return Ok(body);
        }
        Err(ReadsError::Status { status: answer.status, path: path.to_owned(), details: body })
    }
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || PLAIN.contains(c) {
            encoded.push(c);
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
