//! From the experiment's `[data]` table to the sets that train, validate and test.

use crate::Failure;
use crate::datasets::{FileFacts, Located};
use flicker_core::data::csv::Column;
use flicker_core::data::{
    Concat, Corrupted, Corruption, Dataset, NoiseImages, Prepare, Protocol, Samples, Source, Split,
    SplitConfig, Subset,
};
use flicker_core::{Rng, SampleShape, TrainSet};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

/// What is read, and who is normal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DataConfig {
    /// Name of the data set's manifest.
    pub name: String,
    /// Columns of a table that are not read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<Column>,
    /// Who is normal.
    pub protocol: Protocol,
    /// Who trains, validates and tests.
    pub split: SplitConfig,
    /// Size and range of images; tables have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepare: Option<Prepare>,
    /// Made abnormal sets that join the test, each under its own class.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made: Vec<Made>,
}

/// A made abnormal set: `n` samples of pure noise, or of corrupted test normals.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Made {
    /// The class that its samples get.
    pub name: String,
    /// How many.
    pub n: usize,
    /// What is done to test normals; without it, the samples are N(0, 1) noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrupt: Option<Corruption>,
    /// Whether values are kept in the range of the data.
    pub clip: bool,
    /// Whether a second draw of the same kind is watched while training: never trained on, never tested.
    #[serde(default)]
    pub watch: bool,
}

/// Everything that a run reads.
pub(crate) struct RunData {
    /// What `fit` gets.
    pub train: TrainSet,
    /// Normals held out for the threshold.
    pub validation: TestSet,
    /// What is scored in the end.
    pub test: TestSet,
    /// Shape of a sample, prepared.
    pub shape: SampleShape,
    /// How images were prepared, to undo it for pictures.
    pub prepare: Prepare,
    /// What `data.json` says.
    pub facts: DataFacts,
}

/// Samples to score, with what is known of them.
pub(crate) struct TestSet {
    /// The samples.
    pub source: Arc<dyn Source>,
    /// Class of each, as an index into `classes`.
    pub labels: Vec<usize>,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Whether each is abnormal.
    pub abnormal: Vec<bool>,
}

/// What `data.json` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DataFacts {
    /// Name of the data set that was asked for.
    pub name: String,
    /// Where it was read: a folder, or the sample in the program.
    pub origin: String,
    /// The files behind it.
    pub files: Vec<FileFacts>,
    /// In words.
    pub protocol: String,
    pub n_train: usize,
    pub n_validation: usize,
    pub n_test: usize,
    pub n_abnormal: usize,
    /// Samples left out because a twin of theirs stands elsewhere.
    pub n_left_out: usize,
    pub shape: String,
    pub classes: Vec<String>,
    /// The columns of a table that are read, in the model's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
}

impl DataFacts {
    /// Refuses data that are not those of the run that these facts are of, wherever they lie.
    pub(crate) fn expect_same(&self, now: &Self) -> Result<(), Failure> {
        let contents =
            |facts: &Self| -> Vec<String> { facts.files.iter().map(|file| file.sha256.clone()).collect() };
        let sets = |facts: &Self| [facts.n_train, facts.n_validation, facts.n_test, facts.n_abnormal];
        if contents(self) != contents(now) {
            let problem = format!("the run read {}, now there is {}", self.origin, now.origin);
            return Err(Failure::Failed(format!("{}: other data than the run's: {problem}", self.name)));
        }
        if sets(self) != sets(now) || self.shape != now.shape {
            let words = |facts: &Self| {
                let [train, validation, test, abnormal] = sets(facts);
                let shape = &facts.shape;
                format!(
                    "{train} to train, {validation} to validate, {test} to test, {abnormal} abnormal, {shape}"
                )
            };
            let problem = format!("expected {}, found {}", words(self), words(now));
            return Err(Failure::Failed(format!("{}: {problem}", self.name)));
        }
        Ok(())
    }
}

/// Reads what `config` asks for from the folder `root`, or from the program itself.
pub(crate) fn read(config: &DataConfig, root: &Path, rng: &Rng) -> Result<RunData, Failure> {
    let (dataset, located) = crate::datasets::locate(&config.name, root, &config.drop)?;
    let prepare = config.prepare.unwrap_or(Prepare::KEEP);
    let split = config.protocol.split(&dataset, &config.split, rng)?;
    let prepared = dataset.prepared(prepare)?;
    let made = make(config, &prepared, &split, prepare, rng)?;
    let validation = labelled(&prepared, &split.validation, &vec![false; split.validation.len()])?;
    let train = TrainSet {
        normal: in_memory(subset(&prepared, &split.train)?)?,
        abnormal: if split.train_abnormal.is_empty() {
            None
        } else {
            Some(subset(&prepared, &split.train_abnormal)?)
        },
        watch: watch(config, &validation, made.watch),
    };
    let test = with_made(labelled(&prepared, &split.test, &split.test_abnormal)?, made.test)?;
    let facts = facts(config, &located, &prepared, &split, &test);
    Ok(RunData { train, validation, test, shape: prepared.shape(), prepare, facts })
}

