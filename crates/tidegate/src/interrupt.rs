//! What happens when the process is told to end: the runner stops its step and halts; told twice, the process ends.

use std::cell::RefCell;
use std::rc::Rc;

use tidegate_engine::signals::StopHandle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

use crate::exit_code;
use crate::failure::Failure;
use crate::screen::Screen;

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
    /// Begins to listen for SIGINT and SIGTERM.
    ///
    /// # Errors
    /// If the system does not let this process listen.
    pub(crate) fn listen(screen: &Screen) -> Result<Self, Failure> {
        let open = |kind| {
            signal(kind).map_err(|error| Failure::internal(format!("signals cannot be listened to: {error}")))
        };
        let (interrupts, terminations) = (open(SignalKind::interrupt())?, open(SignalKind::terminate())?);
        let handle = Rc::<RefCell<Told>>::default();
        let listener =
            tokio::task::spawn_local(listen(screen.clone(), handle.clone(), interrupts, terminations));
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

async fn listen(screen: Screen, told: Rc<RefCell<Told>>, mut interrupts: Signal, mut terminations: Signal) {
    loop {
        let by = tokio::select! {
            _ = interrupts.recv() => "an interrupt (SIGINT)",
            _ = terminations.recv() => "a request to end (SIGTERM)",
        };
        let mut told = told.borrow_mut();
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
