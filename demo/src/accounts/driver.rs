//! Whoever types the commands, and whatever is killed while they run.

use std::time::Duration;

use super::journal::Journal;
use super::options::{Kill, Target};
use super::stage::Stage;
use crate::Error;
use crate::dice::Dice;
use crate::fleet::Fleet;
use crate::operator::{HALTED, HELD, IN_DOUBT, Operator};
use crate::words::say;

/// How often one command is typed again after something was killed under it.
const ATTEMPTS_MAX: usize = 8;
/// How often the journal is looked at while something is to be killed.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// A kill comes up to so many milliseconds after its stage was seen at work.
const LATER_MS_MAX: usize = 25;
/// The same where a stage is started by hand: the program itself has to start, too.
const LATER_BY_HAND_MS_MAX: usize = 200;

/// Types commands, and kills what is to be killed while they run.
#[derive(Debug)]
pub(crate) struct Driver {
    operator: Operator,
    journal: Journal,
    dice: Dice,
    pending: Vec<Kill>,
    killed: Vec<Kill>,
}

impl Driver {
    /// With these kills to come.
    pub(crate) fn new(operator: Operator, journal: Journal, dice: Dice, kills: &[Kill]) -> Self {
        Self { operator, journal, dice, pending: kills.to_vec(), killed: Vec::new() }
    }

    /// The terminal.
    pub(crate) fn operator(&self) -> &Operator {
        &self.operator
    }

    /// The journal.
    pub(crate) fn journal(&mut self) -> &mut Journal {
        &mut self.journal
    }

    /// What was killed while its stage ran.
    pub(crate) fn killed(&self) -> &[Kill] {
        &self.killed
    }

    /// What is still to be killed.
    pub(crate) fn pending(&self) -> &[Kill] {
        &self.pending
    }

    /// Types a command until it ends in one of the expected ways, again after each kill that ended it otherwise.
    pub(crate) async fn run(
        &mut self,
        words: &[&str],
        expected: &[i32],
        stage: &Stage,
        fleet: &mut Fleet,
    ) -> Result<i32, Error> {
        let mut struck = false;
        for _ in 0..ATTEMPTS_MAX {
            let mut running = self.operator.start(words)?;
            if let Some(by_hand) = words.iter().skip_while(|word| **word != "--stage").nth(1) {
                self.journal.begins(by_hand);
            }
            let ended = loop {
                let kill = tokio::select! {
                    biased;
                    ended = running.code() => break ended?,
                    kill = self.due(stage) => kill,
                };
                let hit = match kill.target {
                    Target::Runner => running.kill().await?,
                    Target::Instance => {
                        let number = self.dice.below(usize::MAX);
                        let pid = fleet.kill_and_start(number).await?;
                        println!(
                            "\n$ kill -9 {pid}    # an instance, while `{}` is at work; started again",
                            kill.stage
                        );
                        true
                    }
                    Target::Database => {
                        println!("\n$ kill -9    # the database server, while `{}` is at work", kill.stage);
                        stage.kill_and_start().await?;
                        say("The server was started again on what it had written.");
                        true
                    }
                };
                struck |= hit;
                self.settle(kill, hit);
            };
            match ended {
                Some(code) if expected.contains(&code) => return Ok(code),
                None if struck => say("\nThe same command again."),
                Some(HALTED | HELD | IN_DOUBT) if struck => say("\nThe same command again."),
                // Such as a barrier that writers kept open for longer than a move waits.
                Some(HALTED) if self.journal.halted_untold(stage).await => {
                    say("\nSomething could not be told; the same command asks again.");
                }
                _ => {
                    let got = ended.map_or("a signal".to_owned(), |code| format!("exit code {code}"));
                    let expected = expected.first().copied().unwrap_or_default();
                    return Err(Error::Exit {
                        command: format!("tidegate {}", words.join(" ")),
                        expected,
                        got,
                    });
                }
            }
        }
        Err(Error::Task(format!(
            "`tidegate {}` did not come to its end in {ATTEMPTS_MAX} attempts",
            words.join(" ")
        )))
    }

    /// Resolves once something is to be killed; never, where nothing is.
    async fn due(&mut self, stage: &Stage) -> Kill {
        loop {
            if self.pending.is_empty() {
                std::future::pending::<()>().await;
            }
            let at_work = self.journal.at_work(stage).await.map(str::to_owned);
            let due = self.pending.iter().find(|kill| Some(&kill.stage) == at_work.as_ref()).cloned();
            if let Some(kill) = due {
                let most = if self.journal.is_by_hand() { LATER_BY_HAND_MS_MAX } else { LATER_MS_MAX };
                let later = u64::try_from(self.dice.below(most)).unwrap_or_default();
                tokio::time::sleep(Duration::from_millis(later)).await;
                // A short stage may be over; then it is for the next time that it runs.
                if self.journal.at_work(stage).await == Some(kill.stage.as_str()) {
                    return kill;
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn settle(&mut self, kill: Kill, hit: bool) {
        if !hit {
            return;
        }
        if let Some(at) = self.pending.iter().position(|pending| *pending == kill) {
            self.pending.remove(at);
        }
        self.killed.push(kill);
    }
}
