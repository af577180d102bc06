//! Which runs there are to make: each run folder once, though several suites may hold it.

use super::experiment::Experiment;
use super::outcome::Outcome;
use super::program::Program;
use super::queue::{self, Task, duration};
use super::raw::{self, Row};
use super::seeds::Seeds;
use super::shard::Shard;
use super::suite::Suite;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The runs.
pub(super) struct Plan<'a> {
    pub(super) runs: Vec<Planned<'a>>,
}

/// A seed of an experiment, and where its run lies.
pub(super) struct Planned<'a> {
    experiment: &'a Experiment,
    seed: u64,
    dir: PathBuf,
    pub(super) state: State,
}

/// How it stands with a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It is there.
    Done,
    /// To run.
    Open,
    /// It cannot run: its data are absent.
    Absent,
    /// It ran and failed.
    Failed,
}

/// Leaves one case of each entry: that which is as in its file, or the first.
pub(super) fn one_case(suites: &mut [Suite]) {
    for entry in suites.iter_mut().flat_map(|suite| &mut suite.entries) {
        let plain = entry.experiments.iter().position(|experiment| experiment.plain);
        let kept = entry.experiments.drain(..).nth(plain.unwrap_or(0));
        entry.experiments.extend(kept);
    }
}

impl<'a> Plan<'a> {
    /// Every run of `suites`, with those that answer already.
    pub(super) fn new(suites: &'a [Suite], program: &Program, seeds: Option<&Seeds>) -> Self {
        let mut runs: BTreeMap<PathBuf, usize> = BTreeMap::new();
        let mut plan = Self { runs: Vec::new() };
        for experiment in suites.iter().flat_map(|suite| &suite.entries).flat_map(|entry| &entry.experiments)
        {
            let wanted = seeds.map_or_else(|| experiment.seeds.clone(), |seeds| seeds.of(&experiment.seeds));
            let n = if program.how.quick && seeds.is_none() { 1 } else { wanted.len() };
            for seed in wanted.into_iter().take(n) {
                let dir = program.folder(experiment, seed);
                let mut planned = Planned { experiment, seed, dir: dir.clone(), state: State::Open };
                match runs.get(&dir).and_then(|&known| plan.runs.get_mut(known)) {
                    // The suite that does with a sample has it run.
                    Some(known) if known.state == State::Absent && !experiment.full_data => {
                        planned.find_out(program);
                        *known = planned;
                    }
                    Some(_) => {}
                    None => {
                        planned.find_out(program);
                        runs.insert(dir, plan.runs.len());
                        plan.runs.push(planned);
                    }
                }
            }
        }
        plan
    }

    /// Leaves those of a part.
    pub(super) fn keep(&mut self, shard: Shard) {
        let mut position = 0;
        self.runs.retain(|_| {
            position += 1;
            shard.holds(position - 1)
        });
    }

    fn tasks(&self) -> Vec<(usize, Task)> {
        let open = self.runs.iter().enumerate().filter(|(_, run)| run.state == State::Open);
        open.map(|(i, run)| (i, run.task())).collect()
    }

    /// The seconds of the longest open run, where all have been timed.
    pub(super) fn longest(&self) -> Option<f64> {
        let seconds: Option<Vec<f64>> = self.tasks().into_iter().map(|(_, task)| task.seconds).collect();
        seconds?.into_iter().reduce(f64::max)
    }

    /// Says what is there, what will run, and for how long.
    pub(super) fn announce(&self, jobs: usize) {
        let done = self.runs.iter().filter(|run| run.state == State::Done).count();
        if done > 0 {
            crate::say(&format!("{done} of {} runs are there already", self.runs.len()));
        }
        let tasks: Vec<Task> = self.tasks().into_iter().map(|(_, task)| task).collect();
        for task in &tasks {
            let known =
                task.seconds.map_or("never timed".into(), |seconds| format!("about {}", duration(seconds)));
            crate::say(&format!("{}: to run, {known}", task.label));
        }
        let open: Vec<Option<f64>> = tasks.iter().map(|task| task.seconds).collect();
        crate::say(&format!("{} of {} runs to do{}", tasks.len(), self.runs.len(), queue::left(&open, jobs)));
    }

