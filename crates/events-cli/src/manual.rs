//! `events completions` and `events man`: what shells and readers of manuals need, from the command line itself.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use events_terminal::Exit;

use crate::flags::Flags;

const COMPLETIONS_HELP: &str = "\
Examples:
  events completions bash > ~/.local/share/bash-completion/completions/events
  events completions zsh > ~/.zfunc/_events
  events completions fish > ~/.config/fish/completions/events.fish";

/// Which shell.
#[derive(Args, Debug)]
#[command(after_help = COMPLETIONS_HELP)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

/// Where the manual goes.
#[derive(Args, Debug)]
pub(crate) struct Man {
    /// Write `events.1` and a page for every verb, such as `events-tail.1`, into this directory
    #[arg(long, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
}

pub(crate) fn completions(flags: &Completions) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(flags.shell, &mut Flags::command(), "events", &mut script);
    print(&script)
}

pub(crate) fn man(flags: &Man) -> Result<Exit> {
    if let Some(directory) = &flags.dir {
        std::fs::create_dir_all(directory)
            .and_then(|()| clap_mangen::generate_to(Flags::command(), directory))
            .with_context(|| format!("cannot write the manual into {}", directory.display()))?;
        return Ok(Exit::Success);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(Flags::command()).render(&mut page).context("cannot make the manual page")?;
    print(&page)
}

/// Prints a text. Whoever reads it may stop reading.
pub(crate) fn print(text: &[u8]) -> Result<Exit> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Success),
        written => written.context("cannot write to standard output").map(|()| Exit::Success),
    }
}
