//! A training, from its arguments to its last line, for any family.

use crate::args::{TrainArgs, TrainProgram};
use crate::conclude::{Conclusion, Spent};
use crate::device::{device, use_threads};
use crate::evaluate::Evaluated;
use crate::experiment;
use crate::family::{AnyExperiment, AnyFamily, Changes, Text, to_toml};
use crate::folder::{CONFIG, Folder, WEIGHTS};
use crate::from::{self, FromRecord, text_of_run};
use crate::host::{Host, peak_memory_bytes};
use crate::log::Log;
use crate::monitor::{CHECKPOINT, Screen};
use crate::own_data::OwnData;
use crate::samples::{self, RunData};
use crate::signals::Signals;
use crate::{Failure, say};
use candle_core::Device;
use clap::Parser;
use flicker_core::run::{Checkpoint, Every, Run};
use flicker_core::{Config, Detector, Error, Family, Rng, Supervision};
use serde::Serialize;
use serde_json::json;
use std::process::ExitCode;
use std::time::Instant;

/// What a program is made of, a hash of its source, is told to it by this variable of the environment; the run folder keeps it.
const SOURCE: &str = "FLICKER_SOURCE";

/// Runs a train program of the family `C`: reads the arguments, trains, scores, judges and reports. `default` is the text of
/// the experiment that runs when no file is named.
pub fn train<C: Config>(default: &str) -> ExitCode {
    let args = match TrainProgram::try_parse() {
        Ok(program) => program.train,
        Err(error) => error.exit(), // clap's own text; code 2 for an error, 0 for --help
    };
    run_program(args.threads, |threads| {
        let text = match (&args.experiment, &args.from) {
            (None, Some(run)) => text_of_run(run)?,
            (Some(path), _) => Text { origin: path.display().to_string(), text: experiment::read(path)? },
            (None, None) => Text { origin: "the default experiment".into(), text: default.to_string() },
        };
        train_family(&AnyFamily::of::<C>(), &text, &args, threads)
    })
}

/// Does `work` as a program does: on so many of rayon's threads (all processors without a number), with what went wrong said
/// on standard error, and the exit code for the shell. `work` gets the number of threads.
pub fn run_program(
    threads: Option<usize>,
    work: impl FnOnce(usize) -> Result<(), Failure> + Send,
) -> ExitCode {
    flicker_core::prepare_process();
    finish(use_threads(threads).and_then(|threads| flicker_core::in_pool(|| work(threads))))
}

/// The exit code of what was done; what went wrong is said on standard error.
pub fn finish(done: Result<(), Failure>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(&format!("error: {failure}"));
            failure.code()
        }
    }
}

/// Trains a model of `family` as the experiment in `text` and `args` say: scores, judges, and leaves a run folder.
///
/// # Errors
/// Where a number, the data or the folder cannot work, the training diverges, or it is stopped.
pub fn train_family(
    family: &AnyFamily,
    text: &Text,
    args: &TrainArgs,
    threads: usize,
) -> Result<(), Failure> {
    let named = args.experiment.is_some() || args.from.is_some();
    let own = OwnData::told_by(args, named.then_some(text))?;
    let mut set = match &own {
        Some(own) => own.changes(args, text, named)?,
        None => Vec::new(),
    };
    set.extend_from_slice(&args.set);
    let experiment = family.parse(text, &Changes { quick: args.quick, set: &set })?;
    if args.print_config {
        crate::print(&experiment.text);
        return Ok(());
    }
    let device = device(&args.device)?;
    let job = Job { seed: args.seed.unwrap_or(experiment.seeds[0]), device, threads, begun: Instant::now() };
    let root = args.data.clone().filter(|_| own.is_none()).unwrap_or_else(flicker_manifest::data_root);
    if !args.quiet {
        own.iter().for_each(|own| say(&own.in_words()));
        say(&format!("{}: {}", experiment.name, experiment.title));
    }
    let rng = Rng::new(job.seed);
    let data = samples::read(&experiment.data, &root, &rng.fork("data"))?;
    require_labels(experiment.family, &data)?;
    let mut model = experiment.build(data.shape, rng.fork("weights"), &job.device)?;
    if !args.quiet {
        introduce(experiment.family.name, &data, model.as_ref(), &job);
    }
    let from = args.from.as_ref().map(|run| from::load(run, &experiment, model.as_ref())).transpose()?;
    let (folder, resume) = open_folder(args, &experiment, &job, &data, from)?;
    if args.resume && resume.is_none() {
        from::load_again(&folder, &experiment, model.as_ref())?;
    }
    let signals = Signals::listen()?;
    let resumed = resume.is_some();
    let evaluated = fit(args, &experiment, &job, &data, model.as_mut(), (&folder, resume, &signals))
        .and_then(|train| {
            let conclusion = Conclusion {
                experiment: &experiment,
                seed: job.seed,
                device: &job.device,
                data: &data,
                model: model.as_ref(),
                signals: &signals,
                quiet: args.quiet,
            };
            conclusion.write(&folder, &Spent::Now { begun: job.begun, train, resumed })
        })
        .map_err(|failure| {
            failure.hinting(&format!("go on with --resume --out {}", folder.dir().display()))
        })?;
    summarise(args, &evaluated, &job, &folder)
}

