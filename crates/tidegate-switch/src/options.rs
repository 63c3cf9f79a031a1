//! How a switch is started.

use std::time::Duration;

use tidegate_store::postgres::{Address, TxOptions};

use crate::environment::Environment;

/// How often an instance gives a sign of life unless it is told otherwise.
pub const BEAT_DEFAULT: Duration = Duration::from_millis(100);
/// The shortest time between two signs.
pub const BEAT_MIN: Duration = Duration::from_millis(5);
/// The longest.
pub const BEAT_MAX: Duration = Duration::from_secs(10);
/// After so much silence an instance is gone, unless it is told otherwise.
pub const LOST_AFTER_DEFAULT: Duration = Duration::from_secs(15);
/// The shortest such time.
pub const LOST_AFTER_MIN: Duration = Duration::from_millis(200);
/// The longest.
pub const LOST_AFTER_MAX: Duration = Duration::from_secs(600);

/// How a switch is started. What is out of bounds is cut down to them.
#[derive(Debug, Clone)]
pub struct SwitchOptions {
    /// The flag set to obey.
    pub set: String,
    /// Where it is. The switch keeps one session of its own there, so that a busy pool costs it no sign of life.
    pub address: Address,
    /// What the instance calls itself.
    pub name: String,
    /// The host it runs on; empty: unknown.
    pub host: String,
    /// The application's version.
    pub version: String,
    /// What rules without tables, and is expected of them.
    pub environment: Environment,
    /// How often a sign of life is given.
    pub beat: Duration,
    /// After so much silence the instance is gone. It refuses requests by itself a fifth of it earlier.
    pub lost_after: Duration,
    /// How transactions of [`crate::Switch::write`] are run.
    pub transactions: TxOptions,
}

impl SwitchOptions {
    /// The usual ones for a set at an address.
    #[must_use]
    pub fn new(set: &str, address: Address, environment: Environment) -> SwitchOptions {
        SwitchOptions {
            set: set.to_owned(),
            address,
            name: format!("process {}", std::process::id()),
            host: String::new(),
            version: String::new(),
            environment,
            beat: BEAT_DEFAULT,
            lost_after: LOST_AFTER_DEFAULT,
            transactions: TxOptions::default(),
        }
    }

    pub(crate) fn within_bounds(mut self) -> SwitchOptions {
        self.lost_after = self.lost_after.clamp(LOST_AFTER_MIN, LOST_AFTER_MAX);
        self.beat = self.beat.clamp(BEAT_MIN, BEAT_MAX.min(self.lost_after / 5));
        self
    }

    /// How long a sign of life lets requests in, counted from when it was sent.
    pub(crate) fn lease(&self) -> Duration {
        self.lost_after - self.lost_after / 5
    }

    /// How long connecting and one sign of life may take together.
    pub(crate) fn patience(&self) -> Duration {
        self.lost_after / 4
    }

    /// A sign that says nothing new is written down when the last one is older than this.
    pub(crate) fn rewrite_after(&self) -> Duration {
        (self.lost_after / 8).min(Duration::from_secs(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_bounds_is_cut_down() {
        let address = Address::resolve(Some("postgresql://a@127.0.0.1:1/b"), &|_| None).unwrap();
        let mut options = SwitchOptions::new("s", address, Environment::of(&[]));
        options.lost_after = Duration::from_millis(1);
        options.beat = Duration::from_secs(60);
        let cut = options.within_bounds();
        assert_eq!((cut.lost_after, cut.beat), (LOST_AFTER_MIN, LOST_AFTER_MIN / 5));
        assert!(cut.rewrite_after() + cut.patience() < cut.lease());
        assert!(cut.lease() < cut.lost_after);
    }
}
