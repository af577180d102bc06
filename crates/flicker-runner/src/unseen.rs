//! From what a user names to samples as the model of a run takes them: a data set, a folder of images, a table, or a file of
//! images.

use crate::Failure;
use crate::opened::Opened;
use crate::samples;
use clap::ValueEnum;
use flicker_core::data::csv::Header;
use flicker_core::data::folder::{self, Layout, Options};
use flicker_core::data::{Dataset, OnError, Part, Prepare, Samples, Source, Subset, csv, gz, idx};
use flicker_core::{Rng, SampleShape};
use flicker_manifest::Format;
use flicker_table::TableFile;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Samples to score, with what is known of them.
pub(crate) struct Unseen {
    /// In words: what it is and where it was read.
    pub origin: String,
    pub source: Arc<dyn Source>,
    /// The class of each sample, where it is known.
    pub classes: Option<Vec<String>>,
    /// Whether each is abnormal by the protocol of the run, where that is known and the sample has a part in it.
    pub abnormal: Option<Vec<Option<bool>>>,
    /// What the user should know about how it was read.
    pub notes: Vec<String>,
}

/// Which official part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Which {
    /// The training part.
    Train,
    /// The test part.
    Test,
    /// Everything.
    All,
}

impl Unseen {
    /// The samples that `asked` names, prepared as `run` prepares its own: without a name the run's own test set, otherwise a
    /// file, the data set of that name under `root`, or a folder of images, of which `on_error` may skip broken ones.
    ///
    /// # Errors
    /// If there is no such thing, it cannot be read, or its samples have another shape than the model's.
    pub(crate) fn read(
        run: &Opened,
        asked: Option<&str>,
        part: Option<Which>,
        on_error: OnError,
        root: &Path,
    ) -> Result<Self, Failure> {
        let path = asked.map(Path::new).filter(|path| path.is_file());
        if part.is_some() && (asked.is_none() || path.is_some()) {
            return Err(Failure::usage("--part: a file has no parts, nor has the run's own test set"));
        }
        let unseen = match (path, asked) {
            (Some(path), _) => file(run, path)?,
            (None, Some(name)) => named(run, name, part, on_error, root)?,
            (None, None) => own(run, root)?,
        };
        match unseen.source.shape() {
            shape if shape == run.shape => Ok(unseen),
            shape => Err(Failure::Failed(format!(
                "{}: expected samples of the model's shape, {}, found {shape}",
                unseen.origin, run.shape
            ))),
        }
    }
}

/// The test set of the run itself, made samples included.
fn own(run: &Opened, root: &Path) -> Result<Unseen, Failure> {
    let data = samples::read(&run.experiment.data, root, &Rng::new(run.seed).fork("data"))?;
    run.expect_same(&data)?;
    let test = data.test;
    Ok(Unseen {
        origin: format!("the test set of the run: {}", data.facts.origin),
        source: test.source,
        classes: Some(test.labels.iter().map(|&label| test.classes[label].clone()).collect()),
        abnormal: Some(test.abnormal.iter().map(|&abnormal| Some(abnormal)).collect()),
        notes: Vec::new(),
    })
}

/// The data set `name`, or the folder of images at `name`; or a part of either.
fn named(
    run: &Opened,
    name: &str,
    part: Option<Which>,
    on_error: OnError,
    root: &Path,
) -> Result<Unseen, Failure> {
    let config = &run.experiment.data;
    let mut images = config.images(config.prepare.unwrap_or(Prepare::KEEP));
    if let (None, SampleShape::Image { channels: 3, .. }) = (images.channels, run.shape) {
        images.channels = Some(3); // Grey images are colour images too.
    }
    let same = config.folder.is_none() && config.name == name;
    let layout = images.layout.filter(|_| same);
    let images = Options { layout, on_error, ..images };
    match flicker_manifest::named(name) {
        Ok(manifest) => {
            let (dataset, located) = crate::datasets::read(&manifest, root, &config.drop, &images)?;
            labelled(run, &dataset, part, located.origin, same)
        }
        Err(_) if Path::new(name).is_dir() => folder(run, name, part, &images),
        Err(error) => Err(Failure::usage(format!("{error}; and no file or folder of that name"))),
    }
}

/// The images of a user's folder. Where its layout tells nothing of them, nor do we.
fn folder(run: &Opened, path: &str, part: Option<Which>, images: &Options) -> Result<Unseen, Failure> {
    let opened = folder::open(path, Path::new(path), images)?;
    let same = run.experiment.data.folder.is_some() && run.facts.classes == opened.dataset.classes();
    let mut unseen = labelled(run, &opened.dataset, part, format!("folder {path}"), same)?;
    if opened.layout == Layout::Normals {
        (unseen.classes, unseen.abnormal) = (None, None);
    }
    unseen.notes.extend(opened.skipped.iter().map(|problem| format!("skipped: {problem}")));
    if opened.n_ignored > 0 {
        unseen.notes.push(format!("{path}: {} other files passed over", opened.n_ignored));
    }
    Ok(unseen)
}