    /// What the program refuses, a line for each experiment.
    pub(super) fn check(&self, program: &Program) -> Vec<String> {
        let experiments: BTreeMap<&Path, &Experiment> =
            self.runs.iter().map(|run| (run.experiment.dir.as_path(), run.experiment)).collect();
        let wrong = |one: &&Experiment| Some(format!("{}: {:#}", one.label(), program.config(one).err()?));
        experiments.values().filter_map(wrong).collect()
    }

    /// Makes the open runs, `jobs` at a time. What fails is said when it does.
    pub(super) fn carry_out(&mut self, program: &Program, jobs: usize) {
        let (open, tasks): (Vec<usize>, Vec<Task>) = self.tasks().into_iter().unzip();
        let runs = &self.runs;
        let ran = queue::run(&tasks, jobs, |index| {
            let Planned { experiment, seed, dir, .. } = &runs[open[index]];
            program.run(experiment, *seed)?;
            Ok(((), Outcome::read(dir)?.in_words()))
        });
        for (index, ran) in open.into_iter().zip(ran) {
            self.runs[index].state = if ran.is_ok() { State::Done } else { State::Failed };
        }
    }

    /// The raw rows of all runs that are there, for every suite that holds them.
    pub(super) fn rows(&self, suites: &[Suite]) -> Vec<Row> {
        let mut rows = Vec::new();
        for suite in suites {
            for entry in &suite.entries {
                for (case, experiment) in entry.experiments.iter().enumerate() {
                    let of =
                        |run: &&Planned<'_>| run.experiment.dir == experiment.dir && run.state == State::Done;
                    for run in self.runs.iter().filter(of) {
                        let Ok(outcome) = Outcome::read(&run.dir) else { continue };
                        if experiment.full_data && outcome.data.starts_with("embedded") {
                            continue; // it answers the suite that does with a sample
                        }
                        rows.extend(raw::rows(suite, entry, case, run.seed, &outcome));
                    }
                }
            }
        }
        rows
    }
}

impl Planned<'_> {
    fn label(&self) -> String {
        format!("{} seed {}", self.experiment.label(), self.seed)
    }

    /// Whether it is there, and if not whether it can run.
    fn find_out(&mut self, program: &Program) {
        // What cannot be compared is run, and then says itself what is wrong.
        if program.answers(self.experiment, self.seed).unwrap_or(false) {
            self.state = State::Done;
        }
        let full = self.experiment.full_data && !program.how.quick;
        let absent = program.how.data.absent(&self.experiment.table, full);
        match (self.state, absent) {
            (State::Done, Some(_)) if full && !self.is_of_full_data() => self.state = State::Absent,
            (State::Open, Some(absent)) => {
                crate::say(&format!("{}: NOT RUN, its data are absent: {absent}", self.label()));
                self.state = State::Absent;
            }
            _ => {}
        }
    }

    fn is_of_full_data(&self) -> bool {
        Outcome::read(&self.dir).is_ok_and(|outcome| !outcome.data.starts_with("embedded"))
    }

    /// The run as a task, which takes as long as others of its experiment took, or of its entry's other cases.
    fn task(&self) -> Task {
        let seeds = self.dir.parent().map(Path::to_path_buf).unwrap_or_default();
        let of_seeds = seconds(&seeds);
        let taken = if of_seeds.is_empty() && self.experiment.case.is_some() {
            siblings(&seeds, &self.experiment.entry).iter().flat_map(|dir| seconds(dir)).collect()
        } else {
            of_seeds
        };
        let mean = taken.iter().sum::<f64>() / taken.len() as f64;
        let group = format!("{}/{}", self.experiment.suite, self.experiment.entry);
        Task { label: self.label(), group, seconds: (!taken.is_empty()).then_some(mean) }
    }
}

/// The seconds of the finished runs in a folder of seeds.
fn seconds(dir: &Path) -> Vec<f64> {
    let runs = fs::read_dir(dir).ok().into_iter().flatten();
    runs.filter_map(|entry| Outcome::read(&entry.ok()?.path()).ok()?.seconds()).collect()
}

/// The folders of an entry's cases, beside that of one of them.
fn siblings(dir: &Path, entry: &str) -> Vec<PathBuf> {
    let beside = dir.parent().and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten();
    let of_entry = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&format!("{entry}-")))
    };
    beside.filter_map(|entry| Some(entry.ok()?.path())).filter(of_entry).collect()
}
