//! The loss statement.

use tidegate_engine::event::LossLine;

use crate::render::table::table;

/// What would be lost, as lines; says so if nothing would.
pub(crate) fn text(lines: &[LossLine]) -> String {
    if lines.is_empty() {
        return "    nothing: no rows of others are in the way\n".to_owned();
    }
    let (of_keys, of_rows): (Vec<&LossLine>, Vec<&LossLine>) =
        lines.iter().partition(|line| line.first_keys().is_some());
    let told = |head: [&str; 4], lines: &[&LossLine]| {
        let row = |line: &&LossLine| {
            let which = line.first_keys().or(line.newest.as_deref()).unwrap_or("unknown");
            vec![line.table.clone(), line.rows.to_string(), which.to_owned(), line.step.to_string()]
        };
        let head = head.map(str::to_owned).to_vec();
        match lines.is_empty() {
            true => String::new(),
            false => table(4, &std::iter::once(head).chain(lines.iter().map(row)).collect::<Vec<_>>()),
        }
    };
    told(["table", "rows of others", "newest", "made by"], &of_rows)
        + &told(["store", "keys", "the first of them", "lost by"], &of_keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(step: &str, table: &str, rows: u64, newest: Option<&str>) -> LossLine {
        let step = tidegate_runbook::Name::parse(step).unwrap();
        LossLine { step, table: table.to_owned(), rows, newest: newest.map(str::to_owned) }
    }

    #[test]
    fn keys_are_told_by_their_first_and_rows_by_their_newest() {
        let lines = [
            line("back", "trips.removed", 2, Some("first keys: logs a, logs b")),
            line("orders", "public.orders", 3, Some("2026-01-02")),
            line("notes", "public.notes", 1, None),
        ];
        let told = "    table          rows of others  newest      made by
    public.orders  3               2026-01-02  orders
    public.notes   1               unknown     notes
    store          keys  the first of them  lost by
    trips.removed  2     logs a, logs b     back
";
        assert_eq!(text(&lines), told);
    }
}
