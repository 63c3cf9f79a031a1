//! Links in Markdown lead somewhere.

use super::Finding;
use super::tree::{File, Tree};

/// Starts of links that lead out of the repository.
const OUTSIDE: [&str; 3] = ["http://", "https://", "mailto:"];

/// Directories whose Markdown is read by programs and may be wrong on purpose.
const EXEMPT: [&str; 3] = ["/tests/", "/fixtures/", "/fuzz/"];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.with(".md").filter(|file| !EXEMPT.iter().any(|exempt| file.path.contains(exempt))) {
        for (line, target) in targets(file) {
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let resolved =
                if path.is_empty() { Some(file.path.clone()) } else { resolve(file.directory(), path) };
            let Some(resolved) = resolved.filter(|path| tree.has(path)) else {
                findings.push(Finding::new(
                    &file.path,
                    line,
                    format!("the link to `{path}` leads nowhere; mend or remove it"),
                ));
                continue;
            };
            let leads_to = tree.get(&resolved).filter(|to| to.is(".md") && !anchor.is_empty());
            if leads_to.is_some_and(|to| !anchors(to).any(|known| known == anchor)) {
                let advice = format!("{resolved} has no heading `#{anchor}`; mend or remove the link");
                findings.push(Finding::new(&file.path, line, advice));
            }
        }
    }
    findings
}

/// The targets of a page's links that stay in the repository, with their lines.
fn targets(file: &File) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (line, text) in prose(file) {
        // What stands between backticks is not a link.
        let text: String = text.split('`').step_by(2).collect::<Vec<_>>().join("_");
        for part in text.split("](").skip(1) {
            let target = part.split([')', ' ']).next().unwrap_or_default();
            found.push((line, target.to_owned()));
        }
        if let Some((label, target)) = text.split_once("]: ").filter(|(label, _)| label.starts_with('['))
            && !label.starts_with("[^")
        {
            found.push((line, target.split_whitespace().next().unwrap_or_default().to_owned()));
        }
    }
    found.retain(|(_, target)| {
        !target.is_empty() && !OUTSIDE.iter().any(|outside| target.starts_with(outside))
    });
    found
}

/// The lines of a page outside fenced blocks.
fn prose(file: &File) -> impl Iterator<Item = (usize, &str)> {
    let mut fence: Option<&str> = None;
    file.lines().filter(move |(_, line)| {
        let start = line.trim_start();
        match fence {
            Some(mark) if start.starts_with(mark) => fence = None,
            Some(_) => {}
            None if start.starts_with("```") => fence = Some("```"),
            None if start.starts_with("~~~") => fence = Some("~~~"),
            None => return true,
        }
        false
    })
}

/// The anchors that a page's headings have, as the usual renderers make them.
fn anchors(file: &File) -> impl Iterator<Item = String> + '_ {
    prose(file).filter(|(_, line)| line.starts_with('#')).map(|(_, line)| {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        heading
            .chars()
            .filter_map(|c| match c {
                ' ' => Some('-'),
                '-' | '_' => Some(c),
                c if c.is_alphanumeric() => Some(c),
                _ => None,
            })
            .collect()
    })
}

/// A path from the root, given from a directory; `None` when it leads out of the repository.
fn resolve(directory: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<usize> {
        let tree = Tree::of(&[("docs/a.md", text), ("docs/b.md", "# One Heading, 2\n"), ("README.md", "")]);
        check(&tree).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn links_that_resolve_pass() {
        assert!(
            found("[b](b.md) [r](../README.md) [d](../docs) [w](https://x.y)\n[h](b.md#one-heading-2)\n")
                .is_empty()
        );
    }

    #[test]
    fn links_that_lead_nowhere_are_found_with_their_line() {
        assert_eq!(found("[x](x.md)\n[out](../../x)\n[h](b.md#other)\n[r]: gone.md\n"), [1, 2, 3, 4]);
    }

    #[test]
    fn what_is_code_is_no_link() {
        assert!(found("```\n[x](x.md)\n```\n`[x](x.md)` a\n").is_empty());
    }
}
