//! Families and experiments whose types are forgotten, so that one program can hold all of them.
//!
//! Only two things need to know a family's configuration: reading it from an experiment, and building the model from it.
//! Both are bound here, once; training, scoring, judging and reporting are the same code for every family.

use crate::Failure;
use crate::experiment::{self, Experiment};
use candle_core::Device;
use flicker_core::{Config, Detector, Family, Result, Rng, SampleShape};
use serde::Serialize;
use std::ops::Deref;

/// A family of detectors, its configuration's type forgotten.
#[derive(Clone, Copy, Debug)]
pub struct AnyFamily {
    family: Family,
    parse: fn(&Text, &Changes<'_>) -> std::result::Result<AnyExperiment, Failure>,
}

impl AnyFamily {
    /// The family of the configuration `C`.
    pub const fn of<C: Config>() -> Self {
        Self { family: C::FAMILY, parse: AnyExperiment::parse::<C> }
    }

    /// What it is called, needs and cites.
    pub fn facts(&self) -> &Family {
        &self.family
    }

    /// Whether `text` is an experiment of this family. What only a shape of data can tell is not looked at.
    ///
    /// # Errors
    /// [`Failure::Usage`] with file, line and field.
    pub fn check(&self, text: &Text) -> std::result::Result<(), Failure> {
        self.parse(text, &Changes::default()).map(|_| ())
    }

    /// The experiment that `text` describes, changed by `changes`.
    pub(crate) fn parse(
        &self,
        text: &Text,
        changes: &Changes<'_>,
    ) -> std::result::Result<AnyExperiment, Failure> {
        (self.parse)(text, changes)
    }

    /// The family called `name` among `families`.
    ///
    /// # Errors
    /// [`Failure::Usage`] that begins with `what` and lists the families.
    pub fn named<'a>(
        families: &[&'a Self],
        name: &str,
        what: &str,
    ) -> std::result::Result<&'a Self, Failure> {
        families.iter().copied().find(|family| family.family.name == name).ok_or_else(|| {
            let known: Vec<&str> = families.iter().map(|family| family.family.name).collect();
            Failure::usage(format!("{what}: no model `{name}`, expected one of {}", known.join(", ")))
        })
    }
}

/// The text of an experiment, and where it stands, for messages.
#[derive(Clone, Debug)]
pub struct Text {
    /// A path, or what else names it.
    pub origin: String,
    /// TOML.
    pub text: String,
}

impl Text {
    /// The family that the text names, if it names one.
    ///
    /// # Errors
    /// [`Failure::Usage`] with the line if the text is not TOML.
    pub fn model(&self) -> std::result::Result<Option<String>, Failure> {
        let table = self.table()?;
        Ok(table.get("model").and_then(|model| model.as_str()).map(str::to_string))
    }

    /// The seed of the run, if the text is the `config.toml` of a run folder.
    pub fn seed(&self) -> Option<u64> {
        let table = self.table().ok()?;
        u64::try_from(table.get("run")?.get("seed")?.as_integer()?).ok()
    }

    fn table(&self) -> std::result::Result<toml::Table, Failure> {
        toml::from_str(&self.text).map_err(|error| experiment::wrong(&self.origin, &self.text, &error))
    }
}

/// What the command line changes in an experiment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Changes<'a> {
    /// Whether `[quick]` is merged over the rest.
    pub quick: bool,
    /// `key=value`.
    pub set: &'a [String],
}

type Build = dyn Fn(SampleShape, Rng, &Device) -> Result<Box<dyn Detector>>;

/// An experiment of some family, checked. Everything but the family's numbers is reached through it directly.
pub(crate) struct AnyExperiment {
    shared: Experiment<()>,
    /// Its family.
    pub family: Family,
    /// Complete, as TOML.
    pub text: String,
    build: Box<Build>,
}

impl AnyExperiment {
    fn parse<C: Config>(text: &Text, changes: &Changes<'_>) -> std::result::Result<Self, Failure> {
        let family = C::FAMILY;
        let experiment =
            Experiment::<C>::parse(&text.origin, &text.text, family.name, changes.quick, changes.set)?;
        let text = to_toml(&experiment)?;
        let (shared, config) = experiment.split();
        let build = move |shape, rng, device: &Device| -> Result<Box<dyn Detector>> {
            Ok(Box::new(config.build(shape, rng, device)?))
        };
        Ok(Self { shared, family, text, build: Box::new(build) })
    }

    /// The untrained model for samples of `shape`.
    pub(crate) fn build(&self, shape: SampleShape, rng: Rng, device: &Device) -> Result<Box<dyn Detector>> {
        (self.build)(shape, rng, device)
    }
}

impl Deref for AnyExperiment {
    type Target = Experiment<()>;

    fn deref(&self) -> &Experiment<()> {
        &self.shared
    }
}

/// `value` as TOML.
pub(crate) fn to_toml(value: &impl Serialize) -> std::result::Result<String, Failure> {
    toml::to_string(value).map_err(|error| Failure::Failed(format!("config.toml: {error}")))
}
