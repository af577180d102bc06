//! The report of a run again, from its folder alone.

use crate::Failure;
use crate::opened::run_folder;
use serde_json::json;
use std::path::PathBuf;

/// The arguments of a report.
#[derive(Clone, Debug, clap::Args)]
pub struct ReportArgs {
    /// The run folder
    #[arg(value_name = "RUN")]
    pub run: PathBuf,

    /// Accepted for scripts: the path is all that is said anyway
    #[arg(long)]
    pub quiet: bool,

    /// The result on standard output is one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Makes `report.html` and the pictures of curves again, and prints where the page is.
///
/// # Errors
/// If there is no run folder, or it cannot be written.
pub fn report(args: &ReportArgs) -> Result<(), Failure> {
    let page = crate::report::write(run_folder(&args.run)?.dir())?;
    if args.json {
        crate::print_json(&json!({"report": page.display().to_string()}));
    } else {
        crate::print(&format!("{}\n", page.display()));
    }
    Ok(())
}
