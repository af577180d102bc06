//! Who trains, who validates, who tests.
//!
//! Identical samples never stand on both sides: twins go together. Where the official parts hold twins of each other,
//! the test keeps its own and training does without; a normal sample that has an abnormal twin does not train either.
//! Samples of one group ([`Dataset::with_groups`]) count as twins.

use super::protocol::Role;
use super::{Dataset, Order, Part, Protocol, Twins};
use crate::{Error, Result, Rng};
use serde::{Deserialize, Serialize};

/// Which abnormal samples of a pool are tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbnormalShare {
    /// All of them, since none trains.
    All,
    /// The same share as of the normals: a stratified split.
    Share,
}

/// Which samples train, and which test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Pool {
    /// The official parts of the data set.
    Official,
    /// Both parts pooled and shuffled. GANomaly's experiments: a test fraction of 0.2, all abnormal ones tested.
    Shuffled {
        /// Share of the normals that is tested, between 0 and 1.
        test_fraction: f64,
        /// Which abnormal ones are tested.
        abnormal: AbnormalShare,
    },
    /// Both parts pooled, in the order of the files: the last ones test. For rows in the order of time.
    Ordered {
        /// Share of the samples that is tested, between 0 and 1.
        test_fraction: f64,
        /// Which abnormal ones are tested.
        abnormal: AbnormalShare,
    },
}

/// How the samples that a protocol uses are divided.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitConfig {
    /// Which samples train, and which test.
    pub pool: Pool,
    /// Share of the training normals that is held out for thresholds, from 0 to below 1.
    pub validation: f64,
    /// Share of the abnormal samples outside the test that supervised models get with their label, from 0 to 1. Where
    /// the test would take all abnormal samples, these are taken from it.
    #[serde(default)]
    pub labelled_abnormal: f64,
    /// Whether the abnormal samples outside the test stay among those that train and validate, as where no label is known:
    /// unsupervised detection, which no detector of normals alone is made for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub contaminated: bool,
    /// At most so many training normals, drawn; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_at_most: Option<usize>,
    /// Seed of the split; the run's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

impl SplitConfig {
    /// A split by `pool` with a share of validation normals, no labelled abnormal samples, and the run's seed.
    pub fn new(pool: Pool, validation: f64) -> Self {
        Self {
            pool,
            validation,
            labelled_abnormal: 0.0,
            contaminated: false,
            train_at_most: None,
            seed: None,
        }
    }

    fn check(&self) -> Result<()> {
        let share = |field: &str, share: f64, fits: bool| {
            let problem = format!("{share} is no share that can be taken");
            if fits { Ok(()) } else { Err(Error::config(format!("split.{field}"), problem)) }
        };
        share("validation", self.validation, (0.0..1.0).contains(&self.validation))?;
        share("labelled_abnormal", self.labelled_abnormal, (0.0..=1.0).contains(&self.labelled_abnormal))?;
        match self.pool {
            Pool::Official => Ok(()),
            Pool::Shuffled { test_fraction: f, .. } | Pool::Ordered { test_fraction: f, .. } => {
                share("pool.test_fraction", f, f > 0.0 && f < 1.0)
            }
        }
    }
}

/// Indices of a data set's samples, each at most once, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Normals that train; with [`SplitConfig::contaminated`] abnormal ones too.
    pub train: Vec<usize>,
    /// Normals held out of training, for thresholds.
    pub validation: Vec<usize>,
    /// Samples to score in the end.
    pub test: Vec<usize>,
    /// For each sample of `test` whether it is abnormal. Only metrics may look at it.
    pub test_abnormal: Vec<bool>,
    /// Abnormal samples that train a supervised model.
    pub train_abnormal: Vec<usize>,
    /// Abnormal samples with which a supervised model may choose its threshold: the share `validation` of the labelled.
    pub validation_abnormal: Vec<usize>,
    /// Samples that would train if they had no twin in the test or of the other kind.
    pub left_out: Vec<usize>,
}

/// Where a sample stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Train,
    Validation,
    Test,
    Labelled,
    LabelledValidation,
    LeftOut,
    Unused,
}

