//! The one table of families.

use flicker_core::Config;
use flicker_runner::AnyFamily;

/// A family of the program.
pub(crate) struct Row {
    /// Its configuration's type, forgotten.
    pub(crate) family: AnyFamily,
    /// The experiment that its train program embeds.
    pub(crate) default: &'static str,
    /// The experiment that runs on a table of the user's own, where the family takes tables.
    pub(crate) table: Option<&'static str>,
    /// The experiment that runs on a folder of the user's own images, where the family has one.
    pub(crate) folder: Option<&'static str>,
    /// Experiments with published numbers. Others of the same numbers count as published too.
    pub(crate) published: &'static [&'static str],
}

/// Every family, a line each: its default experiment, and those with published numbers.
pub(crate) static TABLE: [Row; 8] = [
    row::<ae::Config>("ae-mnist-noise", &["ae-mnist-noise-tutorial"]).on("ae-table").of("ae-tiles"),
    row::<cnn::Config>("cnn-mnist-few-labels", &["cnn-mnist-published"]),
    row::<classic::Config>("classic-mnist-pca", &[]).on("classic-table"),
    row::<deepsvdd::Config>("deepsvdd-mnist-0", &["deepsvdd-mnist-0", "deepsvdd-mnist-soft-0"])
        .on("deepsvdd-table"),
    row::<anogan::Config>("anogan-mnist-0-small", &["anogan-mnist-0"]),
    row::<anoddpm::Config>("anoddpm-mnist-1", &[]).of("anoddpm-tiles"),
    row::<fanogan::Config>("fanogan-mnist-2", &["fanogan-mnist-1"]),
    row::<ganomaly::Config>("ganomaly-mnist-2", &["ganomaly-mnist-paper"]).of("ganomaly-tiles"),
];

const fn row<C: Config>(default: &'static str, published: &'static [&'static str]) -> Row {
    Row { family: AnyFamily::of::<C>(), default, table: None, folder: None, published }
}

impl Row {
    /// With its experiment for a table of the user's own.
    const fn on(self, table: &'static str) -> Self {
        Self { table: Some(table), ..self }
    }

    /// With its experiment for a folder of the user's own images.
    const fn of(self, folder: &'static str) -> Self {
        Self { folder: Some(folder), ..self }
    }

    /// The family's name.
    pub(crate) fn name(&self) -> &'static str {
        self.family.facts().name
    }
}

/// The families alone.
pub(crate) fn all() -> Vec<&'static AnyFamily> {
    TABLE.iter().map(|row| &row.family).collect()
}

/// The names of the families.
pub(crate) fn names() -> Vec<&'static str> {
    TABLE.iter().map(Row::name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments;
    use flicker_runner::Text;
    use std::path::Path;

    #[test]
    fn every_train_program_has_a_line_with_its_own_default() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../train");
        let mut n = 0;
        for entry in std::fs::read_dir(folder).expect("the train programs") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let Ok(text) = std::fs::read_to_string(path.join("src/main.rs")) else { continue };
            let row = TABLE.iter().find(|row| format!("{}-train", row.name()) == name);
            let row = row.unwrap_or_else(|| panic!("{name}: its family has no line in the table"));
            assert!(text.contains(&format!("experiments/{}.toml", row.default)), "{name}: {}", row.default);
            n += 1;
        }
        assert_eq!(n, TABLE.len());
    }

    #[test]
    fn every_experiment_is_sound_and_of_a_family_of_the_table() {
        for experiment in experiments::all() {
            let model = experiment.model.as_deref().unwrap_or_default();
            let row = TABLE.iter().find(|row| row.name() == model);
            let row = row.unwrap_or_else(|| panic!("{}: no family `{model}` in the table", experiment.name));
            let text = Text { origin: experiment.name.into(), text: experiment.text.into() };
            row.family.check(&text).unwrap_or_else(|failure| panic!("{failure}"));
        }
    }

    #[test]
    fn every_line_names_experiments_of_its_family() {
        for row in &TABLE {
            for name in row.published.iter().chain([&row.default]).chain(&row.table).chain(&row.folder) {
                let experiment = experiments::named(name).unwrap_or_else(|| panic!("no experiment {name}"));
                assert_eq!(experiment.model.as_deref(), Some(row.name()), "{name}");
            }
        }
    }
}