/// A part of a data set; with `of_protocol`, the protocol of the run says who is abnormal.
fn labelled(
    run: &Opened,
    dataset: &Dataset,
    part: Option<Which>,
    origin: String,
    of_protocol: bool,
) -> Result<Unseen, Failure> {
    let config = &run.experiment.data;
    let chosen = chosen(dataset, part)?;
    let abnormal = of_protocol
        .then(|| config.protocol.labels(dataset))
        .transpose()?
        .map(|all: Vec<Option<bool>>| chosen.iter().map(|&index| all[index]).collect());
    let class = |&index: &usize| dataset.classes()[dataset.labels()[index] as usize].clone();
    let classes = Some(chosen.iter().map(class).collect());
    let leaking = config.leak_label.then(|| dataset.with_label_as_feature()).transpose()?;
    let prepared = prepared(run, leaking.as_ref().unwrap_or(dataset).source().clone())?;
    let source = Arc::new(Subset::new(prepared, chosen)?);
    Ok(Unseen { origin, source, classes, abnormal, notes: Vec::new() })
}

/// The samples of `part`; of the test part where there are official parts and nothing is asked for.
fn chosen(dataset: &Dataset, part: Option<Which>) -> Result<Vec<usize>, Failure> {
    let parts = dataset.parts();
    let part = part.unwrap_or(if parts.contains(&Part::Test) { Which::Test } else { Which::All });
    let taken = |of: Part| match part {
        Which::Train => of == Part::Train,
        Which::Test => of == Part::Test,
        Which::All => true,
    };
    let chosen: Vec<usize> = (0..dataset.len()).filter(|&index| taken(parts[index])).collect();
    if chosen.is_empty() {
        let name = dataset.name();
        return Err(Failure::usage(format!("--part: {name} has no such official part, use --part all")));
    }
    Ok(chosen)
}

/// The rows of a table, or the images of an IDX file.
fn file(run: &Opened, path: &Path) -> Result<Unseen, Failure> {
    let origin = path.display().to_string();
    if let Some(coding) = &run.coding {
        let file = TableFile::open(path)?;
        let mut values = Vec::new();
        for batch in file.batches(&coding.columns())? {
            coding.apply(&batch?, &mut values)?;
        }
        let rows = Arc::new(Samples::new(coding.width(), values)?);
        return Ok(Unseen {
            origin,
            source: prepared(run, rows)?,
            classes: None,
            abnormal: None,
            notes: vec![],
        });
    }
    let bytes = flicker_core::file::read(path)?;
    let mut notes = Vec::new();
    let source: Arc<dyn Source> = if is_idx(&bytes) {
        Arc::new(idx::images(idx::File { origin: &origin, bytes: &bytes }, "")?)
    } else {
        let features = table(run, &origin, &bytes)?;
        if !features.unused.is_empty() {
            notes.push(format!("{origin}: not used by the model: {}", features.unused.join(", ")));
        }
        Arc::new(features.samples)
    };
    Ok(Unseen { origin, source: prepared(run, source)?, classes: None, abnormal: None, notes })
}

fn is_idx(bytes: &[u8]) -> bool {
    let mut magic = [1; 2];
    gz::reader(bytes, idx::LIMIT).read_exact(&mut magic).is_ok() && magic == [0; 2]
}

/// The columns that the model takes, from a table like those that the run read.
fn table(run: &Opened, origin: &str, bytes: &[u8]) -> Result<csv::Features, Failure> {
    if let SampleShape::Image { .. } = run.shape {
        return Err(Failure::Failed(format!(
            "{origin}: expected IDX images, as the model takes an {}, found a table or something else",
            run.shape
        )));
    }
    if run.experiment.data.leak_label {
        let problem =
            "the run reads the label as a feature (`data.leak_label`), so rows without one cannot be scored";
        return Err(Failure::Failed(format!("{origin}: {problem}")));
    }
    if run.facts.columns.is_empty() {
        let path = run.folder.path("data.json").display().to_string();
        return Err(Failure::Failed(format!("{path}: names no columns, so no table can be matched to them")));
    }
    Ok(csv::features(origin, bytes, header(&run.facts.name), &run.facts.columns)?)
}

/// What the first line is in tables like the data set `name`.
fn header(name: &str) -> Header {
    let layout = match flicker_manifest::named(name).map(|manifest| manifest.format) {
        Ok(Format::Csv { layout, .. }) => layout.try_into::<csv::Layout>().ok(),
        _ => None,
    };
    layout.map_or(Header::Names, |layout| layout.header)
}

/// Prepared as the run's own samples.
pub(crate) fn prepared(run: &Opened, source: Arc<dyn Source>) -> Result<Arc<dyn Source>, Failure> {
    let prepare = run.experiment.data.prepare.unwrap_or(Prepare::KEEP);
    match source.shape() {
        // Rows of another width than the run's are refused by the comparison of shapes.
        SampleShape::Table { features } => match &run.scaler {
            Some(scaler) if scaler.features == features => Ok(Arc::new(scaler.apply(source)?)),
            _ => Ok(source),
        },
        SampleShape::Image { .. } => Ok(Arc::new(prepare.apply(source)?)),
    }
}
