//! `cargo xtask reproduce`: runs experiments, seed by seed, and compares the means with what they expect.

mod experiment;
mod program;
mod queue;
mod seeds;
mod table;

use anyhow::{Result, bail};
use experiment::{Experiment, Outcome};
use program::Program;
use queue::{Task, duration};
use seeds::Seeds;
use std::fs;
use std::path::{Path, PathBuf};

/// Which experiments to run, and how.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Names of experiments (files in experiments/ without .toml) [default: all]
    names: Vec<String>,

    /// Merges each experiment's `[quick]` table: shows that all works, judges nothing
    #[arg(long)]
    quick: bool,

    /// Lists the experiments and ends
    #[arg(long)]
    list: bool,

    /// Says what would run, and ends
    #[arg(long)]
    dry_run: bool,

    /// Other seeds than an experiment's own: 3 for its first three, 0..9 for 0 to 9, or a list such as 1,5
    #[arg(long, value_name = "SEEDS")]
    seeds: Option<Seeds>,

    /// Runs at once; each gets its share of the processors, and says what it does in a file beside its run folder
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,

    /// The cargo profile of the program
    #[arg(long, default_value = "release")]
    profile: String,
}

/// A seed of an experiment, and where its run lies.
struct Planned<'a> {
    experiment: &'a Experiment,
    seed: u64,
    dir: PathBuf,
    /// Whether the run is there already.
    answers: bool,
}

/// Runs what `args` ask for; fails if an experiment failed or missed what it expects. Killed at any moment it goes on, when it
/// is started again, where it was.
pub(crate) fn run(args: &Args) -> Result<()> {
    let experiments = Experiment::find(&args.names)?;
    if args.list {
        for experiment in &experiments {
            crate::say(&format!("{:32} {}", experiment.file_name, experiment.title));
        }
        return Ok(());
    }
    let jobs = usize::from(args.jobs);
    let program = Program::build(&args.profile, args.quick, jobs)?;
    let plan = plan(args, &experiments, &program);
    let open: Vec<&Planned<'_>> = plan.iter().filter(|planned| !planned.answers).collect();
    let tasks: Vec<Task> = open.iter().map(|planned| planned.task()).collect();
    announce(&plan, &tasks, jobs);
    if args.dry_run {
        return Ok(());
    }
    let ran = queue::run(&tasks, jobs, |index| {
        let Planned { experiment, seed, dir, .. } = open[index];
        program.run(experiment, *seed, dir)?;
        let outcome = Outcome::read(dir)?;
        let words = outcome.in_words();
        Ok((outcome, words))
    });
    let mut ran = ran.into_iter();
    let mut outcomes = Vec::new();
    for planned in &plan {
        // What failed was said when it did.
        let outcome = if planned.answers { Some(Outcome::read(&planned.dir)) } else { ran.next() };
        outcomes.push((planned.experiment, outcome.and_then(Result::ok)));
    }
    judge(args, &experiments, outcomes)
}

/// Every seed of every experiment whose data are there, with those that answer already.
fn plan<'a>(args: &Args, experiments: &'a [Experiment], program: &Program) -> Vec<Planned<'a>> {
    let mut plan = Vec::new();
    for experiment in experiments {
        if let Some(absent) = experiment.absent_data() {
            crate::say(&format!("{}: NOT RUN, its data are absent: {absent}", experiment.file_name));
            continue;
        }
        let seeds =
            args.seeds.as_ref().map_or_else(|| experiment.seeds.clone(), |seeds| seeds.of(&experiment.seeds));
        let n = if args.quick && args.seeds.is_none() { 1 } else { seeds.len() };
        for seed in seeds.into_iter().take(n) {
            let dir = folder(experiment, seed, args.quick);
            // What cannot be compared is run, and then says itself what is wrong.
            let answers = program.answers(experiment, seed, &dir).unwrap_or(false);
            plan.push(Planned { experiment, seed, dir, answers });
        }
    }
    plan
}

/// Says what is there, what will run, and for how long.
fn announce(plan: &[Planned<'_>], tasks: &[Task], jobs: usize) {
    for planned in plan.iter().filter(|planned| planned.answers) {
        crate::say(&format!("{}: {} answers already", planned.label(), planned.dir.display()));
    }
    for task in tasks {
        let known =
            task.seconds.map_or("never timed".into(), |seconds| format!("about {}", duration(seconds)));
        crate::say(&format!("{}: to run, {known}", task.label));
    }
    let open: Vec<Option<f64>> = tasks.iter().map(|task| task.seconds).collect();
    crate::say(&format!("{} of {} runs to do{}", tasks.len(), plan.len(), queue::left(&open, jobs)));
}

/// The table of results; an error if something failed or missed what it expects.
fn judge(
    args: &Args,
    experiments: &[Experiment],
    outcomes: Vec<(&Experiment, Option<Outcome>)>,
) -> Result<()> {
    let mut outcomes = outcomes.into_iter().peekable();
    let mut rows = Vec::new();
    for experiment in experiments {
        let (mut n, mut done) = (0, Vec::new());
        while let Some((_, outcome)) = outcomes.next_if(|(of, _)| of.file_name == experiment.file_name) {
            n += 1;
            done.extend(outcome);
        }
        rows.push(match experiment.absent_data() {
            Some(_) => table::Row::of_absent_data(experiment),
            None => table::Row::new(experiment, n, &done, args.quick),
        });
    }
    crate::say(&table::render(&rows));
    if !args.quick {
        table::write(&rows)?;
    }
    match rows.iter().filter(|row| row.missed()).count() {
        0 => {
            let not_run = rows.iter().filter(|row| row.not_run()).count();
            if not_run > 0 {
                crate::say(&format!(
                    "{not_run} of {} experiments were NOT RUN: their data are absent",
                    rows.len()
                ));
            }
            Ok(())
        }
        n => bail!("{n} of {} experiments failed or missed what they expect", rows.len()),
    }
}

impl Planned<'_> {
    fn label(&self) -> String {
        format!("{} seed {}", self.experiment.file_name, self.seed)
    }

    /// The run as a task, which takes as long as others of its experiment took.
    fn task(&self) -> Task {
        let others = self.dir.parent().and_then(|folder| fs::read_dir(folder).ok());
        let taken: Vec<f64> = others
            .into_iter()
            .flatten()
            .filter_map(|entry| Outcome::read(&entry.ok()?.path()).ok()?.metric("seconds"))
            .collect();
        let mean = taken.iter().sum::<f64>() / taken.len() as f64;
        Task { label: self.label(), seconds: (!taken.is_empty()).then_some(mean) }
    }
}

fn folder(experiment: &Experiment, seed: u64, quick: bool) -> PathBuf {
    let quick = if quick { "-quick" } else { "" };
    Path::new("runs/reproduce").join(format!("{}{quick}", experiment.file_name)).join(format!("seed-{seed}"))
}