fn facts(
    config: &DataConfig,
    located: &Located,
    dataset: &Dataset,
    split: &Split,
    test: &TestSet,
) -> DataFacts {
    DataFacts {
        name: config.name.clone(),
        origin: located.origin.clone(),
        files: located.files.clone(),
        protocol: in_words(&config.protocol),
        n_train: split.train.len(),
        n_validation: split.validation.len(),
        n_test: test.abnormal.len(),
        n_abnormal: test.abnormal.iter().filter(|&&abnormal| abnormal).count(),
        n_left_out: split.left_out.len(),
        shape: dataset.shape().to_string(),
        classes: test.classes.clone(),
        columns: dataset.columns().to_vec(),
    }
}

fn in_words(protocol: &Protocol) -> String {
    let list = |classes: &[flicker_core::data::Class]| {
        classes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    match protocol {
        Protocol::OneClass { normal, abnormal: None } => {
            format!("one class: {} normal, all others abnormal", list(normal))
        }
        Protocol::OneClass { normal, abnormal: Some(abnormal) } => {
            format!("one class: {} normal, {} abnormal", list(normal), list(abnormal))
        }
        Protocol::LeaveOneOut { abnormal } => {
            format!("leave one out: {} abnormal, all others normal", list(abnormal))
        }
        Protocol::Ratio { normal, abnormal_per_normal, .. } => {
            format!(
                "ratio: {} normal, {abnormal_per_normal} abnormal for each normal one in the test",
                list(normal)
            )
        }
    }
}

fn subset(dataset: &Dataset, indices: &[usize]) -> Result<Arc<dyn Source>, Failure> {
    Ok(Arc::new(Subset::new(dataset.source().clone(), indices.to_vec())?))
}

/// A small training set is prepared once and kept, in place of once an epoch.
fn in_memory(source: Arc<dyn Source>) -> Result<Arc<dyn Source>, Failure> {
    const MOST_BYTES: usize = 1 << 29;
    if source.len() * source.shape().elements() * size_of::<f32>() > MOST_BYTES {
        return Ok(source);
    }
    Ok(Arc::new(Samples::collect(source.as_ref())?))
}

fn labelled(dataset: &Dataset, indices: &[usize], abnormal: &[bool]) -> Result<TestSet, Failure> {
    Ok(TestSet {
        source: subset(dataset, indices)?,
        labels: indices.iter().map(|&index| dataset.labels()[index] as usize).collect(),
        classes: dataset.classes().to_vec(),
        abnormal: abnormal.to_vec(),
    })
}

/// Made sets by name.
struct MadeSets {
    test: Vec<(String, Arc<dyn Source>)>,
    watch: Vec<(String, Arc<dyn Source>)>,
}

fn make(
    config: &DataConfig,
    dataset: &Dataset,
    split: &Split,
    prepare: Prepare,
    rng: &Rng,
) -> Result<MadeSets, Failure> {
    let normals: Vec<usize> = split
        .test
        .iter()
        .zip(&split.test_abnormal)
        .filter(|(_, abnormal)| !**abnormal)
        .map(|(&index, _)| index)
        .collect();
    let mut sets = MadeSets { test: Vec::new(), watch: Vec::new() };
    for made in &config.made {
        let rng = rng.fork("made").fork(&made.name);
        sets.test.push((made.name.clone(), one_set(made, dataset, &normals, prepare, rng.fork("test"))?));
        if made.watch {
            // What is watched decides nothing, so it may be smaller than what is tested.
            let watched = Made { n: made.n.min(split.validation.len()), ..made.clone() };
            sets.watch.push((
                made.name.clone(),
                one_set(&watched, dataset, &split.validation, prepare, rng.fork("watch"))?,
            ));
        }
    }
    Ok(sets)
}

fn one_set(
    made: &Made,
    dataset: &Dataset,
    normals: &[usize],
    prepare: Prepare,
    rng: Rng,
) -> Result<Arc<dyn Source>, Failure> {
    let values = [prepare.range.apply(0.0), prepare.range.apply(1.0)];
    match made.corrupt {
        None => Ok(Arc::new(NoiseImages::new(made.n, dataset.shape(), made.clip.then_some(values), rng))),
        Some(corruption) => {
            if made.n > normals.len() {
                let problem =
                    format!("data.made `{}`: {} samples of {} normals", made.name, made.n, normals.len());
                return Err(Failure::usage(problem));
            }
            let order = rng.fork("which").permutation(normals.len());
            let chosen: Vec<usize> = order[..made.n].iter().map(|&position| normals[position]).collect();
            Ok(Arc::new(Corrupted::new(subset(dataset, &chosen)?, corruption, values, made.clip, rng)?))
        }
    }
}

/// The validation normals and the made sets that are watched, where any is.
fn watch(
    config: &DataConfig,
    validation: &TestSet,
    made: Vec<(String, Arc<dyn Source>)>,
) -> Vec<(String, Arc<dyn Source>)> {
    if config.made.iter().all(|made| !made.watch) {
        return Vec::new();
    }
    let mut watch = vec![("normal".to_string(), validation.source.clone())];
    watch.extend(made);
    watch
}

fn with_made(mut test: TestSet, made: Vec<(String, Arc<dyn Source>)>) -> Result<TestSet, Failure> {
    if made.is_empty() {
        return Ok(test);
    }
    let mut sources = vec![test.source.clone()];
    for (name, source) in made {
        test.labels.extend(vec![test.classes.len(); source.len()]);
        test.abnormal.extend(vec![true; source.len()]);
        test.classes.push(name);
        sources.push(source);
    }
    test.source = Arc::new(Concat::new(sources)?);
    Ok(test)
}
