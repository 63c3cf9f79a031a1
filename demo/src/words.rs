//! What is told between the commands: headings, a few sentences, and each command as it was typed.

/// Columns that everything of ours fits in.
const WIDTH: usize = 100;

/// A heading.
pub(crate) fn heading(title: &str) {
    let rule = "─".repeat(WIDTH.saturating_sub(title.chars().count() + 4));
    println!("\n── {title} {rule}");
}

/// A few sentences, wrapped.
pub(crate) fn say(text: &str) {
    for line in wrapped(text, WIDTH) {
        println!("{line}");
    }
}

/// A command line, before it runs.
pub(crate) fn command(words: &[&str]) {
    println!();
    for line in command_lines(words, WIDTH) {
        println!("{line}");
    }
}

/// A line as lines that fit: broken between words, continued under its last column.
pub(crate) fn folded(line: &str) -> Vec<String> {
    fold(line, WIDTH)
}

/// The first and the last lines of a text, each cut where it is too long.
pub(crate) fn excerpt(text: &str, first: usize, last: usize) -> Vec<String> {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let hidden = lines.len().saturating_sub(first + last);
    let cut = |line: &&str| {
        if line.chars().count() <= WIDTH {
            return (*line).to_owned();
        }
        line.chars().take(WIDTH - 1).chain(['…']).collect()
    };
    if hidden == 0 {
        return lines.iter().map(cut).collect();
    }
    let mut shown: Vec<String> = lines.iter().take(first).map(cut).collect();
    shown.push(format!("  … {hidden} more lines …"));
    shown.extend(lines.iter().skip(first + hidden).map(cut));
    shown
}

/// Narrowest last column that lines are continued under.
const NARROWEST: usize = 30;

fn fold(line: &str, width: usize) -> Vec<String> {
    if line.chars().count() <= width {
        return vec![line.to_owned()];
    }
    // The last column begins behind the last gap of two spaces or more.
    let gap = line.rfind("  ").map_or(0, |at| line.get(..at + 2).map_or(0, |before| before.chars().count()));
    let hang = if gap + NARROWEST <= width { gap } else { 4 };
    let head: String = line.chars().take(hang).collect();
    let rest: String = line.chars().skip(hang).collect();
    let mut pieces = wrapped(&rest, width - hang).into_iter();
    let mut lines = vec![format!("{head}{}", pieces.next().unwrap_or_default())];
    lines.extend(pieces.map(|piece| format!("{}{piece}", " ".repeat(hang))));
    lines
}

/// The words of a text in lines of at most `width` columns.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let used = lines.last().map_or(0, |line| line.chars().count());
        if used > 0 && used + 1 + word.chars().count() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// A command line as a shell takes it, broken where it is too long.
fn command_lines(words: &[&str], width: usize) -> Vec<String> {
    let mut lines = vec!["$".to_owned()];
    for (at, word) in words.iter().enumerate() {
        // An option stays with its value.
        let with_value =
            word.starts_with("--") && words.get(at + 1).is_some_and(|next| !next.starts_with("--"));
        let needed = word.chars().count()
            + if with_value { 1 + words.get(at + 1).map_or(0, |w| w.chars().count()) } else { 0 };
        let used = lines.last().map_or(0, |line| line.chars().count());
        let breaks = word.starts_with("--") && used + 1 + needed + 2 > width;
        if breaks {
            if let Some(line) = lines.last_mut() {
                line.push_str(" \\");
            }
            lines.push("   ".to_owned());
        }
        if let Some(line) = lines.last_mut() {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_wrapped_between_words() {
        assert_eq!(wrapped("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrapped("", 7), [""]);
    }

    #[test]
    fn a_long_line_goes_on_under_its_last_column() {
        let line = format!("12:00  step  {}", "word ".repeat(12).trim_end());
        let lines = fold(&line, 50);
        assert_eq!(lines[0], "12:00  step  word word word word word word word");
        assert_eq!(lines[1], format!("{}word word word word word", " ".repeat(13)));
        assert_eq!(fold("short", 50), ["short"]);
    }

    #[test]
    fn an_excerpt_says_how_much_it_leaves_out() {
        let text = format!("one\ntwo\n{}\nfour\nfive\n", "x".repeat(WIDTH + 1));
        assert_eq!(excerpt(&text, 1, 1), ["one", "  … 3 more lines …", "five"]);
        let whole = excerpt(&text, 3, 2);
        assert_eq!(whole.len(), 5);
        assert_eq!((whole[2].chars().count(), whole[2].chars().last()), (WIDTH, Some('…')));
    }

    #[test]
    fn a_long_command_is_broken_before_an_option_that_keeps_its_value() {
        let words = ["tidegate", "run", "--apply", "--set", "folder=somewhere"];
        assert_eq!(command_lines(&words, 30), ["$ tidegate run --apply \\", "    --set folder=somewhere"]);
        assert_eq!(command_lines(&words, 90), ["$ tidegate run --apply --set folder=somewhere"]);
    }
}
