//! Two tables of two million rows and five columns that differ in five rows, compared row by row.
//!
//! A is `tidegate run` with one `@compare`, from the process's start to its end, and it must name exactly the five rows.
//! B is what can be had without naming them: the sum of the same hash over both tables, one after the other, by the
//! server with as many workers as it likes; and `reladiff`, which names them, too.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use bench::{Failure, Ground, PAGE_HEAD, Pairs, describe, pairs_wanted, reladiff, tidegate};

/// Rows of each table.
const ROWS: u32 = 2_000_000;

/// What makes the second table, and the five rows that differ.
const SECOND: &str = "CREATE TABLE public.new (LIKE public.old INCLUDING ALL); INSERT INTO public.new SELECT * FROM public.old;
    UPDATE public.new SET name = 'other' WHERE id IN (5, 500000); UPDATE public.new SET note = NULL WHERE id = 1999999;
    DELETE FROM public.new WHERE id = 77; INSERT INTO public.new VALUES (9000000, 'extra', 1, now(), '')";

/// What a comparison must say.
const NAMED: [&str; 5] = [
    "differing id \"5\"",
    "differing id \"500000\"",
    "differing id \"1999999\"",
    "missing id \"77\"",
    "extra id \"9000000\"",
];

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
    let count = pairs_wanted()?;
    let ground = Ground::new(tidegate()?, ROWS)?;
    ground.execute("origin", SECOND)?;
    ground.execute("origin", "VACUUM ANALYZE public.new")?;
    let (peer, peer_version) = reladiff()?;
    println!("machine: {}", describe());
    println!("server: {}, fsync on; {ROWS} rows by 5 columns on each side, 5 differences", ground.version());
    let text = |hash: &str| {
        [
            format!("SELECT sum({hash}) FROM public.old AS t"),
            format!("SELECT sum({hash}) FROM public.new AS t"),
        ]
    };
    let mut held = true;
    for (name, equal, hash, scan_limit, peer_limit) in [
        ("text", "text", "hashtextextended(t::text, 0)", 1.5, 0.25),
        ("values", "values", "hash_record_extended(t, 0)", 1.5, 0.125),
    ] {
        let page = format!(
            "{PAGE_HEAD}```sql\n-- @compare parity\n-- @key id\n-- @equal {equal}\nSELECT * FROM public.old\n-- @against\nSELECT * FROM public.new\n```\n"
        );
        ground.forget("origin")?;
        let ours = || compare(&ground, &page);
        let [left, right] = text(hash);
        let scan = Pairs::take(count, ours, || ground.timed("origin", &[&left, &right]))?;
        let against = Pairs::take(count, ours, || peer_run(&peer, &ground.url("origin")))?;
        let (Some(a), Some(b), Some(ratio)) = (scan.a(), scan.b(), scan.ratio()) else { continue };
        println!(
            "{name}: A {a} s, scan of both {b} s; A/B {ratio}, {} pairs; claim at most {scan_limit}: {}",
            scan.count(),
            word(ratio.median <= scan_limit)
        );
        held &= ratio.median <= scan_limit;
        let (Some(a), Some(b), Some(ratio)) = (against.a(), against.b(), against.ratio()) else { continue };
        println!(
            "{name}: A {a} s, reladiff {peer_version} {b} s; A/B {ratio}, {} pairs; claim at most {peer_limit}: {}",
            against.count(),
            word(ratio.median <= peer_limit)
        );
        held &= ratio.median <= peer_limit;
    }
    println!("machine after: {}", describe());
    Ok(held)
}

fn word(held: bool) -> &'static str {
    if held { "held" } else { "MISSED" }
}

fn compare(ground: &Ground, page: &str) -> Result<Duration, Failure> {
    let (said, took) = ground.run("origin", page, &[3])?;
    let named = NAMED.iter().filter(|row| said.contains(**row)).count();
    if named == NAMED.len() && said.contains("1 missing, 1 extra, 3 differing") {
        return Ok(took);
    }
    Err(Failure::new(format!("the comparison did not name exactly the five rows:\n{said}")))
}

fn peer_run(peer: &Path, url: &str) -> Result<Duration, Failure> {
    let mut command = Command::new(peer);
    command.args([url, "old", url, "new", "-k", "id", "-c", "%", "--json"]);
    let begun = Instant::now();
    let output = command.stdin(Stdio::null()).output().map_err(Failure::of("start reladiff"))?;
    let took = begun.elapsed();
    let said = String::from_utf8_lossy(&output.stdout);
    // Every row of either side that differs begins a line; a long one is broken into several.
    match said.lines().filter(|line| line.starts_with("[\"")).count() {
        8 => Ok(took),
        lines => Err(Failure::new(format!(
            "reladiff named {lines} rows where 8 are expected:\n{said}{}",
            String::from_utf8_lossy(&output.stderr)
        ))),
    }
}
