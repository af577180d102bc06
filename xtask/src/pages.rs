//! The pages of run folders in a real browser, by Playwright: `tests/browser/`. It needs node, npm and Chromium.

use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

const FOLDER: &str = "tests/browser";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Reports to open; without any, two short trainings make one of images and one of a table
    reports: Vec<PathBuf>,

    /// A folder for pictures of the pages: light, dark, phone
    #[arg(long, value_name = "DIR")]
    screenshots: Option<PathBuf>,

    /// The browser [default: $CHROMIUM, or /usr/bin/chromium]
    #[arg(long, value_name = "FILE")]
    chromium: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let named = args.chromium.clone().or_else(|| std::env::var_os("CHROMIUM").map(PathBuf::from));
    let chromium = named.unwrap_or_else(|| "/usr/bin/chromium".into());
    let shown = chromium.display();
    ensure!(chromium.exists(), "{shown}: no browser; name one by --chromium or the variable CHROMIUM");
    let reports =
        if args.reports.is_empty() { made(Path::new("target/pages"))? } else { args.reports.clone() };
    if !Path::new(FOLDER).join("node_modules").is_dir() {
        done(
            Command::new("npm")
                .args(["install", "--no-audit", "--no-fund", "--no-package-lock"])
                .current_dir(FOLDER),
        )?;
    }
    for (i, report) in reports.iter().enumerate() {
        let report = std::fs::canonicalize(report).with_context(|| report.display().to_string())?;
        let mut node = Command::new("node");
        node.current_dir(FOLDER).env("CHROMIUM", &chromium).arg("report.mjs").arg(report);
        if let Some(folder) = &args.screenshots {
            let folder = folder.join(i.to_string());
            std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
            node.arg(std::fs::canonicalize(&folder)?);
        }
        done(&mut node)?;
    }
    Ok(())
}

/// The reports of two short trainings: of images, and of a table with a column of each kind.
fn made(folder: &Path) -> Result<Vec<PathBuf>> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => std::fs::create_dir_all(folder)?,
    }
    let table = folder.join("sales.csv");
    let mut text = "amount,country,when,is_fraud\n".to_owned();
    for row in 0..300u32 {
        let fraud = row >= 280;
        let amount = if fraud { 900 } else { 20 + row * 7 % 13 };
        let (country, hour) = (["DE", "FR", "IT"][row as usize % 3], if fraud { 3 } else { 9 + row % 9 });
        text +=
            &format!("{amount},{country},2024-02-{:02} {hour:02}:00:00,{}\n", 1 + row % 28, u8::from(fraud));
    }
    std::fs::write(&table, text)?;
    let train = |out: &str, arguments: &[&str]| -> Result<PathBuf> {
        let out = folder.join(out);
        let mut command = Command::new("cargo");
        command.args(["run", "--quiet", "-p", "flicker", "--", "train", "--quiet", "--out"]).arg(&out);
        done(command.args(arguments))?;
        Ok(out.join("report.html"))
    };
    let table = table.to_string_lossy();
    Ok(vec![
        train("images", &["--model", "ganomaly", "--quick"])?,
        train("table", &["--model", "classic", "--data", &table, "--label", "is_fraud"])?,
    ])
}

/// Runs a command that must succeed.
fn done(command: &mut Command) -> Result<()> {
    let shown = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("{shown} cannot be run"))?;
    ensure!(status.success(), "{shown} ended with {status}");
    Ok(())
}
