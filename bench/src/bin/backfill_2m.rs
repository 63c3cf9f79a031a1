//! Two million rows copied in chunks: with two workers under locks, and without locks behind a seal, against one single
//! `INSERT … SELECT`.
//!
//! A is what the outcome of the `@backfill` says that the step took; B is the statement. Each copies into an empty table
//! of a new database, after a checkpoint. With a number of rows behind the number of pairs it copies that many.

use std::process::ExitCode;
use std::time::Duration;

use bench::{Failure, Ground, PAGE_HEAD, Pairs, describe, tidegate};

/// Rows, unless the command line says otherwise.
const ROWS: u32 = 2_000_000;

/// Fewest pairs that make a figure.
const FEWEST: usize = 5;

fn main() -> ExitCode {
    match measure() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<bool, Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<u32>().ok());
    let count = number(0).and_then(|count| usize::try_from(count).ok()).unwrap_or(7).max(FEWEST);
    let rows = number(1).unwrap_or(ROWS);
    let mut ground = Ground::new(tidegate()?, rows)?;
    ground.execute("origin", "CREATE TABLE public.new (LIKE public.old INCLUDING ALL)")?;
    println!("machine: {}", describe());
    println!(
        "server: {}, fsync on; {rows} rows by 5 columns into a table with a primary key",
        ground.version()
    );
    let mut held = true;
    for (name, before, after, least) in [
        (
            "locked, two workers",
            "```toml\n# @flags mirror_on\nset = \"app\"\nto = \"mirrored\"\n```\n\n",
            "mirror_on",
            0.9,
        ),
        ("sealed, two workers", "```toml\n# @seal quiet\ntables = [\"public.old\"]\n```\n\n", "quiet", 1.2),
    ] {
        let page = format!(
            "{PAGE_HEAD}{before}```sql\n-- @backfill copy\n-- @source public.old\n-- @key id\n-- @after {after}\nINSERT INTO public.new SELECT * FROM chunk ON CONFLICT DO NOTHING\n```\n"
        );
        let ground = std::cell::RefCell::new(&mut ground);
        let ours = || {
            copied(&mut ground.borrow_mut(), rows, |ground, database| {
                ground.run(database, &page, &[0])?;
                ground.took(database, "copy")
            })
        };
        let single = || {
            copied(&mut ground.borrow_mut(), rows, |ground, database| {
                ground.timed(database, &["INSERT INTO public.new SELECT * FROM public.old"])
            })
        };
        let pairs = Pairs::take(count, ours, single)?;
        let (Some(a), Some(b), Some(ratio)) = (pairs.a(), pairs.b(), pairs.ratio()) else { continue };
        let speed = 1.0 / ratio.median;
        let word = if speed >= least { "held" } else { "MISSED" };
        println!(
            "{name}: A {a} s, one INSERT … SELECT {b} s; A/B {ratio}, {} pairs; speed {speed:.2} times, claim at least {least}: {word}",
            pairs.count()
        );
        held &= speed >= least;
    }
    println!("machine after: {}", describe());
    Ok(held)
}

/// A new database, the timed work, and a look at what was copied.
fn copied(
    ground: &mut Ground,
    rows: u32,
    work: impl FnOnce(&Ground, &str) -> Result<Duration, Failure>,
) -> Result<Duration, Failure> {
    let database = ground.copy()?;
    let took = work(ground, &database)?;
    let there = ground.number(&database, "SELECT count(*) FROM public.new")?;
    if there != i64::from(rows) {
        return Err(Failure::new(format!("{there} rows were copied of {rows}")));
    }
    Ok(took)
}
