//! `@within`: a check that does not hold is asked again until it does, for as long as its step says.

use std::time::Duration;

use tidegate_runbook::{Action, Step};
use tokio::time::Instant;

use crate::observer::Progress;
use crate::question::Answered;
use crate::runner::Runner;
use crate::verdict::Verdict;

/// Pauses between two looks; each is twice the one before.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

impl Runner {
    /// Asks what the step asks. Where a check with `@within` does not hold, or has no answer, it is asked again; what
    /// it answers last stands.
    pub(crate) async fn evaluate_patiently(&self, step: &Step) -> Answered {
        let within = match &step.action {
            Action::Check(check) => check.within,
            _ => None,
        };
        let Some(within) = within else { return self.evaluate(step).await };
        let begun = Instant::now();
        let mut pause = PAUSE_FIRST;
        let mut asked = 0_u64;
        loop {
            asked += 1;
            let mut answered = self.evaluate(step).await;
            let took = begun.elapsed();
            if answered.verdict.holds() {
                if asked > 1 {
                    answered
                        .told
                        .push(format!("held after {:.1} s, asked {asked} times", took.as_secs_f64()));
                }
                return answered;
            }
            let left = within.saturating_sub(took);
            if left.is_zero() {
                let asked = format!("asked {asked} times within {} s", within.as_secs_f64());
                let with = |why: &str| format!("{why}; {asked}");
                answered.verdict = match &answered.verdict {
                    Verdict::Pass => Verdict::Pass,
                    Verdict::Fail(found) => Verdict::Fail(with(found)),
                    Verdict::Unknown(why) => Verdict::Unknown(with(why)),
                };
                return answered;
            }
            self.progress(Progress::NotYet {
                step: step.id.clone(),
                verdict: answered.verdict.to_string(),
                left,
            });
            tokio::time::sleep(pause.min(left)).await;
            pause = PAUSE_MAX.min(pause * 2);
        }
    }
}
