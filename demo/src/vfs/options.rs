//! How large the demonstration is.

/// How large the demonstration is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Items that are there before, with about as many blobs, stages and attachments.
    pub(crate) rows: u32,
    /// Users whose devices work meanwhile.
    pub(crate) users: usize,
    /// Instances of the server.
    pub(crate) instances: usize,
    /// What choices follow from.
    pub(crate) seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { rows: 20_000, users: 6, instances: 2, seed: 1 }
    }
}

impl Options {
    /// Reads what follows `cargo demo vfs`.
    pub(crate) fn read(words: &[&str]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut number = |most: u64| {
                let text = words.next().ok_or_else(|| format!("{word} needs a number"))?;
                let read = text.parse::<u64>().ok().filter(|number| (1..=most).contains(number));
                read.ok_or_else(|| format!("{word} takes a number from 1 to {most}, not `{text}`"))
            };
            let small = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
            match *word {
                "--rows" => options.rows = u32::try_from(number(1_000_000)?).unwrap_or(u32::MAX),
                "--users" => options.users = small(number(100)?),
                "--instances" => options.instances = small(number(8)?),
                "--seed" => options.seed = number(u64::MAX)?,
                _ => return Err(format!("vfs does not know `{word}`")),
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
        let options = Options::read(&["--rows", "5", "--users", "3", "--instances", "1", "--seed", "9"]);
        assert_eq!(options, Ok(Options { rows: 5, users: 3, instances: 1, seed: 9 }));
        assert_eq!(Options::read(&[]), Ok(Options::default()));
        for (words, says) in [
            (["--rows", "0"], "from 1 to 1000000, not `0`"),
            (["--users", "x"], "from 1 to 100, not `x`"),
            (["--fast", "1"], "does not know `--fast`"),
        ] {
            assert!(Options::read(&words).unwrap_err().contains(says), "{words:?}");
        }
        assert!(Options::read(&["--seed"]).unwrap_err().contains("needs a number"));
    }
}
