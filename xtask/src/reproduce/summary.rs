//! Means over cases and seeds of what the raw rows say.

use super::raw::Row;
use super::suite::{Entry, Suite};
use std::collections::{BTreeMap, BTreeSet};

/// Mean and standard deviation over seeds (of the sample; none for one seed).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mean {
    pub(super) mean: f64,
    pub(super) sd: Option<f64>,
}

/// All that is known of a suite.
pub(super) struct Summary<'a> {
    pub(super) suite: &'a Suite,
    pub(super) entries: Vec<EntrySummary<'a>>,
}

/// All that is known of an entry.
pub(super) struct EntrySummary<'a> {
    pub(super) entry: &'a Entry,
    /// By case, then by seed.
    runs: Vec<BTreeMap<u64, Vec<&'a Row>>>,
    /// 1 for the highest AUROC among those of the suite whose cases were all run.
    pub(super) rank: Option<usize>,
}

impl Mean {
    /// Of `values`; `None` of none.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        let sd = (values.len() > 1).then(|| variance.sqrt());
        (!values.is_empty()).then_some(Self { mean, sd })
    }
}

impl<'a> Summary<'a> {
    /// What `rows` say of `suite`.
    pub(super) fn new(suite: &'a Suite, rows: &'a [Row]) -> Self {
        let mut by_config: BTreeMap<&str, BTreeMap<u64, Vec<&Row>>> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.suite == suite.name) {
            by_config.entry(&row.config).or_default().entry(row.seed).or_default().push(row);
        }
        let entry = |entry: &'a Entry| {
            let runs = entry.experiments.iter().map(|one| by_config.get(one.config().as_str()).cloned());
            EntrySummary { entry, runs: runs.map(Option::unwrap_or_default).collect(), rank: None }
        };
        let mut summary = Self { suite, entries: suite.entries.iter().map(entry).collect() };
        summary.rank();
        summary
    }

    fn rank(&mut self) {
        let values: Vec<Option<f64>> = self
            .entries
            .iter()
            .map(|entry| entry.mean("auroc").filter(|_| entry.whole()).map(|mean| mean.mean))
            .collect();
        if values.iter().flatten().count() < 2 {
            return;
        }
        for (entry, value) in self.entries.iter_mut().zip(&values) {
            entry.rank =
                value.map(|value| 1 + values.iter().flatten().filter(|other| **other > value).count());
        }
    }

    /// Whether any entry has this metric.
    pub(super) fn any(&self, metric: &str) -> bool {
        self.entries.iter().any(|entry| entry.mean(metric).is_some())
    }

    /// The runs that were made, and all that the suite asks for.
    pub(super) fn n_runs(&self) -> (usize, usize) {
        self.entries.iter().fold((0, 0), |(done, all), entry| {
            let (d, a) = entry.n_runs();
            (done + d, all + a)
        })
    }
}