/// [`Protocol::split`].
pub(super) fn divide(
    protocol: &Protocol,
    dataset: &Dataset,
    config: &SplitConfig,
    rng: &Rng,
) -> Result<Split> {
    config.check()?;
    let mut division = Division {
        protocol,
        dataset,
        config,
        roles: protocol.roles(dataset)?,
        twins: Twins::of(&**dataset.source())?.together(dataset.groups()),
        places: vec![Place::Unused; dataset.len()],
        rng: config.seed.map_or_else(|| rng.fork("split"), |seed| Rng::new(seed).fork("split")),
    };
    division.place_normals();
    division.place_abnormal()?;
    division.part_twins();
    division.limit_train();
    division.hold_out("validation", Place::Train, Place::Validation);
    division.hold_out("labelled validation", Place::Labelled, Place::LabelledValidation);
    division.finish()
}

/// A split in the making.
struct Division<'a> {
    protocol: &'a Protocol,
    dataset: &'a Dataset,
    config: &'a SplitConfig,
    roles: Vec<Role>,
    twins: Twins,
    places: Vec<Place>,
    rng: Rng,
}

impl Division<'_> {
    fn place_normals(&mut self) {
        let normals = self.with_role(Role::Normal);
        let test = match self.config.pool {
            Pool::Official => self.of_part(&normals, Part::Test),
            Pool::Ordered { test_fraction, .. } => self.last(&normals, test_fraction),
            Pool::Shuffled { test_fraction, .. } => {
                let mixed = self.mixed();
                let (two_faced, pure): (Vec<_>, Vec<_>) =
                    normals.iter().partition(|&&index| mixed[self.twins.group(index)]);
                let n = share(normals.len(), test_fraction).saturating_sub(two_faced.len());
                [two_faced, self.drawn("pool", &pure, n)].concat()
            }
        };
        self.place(&normals, Place::Train);
        self.place(&test, Place::Test);
    }

    fn place_abnormal(&mut self) -> Result<()> {
        let abnormal = self.with_role(Role::Abnormal);
        let (tested, others) = self.tested_abnormal(&abnormal);
        let candidates = if others.is_empty() { &tested } else { &others };
        let n = share(candidates.len(), self.config.labelled_abnormal);
        let labelled = self.drawn("labelled", candidates, n);
        let tested: Vec<usize> =
            tested.into_iter().filter(|index| labelled.binary_search(index).is_err()).collect();
        if self.config.contaminated {
            self.place(&others, Place::Train);
        }
        let tested = self.by_ratio(tested)?;
        self.place(&labelled, Place::Labelled);
        self.place(&tested, Place::Test);
        Ok(())
    }

    /// The abnormal samples that may be tested, and those that may not.
    fn tested_abnormal(&self, abnormal: &[usize]) -> (Vec<usize>, Vec<usize>) {
        let tested = match self.config.pool {
            Pool::Shuffled { abnormal: AbnormalShare::All, .. }
            | Pool::Ordered { abnormal: AbnormalShare::All, .. } => abnormal.to_vec(),
            Pool::Official if matches!(self.protocol, Protocol::LeaveOneOut { .. }) => abnormal.to_vec(),
            Pool::Official => self.of_part(abnormal, Part::Test),
            Pool::Shuffled { test_fraction, .. } => {
                self.drawn("abnormal", abnormal, share(abnormal.len(), test_fraction))
            }
            Pool::Ordered { test_fraction, .. } => self.last(abnormal, test_fraction),
        };
        let others = abnormal.iter().copied().filter(|index| tested.binary_search(index).is_err()).collect();
        (tested, others)
    }

    /// As many of `tested` as a [`Protocol::Ratio`] wants.
    fn by_ratio(&self, tested: Vec<usize>) -> Result<Vec<usize>> {
        let &Protocol::Ratio { abnormal_per_normal, order, .. } = self.protocol else {
            return Ok(tested);
        };
        let normals = self.places.iter().filter(|&&place| place == Place::Test).count();
        let wanted = (abnormal_per_normal * normals as f64).round();
        if !(wanted >= 1.0 && wanted <= tested.len() as f64) {
            return Err(Error::Protocol(format!(
                "{abnormal_per_normal} abnormal samples for each of {normals} normals in the test are {wanted}, expected 1 to {}, which there are",
                tested.len()
            )));
        }
        let n = wanted as usize;
        Ok(match order {
            Order::File => tested[..n].to_vec(),
            Order::Drawn => {
                let order = self.rng.fork("ratio").permutation(tested.len());
                order[..n].iter().map(|&position| tested[position]).collect()
            }
        })
    }

    /// Takes out of training whatever has a twin in the test or of the other kind.
    fn part_twins(&mut self) {
        let mut banned = self.mixed();
        for index in 0..self.places.len() {
            banned[self.twins.group(index)] |= self.places[index] == Place::Test;
        }
        for index in 0..self.places.len() {
            let trains = matches!(self.places[index], Place::Train | Place::Labelled);
            if trains && banned[self.twins.group(index)] {
                self.places[index] = Place::LeftOut;
            }
        }
    }

    fn limit_train(&mut self) {
        if let Some(limit) = self.config.train_at_most {
            let train = self.at(Place::Train);
            let kept = self.rng.fork("limit").permutation(train.len());
            let dropped: Vec<usize> = kept.iter().skip(limit).map(|&position| train[position]).collect();
            self.place(&dropped, Place::Unused);
        }
    }

    fn hold_out(&mut self, purpose: &str, from: Place, to: Place) {
        let candidates = self.at(from);
        let n = share(candidates.len(), self.config.validation);
        let held_out = self.drawn(purpose, &candidates, n);
        self.place(&held_out, to);
    }

    fn finish(self) -> Result<Split> {
        let test = self.at(Place::Test);
        let split = Split {
            train: self.at(Place::Train),
            validation: self.at(Place::Validation),
            test_abnormal: test.iter().map(|&index| self.roles[index] == Role::Abnormal).collect(),
            test,
            train_abnormal: self.at(Place::Labelled),
            validation_abnormal: self.at(Place::LabelledValidation),
            left_out: self.at(Place::LeftOut),
        };
        let name = self.dataset.name();
        let empty = if split.train.is_empty() {
            "no normal sample to train with"
        } else if self.config.validation > 0.0 && split.validation.is_empty() {
            "no normal sample to validate with"
        } else if split.test_abnormal.iter().all(|&abnormal| abnormal) {
            "no normal sample to test with"
        } else {
            return Ok(split);
        };
        Err(Error::Protocol(format!(
            "{name} leaves {empty}: {} samples, {:?}",
            self.places.len(),
            self.config
        )))
    }

    /// Which groups of twins hold normal and abnormal samples; none where labels are unknown.
    fn mixed(&self) -> Vec<bool> {
        if self.config.contaminated {
            return vec![false; self.roles.len()];
        }
        let has = |role| {
            let mut has = vec![false; self.roles.len()];
            for index in self.with_role(role) {
                has[self.twins.group(index)] = true;
            }
            has
        };
        has(Role::Normal)
            .into_iter()
            .zip(has(Role::Abnormal))
            .map(|(normal, abnormal)| normal && abnormal)
            .collect()
    }

    /// At least `n` of `candidates` where there are so many, drawn by a stream for `purpose`, in ascending order. Twins
    /// are drawn together, so there may be a few more.
    fn drawn(&self, purpose: &str, candidates: &[usize], n: usize) -> Vec<usize> {
        let mut sizes = vec![0; self.roles.len()];
        for &index in candidates {
            sizes[self.twins.group(index)] += 1;
        }
        let (mut taken, mut total) = (vec![false; self.roles.len()], 0);
        for position in self.rng.fork(purpose).permutation(candidates.len()) {
            let group = self.twins.group(candidates[position]);
            if total < n && !taken[group] {
                taken[group] = true;
                total += sizes[group];
            }
        }
        candidates.iter().copied().filter(|&index| taken[self.twins.group(index)]).collect()
    }

    /// Those of `candidates` among the last samples of all that are used.
    fn last(&self, candidates: &[usize], test_fraction: f64) -> Vec<usize> {
        let used: Vec<usize> = (0..self.roles.len()).filter(|&i| self.roles[i] != Role::Unused).collect();
        let first = used.get(used.len() - share(used.len(), test_fraction)).copied().unwrap_or(usize::MAX);
        candidates.iter().copied().filter(|&index| index >= first).collect()
    }

    fn of_part(&self, candidates: &[usize], part: Part) -> Vec<usize> {
        candidates.iter().copied().filter(|&index| self.dataset.parts()[index] == part).collect()
    }

    fn with_role(&self, role: Role) -> Vec<usize> {
        (0..self.roles.len()).filter(|&index| self.roles[index] == role).collect()
    }

    fn at(&self, place: Place) -> Vec<usize> {
        (0..self.places.len()).filter(|&index| self.places[index] == place).collect()
    }

    fn place(&mut self, indices: &[usize], place: Place) {
        for &index in indices {
            self.places[index] = place;
        }
    }
}

/// The share `fraction` of `n`, rounded to the nearest.
fn share(n: usize, fraction: f64) -> usize {
    (n as f64 * fraction).round() as usize
}

#[cfg(test)]
mod tests;
