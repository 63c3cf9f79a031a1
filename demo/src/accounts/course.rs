//! The page's stages and ways back with their steps, as the program reads them.

use serde_json::Value as Json;

use crate::Error;

/// A stage, or a way back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) id: String,
    pub(crate) steps: Vec<String>,
    /// Whether it comes by itself after the one before.
    pub(crate) in_turn: bool,
    /// Whether its first step only reads, so that the journal does not say when it begins.
    begins_quietly: bool,
}

/// The verbs of which the journal says only that they are done.
const QUIET: [&str; 3] = ["record", "check", "compare"];

/// The page's stages and ways back, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Course {
    pub(crate) parts: Vec<Part>,
}

impl Course {
    /// From what `tidegate check --json` wrote.
    pub(crate) fn read(document: &str) -> Result<Self, Error> {
        let unread = || Error::Task("`tidegate check --json` wrote no page".to_owned());
        let document: Json = serde_json::from_str(document).map_err(|_| unread())?;
        let list = |name: &str| document.pointer(&format!("/runbook/{name}")).and_then(Json::as_array);
        let stages = list("stages").ok_or_else(unread)?.iter();
        let stages = stages.map(|stage| part(stage, stage.get("manual") != Some(&Json::Bool(true))));
        let ways = list("ways").into_iter().flatten().map(|way| part(way, false));
        Ok(Self { parts: stages.chain(ways).collect() })
    }

    /// The part that is at work once a step was begun.
    pub(crate) fn of_step(&self, step: &str) -> Option<&str> {
        self.parts
            .iter()
            .find(|part| part.steps.iter().any(|known| known == step))
            .map(|part| part.id.as_str())
    }

    /// The part that is at work once a step is done: the next one, where it was the last of its stage. `None`: whatever
    /// comes next says so itself.
    pub(crate) fn after_step(&self, step: &str) -> Option<&str> {
        let at = self.parts.iter().position(|part| part.steps.iter().any(|known| known == step))?;
        let (before, after) = self.parts.split_at(at + 1);
        let part = before.last()?;
        if !part.in_turn || part.steps.last().is_some_and(|last| last != step) {
            return Some(&part.id);
        }
        let next = after.iter().find(|part| part.in_turn);
        next.filter(|part| part.begins_quietly).map(|part| part.id.as_str())
    }

    /// The first stage.
    pub(crate) fn first(&self) -> Option<&str> {
        self.parts.first().map(|part| part.id.as_str())
    }
}

fn part(json: &Json, in_turn: bool) -> Part {
    let text = |json: &Json| json.get("id").and_then(Json::as_str).unwrap_or_default().to_owned();
    let steps: Vec<&Json> = json.get("steps").and_then(Json::as_array).into_iter().flatten().collect();
    let verb = steps.first().and_then(|step| step.get("verb")).and_then(Json::as_str).unwrap_or_default();
    Part {
        id: text(json),
        begins_quietly: QUIET.contains(&verb),
        in_turn,
        steps: steps.into_iter().map(text).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = r#"{"runbook": {
        "stages": [
            {"id": "one", "manual": false, "steps": [{"id": "a", "verb": "flags"}, {"id": "b", "verb": "check"}]},
            {"id": "aside", "manual": true, "steps": [{"id": "m", "verb": "check"}]},
            {"id": "two", "manual": false, "steps": [{"id": "c", "verb": "compare"}]},
            {"id": "three", "manual": false, "steps": [{"id": "d", "verb": "flags"}]}
        ],
        "ways": [{"id": "back", "steps": [{"id": "w"}]}]
    }}"#;

    #[test]
    fn a_done_step_leads_to_the_next_stage_where_it_was_the_last() {
        let course = Course::read(DOCUMENT).unwrap();
        assert_eq!((course.first(), course.of_step("b")), (Some("one"), Some("one")));
        assert_eq!((course.after_step("a"), course.after_step("b")), (Some("one"), Some("two")));
        assert_eq!((course.after_step("c"), course.after_step("m")), (None, Some("aside")));
        assert_eq!((course.of_step("w"), course.after_step("w")), (Some("back"), Some("back")));
        assert_eq!(course.of_step("z"), None);
    }

    #[test]
    fn what_is_no_document_is_said_to_be_none() {
        assert!(Course::read("").unwrap_err().to_string().contains("wrote no page"));
        assert!(Course::read("{}").is_err());
    }
}
