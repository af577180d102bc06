//! From the experiment's `[data]` table to the sets that train, validate and test.

use crate::Failure;
use crate::datasets::{FileFacts, Located};
use crate::made::{Made, make, watch, with_made};
use crate::own_table::{self, OwnTable, TableConfig};
use flicker_core::data::csv::Column;
use flicker_core::data::folder::{Layout, Options};
use flicker_core::data::{
    Dataset, Limits, Masks, OnError, Prepare, Protocol, Rows, Samples, Scale, Scaler, Source, Split,
    SplitConfig, Subset,
};
use flicker_core::{Rng, SampleShape, TrainSet};
use flicker_table::Coding;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is read, and who is normal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DataConfig {
    /// Name of the data set's manifest; with `folder` what the folder is called, by default its last part.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The user's own folder of images, in place of a data set with a manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// The user's own table, in place of a data set with a manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<TableConfig>,
    /// How the folder is laid out; told from its folders when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
    /// Channels of images from files: 1 for grey, 3 for colour; as the files have them when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// What is done about a broken file of the folder.
    #[serde(default, skip_serializing_if = "OnError::is_fail")]
    pub on_error: OnError,
    /// Columns of a table that are not read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<Column>,
    /// Whether the class of a table's row is read as its last feature too. A fault, and never of use but to show what a
    /// published one does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leak_label: bool,
    /// How many samples there are before they are divided; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<Rows>,
    /// Who is normal. A user's table says it by its label, and has none.
    #[serde(default = "nobody", skip_serializing_if = "is_nobody")]
    pub protocol: Protocol,
    /// Who trains, validates and tests.
    pub split: SplitConfig,
    /// Size and range of images; tables have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepare: Option<Prepare>,
    /// How a table's columns are scaled, by the numbers of its training normals; as they are when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// Made abnormal sets that join the test, each under its own class.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made: Vec<Made>,
}

/// Everything that a run reads.
pub(crate) struct RunData {
    /// What `fit` gets.
    pub train: TrainSet,
    /// Normals held out for the threshold.
    pub validation: TestSet,
    /// The same as they are before they are prepared or scaled.
    pub raw_validation: Arc<dyn Source>,
    /// The test as it is before it is prepared or scaled, without made samples.
    pub raw_test: Arc<dyn Source>,
    /// What is scored in the end.
    pub test: TestSet,
    /// Shape of a sample, prepared.
    pub shape: SampleShape,
    /// How images were prepared, to undo it for pictures.
    pub prepare: Prepare,
    /// How a table's columns were scaled: what `scale.json` says.
    pub scaler: Option<Scaler>,
    /// How the columns of a user's table became numbers: what `coding.json` says.
    pub coding: Option<Coding>,
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
    /// Where each is abnormal, where that is known of any.
    pub masks: Option<Masks>,
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
    /// What is wrong with each file that was skipped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<String>,
    /// Abnormal samples that train with their label; supervised families alone look at them.
    #[serde(default)]
    pub n_labelled_abnormal: usize,
    pub shape: String,
    pub classes: Vec<String>,
    /// The columns of a table that are read, in the model's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
}

impl DataFacts {
    /// Whether the files are the same, wherever they lie.
    pub(crate) fn same_files(&self, other: &Self) -> bool {
        let contents = |facts: &Self| facts.files.iter().map(|file| file.sha256.clone()).collect::<Vec<_>>();
        contents(self) == contents(other)
    }

