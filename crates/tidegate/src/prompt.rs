//! Asks the person at the terminal. A thread reads, so that the run goes on giving signs of life.

use tidegate_engine::observer::Ask;
use tokio::sync::oneshot;

use crate::screen::{Screen, Tone};

/// Most tries at typing a step's id.
const TRIES: usize = 3;

/// What a confirm says and releases, who may answer, and the journal's head.
pub(crate) fn text(screen: &Screen, ask: &Ask) -> String {
    let releases: Vec<String> = ask.releases.iter().map(ToString::to_string).collect();
    let who = match (ask.approvers.as_slice(), ask.not_actor) {
        ([], false) => "anybody".to_owned(),
        ([], true) => "anybody but who started the run".to_owned(),
        (names, false) => names.join(", "),
        (names, true) => format!("{}, but not who started the run", names.join(", ")),
    };
    format!(
        "\n{} {}\n\n    {}\n\nReleases:  {}\nApprovers: {who}\nHead:      {}\n",
        screen.paint(Tone::Careful, "CONFIRM"),
        ask.step,
        ask.text.trim().replace('\n', "\n    "),
        if releases.is_empty() { "what comes after it".to_owned() } else { releases.join(", ") },
        ask.head,
    )
}

/// Shows a confirm; gives the approver's name once both it and the step's id were typed.
pub(crate) async fn approval(screen: &Screen, ask: &Ask) -> Option<String> {
    screen.talk(&text(screen, ask));
    for _ in 0..TRIES {
        screen.prompt(&format!("Type {} to approve, or nothing to leave it: ", ask.step));
        let typed = line().await?;
        if typed.is_empty() {
            return None;
        }
        if typed == ask.step.as_str() {
            screen.prompt("Approver's name: ");
            return line().await.filter(|name| !name.is_empty());
        }
        screen.talk("That is not its id.");
    }
    None
}

/// Whether a person says yes to a question.
pub(crate) async fn yes(screen: &Screen, question: &str) -> bool {
    screen.prompt(&format!("{question} Type yes: "));
    line().await.is_some_and(|typed| typed == "yes")
}

/// One line from the terminal; `None` at its end.
async fn line() -> Option<String> {
    let (send, receive) = oneshot::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = std::io::stdin().read_line(&mut text).ok().filter(|count| *count > 0);
        // Nobody waits any more if the run was stopped meanwhile.
        let _ = send.send(read.map(|_| text.trim().to_owned()));
    });
    receive.await.ok().flatten()
}