/// What a run is besides its experiment.
struct Job {
    seed: u64,
    device: Device,
    threads: usize,
    begun: Instant,
}

/// A supervised family needs abnormal samples with their label.
fn require_labels(family: Family, data: &RunData) -> Result<(), Failure> {
    if family.supervision != Supervision::Supervised || data.train.abnormal.is_some() {
        return Ok(());
    }
    let problem = "is supervised and needs labelled abnormal samples to train with; say what share of them by `data.split.labelled_abnormal`";
    Err(Failure::usage(format!("{} {problem}", family.name)))
}

fn introduce(family: &str, data: &RunData, model: &dyn Detector, job: &Job) {
    let facts = &data.facts;
    say(&format!("data: {} from {}; {}", facts.name, facts.origin, facts.protocol));
    say(&format!(
        "      {} normals to train, {} to set the threshold, {} to test ({} abnormal), each a {}",
        facts.n_train, facts.n_validation, facts.n_test, facts.n_abnormal, facts.shape
    ));
    facts.skipped.iter().for_each(|problem| say(&format!("      skipped: {problem}")));
    if let Some(coding) = &data.coding {
        say(&format!("      {}", coding.in_words()));
        for name in coding.names_of_rows(facts.n_train) {
            say(&format!(
                "      `{name}` looks like a name of rows, which says nothing of new ones: --drop {name}"
            ));
        }
    }
    if facts.n_labelled_abnormal > 0 {
        say(&format!("      {} abnormal ones train with their label", facts.n_labelled_abnormal));
    }
    let parameters = model.weights().n_parameters();
    say(&format!("model: {family}, {parameters} parameters; seed {}, {} threads", job.seed, job.threads));
}

/// What `config.toml` says after the experiment as it ran: what ran it.
#[derive(Serialize)]
struct Record {
    run: RunRecord,
}

#[derive(Serialize)]
struct RunRecord {
    seed: u64,
    device: String,
    threads: usize,
    /// The run whose weights it began with.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<FromRecord>,
    /// What the program was made of, if whoever started it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(flatten)]
    host: Host,
}

