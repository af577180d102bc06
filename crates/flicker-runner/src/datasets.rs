//! From the name of a data set to its samples: the full set where it is there, the embedded sample otherwise.

use anyhow::{Context, Result, bail, ensure};
use flicker_core::Error;
use flicker_core::data::csv::{Column, Layout};
use flicker_core::data::folder::{self, Options};
use flicker_core::data::nifti::{self, SliceRange, Slices};
use flicker_core::data::{Concat, Dataset, Part, Source, csv, embedded, idx, npz};
use flicker_manifest::{Digest, Format, IdxPart, Manifest, sha256_of};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileFacts {
    /// Its path, or its name in the program.
    pub(crate) path: String,
    /// Its SHA-256.
    pub(crate) sha256: String,
    /// Its length.
    pub(crate) bytes: u64,
}

/// Where a data set was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Located {
    /// In words, for the user: the full set and its folder, or the sample and how to get the full set.
    pub(crate) origin: String,
    /// The files behind it, verified.
    pub(crate) files: Vec<FileFacts>,
    /// What is wrong with each file that was skipped.
    pub(crate) skipped: Vec<String>,
}

/// Reads the data set `name` from `root`, or its embedded sample, without the columns `drop` of a table. Images of a folder are
/// read by `images`.
///
/// # Errors
/// If there is no such data set or column, it is there in part or damaged, or it is not there and has no sample.
pub(crate) fn locate(
    name: &str,
    root: &Path,
    drop: &[Column],
    images: &Options,
) -> Result<(Dataset, Located)> {
    let manifest =
        flicker_manifest::named(name).map_err(|error| Error::config("data.name", error.to_string()))?;
    read(&manifest, root, drop, images)
}

/// Reads the user's own folder `root` as the data set `name`.
///
/// # Errors
/// As [`folder::open`].
pub(crate) fn own_folder(name: &str, root: &Path, images: &Options) -> Result<(Dataset, Located)> {
    ensure!(root.is_dir(), Error::config("data.folder", format!("{} is no folder", root.display())));
    let opened = folder::open(name, root, images)?;
    let digest = flicker_manifest::digest(root, &mut |_| {})?;
    let ignored = match opened.n_ignored {
        0 => String::new(),
        n => format!("; {n} other files passed over"),
    };
    let origin = format!("{} images from {}{ignored}", opened.dataset.len(), root.display());
    let skipped = opened.skipped.iter().map(ToString::to_string).collect();
    Ok((opened.dataset, Located { origin, files: vec![folder_facts(root, digest)], skipped }))
}

fn folder_facts(root: &Path, digest: Digest) -> FileFacts {
    FileFacts { path: root.display().to_string(), sha256: digest.sha256, bytes: digest.bytes }
}

/// Reads the data set of `manifest` from `root`, or its embedded sample, without the columns `drop` of a table.
///
/// # Errors
/// As [`locate`].
pub(crate) fn read(
    manifest: &Manifest,
    root: &Path,
    drop: &[Column],
    images: &Options,
) -> Result<(Dataset, Located)> {
    let located = flicker_manifest::locate(manifest, root)?;
    let origin = located.to_string();
    let folder = match located {
        flicker_manifest::Located::Embedded { sample, .. } => {
            ensure!(drop.is_empty(), Error::config("data.drop", format!("{sample} has no columns")));
            let (dataset, files) = embedded_sample(&sample)?;
            return Ok((dataset, Located { origin, files, skipped: Vec::new() }));
        }
        flicker_manifest::Located::Full { folder, .. } => folder,
    };
    if let Format::Folder { layout, channels, digest } = &manifest.format {
        ensure!(drop.is_empty(), Error::config("data.drop", format!("{} has no columns", manifest.name)));
        let found = flicker_manifest::digest(&folder, &mut |_| {})?;
        ensure!(found == *digest, "{}: expected {digest:?}, found {found:?}", folder.display());
        let layout = Some(named(layout).with_context(|| format!("layout of {}", manifest.name))?);
        let options = Options { layout, channels: images.channels.or(Some(*channels)), ..*images };
        let dataset = folder::open(&manifest.name, &folder, &options)?.dataset;
        let n = dataset.len();
        ensure!(n == manifest.samples, "{}: {n} samples, expected {}", manifest.name, manifest.samples);
        return Ok((
            dataset,
            Located { origin, files: vec![folder_facts(&folder, found)], skipped: Vec::new() },
        ));
    }
    let read = manifest.read().into_iter().map(|name| verified(manifest, &folder, name));
    let files = read.collect::<Result<Vec<_>>>()?;
    let dataset = parse(manifest, &files, drop)?;
    let (n, shape) = (dataset.len(), dataset.shape().dims());
    let as_listed = n == manifest.samples && (shape == manifest.shape || !drop.is_empty());
    ensure!(
        as_listed,
        "{}: {n} samples of {shape:?}, expected {} of {:?}",
        manifest.name,
        manifest.samples,
        manifest.shape
    );
    let files = files.into_iter().map(|file| file.facts).collect();
    Ok((dataset, Located { origin, files, skipped: Vec::new() }))
}

