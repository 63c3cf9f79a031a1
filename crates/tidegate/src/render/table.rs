//! Columns of text.

/// Rows as aligned columns, two spaces between, each line after `indent` spaces. The last column is as wide as it is.
pub(crate) fn table(indent: usize, rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| visible(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = " ".repeat(indent);
        for (column, cell) in row.iter().enumerate() {
            line.push_str(cell);
            if column + 1 < row.len() {
                let width = widths.get(column).copied().unwrap_or(0);
                line.push_str(&" ".repeat(width.saturating_sub(visible(cell)) + 2));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Characters that take a place on the screen: escape sequences of colour do not.
fn visible(cell: &str) -> usize {
    let mut count = 0;
    let mut inside = false;
    for character in cell.chars() {
        match (inside, character) {
            (false, '\u{1b}') => inside = true,
            (false, _) => count += 1,
            (true, 'm') => inside = false,
            (true, _) => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_whatever_the_colour() {
        let rows = [
            vec!["a".to_owned(), "\u{1b}[32mok\u{1b}[0m".to_owned(), "first".to_owned()],
            vec!["long".to_owned(), "fail".to_owned(), "second".to_owned()],
        ];
        assert_eq!(table(1, &rows), " a     \u{1b}[32mok\u{1b}[0m    first\n long  fail  second\n");
    }
}
