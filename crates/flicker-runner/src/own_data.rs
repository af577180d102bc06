//! `--data`: the user's own table, the user's own folder of images, or the folder where data sets lie; and what the first two
//! change in an experiment.

use crate::args::TrainArgs;
use crate::{Failure, Text};
use flicker_core::data::folder::{self, Options};
use flicker_core::data::{EXTENSIONS, Limits, Part, Resize};
use std::path::{Path, PathBuf};
use toml::Value;

/// What a user trains on, in place of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnData {
    /// A table, in this file.
    Table(PathBuf),
    /// Images, in this folder.
    Folder(PathBuf),
}

/// Folders below which no image is looked for.
const DEPTH: usize = 4;

impl OwnData {
    /// What `--data` names: a file is a table. A folder is the one where data sets lie if it holds one, or has no images, or if
    /// the experiment reads a data set; otherwise its images are meant.
    ///
    /// # Errors
    /// [`Failure::Usage`] if columns are spoken of, but no table.
    pub fn told_by(args: &TrainArgs, experiment: Option<&Text>) -> Result<Option<Self>, Failure> {
        let own = match &args.data {
            Some(path) if path.is_file() => Some(Self::Table(path.clone())),
            Some(path) if path.is_dir() && !holds_data_sets(path)? && has_images(path, DEPTH) => {
                let wanted = experiment.is_none_or(|text| has(text, "folder"));
                wanted.then(|| Self::Folder(path.clone()))
            }
            _ => None,
        };
        if !args.on_error.is_fail() && !matches!(own, Some(Self::Folder(_))) {
            return Err(Failure::usage("--on-error: is for your own folder of images, which --data names"));
        }
        let of_tables = [
            ("label", args.label.is_some()),
            ("drop", !args.drop.is_empty()),
            ("category", !args.category.is_empty()),
            ("normal", !args.normal.is_empty() && own.is_none()),
        ];
        if let Some((name, _)) = of_tables.iter().find(|(_, given)| *given)
            && !matches!((&own, *name), (Some(Self::Table(_)), _) | (Some(_), "normal"))
        {
            let found = args.data.as_ref().map_or("is not given".into(), |data| match data.exists() {
                true => format!("{} is none", data.display()),
                false => format!("{} is not there", data.display()),
            });
            let problem = format!("is for your own table, which --data names; --data {found}");
            return Err(Failure::usage(format!("--{name} {problem}")));
        }
        Ok(own)
    }

    /// What it changes in the experiment `text`, as `key=value`; where that is a default, `named` is false, and the run is named
    /// after the data.
    ///
    /// # Errors
    /// [`Failure::Usage`] if the experiment reads a data set, or it is not clear which images are normal.
    pub(crate) fn changes(&self, args: &TrainArgs, text: &Text, named: bool) -> Result<Vec<String>, Failure> {
        let mut changes = match self {
            Self::Table(path) => table(path, args, text)?,
            Self::Folder(path) => images(path, args)?,
        };
        let (Self::Table(path) | Self::Folder(path)) = self;
        let model = text.model()?;
        if !named && let (Some(model), Some(stem)) = (model, path.file_stem()) {
            let fits = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
            let stem: String = stem.to_string_lossy().chars().map(fits).collect();
            changes.push(set("name", format!("{model}-{stem}")));
        }
        Ok(changes)
    }

    /// What was taken to be meant, in words.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::Table(path) => format!("--data {}: your own table", path.display()),
            Self::Folder(path) => format!("--data {}: your own folder of images", path.display()),
        }
    }
}

/// `key=value` with the value as TOML.
fn set(key: &str, value: impl Into<Value>) -> String {
    format!("{key}={}", value.into())
}

fn strings(values: &[String]) -> Value {
    Value::Array(values.iter().cloned().map(Value::String).collect())
}

/// Whether `[data]` of an experiment has this field.
fn has(text: &Text, field: &str) -> bool {
    let table: toml::Table = toml::from_str(&text.text).unwrap_or_default();
    table.get("data").and_then(|data| data.get(field)).is_some()
}

fn table(path: &Path, args: &TrainArgs, text: &Text) -> Result<Vec<String>, Failure> {
    if !has(text, "table") {
        let problem =
            "the experiment reads a data set; one for your own table has `data.table`, as has the default of";
        let families = "`flicker train --model ae`, `classic` and `deepsvdd`";
        return Err(Failure::usage(format!(
            "--data {} is a table, but {}: {problem} {families}",
            path.display(),
            text.origin
        )));
    }
    let mut changes = vec![set("data.table.path", path.display().to_string())];
    changes.extend(args.label.clone().map(|label| set("data.table.label", label)));
    for (field, values) in [("normal", &args.normal), ("drop", &args.drop), ("categories", &args.category)] {
        if !values.is_empty() {
            changes.push(set(&format!("data.table.{field}"), strings(values)));
        }
    }
    Ok(changes)
}

/// Who is normal is told by the folders' names; where no normal image is there to test with, some of the others are drawn.
fn images(path: &Path, args: &TrainArgs) -> Result<Vec<String>, Failure> {
    let options = Options {
        layout: None,
        channels: None,
        resize: Resize::Bilinear { size: [16, 16] },
        limits: Limits::USUAL,
        on_error: args.on_error,
    };
    let shown = path.display().to_string();
    let dataset = folder::open(&shown, path, &options)?.dataset;
    let classes = dataset.classes();
    let normal = if args.normal.is_empty() {
        classes.iter().filter(|class| ["good", "normal", "ok"].contains(&class.as_str())).cloned().collect()
    } else {
        args.normal.clone()
    };
    if normal.is_empty() || !normal.iter().all(|class| classes.contains(class)) {
        let problem = "expected the normal ones by --normal NAME, one of";
        return Err(Failure::usage(format!("--data {shown}: {problem} {}", classes.join(", "))));
    }
    let tests = dataset
        .labels()
        .iter()
        .zip(dataset.parts())
        .any(|(&label, &part)| part == Part::Test && normal.contains(&classes[label as usize]));
    let pool = match tests {
        true => "{ kind = \"official\" }",
        false => "{ kind = \"shuffled\", test_fraction = 0.2, abnormal = \"all\" }",
    };
    let skips = (!args.on_error.is_fail()).then(|| set("data.on_error", "skip"));
    Ok([
        set("data.name", ""),
        set("data.folder", shown),
        set("data.protocol.normal", strings(&normal)),
        format!("data.split.pool={pool}"),
    ]
    .into_iter()
    .chain(skips)
    .collect())
}

/// Whether a folder holds one of the data sets that have a manifest.
fn holds_data_sets(folder: &Path) -> Result<bool, Failure> {
    let all = flicker_manifest::all().map_err(|error| Failure::Failed(error.to_string()))?;
    Ok(all.iter().any(|manifest| folder.join(&manifest.name).is_dir()))
}

/// Whether there is an image in a folder or in those below it.
fn has_images(folder: &Path, depth: usize) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    let mut below = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            below.push(path);
        } else if path.extension().is_some_and(|ending| {
            EXTENSIONS.contains(&ending.to_string_lossy().to_ascii_lowercase().as_str())
        }) {
            return true;
        }
    }
    depth > 0 && below.iter().any(|folder| has_images(folder, depth - 1))
}
