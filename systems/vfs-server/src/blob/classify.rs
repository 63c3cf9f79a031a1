//! What went wrong in the object store, and whether trying again may help.

use std::error::Error;

/// Whether trying again may help: the table of the blob runbook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retryability {
    /// It would fail in the same way.
    NotRetryable,
    /// The same request may succeed.
    Retryable,
    /// The same request may succeed, and only after a pause.
    RetryableWithBackoff,
}

impl Retryability {
    /// The word in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Retryability::NotRetryable => "not_retryable",
            Retryability::Retryable => "retryable",
            Retryability::RetryableWithBackoff => "retryable_with_backoff",
        }
    }
}

/// What the object store said, or that it did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectCode {
    /// There is no such object: metadata without bytes.
    NoSuchKey,
    /// The keys may not do this, or are wrong.
    AccessDenied,
    /// Too many requests.
    SlowDown,
    /// The store is out of reach for a while.
    ServiceUnavailable,
    /// The store failed.
    InternalError,
    /// It did not answer in time.
    Timeout,
    /// The connection could not be made, or was lost.
    ConnectionLost,
    /// The body ended before its end.
    TruncatedBody,
    /// Another code, by its name.
    Other(String),
}

impl ObjectCode {
    /// The code by its name in an answer, or by the status where there is none: an answer to HEAD has no body.
    #[must_use]
    pub fn of_answer(status: u16, code: Option<&str>) -> ObjectCode {
        match (code, status) {
            (Some("NoSuchKey"), _) | (None, 404) => ObjectCode::NoSuchKey,
            (Some("AccessDenied" | "SignatureDoesNotMatch" | "InvalidAccessKeyId"), _)
            | (None, 401 | 403) => ObjectCode::AccessDenied,
            (Some("SlowDown" | "TooManyRequests"), _) | (None, 429) => ObjectCode::SlowDown,
            (Some("ServiceUnavailable"), _) | (None, 502..=504) => ObjectCode::ServiceUnavailable,
            (Some("InternalError"), _) | (None, 500) => ObjectCode::InternalError,
            (Some("RequestTimeout"), _) | (None, 408) => ObjectCode::Timeout,
            (Some(other), _) => ObjectCode::Other(other.to_owned()),
            (None, status) => ObjectCode::Other(format!("status {status}")),
        }
    }

    /// The name in logs.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            ObjectCode::NoSuchKey => "NoSuchKey",
            ObjectCode::AccessDenied => "AccessDenied",
            ObjectCode::SlowDown => "SlowDown",
            ObjectCode::ServiceUnavailable => "ServiceUnavailable",
            ObjectCode::InternalError => "InternalError",
            ObjectCode::Timeout => "Timeout",
            ObjectCode::ConnectionLost => "ConnectionLost",
            ObjectCode::TruncatedBody => "TruncatedBody",
            ObjectCode::Other(name) => name,
        }
    }

    /// Whether the same request may succeed later. Every request here is idempotent: keys are deterministic.
    #[must_use]
    pub fn retryability(&self) -> Retryability {
        match self {
            ObjectCode::NoSuchKey | ObjectCode::AccessDenied | ObjectCode::Other(_) => {
                Retryability::NotRetryable
            }
            ObjectCode::SlowDown => Retryability::RetryableWithBackoff,
            ObjectCode::ServiceUnavailable
            | ObjectCode::InternalError
            | ObjectCode::Timeout
            | ObjectCode::ConnectionLost
            | ObjectCode::TruncatedBody => Retryability::Retryable,
        }
    }

    /// Whether the request may have been carried out all the same.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        !matches!(self, ObjectCode::NoSuchKey | ObjectCode::AccessDenied | ObjectCode::SlowDown)
    }
}

/// A request to the object store that failed for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the object store answered {} after {attempts} attempt(s): {message}", code.name())]
pub struct ObjectError {
    /// What it said last.
    pub code: ObjectCode,
    /// How often it was asked.
    pub attempts: u32,
    /// More about it, without secrets.
    pub message: String,
    /// Whether an earlier attempt of the same request may have been carried out.
    pub after_doubt: bool,
}

impl ObjectError {
    /// Of an error of the client: the refusal that our own connection put into its chain, or the kind of a file's.
    #[must_use]
    pub fn of(error: &object_store::Error) -> ObjectError {
        let mut next: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(link) = next {
            if let Some(found) = link.downcast_ref::<ObjectError>() {
                return found.clone();
            }
            if let Some(found) = link.downcast_ref::<object_store::client::HttpError>() {
                next = Error::source(found);
                continue;
            }
            next = link.source();
        }
        let code = match error {
            object_store::Error::NotFound { .. } => ObjectCode::NoSuchKey,
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                ObjectCode::AccessDenied
            }
            _ => ObjectCode::InternalError,
        };
        ObjectError { code, attempts: 1, message: error.to_string(), after_doubt: false }
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn retryability(&self) -> Retryability {
        self.code.retryability()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runbooks_table_holds() {
        use Retryability::{NotRetryable, Retryable, RetryableWithBackoff};
        for (code, status, wanted) in [
            ("NoSuchKey", 404, NotRetryable),
            ("AccessDenied", 403, NotRetryable),
            ("ServiceUnavailable", 503, Retryable),
            ("SlowDown", 503, RetryableWithBackoff),
            ("InternalError", 500, Retryable),
        ] {
            let read = ObjectCode::of_answer(status, Some(code));
            assert_eq!(read.name(), code);
            assert_eq!(read.retryability(), wanted, "{code}");
        }
    }

    #[test]
    fn an_answer_without_a_body_is_read_by_its_status() {
        assert_eq!(ObjectCode::of_answer(404, None), ObjectCode::NoSuchKey);
        assert_eq!(ObjectCode::of_answer(403, None), ObjectCode::AccessDenied);
        assert_eq!(ObjectCode::of_answer(503, None), ObjectCode::ServiceUnavailable);
        assert_eq!(ObjectCode::of_answer(418, None).retryability(), Retryability::NotRetryable);
    }

    #[test]
    fn a_missing_bucket_is_no_missing_object() {
        assert_eq!(
            ObjectCode::of_answer(404, Some("NoSuchBucket")),
            ObjectCode::Other("NoSuchBucket".to_owned())
        );
    }
}
