//! What is told while it runs, and the tables at the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::journal::StepDone;
use super::own::Notes;
use crate::words::heading;

/// How often the clients' work is told.
const TELL_EVERY: Duration = Duration::from_secs(2);
/// Reasons of refusals that are shown.
const REASONS_MAX: usize = 8;

/// Tells every two seconds how the clients fare.
#[derive(Debug)]
pub(crate) struct Teller {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Teller {
    /// Begins to tell.
    pub(crate) fn start(notes: &Arc<Notes>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(tell(Arc::clone(notes), stopped));
        Self { stop, task }
    }

    /// Tells no more.
    pub(crate) async fn stop(self) {
        // If it ended early, there is nobody to be told.
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

async fn tell(notes: Arc<Notes>, mut stopped: watch::Receiver<bool>) {
    let began = Instant::now();
    let (mut before, mut then) = (notes.figures.acknowledged(), Instant::now());
    loop {
        tokio::select! {
            () = tokio::time::sleep(TELL_EVERY) => {}
            _ = stopped.changed() => return,
        }
        let (now, count) = (Instant::now(), notes.figures.acknowledged());
        let rate = (count - before) as f64 / now.duration_since(then).as_secs_f64();
        println!(
            "    · {:5.1} s  {count} writes acknowledged, {rate:.0} a second",
            began.elapsed().as_secs_f64()
        );
        (before, then) = (count, now);
    }
}

/// How long writes took, before, during and after.
pub(crate) fn latency(notes: &Notes) {
    heading("How long writes took");
    println!("  {:8}{:>10}{:>12}{:>12}{:>12}{:>12}", "", "writes", "a second", "p50", "p99", "longest");
    for (name, lasted, spread) in notes.figures.parts() {
        let rate = if lasted.is_zero() { 0.0 } else { spread.count as f64 / lasted.as_secs_f64() };
        let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1000.0);
        println!(
            "  {name:8}{:>10}{rate:>12.0}{:>12}{:>12}{:>12}",
            spread.count,
            ms(spread.p50),
            ms(spread.p99),
            ms(spread.longest)
        );
    }
    println!();
    for (why, count) in notes.figures.refused().into_iter().take(REASONS_MAX) {
        println!("  not acknowledged {count:>8}  {why}");
    }
}

/// How long each step took, and how many rows it went through.
pub(crate) fn steps(done: &[StepDone]) {
    heading("How long each step took");
    for step in done {
        let seconds = step.took_ms as f64 / 1000.0;
        let rows = ROWS.iter().find_map(|name| step.figure(name)).filter(|rows| *rows > 0);
        let rows = rows.map_or_else(String::new, |rows| {
            let rate = if step.took_ms == 0 {
                String::new()
            } else {
                format!(", {:.0} a second", rows as f64 / seconds)
            };
            format!("{rows:>9} rows{rate}")
        });
        println!("  {:28}{seconds:>8.2} s  {rows}", step.step);
    }
}

/// The figures that count the rows that a step copied, or compared.
const ROWS: [&str; 2] = ["rows_written", "left_rows"];
