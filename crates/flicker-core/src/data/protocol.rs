//! Who is normal and who is abnormal.
//!
//! Two opposite protocols are in use on MNIST and its like, and their numbers cannot be compared: A, *one class*, takes
//! one class as normal and all others as abnormal (Deep SVDD, f-AnoGAN ports); B, *leave one out*, takes one class as
//! abnormal and all others as normal (GANomaly, EGBAD).

use super::{Dataset, Split, SplitConfig, split};
use crate::{Error, Result, Rng};
use serde::{Deserialize, Serialize};

/// A class, by its number or by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected the number or the name of a class")]
pub enum Class {
    /// Index into the classes of the data set.
    Number(u32),
    /// Name of the class.
    Name(String),
}

/// Which abnormal samples a [`Protocol::Ratio`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The first ones in the order of the files.
    File,
    /// Drawn by the seed.
    Drawn,
}

/// Who is normal, and who is abnormal and tested.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Protocol {
    /// Protocol A: some classes are normal; the others are abnormal. Training takes normals of the training part; the
    /// test is the whole test part.
    OneClass {
        /// The normal classes.
        normal: Vec<Class>,
        /// The abnormal classes; all others when absent. Classes in neither list are not used.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        abnormal: Option<Vec<Class>>,
    },
    /// Protocol B: some classes are abnormal, all others are normal. No abnormal sample trains, so the test takes all of
    /// them, those of the training part too.
    LeaveOneOut {
        /// The abnormal classes.
        abnormal: Vec<Class>,
    },
    /// As [`Protocol::OneClass`], with a test of so many abnormal samples for each normal one.
    Ratio {
        /// The normal classes.
        normal: Vec<Class>,
        /// Abnormal samples for each normal one in the test; their number is rounded to the nearest.
        abnormal_per_normal: f64,
        /// Which ones.
        order: Order,
    },
}

/// What a protocol makes of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Normal,
    Abnormal,
    Unused,
}

impl Protocol {
    /// Protocol A: `normal` against all other classes.
    pub fn one_class<C: Into<Class>>(normal: impl IntoIterator<Item = C>) -> Self {
        Self::OneClass { normal: normal.into_iter().map(Into::into).collect(), abnormal: None }
    }

    /// Protocol B: all other classes against `abnormal`.
    pub fn leave_one_out<C: Into<Class>>(abnormal: impl IntoIterator<Item = C>) -> Self {
        Self::LeaveOneOut { abnormal: abnormal.into_iter().map(Into::into).collect() }
    }

    /// Divides `dataset` into train, validation and test. What is drawn is drawn from `rng`, or from the seed of
    /// `config` where it has one.
    ///
    /// # Errors
    /// If a class does not exist or is named twice, a number is out of range, a sample cannot be read, or a side that
    /// must not be empty is.
    pub fn split(&self, dataset: &Dataset, config: &SplitConfig, rng: &Rng) -> Result<Split> {
        split::divide(self, dataset, config, rng)
    }

    /// Whether each sample is abnormal; `None` for those that the protocol does not use.
    ///
    /// # Errors
    /// If a class does not exist or is named twice.
    pub fn labels(&self, dataset: &Dataset) -> Result<Vec<Option<bool>>> {
        let label = |role| match role {
            Role::Normal => Some(false),
            Role::Abnormal => Some(true),
            Role::Unused => None,
        };
        Ok(self.roles(dataset)?.into_iter().map(label).collect())
    }

    /// The role of each sample.
    pub(super) fn roles(&self, dataset: &Dataset) -> Result<Vec<Role>> {
        let classes = dataset.classes();
        let (named, others) = match self {
            Self::OneClass { normal, abnormal: Some(abnormal) } => {
                (vec![(normal, Role::Normal), (abnormal, Role::Abnormal)], Role::Unused)
            }
            Self::OneClass { normal, abnormal: None } | Self::Ratio { normal, .. } => {
                (vec![(normal, Role::Normal)], Role::Abnormal)
            }
            Self::LeaveOneOut { abnormal } => (vec![(abnormal, Role::Abnormal)], Role::Normal),
        };
        let mut roles = vec![None; classes.len()];
        for (list, role) in named {
            for class in list {
                let index = class.index(classes)?;
                if roles[index].replace(role).is_some() {
                    return Err(Error::Protocol(format!("class `{}` is named twice", classes[index])));
                }
            }
        }
        Ok(dataset.labels().iter().map(|&label| roles[label as usize].unwrap_or(others)).collect())
    }
}

impl Class {
    fn index(&self, classes: &[String]) -> Result<usize> {
        let index = match self {
            Self::Number(number) => Some(*number as usize).filter(|&index| index < classes.len()),
            Self::Name(name) => classes.iter().position(|class| class == name),
        };
        index.ok_or_else(|| {
            Error::Protocol(format!("no class {self}, expected one of {}", classes.join(", ")))
        })
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "number {number}"),
            Self::Name(name) => write!(f, "`{name}`"),
        }
    }
}

impl From<u32> for Class {
    fn from(number: u32) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Class {
    fn from(name: &str) -> Self {
        Self::Name(name.into())
    }
}
