//! `cargo xtask data sample mnist`: makes the embedded sample from the official files, the same bytes each time.
//!
//! The rule needs no random generator, so that anybody can repeat it in any language: of each class the samples whose
//! SHA-256 of `flicker NAME-sample PART INDEX` is smallest, as many as keep the proportions of the classes (largest
//! remainder), in the order of the official files.

use super::progress::say;
use anyhow::{Context, Result, bail, ensure};
use flate2::{Compression, GzBuilder};
use flicker_manifest::File;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The arguments of `cargo xtask data sample`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The full data set.
    name: String,
    /// The folder of its official files [default: where `cargo xtask data` puts them].
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Only compare with the files in the repository.
    #[arg(long)]
    check: bool,
}

/// Runs the subcommand.
pub(super) fn run(args: &Args) -> Result<()> {
    let manifest = flicker_manifest::named(&args.name)?;
    let sample = manifest.sample.as_ref().with_context(|| format!("{} has no sample", args.name))?;
    let from = args.from.clone().unwrap_or_else(|| flicker_manifest::data_root().join(&args.name));
    let sample_manifest = flicker_manifest::named(sample)?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets").join(sample);
    for (name, bytes) in make(&args.name, &from)? {
        let made = File { bytes: bytes.len() as u64, sha256: flicker_manifest::sha256_of(&bytes), name };
        if args.check {
            flicker_manifest::verify(&folder.join(&made.name), &made, &mut |_| {})?;
        } else {
            flicker_manifest::place(&folder, &made, &mut &bytes[..], &mut |_| {})?;
        }
        let listed = sample_manifest.file(&made.name) == Some(&made);
        ensure!(listed, "datasets/{sample}.toml must say: {made:?}");
        say(&format!("{sample}: {}, {} bytes, sha256 {}", made.name, made.bytes, made.sha256));
    }
    Ok(())
}

/// The official parts and how many samples are taken from each.
const PARTS: [(&str, usize); 2] = [("train", 8_000), ("t10k", 2_000)];

/// The files of the sample of `name`, made from the official IDX files in `from`.
fn make(name: &str, from: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for (part, n) in PARTS {
        let (images_name, labels_name) =
            (format!("{part}-images-idx3-ubyte"), format!("{part}-labels-idx1-ubyte"));
        let read = |file: &str| {
            std::fs::read(from.join(file)).with_context(|| from.join(file).display().to_string())
        };
        let (images, labels) = (read(&images_name)?, read(&labels_name)?);
        let (image_head, pixels) = split(&images, 16, [0, 0, 8, 3], &images_name)?;
        let (_, labels) = split(&labels, 8, [0, 0, 8, 1], &labels_name)?;
        ensure!(
            !labels.is_empty() && pixels.len().is_multiple_of(labels.len()),
            "{images_name} does not fit {labels_name}"
        );
        let size = pixels.len() / labels.len();
        let kept = drawn(&format!("flicker {name}-sample {part}"), labels, n);
        let count = u32::try_from(kept.len())?.to_be_bytes();
        let mut out = [&[0, 0, 8, 3], &count[..], &image_head[8..]].concat();
        kept.iter().for_each(|&index| out.extend(&pixels[index * size..][..size]));
        files.push((format!("{images_name}.gz"), packed(&out)?));
        let mut out = [&[0, 0, 8, 1], &count[..]].concat();
        out.extend(kept.iter().map(|&index| labels[index]));
        files.push((format!("{labels_name}.gz"), packed(&out)?));
    }
    Ok(files)
}

fn split<'a>(bytes: &'a [u8], head: usize, magic: [u8; 4], name: &str) -> Result<(&'a [u8], &'a [u8])> {
    match bytes.split_at_checked(head) {
        Some(parts) if bytes.starts_with(&magic) => Ok(parts),
        _ => bail!("{name}: expected an IDX file that begins with {magic:?}"),
    }
}

/// Indices of `n` samples with the classes in proportion, ascending; see the rule above.
fn drawn(prefix: &str, labels: &[u8], n: usize) -> Vec<usize> {
    let mut classes: BTreeMap<u8, Vec<usize>> = BTreeMap::new();
    for (index, &label) in labels.iter().enumerate() {
        classes.entry(label).or_default().push(index);
    }
    let mut quotas: BTreeMap<u8, usize> =
        classes.iter().map(|(&label, of)| (label, of.len() * n / labels.len())).collect();
    let mut by_remainder: Vec<u8> = classes.keys().copied().collect();
    by_remainder.sort_by_key(|label| std::cmp::Reverse(classes[label].len() * n % labels.len()));
    let missing = n - quotas.values().sum::<usize>();
    for label in &by_remainder[..missing] {
        *quotas.entry(*label).or_default() += 1;
    }
    let mut kept = Vec::new();
    for (label, mut indices) in classes {
        indices.sort_by_cached_key(|index| Sha256::digest(format!("{prefix} {index}")));
        kept.extend_from_slice(&indices[..quotas[&label]]);
    }
    kept.sort_unstable();
    kept
}

/// Gzip with no name and no time, so that equal input gives equal bytes.
fn packed(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_keep_their_proportions() {
        let labels: Vec<u8> = (0..1000).map(|i| if i % 10 < 7 { 0 } else { (i % 10 - 6) as u8 }).collect();
        let kept = drawn("x", &labels, 101);
        let count = |label| kept.iter().filter(|&&index| labels[index] == label).count();
        // 70.7, 10.1, 10.1, 10.1: the largest remainder takes the one that is left.
        assert_eq!([0, 1, 2, 3].map(count), [71, 10, 10, 10]);
        assert!(kept.is_sorted() && kept.windows(2).all(|pair| pair[0] != pair[1]));
        assert_ne!(kept, drawn("y", &labels, 101));
    }
}
