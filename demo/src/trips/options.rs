//! How large the demonstration is, and on which store.

/// How large the demonstration is, and on which store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Users, in all shapes.
    pub(crate) users: usize,
    /// Of these, those who work meanwhile.
    pub(crate) active: usize,
    /// What choices follow from.
    pub(crate) seed: u64,
    /// On a throwaway Redis, and not on the embedded store.
    pub(crate) redis: bool,
    /// Everything is put back when the wave was stopped, and nothing is finished.
    pub(crate) back: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { users: 2_000, active: 8, seed: 1, redis: false, back: false }
    }
}

/// Fewest users: each shape is there three times.
const USERS_MIN: u64 = 51;

impl Options {
    /// Reads what follows `cargo demo trips`.
    pub(crate) fn read(words: &[&str]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut number = |least: u64, most: u64| {
                let text = words.next().ok_or_else(|| format!("{word} needs a number"))?;
                let read = text.parse::<u64>().ok().filter(|number| (least..=most).contains(number));
                read.ok_or_else(|| format!("{word} takes a number from {least} to {most}, not `{text}`"))
            };
            let small = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
            match *word {
                "--users" => options.users = small(number(USERS_MIN, 10_000)?),
                "--active" => options.active = small(number(1, 16)?),
                "--seed" => options.seed = number(1, u64::MAX)?,
                "--redis" => options.redis = true,
                "--back" => options.back = true,
                _ => return Err(format!("trips does not know `{word}`")),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_within_their_bounds() {
        let options = Options::read(&["--users", "60", "--active", "3", "--seed", "9", "--redis", "--back"]);
        assert_eq!(options, Ok(Options { users: 60, active: 3, seed: 9, redis: true, back: true }));
        assert_eq!(Options::read(&[]), Ok(Options::default()));
        for (words, says) in [
            (["--users", "50"], "from 51 to 10000, not `50`"),
            (["--active", "x"], "from 1 to 16, not `x`"),
            (["--fast", "1"], "does not know `--fast`"),
        ] {
            assert!(Options::read(&words).unwrap_err().contains(says), "{words:?}");
        }
        assert!(Options::read(&["--seed"]).unwrap_err().contains("needs a number"));
    }
}
