//! `cargo xtask reproduce`: runs the experiments of every suite, seed by seed, and writes what came out beside what was published.

mod collect;
mod data;
mod experiment;
mod html;
mod markdown;
mod outcome;
mod plan;
mod program;
mod queue;
mod raw;
mod seeds;
mod shard;
mod source;
mod suite;
mod summary;
mod tables;

use anyhow::{Context, Result, bail};
use data::Data;
use plan::{Plan, State};
use program::{How, Program};
use seeds::Seeds;
use shard::Shard;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use suite::Suite;
use summary::Summary;

/// Which experiments to run, and how.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Option<Action>,

    #[command(flatten)]
    run: Run,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Brings run folders from elsewhere, such as those of a cluster's jobs, and writes the results of all that is there
    Collect {
        /// Folders of runs, as `runs/reproduce` is
        #[arg(required = true, value_name = "DIR")]
        from: Vec<PathBuf>,

        #[command(flatten)]
        places: Places,
    },
}

#[derive(clap::Args)]
struct Run {
    #[command(flatten)]
    choice: Choice,

    #[command(flatten)]
    places: Places,
}

/// What is run, and how.
#[derive(clap::Args, Default)]
struct Choice {
    /// Suites, SUITE/ENTRY, SUITE/ENTRY/CASE, or experiments (files in experiments/ without .toml) [default: all]
    names: Vec<String>,

    /// Merges each experiment's `[quick]` table, and takes one case and one seed of each: shows that all works, judges and
    /// writes nothing
    #[arg(long)]
    quick: bool,

    /// Lists what there is and ends
    #[arg(long)]
    list: bool,

    /// Says what would run and whether the program takes it, and ends
    #[arg(long)]
    dry_run: bool,

    /// Other seeds than an experiment's own: 3 for its first three, 0..9 for 0 to 9, or a list such as 1,5
    #[arg(long, value_name = "SEEDS")]
    seeds: Option<Seeds>,

    /// Runs at once [default: 1]; each gets its share of the processors, and says what it does in a file beside its run folder
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,

    /// Threads of each run [default: its share of the processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,

    /// Runs the I-th of N parts and writes no results; see `collect`
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,

    /// Writes reproduce.slurm into the folder of runs, a job array with a job for each run, and ends
    #[arg(long)]
    slurm: bool,
}

/// Where things are.
#[derive(clap::Args)]
struct Places {
    /// Where data sets lie [default: $FLICKER_DATA, or data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// The experiments, with their suites in the folder `suites` there
    #[arg(long, value_name = "DIR", default_value = "experiments")]
    experiments: PathBuf,

    /// Where run folders lie
    #[arg(long, value_name = "DIR", default_value = "runs/reproduce")]
    runs: PathBuf,

    /// Where raw.csv and index.html go; RESULTS.md goes beside this folder
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,

    /// The cargo profile of the program
    #[arg(long, default_value = "release")]
    profile: String,

    /// A built program, in place of building it
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

/// Runs what `args` ask for; fails if a run failed or a mean missed its floor. Killed at any moment it goes on, when it is started
/// again, where it was.
pub(crate) fn run(args: &Args) -> Result<()> {
    match &args.action {
        None => carry_out(&args.run.choice, &args.run.places, true),
        Some(Action::Collect { from, places }) => {
            for folder in from {
                let (brought, here) = collect::collect(folder, &places.runs)?;
                crate::say(&format!(
                    "{}: {brought} runs brought, {here} were here already",
                    folder.display()
                ));
            }
            carry_out(&Choice::default(), places, false)
        }
    }
}

/// Runs what is open, if `running`, and takes in what is there.
fn carry_out(choice: &Choice, places: &Places, running: bool) -> Result<()> {
    let mut suites = suite::all(&places.experiments)?;
    suite::select(&mut suites, &choice.names)?;
    if choice.list {
        list(&suites);
        return Ok(());
    }
    if choice.quick {
        plan::one_case(&mut suites);
    }
    let jobs = choice.jobs.map_or(1, usize::from);
    let program = program(choice, places)?;
    let mut plan = Plan::new(&suites, &program, choice.seeds.as_ref());
    if choice.slurm {
        return write_slurm(choice, places, &plan, &program);
    }
    if let Some(shard) = choice.shard {
        plan.keep(shard);
    }
    plan.announce(jobs);
    if choice.dry_run {
        let wrong = plan.check(&program);
        wrong.iter().for_each(|problem| crate::say(problem));
        return if wrong.is_empty() { Ok(()) } else { bail!("{} experiments cannot run", wrong.len()) };
    }
    if running {
        plan.carry_out(&program, jobs);
    }
    let new = plan.rows(&suites);
    let whole = !choice.quick && choice.shard.is_none();
    let below = say(&suites, &new, whole);
    if whole {
        write(places, &new)?;
    }
    let count = |state: State| plan.runs.iter().filter(|run| run.state == state).count();
    let (failed, absent, of) = (count(State::Failed), count(State::Absent), plan.runs.len());
    if absent > 0 {
        crate::say(&format!("{absent} of {of} runs were NOT RUN: their data are absent"));
    }
    if failed + below > 0 {
        bail!("{failed} of {of} runs failed, {below} means are below their floor");
    }
    Ok(())
}

fn program(choice: &Choice, places: &Places) -> Result<Program> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = choice.jobs.map_or(1, usize::from);
    let share = (jobs > 1).then_some((processors / jobs).max(1));
    let how = How {
        runs: places.runs.clone(),
        quick: choice.quick,
        threads: choice.threads.map(usize::from).or(share),
        aside: jobs > 1,
        data: Data::new(places.data.clone().unwrap_or_else(flicker_manifest::data_root)),
    };
    match &places.program {
        Some(path) => Program::given(path, how),
        None => Program::build(&places.profile, how),
    }
}

