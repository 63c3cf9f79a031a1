//! The loss statement.

use tidegate_engine::event::LossLine;

use crate::render::table::table;

/// What would be lost, as lines; says so if nothing would.
pub(crate) fn text(lines: &[LossLine]) -> String {
    if lines.is_empty() {
        return "    nothing: no rows of others are in the way\n".to_owned();
    }
    let mut rows = vec![["table", "rows of others", "newest", "made by"].map(str::to_owned).to_vec()];
    rows.extend(lines.iter().map(|line| {
        vec![
            line.table.clone(),
            line.rows.to_string(),
            line.newest.clone().unwrap_or_else(|| "unknown".to_owned()),
            line.step.to_string(),
        ]
    }));
    table(4, &rows)
}
