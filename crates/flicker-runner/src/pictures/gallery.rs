//! The gallery of a run folder: `gallery.json` and the PNG files under `gallery/`; and the sheets under `samples/`.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

use super::{Picture, grid};
use flicker_core::file::write_whole;

/// A row of samples with one thing in common: the most abnormal, the false alarms …
#[derive(Clone, Debug)]
pub struct Strip {
    /// What they have in common, in two or three words.
    pub title: String,
    /// One sentence for the reader of the page; may be empty.
    pub note: String,
    /// The samples, the most telling first.
    pub items: Vec<Item>,
}

/// One sample of a [`Strip`].
#[derive(Clone, Debug)]
pub struct Item {
    /// As in `scores.csv`.
    pub id: String,
    /// Class, label, whatever helps.
    pub caption: String,
    /// The score as in `scores.csv`.
    pub score: f32,
    /// What is shown (`input`, `reconstruction`, `residual`, `map`) and the picture.
    pub images: Vec<(String, Picture)>,
    /// Of a row of a table the columns that add the most to the score, the largest first.
    pub contributions: Vec<Contribution>,
}

/// What a column of a row adds to its score.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Contribution {
    /// The name of the column, or its position.
    pub column: String,
    /// Its value, as the table has it.
    pub value: f32,
    /// The median of the validation normals.
    pub usual: f32,
    /// Its share of all that the columns add.
    pub share: f32,
}

/// `gallery.json`, as written here and read by the report.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct GalleryFile {
    pub(crate) strips: Vec<StripEntry>,
}

/// A [`Strip`], its pictures being files.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct StripEntry {
    pub(crate) title: String,
    pub(crate) note: String,
    pub(crate) items: Vec<ItemEntry>,
}

/// An [`Item`], its pictures being files.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ItemEntry {
    pub(crate) id: String,
    pub(crate) caption: String,
    pub(crate) score: Option<f32>,
    pub(crate) images: Vec<ImageEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) contributions: Vec<Contribution>,
}

/// One picture of an [`ItemEntry`].
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ImageEntry {
    pub(crate) name: String,
    pub(crate) file: String,
}

/// Writes the strips into the run folder: the pictures under `gallery/`, then `gallery.json` that names them.
///
/// File names are made here, never from ids. A gallery that is there already is replaced.
///
/// # Errors
/// Where a picture's values do not fit its shape, or the folder cannot be written.
pub fn write_gallery(run_dir: &Path, strips: &[Strip]) -> Result<()> {
    let folder = run_dir.join("gallery");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let mut file = GalleryFile::default();
    for (s, strip) in strips.iter().enumerate() {
        let items = strip.items.iter().enumerate();
        let items = items.map(|(i, item)| write_item(run_dir, s, i, item)).collect::<Result<_>>()?;
        file.strips.push(StripEntry { title: strip.title.clone(), note: strip.note.clone(), items });
    }
    Ok(write_whole(&run_dir.join("gallery.json"), &serde_json::to_vec_pretty(&file)?)?)
}

/// Writes a sheet of pictures as `samples/KIND-EPOCH.png` (the epoch with four digits) and says where.
///
/// The report groups sheets by kind and shows how they change with the epoch.
///
/// # Errors
/// As [`grid`], and where the folder cannot be written.
pub fn write_samples(
    run_dir: &Path,
    kind: &str,
    epoch: usize,
    pictures: &[Picture],
    columns: usize,
) -> Result<PathBuf> {
    let side = pictures.iter().map(|p| p.width.max(p.height)).max().unwrap_or(1).max(1);
    let bytes = grid(pictures, columns, (64 / side).max(1))?;
    let kind: String = kind.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let path = run_dir.join("samples").join(format!("{kind}-{epoch:04}.png"));
    fs::create_dir_all(run_dir.join("samples")).with_context(|| path.display().to_string())?;
    write_whole(&path, &bytes)?;
    Ok(path)
}

fn write_item(run_dir: &Path, strip: usize, index: usize, item: &Item) -> Result<ItemEntry> {
    let mut images = Vec::new();
    for (k, (name, picture)) in item.images.iter().enumerate() {
        let file = format!("gallery/{strip}-{index:02}-{k}.png");
        let bytes = picture.to_png().with_context(|| format!("gallery: sample {}, {name}", item.id))?;
        write_whole(&run_dir.join(&file), &bytes)?;
        images.push(ImageEntry { name: name.clone(), file });
    }
    let score = item.score.is_finite().then_some(item.score);
    let contributions = item.contributions.clone();
    Ok(ItemEntry { id: item.id.clone(), caption: item.caption.clone(), score, images, contributions })
}
