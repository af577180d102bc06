//! What shells and `man` want to know of the program, made from its own arguments.

use crate::Cli;
use clap::CommandFactory;
use clap_complete::Shell;
use flicker_runner::{Failure, print};
use std::path::PathBuf;

/// Which shell.
#[derive(clap::Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Where the pages go.
#[derive(clap::Args)]
pub(crate) struct Man {
    /// A folder that is there, such as ~/.local/share/man/man1
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Prints the completion script.
pub(crate) fn completions(args: &Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "flicker", &mut script);
    print(&String::from_utf8_lossy(&script));
    Ok(())
}

/// Writes `flicker.1` and a page for each command.
pub(crate) fn man(args: &Man) -> Result<(), Failure> {
    if !args.dir.is_dir() {
        return Err(Failure::Usage(format!("{}: expected a folder, found none", args.dir.display())));
    }
    clap_mangen::generate_to(Cli::command(), &args.dir)
        .map_err(|error| Failure::Failed(format!("{}: {error}", args.dir.display())))
}
