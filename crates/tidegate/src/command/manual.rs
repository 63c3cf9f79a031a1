//! `completions` and `man`: made from the same definition as the command line itself.

use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::exit_code::{self, ExitCode};
use crate::failure::Failure;
use crate::screen::Screen;

/// The program's name on the command line.
const NAME: &str = "tidegate";

pub(crate) fn completions(screen: &Screen, shell: Shell) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), NAME, &mut script);
    screen.raw(&script);
    Ok(exit_code::DONE)
}

pub(crate) fn man(screen: &Screen, folder: Option<&Path>) -> Result<ExitCode, Failure> {
    let command = Arguments::command();
    let Some(folder) = folder else {
        let mut page = Vec::new();
        let rendered = clap_mangen::Man::new(command).render(&mut page);
        rendered.map_err(|error| Failure::internal(format!("the manual page: {error}")))?;
        screen.raw(&page);
        return Ok(exit_code::DONE);
    };
    let cannot = |error: std::io::Error| {
        Failure::usage(
            format!("manual pages cannot be written into {}: {error}", folder.display()),
            "Name a folder that can be written to.",
        )
    };
    std::fs::create_dir_all(folder).map_err(cannot)?;
    clap_mangen::generate_to(command, folder).map_err(cannot)?;
    screen.talk(&format!("Manual pages are in {}.", folder.display()));
    Ok(exit_code::DONE)
}
