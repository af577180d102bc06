//! Made abnormal sets: pure noise, and corrupted test normals, which join the test, each under its own class.

use crate::Failure;
use crate::samples::{DataConfig, TestSet, subset};
use flicker_core::data::{
    Concat, Corrupted, Corruption, Dataset, Masks, NoiseImages, Prepare, Source, Split,
};
use flicker_core::{Rng, SampleShape};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

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

/// A made set, and where its samples are abnormal where that is known.
pub(crate) struct MadeSet {
    source: Arc<dyn Source>,
    masks: Option<Arc<dyn Source>>,
}

/// Made sets by name.
pub(crate) struct MadeSets {
    pub test: Vec<(String, MadeSet)>,
    pub watch: Vec<(String, Arc<dyn Source>)>,
}

/// Draws the sets that `config` asks for.
pub(crate) fn make(
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
            let set = one_set(&watched, dataset, &split.validation, prepare, rng.fork("watch"))?;
            sets.watch.push((made.name.clone(), set.source));
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
) -> Result<MadeSet, Failure> {
    let values = [prepare.range.apply(0.0), prepare.range.apply(1.0)];
    match made.corrupt {
        None => {
            let noise = NoiseImages::new(made.n, dataset.shape(), made.clip.then_some(values), rng);
            Ok(MadeSet { source: Arc::new(noise), masks: None })
        }
        Some(corruption) => {
            if made.n > normals.len() {
                let problem =
                    format!("data.made `{}`: {} samples of {} normals", made.name, made.n, normals.len());
                return Err(Failure::usage(problem));
            }
            let order = rng.fork("which").permutation(normals.len());
            let chosen: Vec<usize> = order[..made.n].iter().map(|&position| normals[position]).collect();
            let set = Corrupted::new(subset(dataset, &chosen)?, corruption, values, made.clip, rng)?;
            let set = Arc::new(set);
            Ok(MadeSet { masks: set.masks(), source: set })
        }
    }
}

/// The validation normals and the made sets that are watched, where any is.
pub(crate) fn watch(
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

/// The test with the made sets, each a class of its own.
pub(crate) fn with_made(mut test: TestSet, made: Vec<(String, MadeSet)>) -> Result<TestSet, Failure> {
    if made.is_empty() {
        return Ok(test);
    }
    test.masks = with_made_masks(&test, &made)?;
    let mut sources = vec![test.source.clone()];
    for (name, MadeSet { source, .. }) in made {
        test.labels.extend(vec![test.classes.len(); source.len()]);
        test.abnormal.extend(vec![true; source.len()]);
        test.classes.push(name);
        sources.push(source);
    }
    test.source = Arc::new(Concat::new(sources)?);
    Ok(test)
}

/// The masks of all, where any has some. Of normal samples they are known to be blank.
fn with_made_masks(test: &TestSet, made: &[(String, MadeSet)]) -> Result<Option<Masks>, Failure> {
    let SampleShape::Image { height, width, .. } = test.source.shape() else { return Ok(None) };
    if test.masks.is_none() && made.iter().all(|(_, set)| set.masks.is_none()) {
        return Ok(None);
    }
    let normals = || test.abnormal.iter().map(|abnormal| !abnormal).collect();
    let mut all = vec![test.masks.clone().unwrap_or_else(|| Masks::blank([height, width], normals()))];
    all.extend(made.iter().map(|(_, set)| match &set.masks {
        Some(masks) => Masks::all(masks.clone()),
        None => Masks::blank([height, width], vec![false; set.source.len()]),
    }));
    Ok(Some(Masks::concat(all)?))
}
