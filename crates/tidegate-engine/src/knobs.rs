//! What a person may turn while a step is at work.

use std::time::Duration;

use serde::Serialize;

/// Most workers of a backfill.
pub(crate) const WORKERS_MAX: u32 = 16;

/// Most rows of a chunk.
const ROWS_MAX: u32 = 10_000_000;

/// The bounds of a chunk's target.
const TARGET: std::ops::RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(10);

/// What a person turned while the step was at work. `None`: as the page says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Knobs {
    /// Chunks at work at the same time.
    pub workers: Option<u32>,
    /// How long a chunk should take.
    pub target: Option<Duration>,
    /// Most rows of a chunk.
    pub rows_max: Option<u32>,
}

impl Knobs {
    /// Turns one.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the name or the value, and what is right.
    pub fn turn(&mut self, name: &str, value: &str) -> Result<(), String> {
        let whole = |most: u32| match value.parse::<u32>() {
            Ok(number) if (1..=most).contains(&number) => Ok(number),
            _ => Err(format!("{name} is a whole number from 1 to {most}, and {value:?} is not")),
        };
        match name {
            "workers" => self.workers = Some(whole(WORKERS_MAX)?),
            "rows" => self.rows_max = Some(whole(ROWS_MAX)?),
            "target" => {
                let target =
                    tidegate_runbook::parse_duration(value).ok().filter(|target| TARGET.contains(target));
                self.target = Some(
                    target
                        .ok_or_else(|| format!("target is a time from 10ms to 10s, and {value:?} is not"))?,
                );
            }
            _ => {
                return Err(format!(
                    "there is no knob {name}; the knobs of a backfill are workers, target and rows"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knobs_take_what_is_in_bounds_and_say_what_is() {
        let mut knobs = Knobs::default();
        assert_eq!(knobs.turn("workers", "4"), Ok(()));
        assert_eq!(knobs.turn("target", "200ms"), Ok(()));
        assert_eq!(knobs.workers, Some(4));
        assert!(knobs.turn("workers", "0").unwrap_err().contains("from 1 to 16"));
        assert!(knobs.turn("target", "1ms").unwrap_err().contains("10ms to 10s"));
        assert!(knobs.turn("speed", "9").unwrap_err().contains("workers, target and rows"));
    }
}
