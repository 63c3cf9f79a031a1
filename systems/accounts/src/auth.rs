//! Who is asking: passwords, sessions, and the cookie that carries one.

mod cookie;
mod credentials;
mod password;
mod token;

pub use cookie::{COOKIE_NAME, clear_cookie, set_cookie, token_in};
pub(crate) use credentials::ADDRESS_TAKEN;
pub use credentials::{
    Credential, NewCredential, add_credential, credential_of, end_session, is_address_taken, session_of,
    start_session,
};
pub use password::{HashCost, HashError, Passwords};
pub use token::{AuthSecret, Token};

/// How long a session lasts, in days.
pub const SESSION_DAYS: i32 = 30;
