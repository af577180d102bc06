//! Which samples are shown, and their pictures: input, reconstruction and anomaly map; of rows the columns that matter.

use crate::Failure;
use crate::contributions::{self, Usual};
use crate::evaluate::Evaluated;
use crate::folder::Folder;
use crate::pictures::{Colours, Item, Picture, Strip, write_gallery, write_samples};
use crate::samples::{RunData, TestSet};
use candle_core::{Device, Tensor};
use flicker_core::data::{Prepare, tensor};
use flicker_core::{Detector, Error, Result, Rng, SampleShape, Scores};
use std::path::Path;

/// Samples in a strip.
const SHOWN: usize = 12;

/// Chooses telling samples of the test set, scores them again for their pictures, and writes the gallery.
pub(crate) fn write(
    folder: &Folder,
    model: &dyn Detector,
    data: &RunData,
    evaluated: &Evaluated,
    show: &Show<'_>,
) -> std::result::Result<(), Failure> {
    let test = &data.test;
    if let SampleShape::Table { .. } = test.source.shape() {
        let usual = Usual::of(data)?;
        let strip = |chosen| contributions::strip(chosen, model, data, evaluated, &usual, show);
        let strips =
            chosen(test, evaluated).into_iter().map(strip).collect::<std::result::Result<Vec<_>, _>>()?;
        return Ok(write_gallery(folder.dir(), &strips)?);
    }
    let mut scored = Vec::new();
    for (title, note, indices) in chosen(test, evaluated) {
        if !indices.is_empty() {
            let xs = tensor(test.source.as_ref(), &indices, show.device)?;
            let scores = model.score(&xs, show.rng)?;
            scored.push((title, note, indices, xs, scores));
        }
    }
    // One scale for all strips: what is bright in one is as abnormal as what is bright in another.
    let heat_scale = heat_scale(scored.iter().map(|(.., scores)| scores))?;
    let mut strips = Vec::new();
    for (title, note, indices, xs, scores) in scored {
        let shown = Shown { indices: &indices, xs: &xs, scores: &scores, heat_scale };
        let items = items(test, evaluated, &shown, show.prepare)?;
        strips.push(Strip { title: title.to_string(), note, items });
    }
    Ok(write_gallery(folder.dir(), &strips)?)
}

/// How samples become pictures.
pub(crate) struct Show<'a> {
    /// How images were prepared.
    pub prepare: Prepare,
    /// Where the model computes.
    pub device: &'a Device,
    /// The stream that scores were drawn from.
    pub rng: &'a Rng,
}

type Chosen = (&'static str, String, Vec<usize>);

fn chosen(test: &TestSet, evaluated: &Evaluated) -> Vec<Chosen> {
    let mut order: Vec<usize> = (0..test.abnormal.len()).collect();
    order.sort_by(|&a, &b| evaluated.scores[b].total_cmp(&evaluated.scores[a]).then(a.cmp(&b)));
    let flagged = |i: usize| evaluated.decisions[i].abnormal;
    let first = |keep: &dyn Fn(usize) -> bool| {
        order.iter().copied().filter(|&i| keep(i)).take(SHOWN).collect::<Vec<_>>()
    };
    let last = |keep: &dyn Fn(usize) -> bool| {
        order.iter().rev().copied().filter(|&i| keep(i)).take(SHOWN).collect::<Vec<_>>()
    };
    let count = |keep: &dyn Fn(usize) -> bool| order.iter().filter(|&&i| keep(i)).count();
    let (false_alarm, missed) =
        (|i: usize| flagged(i) && !test.abnormal[i], |i: usize| !flagged(i) && test.abnormal[i]);
    let mut border = order.clone();
    if let Some(threshold) = evaluated.calibration.threshold() {
        let distance = |i: usize| (f64::from(evaluated.scores[i]) - threshold).abs();
        border.sort_by(|&a, &b| distance(a).total_cmp(&distance(b)).then(a.cmp(&b)));
    }
    border.truncate(SHOWN);
    vec![
        ("Most abnormal", "The highest scores of the test set.".into(), first(&|_| true)),
        ("Most normal", "The lowest scores of the test set.".into(), last(&|_| true)),
        (
            "Misses",
            format!("Abnormal, not flagged: {} in all, the lowest scores first.", count(&missed)),
            last(&missed),
        ),
        (
            "False alarms",
            format!("Normal, flagged: {} in all, the highest scores first.", count(&false_alarm)),
            first(&false_alarm),
        ),
        ("Borderline", "The scores nearest the threshold.".into(), border),
    ]
}

/// The samples of a strip, scored.
struct Shown<'a> {
    indices: &'a [usize],
    xs: &'a Tensor,
    scores: &'a Scores,
    /// The value of a map that is shown brightest.
    heat_scale: f32,
}

