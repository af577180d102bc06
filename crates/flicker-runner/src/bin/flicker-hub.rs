//! `flicker-hub NAME DIR`: fetches a data set from the Hugging Face hub through candle-datasets and writes it to DIR as
//! the official IDX files. `cargo xtask data` runs it; the feature `hub` builds it.

use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Tensor};
use candle_datasets::vision::{fashion_mnist, mnist};
use flicker_manifest::{Format, IdxPart, Manifest};
use std::path::Path;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [name, out] = args.as_slice() else {
        bail!("expected two arguments, NAME and DIR, found {}", args.len())
    };
    let manifest = flicker_manifest::named(name)?;
    let Format::Idx { train, test } = &manifest.format else { bail!("{name} is not on the hub as images") };
    let dataset = match name.as_str() {
        "mnist" => mnist::load(),
        "fashion-mnist" => fashion_mnist::load(),
        _ => bail!("{name} is not among the sets that candle-datasets fetches"),
    }
    .with_context(|| format!("the hub did not give {name}"))?;
    std::fs::create_dir_all(out).with_context(|| out.clone())?;
    write(&manifest, train, Path::new(out), &dataset.train_images, &dataset.train_labels)?;
    write(&manifest, test, Path::new(out), &dataset.test_images, &dataset.test_labels)
}

/// Writes one part. candle-datasets gives pixels as bytes divided by 255.
fn write(manifest: &Manifest, part: &IdxPart, out: &Path, images: &Tensor, labels: &Tensor) -> Result<()> {
    let pixels = ((images * 255.0)?.round()?).to_dtype(DType::U8)?.flatten_all()?.to_vec1::<u8>()?;
    let labels = labels.to_dtype(DType::U8)?.to_vec1::<u8>()?;
    let (count, sides) = (u32::try_from(labels.len())?, &manifest.shape[1..]);
    ensure!(
        pixels.len() == labels.len() * sides.iter().product::<usize>(),
        "{} pixels for {count} images",
        pixels.len()
    );
    let mut dims = vec![count];
    for &side in sides {
        dims.push(u32::try_from(side)?);
    }
    for (name, dims, elements) in [(&part.images, &dims[..], pixels), (&part.labels, &dims[..1], labels)] {
        let mut bytes = vec![0, 0, 8, u8::try_from(dims.len())?];
        bytes.extend(dims.iter().flat_map(|size| size.to_be_bytes()));
        bytes.extend(elements);
        let path = out.join(name);
        std::fs::write(&path, bytes).with_context(|| path.display().to_string())?;
    }
    Ok(())
}