impl EntrySummary<'_> {
    /// Whether every case was run.
    pub(super) fn whole(&self) -> bool {
        self.n_cases() == self.entry.n_experiments
    }

    /// Whether nothing was run.
    pub(super) fn nothing(&self) -> bool {
        self.runs.iter().all(BTreeMap::is_empty)
    }

    /// The runs that were made, and those that the entry asks for.
    pub(super) fn n_runs(&self) -> (usize, usize) {
        let all: usize = self.entry.experiments.iter().map(|one| one.seeds.len()).sum();
        (self.runs.iter().map(BTreeMap::len).sum(), all)
    }

    /// The cases that were run.
    pub(super) fn n_cases(&self) -> usize {
        self.runs.iter().filter(|seeds| !seeds.is_empty()).count()
    }

    fn of<'b>(seeds: &'b BTreeMap<u64, Vec<&Row>>, metric: &'b str) -> impl Iterator<Item = (u64, &'b Row)> {
        seeds
            .iter()
            .filter_map(move |(seed, rows)| Some((*seed, *rows.iter().find(|row| row.metric == metric)?)))
    }

    /// A metric over the cases that were run: for each seed that all of them have, the mean over the cases; of these mean and
    /// deviation. Where no seed is in all, the mean of the cases' means, without a deviation.
    pub(super) fn mean(&self, metric: &str) -> Option<Mean> {
        let run: Vec<_> = self.runs.iter().filter(|seeds| !seeds.is_empty()).collect();
        let values: Vec<BTreeMap<u64, f64>> = run
            .iter()
            .map(|seeds| Self::of(seeds, metric).map(|(seed, row)| (seed, row.value)).collect())
            .collect();
        let in_all: BTreeSet<u64> = values
            .iter()
            .map(|seeds| seeds.keys().copied().collect::<BTreeSet<_>>())
            .reduce(|a, b| a.intersection(&b).copied().collect())?;
        let means = in_all
            .iter()
            .map(|seed| values.iter().filter_map(|seeds| seeds.get(seed)).sum::<f64>() / values.len() as f64);
        Mean::of(&means.collect::<Vec<_>>()).or_else(|| {
            let of_cases = values.iter().map(|seeds| Mean::of(&seeds.values().copied().collect::<Vec<_>>()));
            let of_cases = of_cases.map(|mean| Some(mean?.mean)).collect::<Option<Vec<_>>>()?;
            Some(Mean { sd: None, ..Mean::of(&of_cases)? })
        })
    }

    /// A metric of one case, over its seeds.
    pub(super) fn of_case(&self, case: usize, metric: &str) -> Option<Mean> {
        let values: Vec<f64> = Self::of(self.runs.get(case)?, metric).map(|(_, row)| row.value).collect();
        Mean::of(&values)
    }

    /// The least and the greatest over the seeds of a case.
    pub(super) fn range_of_case(&self, case: usize, metric: &str) -> Option<(f64, f64)> {
        let values = Self::of(self.runs.get(case)?, metric).map(|(_, row)| (row.value, row.value));
        values.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// The mean over all runs of the ends of each run's own interval.
    pub(super) fn interval(&self, metric: &str) -> Option<(f64, f64)> {
        let ends: Vec<(f64, f64)> = self
            .runs
            .iter()
            .flat_map(|seeds| Self::of(seeds, metric))
            .filter_map(|(_, row)| row.low.zip(row.high))
            .collect();
        let mean = |end: fn(&(f64, f64)) -> f64| ends.iter().map(end).sum::<f64>() / ends.len() as f64;
        (!ends.is_empty()).then(|| (mean(|ends| ends.0), mean(|ends| ends.1)))
    }

    /// For each run, several of its metrics; runs that lack one are left out.
    pub(super) fn each<const N: usize>(&self, metrics: [&str; N]) -> Vec<[f64; N]> {
        let rows = self.runs.iter().flat_map(BTreeMap::values);
        let values = |rows: &Vec<&Row>| {
            let mut found = [0.0; N];
            for (value, metric) in found.iter_mut().zip(metrics) {
                *value = rows.iter().find(|row| row.metric == metric)?.value;
            }
            Some(found)
        };
        rows.filter_map(values).collect()
    }

    /// Seconds to score a sample, the mean over runs.
    pub(super) fn seconds_of_a_score(&self) -> Option<f64> {
        let runs = self.each(["seconds_score", "n_validation", "n_test"]);
        let each: Vec<f64> =
            runs.iter().map(|[seconds, validation, test]| seconds / (validation + test)).collect();
        Mean::of(&each).map(|mean| mean.mean)
    }

    /// The most memory of any run, in bytes.
    pub(super) fn peak_memory_bytes(&self) -> Option<u64> {
        self.rows().filter_map(|row| row.peak_memory_bytes).max()
    }

    /// What `of` says of each run, without repetition.
    pub(super) fn distinct(&self, of: fn(&Row) -> &str) -> BTreeSet<String> {
        self.rows().map(|row| of(row).to_string()).collect()
    }

    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.runs.iter().flat_map(BTreeMap::values).flatten().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reproduce::raw::tests::measured;

    #[test]
    fn the_deviation_is_that_of_means_over_cases() {
        let (suites, rows) = measured(&[
            ("good/0", 0, "auroc", 0.9),
            ("good/1", 0, "auroc", 0.7),
            ("good/0", 1, "auroc", 0.8),
            ("good/1", 1, "auroc", 0.6),
            ("bad/0", 0, "auroc", 0.5),
        ]);
        let summary = Summary::new(&suites[0], &rows);
        let [good, bad] = &summary.entries[..] else { panic!("two entries") };
        let mean = good.mean("auroc").expect("it was run");
        assert!(
            (mean.mean - 0.75).abs() < 1e-12
                && (mean.sd.expect("two seeds") - 0.1 / 2f64.sqrt()).abs() < 1e-12
        );
        let interval = good.interval("auroc").expect("each run has one");
        assert!((interval.0 - 0.74).abs() < 1e-12 && (interval.1 - 0.76).abs() < 1e-12);
        assert_eq!((good.whole(), bad.whole(), bad.nothing(), bad.n_cases()), (true, false, false, 1));
        assert_eq!(bad.mean("auroc"), Some(Mean { mean: 0.5, sd: None }));
        assert_eq!((good.n_runs(), bad.n_runs(), summary.n_runs()), ((4, 4), (1, 4), (5, 8)));
        assert_eq!((good.rank, bad.rank), (None, None), "one alone has no rank");
        assert_eq!(good.range_of_case(0, "auroc"), Some((0.8, 0.9)));
    }

    #[test]
    fn ranks_are_by_auroc_of_what_was_run_whole() {
        let all = |good: f64, bad: f64| {
            let (suites, rows) = measured(&[
                ("good/0", 0, "auroc", good),
                ("good/1", 0, "auroc", good),
                ("bad/0", 0, "auroc", bad),
                ("bad/1", 1, "auroc", bad),
            ]);
            Summary::new(&suites[0], &rows).entries.iter().map(|entry| entry.rank).collect::<Vec<_>>()
        };
        assert_eq!(all(0.9, 0.8), [Some(1), Some(2)]);
        assert_eq!(all(0.7, 0.8), [Some(2), Some(1)]);
        assert_eq!(all(0.8, 0.8), [Some(1), Some(1)]);
    }
}
