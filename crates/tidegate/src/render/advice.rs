//! Advice as it can be typed: the page put into the commands that the engine names.

use std::path::Path;

/// Commands that take no page.
const WITHOUT_PAGE: [&str; 2] = ["completions", "man"];

/// Commands whose first argument is not the page.
const WITH_SUBJECT: [&str; 4] = ["approve", "adopt", "accept-drift", "audit"];

/// Puts the page into every `tidegate …` of a line; `None`: it stands in the environment.
pub(crate) fn with_page(line: &str, page: Option<&Path>) -> String {
    let Some(page) = page else { return line.to_owned() };
    let page = shell_word(&page.display().to_string());
    let mut pieces = line.split("tidegate ");
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        text.push_str("tidegate ");
        let end = command_end(piece);
        let (head, tail) = piece.split_at(end);
        text.push_str(head);
        if end > 0 {
            text.push(' ');
            text.push_str(&page);
        }
        text.push_str(tail);
    }
    text
}

/// Where the command, with its subject if it has one, ends; 0 if this is no command with a page.
fn command_end(piece: &str) -> usize {
    let letters =
        |text: &str| text.find(|c: char| !(c.is_ascii_lowercase() || c == '-')).unwrap_or(text.len());
    let command = piece.get(..letters(piece)).unwrap_or_default();
    if !crate::command::NAMES.contains(&command) || WITHOUT_PAGE.contains(&command) {
        return 0;
    }
    if !WITH_SUBJECT.contains(&command) {
        return command.len();
    }
    let rest = piece.get(command.len()..).unwrap_or_default();
    let Some(rest) = rest.strip_prefix(' ') else { return command.len() };
    let subject = match rest.strip_prefix('"') {
        Some(quoted) => quoted.find('"').map_or(rest.len(), |end| end + 2),
        None => rest.find([' ', '`', ',', ';']).unwrap_or(rest.len()),
    };
    command.len() + 1 + subject
}

/// A word that a shell takes as it is.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        with_page(line, Some(Path::new("a.md")))
    }

    #[test]
    fn the_page_stands_where_it_can_be_typed() {
        assert_eq!(
            shown("Go on: tidegate run --apply --actor NAME"),
            "Go on: tidegate run a.md --apply --actor NAME"
        );
        assert_eq!(shown("see `tidegate status`"), "see `tidegate status a.md`");
        assert_eq!(
            shown("tidegate approve window --actor NAME"),
            "tidegate approve window a.md --actor NAME"
        );
        assert_eq!(
            shown("tidegate accept-drift \"checksum 0009\" --actor NAME"),
            "tidegate accept-drift \"checksum 0009\" a.md --actor NAME"
        );
        assert_eq!(shown("Use a newer tidegate."), "Use a newer tidegate.");
        assert_eq!(shown("the tidegate schema"), "the tidegate schema");
        assert_eq!(with_page("tidegate run", None), "tidegate run");
        assert_eq!(with_page("tidegate run", Some(Path::new("a b.md"))), "tidegate run 'a b.md'");
    }
}
