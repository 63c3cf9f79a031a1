//! What happens when the process is told to end: the runner stops its step and halts; told twice, the process ends.

use std::cell::RefCell;
use std::rc::Rc;

use tidegate_engine::signals::StopHandle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

use crate::exit_code;
use crate::failure::Failure;
use crate::screen::Screen;

/// Who stops a run whose terminal is gone.
const HUNG_UP: &str = "the loss of its terminal (SIGHUP)";

/// Listens until it is dropped.
pub(crate) struct Interrupt {
    handle: Rc<RefCell<Told>>,
    listener: JoinHandle<()>,
}

/// What was told, and who is to be stopped.
#[derive(Default)]
struct Told {
    by: Option<String>,
    runner: Option<StopHandle>,
}

impl Interrupt {
    /// Begins to listen for SIGINT, SIGTERM and, unless whoever started this process had it ignored, SIGHUP.
    ///
    /// # Errors
    /// If the system does not let this process listen.
    pub(crate) fn listen(screen: &Screen) -> Result<Self, Failure> {
        let open = |kind| {
            signal(kind).map_err(|error| Failure::internal(format!("signals cannot be listened to: {error}")))
        };
        let signals = Signals {
            interrupts: open(SignalKind::interrupt())?,
            terminations: open(SignalKind::terminate())?,
            hangups: (!hangup_is_ignored()).then(|| open(SignalKind::hangup())).transpose()?,
        };
        let handle = Rc::<RefCell<Told>>::default();
        let listener = tokio::task::spawn_local(listen(screen.clone(), handle.clone(), signals));
        Ok(Self { handle, listener })
    }

    /// From now on this runner is stopped; at once, if the process was told already.
    pub(crate) fn stops(&self, runner: StopHandle) {
        let mut told = self.handle.borrow_mut();
        if let Some(by) = &told.by {
            runner.stop(by);
        }
        told.runner = Some(runner);
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// What is listened for.
struct Signals {
    interrupts: Signal,
    terminations: Signal,
    hangups: Option<Signal>,
}

/// `nohup` and its like have it ignored, and a run that was started so goes on without its terminal.
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

async fn hung_up(hangups: &mut Option<Signal>) {
    match hangups {
        Some(hangups) => drop(hangups.recv().await),
        None => std::future::pending().await,
    }
}

async fn listen(screen: Screen, told: Rc<RefCell<Told>>, mut signals: Signals) {
    loop {
        let by = tokio::select! {
            _ = signals.interrupts.recv() => "an interrupt (SIGINT)",
            _ = signals.terminations.recv() => "a request to end (SIGTERM)",
            () = hung_up(&mut signals.hangups) => HUNG_UP,
        };
        let mut told = told.borrow_mut();
        // Shell and system both send it for one terminal: the second is no second wish.
        if told.by.is_some() && by == HUNG_UP {
            continue;
        }
        if told.by.is_some() {
            screen.stand(None);
            screen
                .talk("Ended at once. The journal holds what is certain; `tidegate run` goes on from there.");
            std::process::exit(i32::from(u8::from(exit_code::IN_DOUBT)));
        }
        screen.talk(
            "Stopping: the running step is cut off and the run halts. Once more ends this process at once.",
        );
        told.by = Some(by.to_owned());
        if let Some(runner) = &told.runner {
            runner.stop(by);
        }
    }
}
