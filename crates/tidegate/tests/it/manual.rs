//! Completions and manual pages are made from the command line's own definition.

use crate::ledger_stage::on_stage;
use crate::small_page::{BOUND, all, folder, program};

const COMMANDS: [&str; 21] = [
    "check",
    "plan",
    "run",
    "status",
    "events",
    "report",
    "stop",
    "pause",
    "resume",
    "approve",
    "amend",
    "accept-drift",
    "adopt",
    "abandon",
    "recheck",
    "rollback",
    "doctor",
    "audit",
    "sessions",
    "completions",
    "man",
];

#[test]
fn completions_know_every_command() {
    on_stage(async {
        let folder = folder("completions");
        for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
            let made = program(&folder, ["completions", shell]).run(BOUND).await.unwrap();
            assert_eq!(made.code(), Some(0), "{}", all(&made));
            for command in COMMANDS {
                assert!(made.stdout.contains(command), "{shell}: {command}");
            }
        }
        let unknown = program(&folder, ["completions", "tcsh"]).run(BOUND).await.unwrap();
        assert_eq!(unknown.code(), Some(2), "{}", all(&unknown));
        std::fs::remove_dir_all(&folder).unwrap();
    });
}

#[test]
fn the_manual_has_a_page_a_command_and_the_exit_codes() {
    on_stage(async {
        let folder = folder("man");
        let main = program(&folder, ["man"]).run(BOUND).await.unwrap();
        assert_eq!(main.code(), Some(0), "{}", all(&main));
        assert!(main.stdout.contains("Exit codes") && main.stdout.contains("in doubt"), "{}", main.stdout);
        let pages = program(&folder, ["man", "pages"]).run(BOUND).await.unwrap();
        assert_eq!(pages.code(), Some(0), "{}", all(&pages));
        for command in COMMANDS {
            let page = folder.join("pages").join(format!("tidegate-{command}.1"));
            assert!(page.is_file(), "{}", page.display());
        }
        let help = program(&folder, ["--help"]).run(BOUND).await.unwrap();
        for command in COMMANDS {
            assert!(help.stdout.contains(command), "{command}: {}", help.stdout);
        }
        std::fs::remove_dir_all(&folder).unwrap();
    });
}
