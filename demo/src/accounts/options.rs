//! What the accounts' demonstration is told to do.

use std::fmt;

/// Most accounts that can be asked for.
const ROWS_MAX: u32 = 10_000_000;
/// Fewest: everybody who works in the demonstration is one of them.
const ROWS_MIN: u32 = 200;
/// Most instances of the service.
const INSTANCES_MAX: usize = 8;
/// Most connections to each instance.
const CONNECTIONS_MAX: usize = 100;

/// A process that can be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// `tidegate`.
    Runner,
    /// One instance of the service.
    Instance,
    /// The database server, every process of it.
    Database,
}

impl Target {
    fn of(word: &str) -> Option<Self> {
        match word {
            "runner" => Some(Self::Runner),
            "instance" => Some(Self::Instance),
            "database" => Some(Self::Database),
            _ => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Runner => "runner",
            Self::Instance => "instance",
            Self::Database => "database",
        })
    }
}

/// A process to be killed while a stage runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kill {
    /// Which.
    pub(crate) target: Target,
    /// The id of a stage of the page, or of a way back.
    pub(crate) stage: String,
}

impl fmt::Display for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.target, self.stage)
    }
}

/// What the accounts' demonstration is told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Accounts that are there before.
    pub(crate) rows: u32,
    /// Instances of the service.
    pub(crate) instances: usize,
    /// Clients, each with a connection to every instance.
    pub(crate) connections: usize,
    /// Writes a second that the clients try for, together.
    pub(crate) writes: u32,
    /// What the clients' choices follow from.
    pub(crate) seed: u64,
    /// How long a stage is held before the next, as the page's parameter takes it.
    pub(crate) confidence: String,
    /// After how many milliseconds of silence an instance counts as gone.
    pub(crate) lost_after_ms: u32,
    /// What is killed, in this order where two are for one stage.
    pub(crate) kills: Vec<Kill>,
    /// Whether one write is kept from the second schema, which everything must notice.
    pub(crate) drop_a_write: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rows: 200_000,
            instances: 2,
            connections: 32,
            writes: 600,
            seed: 1,
            confidence: "1s".to_owned(),
            lost_after_ms: 2000,
            kills: Vec::new(),
            drop_a_write: false,
        }
    }
}

impl Options {
    /// Reads what follows `cargo demo accounts`.
    pub(crate) fn read(words: &[&str]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().copied().ok_or_else(|| format!("{word} wants a value"));
            match *word {
                "--rows" => options.rows = number(word, value()?, ROWS_MIN, ROWS_MAX)?,
                "--instances" => options.instances = number(word, value()?, 1, INSTANCES_MAX)?,
                "--connections" => options.connections = number(word, value()?, 1, CONNECTIONS_MAX)?,
                "--writes" => options.writes = number(word, value()?, 1, 100_000)?,
                "--seed" => options.seed = number(word, value()?, 0, u64::MAX)?,
                "--confidence" => value()?.clone_into(&mut options.confidence),
                "--lost-after-ms" => options.lost_after_ms = number(word, value()?, 200, 600_000)?,
                "--kill" => options.kills.push(kill(value()?)?),
                "--drop-a-write" => options.drop_a_write = true,
                _ => return Err(format!("`{word}` is not known")),
            }
        }
        Ok(options)
    }
}

fn number<N>(word: &str, text: &str, least: N, most: N) -> Result<N, String>
where
    N: std::str::FromStr + PartialOrd + fmt::Display,
{
    let number = text.parse().ok().filter(|number| (&least..=&most).contains(&number));
    number.ok_or_else(|| format!("{word} must be a number from {least} to {most}"))
}

fn kill(text: &str) -> Result<Kill, String> {
    let parts = text.split_once('@').filter(|(_, stage)| !stage.is_empty());
    let parts = parts.and_then(|(target, stage)| Some((Target::of(target)?, stage)));
    let (target, stage) = parts
        .ok_or("--kill must be runner, instance or database, then @ and a stage, such as runner@copy")?;
    Ok(Kill { target, stage: stage.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_a_default_and_can_be_said() {
        assert_eq!(Options::read(&[]), Ok(Options::default()));
        let words = "--rows 5000 --instances 3 --connections 8 --writes 90 --seed 7 --confidence 2s \
                     --lost-after-ms 900 \
                     --kill runner@copy --kill database@steady --drop-a-write";
        let options = Options::read(&words.split_whitespace().collect::<Vec<_>>()).unwrap();
        let kill = |target, stage: &str| Kill { target, stage: stage.to_owned() };
        let expected = Options {
            rows: 5000,
            instances: 3,
            connections: 8,
            writes: 90,
            seed: 7,
            confidence: "2s".to_owned(),
            lost_after_ms: 900,
            kills: vec![kill(Target::Runner, "copy"), kill(Target::Database, "steady")],
            drop_a_write: true,
        };
        assert_eq!(options, expected);
        assert_eq!(options.kills[0].to_string(), "runner@copy");
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (words, expected) in [
            (&["--rows"] as &[&str], "--rows wants a value"),
            (&["--rows", "199"], "--rows must be a number from 200 to 10000000"),
            (&["--instances", "none"], "--instances must be a number from 1 to 8"),
            (&["--kill", "pooler@copy"], "--kill must be runner, instance or database"),
            (&["--kill", "runner@"], "--kill must be runner, instance or database"),
            (&["twice"], "`twice` is not known"),
        ] {
            let error = Options::read(words).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