    /// Refuses data that are not those of the run that these facts are of, wherever they lie.
    pub(crate) fn expect_same(&self, now: &Self) -> Result<(), Failure> {
        let sets = |facts: &Self| [facts.n_train, facts.n_validation, facts.n_test, facts.n_abnormal];
        if !self.same_files(now) {
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
    let prepare = config.prepare.unwrap_or(Prepare::KEEP);
    config.check()?;
    let (dataset, located, own) = locate(config, prepare, root)?;
    let dataset = if config.leak_label { dataset.with_label_as_feature()? } else { dataset };
    let of_split = config.split.seed.map(Rng::new);
    let dataset = match config.rows {
        Some(rows) => rows.apply(&dataset, of_split.as_ref().unwrap_or(rng))?,
        None => dataset,
    };
    let protocol = own.as_ref().map_or(&config.protocol, |own| &own.protocol);
    let split = protocol.split(&dataset, &config.split, rng)?;
    let (dataset, coding) = match &own {
        Some(own) => own.coded(&dataset, &split).map(|(dataset, coding)| (dataset, Some(coding)))?,
        None => (dataset, None),
    };
    let raw_validation = subset(&dataset, &split.validation)?;
    let raw_test = subset(&dataset, &split.test)?;
    let prepared = dataset.prepared(prepare)?;
    let (prepared, scaler) = scaled(config, prepared, &split)?;
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
    let facts = facts(config, protocol, &located, &prepared, &split, &test);
    Ok(RunData {
        train,
        validation,
        raw_validation,
        raw_test,
        test,
        shape: prepared.shape(),
        prepare,
        scaler,
        coding,
        facts,
    })
}

/// The data set with its columns on the scale of the normals that train, and that scale.
fn scaled(
    config: &DataConfig,
    dataset: Dataset,
    split: &Split,
) -> Result<(Dataset, Option<Scaler>), Failure> {
    let Some(scale) = &config.scale else { return Ok((dataset, None)) };
    let train = Subset::new(dataset.source().clone(), split.train.clone())?;
    let scaler = scale.fit(&train, dataset.columns())?;
    Ok((dataset.scaled(&scaler)?, Some(scaler)))
}

/// The data set that is asked for. Images of a folder come in their new size.
fn locate(
    config: &DataConfig,
    prepare: Prepare,
    root: &Path,
) -> Result<(Dataset, Located, Option<OwnTable>), Failure> {
    let images = config.images(prepare);
    if let Some(table) = &config.table {
        let (dataset, located, own) = own_table::open(&config.called(), table)?;
        return Ok((dataset, located, Some(own)));
    }
    let Some(folder) = &config.folder else {
        let (dataset, located) = crate::datasets::locate(&config.name, root, &config.drop, &images)?;
        return Ok((dataset, located, None));
    };
    if !config.drop.is_empty() {
        return Err(Failure::usage("config field `data.drop`: a folder of images has no columns"));
    }
    let (dataset, located) = crate::datasets::own_folder(&config.called(), folder, &images)?;
    Ok((dataset, located, None))
}

/// No class: who is normal is not said here.
fn nobody() -> Protocol {
    Protocol::OneClass { normal: Vec::new(), abnormal: None }
}

fn is_nobody(protocol: &Protocol) -> bool {
    *protocol == nobody()
}

impl DataConfig {
    /// How images of a folder are read.
    pub(crate) fn images(&self, prepare: Prepare) -> Options {
        let Self { layout, channels, on_error, .. } = *self;
        Options { layout, channels, resize: prepare.resize, limits: Limits::USUAL, on_error }
    }

    /// What the data are called.
    fn called(&self) -> String {
        let of_folder = self.folder.as_ref().and_then(|folder| folder.file_name());
        let of_table = self.table.as_ref().and_then(|table| table.path.file_name());
        match of_folder.or(of_table) {
            Some(last) if self.name.is_empty() => last.to_string_lossy().into_owned(),
            _ => self.name.clone(),
        }
    }

    /// Refuses what a user's table has no use for, and data of which nothing says who is normal.
    fn check(&self) -> Result<(), Failure> {
        let wrong = |field: &str, problem: &str| {
            Err(Failure::usage(format!("config field `data.{field}`: {problem}")))
        };
        if self.table.is_none() {
            let problem = "missing: it says who is normal, as in { kind = \"one_class\", normal = [0] }";
            return if is_nobody(&self.protocol) { wrong("protocol", problem) } else { Ok(()) };
        }
        let useless = [
            ("folder", self.folder.is_some(), "stands beside `data.table`; one of them is read"),
            ("drop", !self.drop.is_empty(), "of a user's table, `data.table.drop` names the columns"),
            ("on_error", !self.on_error.is_fail(), "is for folders of images"),
            ("leak_label", self.leak_label, "is for data sets with a manifest"),
            ("rows", self.rows.is_some(), "is for data sets with a manifest"),
            ("protocol", !is_nobody(&self.protocol), "of a user's table, its label says who is normal"),
            ("prepare", self.prepare.is_some(), "is for images"),
            ("made", !self.made.is_empty(), "is for images"),
        ];
        match useless.iter().find(|(_, there, _)| *there) {
            Some((field, _, problem)) => wrong(field, problem),
            None => Ok(()),
        }
    }
}

fn facts(
    config: &DataConfig,
    protocol: &Protocol,
    located: &Located,
    dataset: &Dataset,
    split: &Split,
    test: &TestSet,
) -> DataFacts {
    DataFacts {
        name: config.called(),
        origin: located.origin.clone(),
        files: located.files.clone(),
        protocol: in_words(protocol, dataset) + if config.split.contaminated { UNKNOWN } else { "" },
        n_train: split.train.len(),
        n_validation: split.validation.len(),
        n_test: test.abnormal.len(),
        n_abnormal: test.abnormal.iter().filter(|&&abnormal| abnormal).count(),
        n_left_out: split.left_out.len(),
        skipped: located.skipped.clone(),
        n_labelled_abnormal: split.train_abnormal.len(),
        shape: dataset.shape().to_string(),
        classes: test.classes.clone(),
        columns: dataset.columns().to_vec(),
    }
}

/// Said of a protocol whose labels do not reach the training.
const UNKNOWN: &str = "; abnormal samples train too, unlabelled";

fn in_words(protocol: &Protocol, dataset: &Dataset) -> String {
    let list = |classes: &[flicker_core::data::Class]| {
        classes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    match protocol {
        Protocol::OneClass { normal, abnormal: None } if normal.len() == dataset.classes().len() => {
            "every sample is normal".into()
        }
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

pub(crate) fn subset(dataset: &Dataset, indices: &[usize]) -> Result<Arc<dyn Source>, Failure> {
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
        masks: dataset.masks().map(|masks| masks.subset(indices)).transpose()?,
    })
}
