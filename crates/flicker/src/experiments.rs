//! The experiments that the program holds: all of `experiments/`.

use toml::{Table, Value};

/// Names and texts, sorted by name.
static TEXTS: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/experiments.rs"));

/// An experiment that the program holds.
pub(crate) struct Experiment {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
    pub(crate) title: Option<String>,
    pub(crate) model: Option<String>,
    /// The family's numbers.
    pub(crate) config: Option<Value>,
}

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = Experiment> {
    TEXTS.iter().map(|&(name, text)| read(name, text))
}

/// The one of this name.
pub(crate) fn named(name: &str) -> Option<Experiment> {
    TEXTS.iter().find(|(known, _)| *known == name).map(|&(name, text)| read(name, text))
}

fn read(name: &'static str, text: &'static str) -> Experiment {
    // A test holds that each is sound; one that were not would be listed by its name alone.
    let table: Table = toml::from_str(text).unwrap_or_default();
    let string = |key: &str| Some(table.get(key)?.as_str()?.to_string());
    Experiment {
        name,
        text,
        title: string("title"),
        model: string("model"),
        config: table.get("config").cloned(),
    }
}
