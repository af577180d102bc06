//! The report page of a run: `report.html`, one file with everything in it, made from the run folder alone.
//!
//! It uses no network, is whole without its one script (a threshold that the reader moves), is laid out for a phone first, follows the reader's light or dark, and says in words
//! what a number means. What is missing or broken in the folder becomes a sentence on the page, never a failure. Each
//! section is a function from what was read to HTML (see `sections`), so that a later one (contributions of columns, maps)
//! is one more function in one list.

mod folder;
mod format;
mod images;
mod log;
mod metrics;
mod page;
mod scores;
mod sections;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

use anyhow::{Context, Result, ensure};
use flicker_core::file::write_whole;
use std::fs;
use std::path::{Path, PathBuf};

/// Writes `pictures/*.svg` and `report.html` into the run folder from what lies there, and says where the page is.
///
/// # Errors
/// Where `run_dir` is no folder or cannot be written. Files that are missing or malformed are named on the page instead.
pub fn write(run_dir: &Path) -> Result<PathBuf> {
    ensure!(run_dir.is_dir(), "{}: expected a run folder, found none", run_dir.display());
    let folder = folder::Folder::read(run_dir);
    let charts = sections::Charts::draw(&folder);
    let pictures = run_dir.join("pictures");
    fs::create_dir_all(&pictures).with_context(|| pictures.display().to_string())?;
    for chart in charts.all() {
        let path = pictures.join(format!("{}.svg", chart.slug));
        write_whole(&path, chart.standalone().as_bytes())?;
    }
    let path = run_dir.join("report.html");
    write_whole(&path, page::page(&folder, &charts).into_string().as_bytes())?;
    Ok(path)
}
