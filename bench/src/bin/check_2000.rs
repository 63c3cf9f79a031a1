//! `tidegate check` on a page of 2,000 steps, as a process from start to end.
//!
//! A is that page; B is a page with one migration and one check, which is what starting the program costs. The claim
//! is about A alone: less than 200 ms.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use bench::{Failure, Pairs, describe, pairs_wanted, root, tidegate, timed};

/// Steps of the page.
const STEPS: usize = 2_000;

/// Steps of a migration with the checks that belong to it.
const GROUP: usize = 4;

/// Groups in a stage.
const GROUPS_PER_STAGE: usize = 10;

/// What is claimed, in seconds.
const LIMIT: f64 = 0.2;

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
    let program = tidegate()?;
    let folder = root().join("bench/target/check_2000");
    std::fs::create_dir_all(&folder).map_err(Failure::of("make a folder"))?;
    let whole = write(&folder, "whole.md", STEPS / GROUP)?;
    let small = write(&folder, "small.md", 1)?;
    let bytes = std::fs::metadata(&whole).map_err(Failure::of("look at the page"))?.len();
    let check = |page: &Path| timed(Command::new(&program).arg("check").arg(page));
    println!("machine: {}", describe());
    let pairs = Pairs::take(count, || check(&whole), || check(&small))?;
    let (Some(a), Some(b)) = (pairs.a(), pairs.b()) else { return Err(Failure::new("no pair was taken")) };
    println!("A: tidegate check, {STEPS} steps, {bytes} bytes: {a} s");
    println!("B: tidegate check, {GROUP} steps: {b} s");
    println!("pairs: {}", pairs.count());
    let held = a.median < LIMIT;
    println!("claim: A below {LIMIT} s: {}", if held { "held" } else { "MISSED" });
    Ok(held)
}

/// Writes a page with so many groups of steps.
fn write(folder: &Path, name: &str, groups: usize) -> Result<PathBuf, Failure> {
    let path = folder.join(name);
    std::fs::write(&path, page(groups)).map_err(Failure::of("write a page"))?;
    Ok(path)
}

/// A page whose steps are migrations with their undo, checks in their gates and beside them, and records.
fn page(groups: usize) -> String {
    let mut text = String::from(
        "# A long page\n\n```toml\n# @runbook long\n[stores.db]\nkind = \"postgres\"\nurl = \"$DATABASE_URL\"\nhome = true\n```\n",
    );
    for group in 1..=groups {
        if group % GROUPS_PER_STAGE == 1 || groups == 1 {
            let stage = group / GROUPS_PER_STAGE + 1;
            // Writing to a String cannot fail.
            let _ = write!(text, "\n## Stage {stage}\n\n```toml\n# @stage stage_{stage}\n```\n");
        }
        let _ = write!(text, "\n{}", GROUP_TEXT.replace("{n}", &format!("{group:04}")));
    }
    text
}

/// One migration, its check, a record and a check that uses it. `{n}` is the group's number.
const GROUP_TEXT: &str = "\
Table {n}: what it is for, in a sentence that a reviewer reads.

```sql
-- @migrate make_{n}
-- @version {n}
-- @ensures made_{n}
CREATE TABLE public.things_{n} (
  id         bigint      PRIMARY KEY,
  name       text        NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE public.things_{n} IS 'One row per thing.';
-- @undo
DROP TABLE public.things_{n};
```

```sql
-- @check made_{n}
-- @expect true
SELECT to_regclass('public.things_{n}') IS NOT NULL
```

```sql
-- @record counted_{n}
SELECT count(*) AS things FROM public.things_{n}
```

```sql
-- @check still_{n}
-- @requires make_{n}
-- @expect true
SELECT count(*) >= :counted_{n}.things FROM public.things_{n}
```
";