/// A new folder with the run's own description, or the old one and where its training stands.
fn open_folder(
    args: &TrainArgs,
    experiment: &AnyExperiment,
    job: &Job,
    data: &RunData,
    from: Option<FromRecord>,
) -> Result<(Folder, Option<Checkpoint>), Failure> {
    let run = RunRecord {
        seed: job.seed,
        device: args.device.clone(),
        threads: job.threads,
        from,
        source: std::env::var(SOURCE).ok().filter(|source| !source.is_empty()),
        host: Host::here(),
    };
    let record = format!("{}\n{}", experiment.text, to_toml(&Record { run })?);
    if !args.resume {
        let folder = Folder::create(args.out.as_deref(), &experiment.name, job.seed)?;
        let begun = folder
            .write(CONFIG, record.as_bytes())
            .and_then(|()| folder.write_json("data.json", &data.facts))
            .and_then(|()| data.coding.iter().try_for_each(|coding| folder.write_json("coding.json", coding)))
            .and_then(|()| data.scaler.iter().try_for_each(|scaler| folder.write_json("scale.json", scaler)));
        // Half of the description is no run folder: neither a new run nor --resume could use it.
        return match begun {
            Ok(()) => Ok((folder, None)),
            Err(failure) => Err(folder.discard(failure)),
        };
    }
    let folder = Folder::reopen(args.out.as_deref(), &experiment.name, job.seed)?;
    expect_same_run(&folder, &record, data)?;
    let path = folder.path(CHECKPOINT);
    let checkpoint = match flicker_core::file::read(&path) {
        Ok(bytes) => Some(Checkpoint::from_bytes(&path.display().to_string(), &bytes, &job.device)?),
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    Ok((folder, checkpoint))
}

/// Refuses to go on with a run of other numbers or other data.
fn expect_same_run(folder: &Folder, record: &str, data: &RunData) -> Result<(), Failure> {
    let parse = |text: &str| -> Option<toml::Table> {
        let mut table: toml::Table = toml::from_str(text).ok()?;
        let run = table.remove("run")?;
        table.insert("seed".into(), run.get("seed")?.clone());
        Some(table)
    };
    let path = folder.path(CONFIG);
    let found = experiment::read(&path)?;
    let (expected, found) = (parse(record), parse(&found));
    if expected != found {
        let key = first_difference(expected.as_ref(), found.as_ref());
        return Err(Failure::usage(format!("--resume {}: was begun with another `{key}`", path.display())));
    }
    let path = folder.path("data.json");
    let facts =
        std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<samples::DataFacts>(&bytes).ok());
    if facts.as_ref() != Some(&data.facts) {
        return Err(Failure::usage(format!("--resume {}: was begun with other data", path.display())));
    }
    Ok(())
}

fn first_difference(expected: Option<&toml::Table>, found: Option<&toml::Table>) -> String {
    let (Some(expected), Some(found)) = (expected, found) else { return "config.toml".into() };
    let differs = expected.iter().find(|(key, value)| found.get(*key) != Some(value));
    let Some((key, value)) = differs else { return "config.toml".into() };
    match (value.as_table(), found.get(key).and_then(|value| value.as_table())) {
        (Some(a), Some(b)) => format!("{key}.{}", first_difference(Some(a), Some(b))),
        _ => key.clone(),
    }
}

/// Trains, and writes the weights. Answers with the seconds that it took.
fn fit(
    args: &TrainArgs,
    experiment: &AnyExperiment,
    job: &Job,
    data: &RunData,
    model: &mut dyn Detector,
    (folder, resume, signals): (&Folder, Option<Checkpoint>, &Signals),
) -> Result<f64, Failure> {
    let begun = Instant::now();
    Log::rewind(&folder.path("log.jsonl"), resume.as_ref().map(|checkpoint| &checkpoint.at))?;
    let mut screen = Screen::new(folder, args, data.prepare, signals)?;
    screen.log().write(&json!({"event": "start", "experiment": experiment.name, "seed": job.seed, "version": Host::here().version}))?;
    let every = |n: usize| (n > 0).then_some(n);
    let keep = experiment.keep;
    let mut run = Run::new(Rng::new(job.seed).fork("fit"), &job.device, &mut screen).keeping(Every {
        checkpoint: every(keep.checkpoint_every),
        weights: every(keep.weights_every),
        pictures: every(keep.pictures_every),
    });
    if let Some(checkpoint) = resume {
        run = run.resuming(checkpoint);
    }
    model.fit(&data.train, &mut run)?;
    model.weights().save(&folder.path(WEIGHTS))?;
    let seconds = begun.elapsed().as_secs_f64();
    screen.log().write(&json!({"event": "done", "seconds": seconds}))?;
    Ok(seconds)
}

/// The last lines on the screen.
fn summarise(args: &TrainArgs, evaluated: &Evaluated, job: &Job, folder: &Folder) -> Result<(), Failure> {
    let dir = folder.dir().display();
    if args.json {
        crate::print_json(
            &json!({"run": dir.to_string(), "metrics": folder.read_json::<serde_json::Value>("metrics.json")?}),
        );
        return Ok(());
    }
    let mut lines = evaluated.in_words();
    let memory = peak_memory_bytes().map_or(String::new(), |bytes| format!(", {} MiB at most", bytes >> 20));
    lines.push(format!("{:.1} s{memory}; everything is in {dir}", job.begun.elapsed().as_secs_f64()));
    if !args.quiet {
        lines.push(format!(
            "next: open {} in a browser, or try another seed with --seed {}",
            folder.path("report.html").display(),
            job.seed + 1
        ));
    }
    crate::print(&(lines.join("\n") + "\n"));
    Ok(())
}
