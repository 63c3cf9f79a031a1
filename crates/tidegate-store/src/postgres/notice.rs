//! What the server says beside its answers: NOTICE, WARNING and kin.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio_postgres::error::DbError;

/// Notices that a connection keeps until they are drained; older ones give way.
pub const NOTICES_MAX: usize = 1_000;

/// One message beside the answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// WARNING, NOTICE, INFO, LOG or DEBUG, as the server spells it.
    pub severity: String,
    /// The five characters of the SQLSTATE.
    pub sqlstate: String,
    /// The message itself.
    pub message: String,
    /// More about it; `None` when the server sent none.
    pub detail: Option<String>,
    /// What to do about it; `None` when the server sent none.
    pub hint: Option<String>,
}

impl Notice {
    fn from_server(said: &DbError) -> Notice {
        Notice {
            severity: said.severity().to_owned(),
            sqlstate: said.code().code().to_owned(),
            message: said.message().to_owned(),
            detail: said.detail().map(str::to_owned),
            hint: said.hint().map(str::to_owned),
        }
    }
}

/// The notices of one connection that nobody has drained yet.
#[derive(Debug, Default)]
pub(super) struct NoticeBoard(Mutex<VecDeque<Notice>>);

impl NoticeBoard {
    pub(super) fn post(&self, said: &DbError) {
        let mut posted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if posted.len() == NOTICES_MAX {
            posted.pop_front();
        }
        posted.push_back(Notice::from_server(said));
    }

    pub(super) fn drain(&self) -> Vec<Notice> {
        let mut posted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        posted.drain(..).collect()
    }
}
