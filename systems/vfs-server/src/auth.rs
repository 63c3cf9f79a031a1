//! Who asks: a bearer token, and the session that it names.

mod caller;
mod session;
mod token;

pub use caller::Caller;
pub use session::{SESSION_LIFE_DEFAULT, SessionError, start_session};
pub use token::{Claims, TokenError, TokenSecret};