/// A file that has the hash that the manifest says.
struct Verified {
    name: String,
    bytes: Vec<u8>,
    facts: FileFacts,
}

fn verified(manifest: &Manifest, folder: &Path, name: &str) -> Result<Verified> {
    let path = folder.join(name);
    let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
    let facts = facts(path.display().to_string(), &bytes);
    let expected = manifest.file(name).map(|file| file.sha256.as_str()).unwrap_or_default();
    if facts.sha256 != expected {
        let mend = format!("`cargo xtask data {}` mends it", manifest.name);
        bail!("{}: expected sha256 {expected}, found {}; {mend}", facts.path, facts.sha256);
    }
    Ok(Verified { name: name.into(), bytes, facts })
}

fn facts(path: String, bytes: &[u8]) -> FileFacts {
    FileFacts { path, sha256: sha256_of(bytes), bytes: bytes.len() as u64 }
}

fn embedded_sample(name: &str) -> Result<(Dataset, Vec<FileFacts>)> {
    ensure!(name == embedded::MNIST, "{name} is not in this program");
    let file = |(name, bytes): (&str, &[u8])| facts(format!("{}/{name}", embedded::MNIST), bytes);
    Ok((embedded::mnist()?, embedded::MNIST_FILES.map(file).into()))
}

fn parse(manifest: &Manifest, files: &[Verified], drop: &[Column]) -> Result<Dataset> {
    match &manifest.format {
        Format::Idx { train, test } => {
            ensure!(drop.is_empty(), Error::config("data.drop", format!("{} has no columns", manifest.name)));
            let part = |part: &IdxPart| -> Result<idx::Files<'_>> {
                Ok(idx::Files {
                    images: idx_file(files, &part.images)?,
                    labels: idx_file(files, &part.labels)?,
                })
            };
            Ok(idx::dataset(&manifest.name, &manifest.classes, part(train)?, part(test)?)?)
        }
        Format::Csv { file, .. } => {
            let mut layout = layout(manifest)?;
            layout.drop.extend_from_slice(drop);
            let idx::File { origin, bytes } = idx_file(files, file)?;
            Ok(csv::dataset(&manifest.name, origin, bytes, &layout, &manifest.classes)?)
        }
        Format::Nifti { .. } => {
            ensure!(drop.is_empty(), Error::config("data.drop", format!("{} has no columns", manifest.name)));
            slices(manifest, files)
        }
        Format::Folder { .. } => bail!("{} is a folder", manifest.name),
        Format::Npz { file, .. } => {
            ensure!(
                drop.is_empty(),
                Error::config("data.drop", format!("{} has no columns that have names", manifest.name))
            );
            let idx::File { origin, bytes } = idx_file(files, file)?;
            Ok(npz::dataset(&manifest.name, origin, bytes, &arrays(manifest)?, &manifest.classes)?)
        }
    }
}

/// The slices of all volumes, in blocks that stay together.
fn slices(manifest: &Manifest, files: &[Verified]) -> Result<Dataset> {
    let Format::Nifti { plane, block, volumes } = &manifest.format else { bail!("no volumes") };
    let &[1, height, width] = &manifest.shape[..] else { bail!("{}: {:?}", manifest.name, manifest.shape) };
    let plane = named(plane).with_context(|| format!("plane of {}", manifest.name))?;
    let (mut sources, mut labels, mut groups) = (Vec::<Arc<dyn Source>>::new(), Vec::new(), Vec::new());
    for volume in volumes {
        let file = idx_file(files, &volume.file)?;
        let class = manifest.classes.iter().position(|class| *class == volume.class);
        let class = class.with_context(|| format!("{} is no class of {}", volume.class, manifest.name))?;
        let range = SliceRange { from: volume.from, to: volume.to, every: volume.every };
        let parsed = nifti::parse(file.origin, file.bytes)?;
        let slices = Slices::new(&volume.class, parsed, plane, range, [height, width])?;
        groups.extend(slices.blocks(*block, groups.last().map_or(0, |last| last + 1)));
        labels.extend(vec![class as u32; slices.len()]);
        sources.push(Arc::new(slices));
    }
    let parts = vec![Part::Train; labels.len()];
    let source = Arc::new(Concat::new(sources)?);
    let classes = manifest.classes.clone();
    Ok(Dataset::new(&manifest.name, source, labels, classes, parts)?.with_groups(groups)?)
}

/// A choice by its name in a manifest.
fn named<T: serde::de::DeserializeOwned>(name: &str) -> Result<T> {
    Ok(toml::Value::String(name.to_owned()).try_into()?)
}

fn idx_file<'a>(files: &'a [Verified], name: &str) -> Result<idx::File<'a>> {
    let file = files.iter().find(|file| file.name == name).with_context(|| format!("{name} was not read"))?;
    Ok(idx::File { origin: &file.facts.path, bytes: &file.bytes })
}

