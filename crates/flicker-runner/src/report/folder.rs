//! What lies in a run folder, read leniently: each file is there, missing, or broken with a reason.

use serde::Deserialize;
use serde_json::Value;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::log::Log;
use super::metrics::{Calibration, Metrics};
use super::scores::Scores;
use crate::pictures::GalleryFile;
use crate::weighting::{self, Row};

/// A run folder, read.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) config: Part<Config>,
    pub(super) data: Part<Data>,
    pub(super) log: Part<Log>,
    pub(super) scores: Part<Scores>,
    pub(super) metrics: Part<Metrics>,
    pub(super) calibration: Part<Calibration>,
    pub(super) gallery: Part<GalleryFile>,
    pub(super) weighting: Part<Vec<Row>>,
}

/// One file of the folder.
pub(super) enum Part<T> {
    Found(T),
    Missing,
    /// There, but not what it should be; the reason.
    Broken(String),
}

/// `config.toml`: as text, and as a table.
pub(super) struct Config {
    pub(super) text: String,
    pub(super) table: toml::Table,
}

/// `data.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Data {
    pub(super) name: String,
    pub(super) origin: String,
    pub(super) files: Vec<DataFile>,
    pub(super) protocol: Value,
    pub(super) n_train: Option<u64>,
    pub(super) n_validation: Option<u64>,
    pub(super) n_test: Option<u64>,
    pub(super) n_abnormal: Option<u64>,
    pub(super) skipped: Vec<String>,
    pub(super) shape: Value,
    pub(super) classes: Vec<Value>,
}

/// One file that the data were read from.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct DataFile {
    pub(super) path: String,
    pub(super) sha256: String,
    pub(super) bytes: Option<u64>,
}

impl Folder {
    pub(super) fn read(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
            config: part(path, "config.toml", |text| {
                let table = text.parse().map_err(|e: toml::de::Error| e.message().to_owned())?;
                Ok(Config { text: text.to_owned(), table })
            }),
            data: part(path, "data.json", json),
            log: part(path, "log.jsonl", |text| Ok(Log::parse(text))),
            scores: part(path, "scores.csv", Scores::parse),
            metrics: part(path, "metrics.json", json),
            calibration: part(path, "calibration.json", json),
            gallery: part(path, "gallery.json", json),
            weighting: part(path, weighting::FILE, |text| {
                let rows = csv::Reader::from_reader(text.as_bytes()).into_deserialize();
                rows.collect::<Result<_, _>>().map_err(|error| error.to_string())
            }),
        }
    }

    /// A value of `config.toml` by its path, as text.
    pub(super) fn config(&self, path: &[&str]) -> Option<String> {
        let mut table = &self.config.get()?.table;
        let (last, parents) = path.split_last()?;
        for parent in parents {
            table = table.get(*parent)?.as_table()?;
        }
        table.get(*last).map(super::format::toml_value)
    }

    /// The title of the experiment, or the name of the folder.
    pub(super) fn title(&self) -> String {
        let folder = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
        self.config(&["title"])
            .or_else(|| self.config(&["name"]))
            .or_else(|| folder.file_name().map(|name| name.to_string_lossy().into_owned()))
            .unwrap_or_else(|| "run".to_owned())
    }
}

impl<T> Part<T> {
    pub(super) fn get(&self) -> Option<&T> {
        match self {
            Self::Found(found) => Some(found),
            _ => None,
        }
    }

    /// Why it is not there, as a sentence that starts with the file's name.
    pub(super) fn problem(&self, file: &str) -> Option<String> {
        match self {
            Self::Found(_) => None,
            Self::Missing => Some(format!("{file} is not in the run folder.")),
            Self::Broken(why) => Some(format!("{file} cannot be read: {why}.")),
        }
    }
}

fn part<T>(folder: &Path, file: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Part<T> {
    let bytes = match fs::read(folder.join(file)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Part::Missing,
        Err(error) => return Part::Broken(error.to_string()),
    };
    match parse(&String::from_utf8_lossy(&bytes)) {
        Ok(found) => Part::Found(found),
        Err(why) => Part::Broken(why),
    }
}

fn json<T: for<'a> Deserialize<'a>>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}