/// Says what came out, and what is below its floor if it is `judged`. Answers with the number of the latter.
fn say(suites: &[Suite], rows: &[raw::Row], judged: bool) -> usize {
    let mut below = 0;
    for summary in suites.iter().map(|suite| Summary::new(suite, rows)) {
        for entry in summary.entries.iter().filter(|entry| !entry.nothing()) {
            crate::say(&tables::line(summary.suite, entry));
            for missed in tables::missed(entry).iter().filter(|_| judged) {
                crate::say(&format!("{}/{}: MISSED: {missed}", summary.suite.name, entry.entry.name));
                below += 1;
            }
        }
    }
    below
}

/// Writes `raw.csv`, `index.html` and `RESULTS.md`, of all suites.
fn write(places: &Places, new: &[raw::Row]) -> Result<()> {
    let suites = suite::all(&places.experiments)?;
    let path = places.results.join("raw.csv");
    let rows = raw::joined(raw::read(&path)?, new.to_vec(), &suites);
    raw::write(&path, &rows)?;
    let summaries: Vec<Summary<'_>> = suites.iter().map(|suite| Summary::new(suite, &rows)).collect();
    write_whole(&places.results.join("index.html"), &html::page(&summaries))?;
    let text = places.results.parent().unwrap_or(Path::new("")).join("RESULTS.md");
    write_whole(&text, &markdown::page(&summaries))?;
    crate::say(&format!("written: {}, {} and index.html beside it", text.display(), path.display()));
    Ok(())
}

fn write_slurm(choice: &Choice, places: &Places, plan: &Plan<'_>, program: &Program) -> Result<()> {
    const MOST: usize = 1000; // what clusters allow in an array
    let n = plan.runs.len().clamp(1, MOST);
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or(path.into()).display().to_string();
    let mut arguments = choice.names.clone();
    for (name, path) in [
        ("--program", &program.path),
        ("--experiments", &places.experiments),
        ("--runs", &places.runs),
        ("--data", &program.how.data.root),
    ] {
        arguments.extend([name.to_string(), absolute(path)]);
    }
    if let Some(seeds) = &choice.seeds {
        arguments.extend(["--seeds".to_string(), seeds.to_string()]);
    }
    arguments.extend(choice.quick.then(|| "--quick".to_string()));
    let minutes = plan.longest().map(|seconds| (seconds / 60.0 * 3.0) as u64 + 10);
    let folder = std::env::current_dir().context("this folder")?;
    let task = std::env::current_exe().context("this program")?;
    let script = shard::slurm(&folder, &task, &arguments, n, minutes);
    let path = places.runs.join("reproduce.slurm");
    write_whole(&path, &script)?;
    crate::say(&format!(
        "written: {}, {n} jobs for {} runs; queue it with sbatch",
        path.display(),
        plan.runs.len()
    ));
    Ok(())
}

/// What there is, a line each.
fn list(suites: &[Suite]) {
    for suite in suites.iter().filter(|suite| suite.entries.iter().any(|entry| !entry.experiments.is_empty()))
    {
        crate::say(&format!("{}: {}", suite.name, suite.title));
        for entry in suite.entries.iter().filter(|entry| !entry.experiments.is_empty()) {
            let cases: Vec<&str> = entry.experiments.iter().filter_map(|one| one.case.as_deref()).collect();
            let cases = if cases.is_empty() {
                String::new()
            } else {
                format!(" [{} {}]", suite.axis, cases.join(" "))
            };
            crate::say(&format!("  {:32} {}{cases}", entry.name, entry.title));
        }
    }
}

/// Writes `text` to `path`, whole or not at all, and not if it is there.
fn write_whole(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    if folder != Path::new("") {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    // Two tasks of one process may write the same file at once.
    static PARTS: AtomicUsize = AtomicUsize::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let n = PARTS.fetch_add(1, Ordering::Relaxed);
    let part = folder.join(format!(".{name}.part-{}-{n}", std::process::id()));
    fs::write(&part, text).with_context(|| part.display().to_string())?;
    fs::rename(&part, path).with_context(|| path.display().to_string())
}