/// How the lines of a table are read.
fn layout(manifest: &Manifest) -> Result<Layout> {
    let Format::Csv { layout, .. } = &manifest.format else { bail!("{} is no table", manifest.name) };
    layout.clone().try_into().with_context(|| format!("layout in the manifest of {}", manifest.name))
}

/// Which arrays are read as what.
fn arrays(manifest: &Manifest) -> Result<npz::Layout> {
    let Format::Npz { layout, .. } = &manifest.format else { bail!("{} has no arrays", manifest.name) };
    layout.clone().try_into().with_context(|| format!("layout in the manifest of {}", manifest.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flicker_core::data::{Limits, OnError, Resize};

    const IMAGES: Options = Options {
        layout: None,
        channels: None,
        resize: Resize::Keep,
        limits: Limits::USUAL,
        on_error: OnError::Fail,
    };

    #[test]
    fn every_layout_is_one() -> Result<()> {
        for manifest in flicker_manifest::all()? {
            match &manifest.format {
                Format::Folder { layout, .. } => drop(named::<folder::Layout>(layout)?),
                Format::Nifti { plane, .. } => drop(named::<nifti::Plane>(plane)?),
                _ => {}
            }
            let values = match manifest.format {
                Format::Csv { .. } => layout(&manifest)?.values.len(),
                Format::Npz { .. } => arrays(&manifest)?.values.len(),
                _ => continue,
            };
            assert_eq!(values, manifest.classes.len(), "{}", manifest.name);
        }
        Ok(())
    }

    #[test]
    fn the_embedded_sample_is_the_one_of_its_manifest() -> Result<()> {
        let (digits, located) = locate("mnist", tempfile::tempdir()?.path(), &[], &IMAGES)?;
        assert_eq!((digits.name(), digits.len()), ("mnist-sample", 10_000));
        assert!(located.origin.starts_with("embedded sample mnist-sample instead of the full mnist"));
        let manifest = flicker_manifest::named("mnist-sample")?;
        for (facts, file) in located.files.iter().zip(&manifest.files) {
            assert_eq!((&facts.sha256, facts.bytes), (&file.sha256, file.bytes), "{}", facts.path);
        }
        assert_eq!(
            (located.files.len(), manifest.samples, manifest.classes),
            (4, digits.len(), digits.classes().to_vec())
        );
        Ok(())
    }

    /// A table of two rows, and its text on the disk.
    fn table(root: &Path, listed: &str, there: &str, samples: usize) -> Manifest {
        std::fs::create_dir_all(root.join("toy")).expect("made");
        std::fs::write(root.join("toy/a.csv"), there).expect("written");
        let text = format!(
            r#"
                name = "toy"
                title = "t"
                licence = "l"
                citation = "c"
                classes = ["good", "bad"]
                shape = [2]
                samples = {samples}
                format = {{ kind = "csv", file = "a.csv", layout = {{ header = "names", label = "y", values = ["0", "1"] }} }}
                files = [{{ name = "a.csv", bytes = {}, sha256 = "{}" }}]
            "#,
            listed.len(),
            sha256_of(listed.as_bytes())
        );
        Manifest::parse("toy", &text).expect("a manifest")
    }

    #[test]
    fn a_table_is_read_verified_and_checked() -> Result<()> {
        let root = tempfile::tempdir()?;
        let text = "a,b,y\n1,2,0\n3,4,1\n";
        let (dataset, located) = read(&table(root.path(), text, text, 2), root.path(), &[], &IMAGES)?;
        assert_eq!((dataset.labels(), dataset.columns()), (&[0, 1][..], &["a".to_owned(), "b".into()][..]));
        assert!(located.origin.starts_with("full toy from ") && located.files[0].bytes == 18, "{located:?}");
        let (dataset, _) =
            read(&table(root.path(), text, text, 2), root.path(), &[Column::Name("a".into())], &IMAGES)?;
        assert_eq!(dataset.columns(), ["b"]);
        let said = |manifest: &Manifest| read(manifest, root.path(), &[], &IMAGES).unwrap_err().to_string();
        assert!(said(&table(root.path(), text, text, 3)).contains("2 samples of [2], expected 3 of [2]"));
        let damaged = said(&table(root.path(), text, &text.replace('4', "5"), 2));
        assert!(
            damaged.contains("expected sha256") && damaged.ends_with("`cargo xtask data toy` mends it"),
            "{damaged}"
        );
        assert!(said(&table(root.path(), text, "a", 2)).contains("expected 18 bytes, found 1"));
        Ok(())
    }

    #[test]
    fn an_unknown_name_is_a_wrong_field() {
        let error = locate("mnits", Path::new("data"), &[], &IMAGES).unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(Error::Config { .. })), "{error}");
        assert!(
            error.to_string().starts_with("config field `data.name`: no data set `mnits`, expected one of"),
            "{error}"
        );
    }
}
