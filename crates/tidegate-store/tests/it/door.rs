//! Addresses and sessions for the other modules.

use std::time::Duration;

use tidegate_store::postgres::{Address, Answer, Session};

/// How long a test waits for something that must happen.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

/// An address from a URL alone: nothing of this machine's environment gets in.
pub(crate) fn address(url: &str) -> Address {
    Address::resolve(Some(url), &|name| (name == "USER").then(|| "nobody".to_owned())).unwrap()
}

pub(crate) async fn session(url: &str) -> Session {
    Session::connect(&address(url), "store-test").await.unwrap()
}

/// The one value of a query, as text.
pub(crate) async fn value(session: &Session, sql: &str) -> Option<String> {
    let answers = session.run(sql).await.unwrap();
    single(&answers)
}

pub(crate) fn single(answers: &[Answer]) -> Option<String> {
    answers.last().unwrap().single().expect("one row of one column").map(str::to_owned)
}