fn items(
    test: &TestSet,
    evaluated: &Evaluated,
    shown: &Shown<'_>,
    prepare: Prepare,
) -> std::result::Result<Vec<Item>, Failure> {
    let &Shown { indices, xs, scores, heat_scale } = shown;
    let mut items = Vec::new();
    let masks = masks(test, indices)?;
    for (row, &index) in indices.iter().enumerate() {
        let mut images = vec![("input".to_string(), plain(xs, row, prepare)?)];
        if let Some(reconstruction) = &scores.reconstruction {
            images.push(("reconstruction".to_string(), plain(reconstruction, row, prepare)?));
        }
        if let Some(map) = scores.map.as_ref().filter(|map| map.rank() == 4) {
            images.push(("map".to_string(), heat(map, row, heat_scale)?));
            if let Some(masks) = &masks {
                let over = overlay(&images[0].1, map, (row, heat_scale), masks[row].as_deref())?;
                images.push(("map, mask outlined".to_string(), over));
            }
        }
        items.push(Item {
            id: test.source.id(index),
            caption: evaluated.caption(test, index),
            score: evaluated.scores[index],
            images,
            contributions: Vec::new(),
        });
    }
    Ok(items)
}

/// The mask of each sample where it is known, if the test has any.
fn masks(test: &TestSet, indices: &[usize]) -> Result<Option<Vec<Option<Vec<bool>>>>> {
    let Some(masks) = &test.masks else { return Ok(None) };
    let mut mask = vec![0.0; masks.source().shape().elements()];
    let mut read = |&index: &usize| {
        masks.source().read(index, &mut mask)?;
        let marked = || mask.iter().map(|&value| value >= 0.5).collect();
        Ok(masks.is_known(index).then(marked))
    };
    indices.iter().map(&mut read).collect::<Result<_>>().map(Some)
}

/// The map over the input, and the outline of the mask.
fn overlay(
    input: &Picture,
    maps: &Tensor,
    (row, brightest): (usize, f32),
    mask: Option<&[bool]>,
) -> Result<Picture> {
    let map = values(&maps.get(row)?, |value| value / brightest)?;
    Picture::overlay(input, &map, mask).map_err(|error| Error::data("picture", error.to_string()))
}

/// The value that is shown brightest: the highest of all maps.
fn heat_scale<'a>(scores: impl Iterator<Item = &'a Scores>) -> Result<f32> {
    let mut highest = 0.0f32;
    for map in scores.filter_map(|scores| scores.map.as_ref()) {
        highest = highest.max(map.flatten_all()?.max(0)?.to_scalar::<f32>()?);
    }
    Ok(if highest > 0.0 { highest } else { 1.0 })
}

fn heat(maps: &Tensor, row: usize, brightest: f32) -> Result<Picture> {
    picture(&maps.get(row)?, |value| value / brightest, Colours::Heat)
}

fn plain(images: &Tensor, row: usize, prepare: Prepare) -> Result<Picture> {
    picture(&images.get(row)?, |value| prepare.range.undo(value), Colours::Plain)
}

/// One image `(C, H, W)`; of other channel numbers than 1 and 3 the first is shown.
fn picture(image: &Tensor, value: impl Fn(f32) -> f32, colours: Colours) -> Result<Picture> {
    let image = if matches!(image.dim(0)?, 1 | 3) { image.clone() } else { image.narrow(0, 0, 1)? };
    let shape = image.dims3()?;
    let pixels = values(&image, value)?;
    Picture::new(shape, pixels, colours).map_err(|error| Error::data("picture", error.to_string()))
}

fn values(image: &Tensor, value: impl Fn(f32) -> f32) -> Result<Vec<f32>> {
    Ok(image.flatten_all()?.to_vec1::<f32>()?.into_iter().map(value).collect())
}

/// Writes a sheet of inputs (first row) and reconstructions (second row) of a watched set after an epoch.
pub(crate) fn write_epoch(
    dir: &Path,
    epoch: usize,
    set: &str,
    input: &Tensor,
    reconstruction: &Tensor,
    prepare: Prepare,
) -> Result<()> {
    let n = input.dim(0)?;
    let rows = (0..n)
        .map(|row| plain(input, row, prepare))
        .chain((0..n).map(|row| plain(reconstruction, row, prepare)));
    let pictures = rows.collect::<Result<Vec<_>>>()?;
    let written = write_samples(dir, &format!("reconstructions of {set}"), epoch, &pictures, n);
    written.map(|_| ()).map_err(|error| Error::data("samples", format!("{error:#}")))
}

/// Writes a sheet of images that a model made out of nothing.
pub(crate) fn write_generated(
    dir: &Path,
    epoch: usize,
    name: &str,
    images: &Tensor,
    prepare: Prepare,
) -> Result<()> {
    const COLUMNS: usize = 8;
    let pictures = (0..images.dim(0)?).map(|row| plain(images, row, prepare)).collect::<Result<Vec<_>>>()?;
    let written = write_samples(dir, name, epoch, &pictures, COLUMNS);
    written.map(|_| ()).map_err(|error| Error::data("samples", format!("{error:#}")))
}
