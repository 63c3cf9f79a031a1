//! Flag sets in the database: which row rules, under which epoch, and who has seen it.
//!
//! A [`FlagSet`] is a few boolean columns, the combinations of them that are legal (rows), and the moves between those
//! that are legal. One row rules at a time. Whoever writes enters the *barrier*, a shared advisory lock for the length
//! of its transaction, and reads the row inside; whoever moves the row takes the barrier for itself. So no write
//! straddles a move, also through a pooler in transaction mode. Readers report what they have *seen* and whether they
//! have *drained* what began before.
//!
//! | question | answered by |
//! |---|---|
//! | what is legal? | [`FlagSet`], checked by [`FlagSet::check`] |
//! | where is what read and written? | [`Stage`] |
//! | is it installed, and who may use it? | [`install`], [`is_installed`], [`grant`] |
//! | which row rules? | [`declare`], [`current`] |
//! | to move it | [`close_barrier`], [`older_transactions`], [`move_to`], then [`undrained`] until nobody is left |
//! | to put one back after a restore | [`set_row`] |
//! | who keeps the barrier? | [`open_writers`] |
//! | to obey it, in an application | [`enter`], [`beat()`]; `tidegate-switch` does it for you |
//! | what has the other side not got yet? | [`outbox_open`], [`outbox`] |
//!
//! Every function takes a session and works inside the transaction that is open on it, if one is.

mod answer;
mod barrier;
mod beat;
mod current;
mod declaration;
mod drained;
mod enter;
mod error;
mod moving;
pub mod outbox;
mod schema;
mod stage;

pub use barrier::{OlderTransaction, Writer, close_barrier, older_transactions, open_writers};
pub use beat::{Beat, BeatAnswer, beat, leave};
pub use current::{Current, current, declare};
pub use declaration::{
    COLUMNS_MAX, DeclarationError, FlagSet, MOVES_MAX, Move, NAME_BYTES_MAX, ROWS_MAX, Row,
};
pub use drained::{Blocker, Instance, undrained};
pub use enter::{Entered, LOOK_ANSWERS, enter, enter_sql, entered, is_missing, look_sql, looked};
pub use error::FlagsError;
pub use moving::{move_to, set_row};
pub use outbox::outbox_open;
pub use schema::{FORMAT, grant, install, is_installed};
pub use stage::{Side, Stage};

/// Rows that any list of this package holds at most.
pub const LISTED_MAX: usize = 100;
