//! What a train program does, from its arguments to its last line.

use crate::args::Args;
use crate::device::{device, use_threads};
use crate::evaluate::{self, Evaluated, MetricsFile};
use crate::experiment::{self, Experiment};
use crate::folder::Folder;
use crate::gallery::{self, Show};
use crate::host::{Host, peak_memory_bytes};
use crate::log::Log;
use crate::monitor::{CHECKPOINT, Screen};
use crate::samples::{self, RunData};
use crate::{Failure, report, say, weighting};
use candle_core::Device;
use clap::Parser;
use flicker_core::run::{Checkpoint, Every, Run};
use flicker_core::{Config, Detector, Error, Family, Rng, Supervision};
use serde::Serialize;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// Runs a train program of the family `C`: reads the arguments, trains, scores, judges and reports. `default` is the text of
/// the experiment that runs when no file is named.
pub fn train<C: Config>(default: &str) -> ExitCode {
    flicker_core::prepare_process();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => error.exit(), // clap's own text; code 2 for an error, 0 for --help
    };
    let done = use_threads(args.threads)
        .and_then(|threads| flicker_core::in_pool(|| run::<C>(&args, default, threads)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(&format!("error: {failure}"));
            failure.code()
        }
    }
}

fn run<C: Config>(args: &Args, default: &str, threads: usize) -> Result<(), Failure> {
    let experiment = read_experiment::<C>(args, default)?;
    if args.print_config {
        return print_config(&experiment);
    }
    let device = device(&args.device)?;
    let job = Job { seed: args.seed.unwrap_or(experiment.seeds[0]), device, threads, begun: Instant::now() };
    let root = args.data.clone().unwrap_or_else(flicker_manifest::data_root);
    if !args.quiet {
        say(&format!("{}: {}", experiment.name, experiment.title));
    }
    let rng = Rng::new(job.seed);
    let data = samples::read(&experiment.data, &root, &rng.fork("data"))?;
    require_labels(C::FAMILY, &data)?;
    let mut model = experiment.config.build(data.shape, rng.fork("weights"), &job.device)?;
    if !args.quiet {
        introduce(&data, &model, &job);
    }
    let (folder, resume) = open_folder(args, &experiment, &job, &data)?;
    let seconds = fit(args, &experiment, &job, &data, &mut model, &folder, resume)?;
    let evaluated = conclude(&experiment, &job, &data, &model, &folder, seconds)?;
    summarise(args, &evaluated, &job, &folder)
}

/// What a run is besides its experiment.
struct Job {
    seed: u64,
    device: Device,
    threads: usize,
    begun: Instant,
}

fn read_experiment<C: Config>(args: &Args, default: &str) -> Result<Experiment<C>, Failure> {
    let (origin, text) = match &args.experiment {
        Some(path) => (path.display().to_string(), experiment::read(path)?),
        None => ("the default experiment".to_string(), default.to_string()),
    };
    Experiment::parse(&origin, &text, C::FAMILY.name, args.quick, &args.set)
}

fn print_config<C: Serialize>(experiment: &Experiment<C>) -> Result<(), Failure> {
    crate::print(&to_toml(experiment)?);
    Ok(())
}

fn to_toml(value: &impl Serialize) -> Result<String, Failure> {
    toml::to_string(value).map_err(|error| Failure::Failed(format!("config.toml: {error}")))
}

/// A supervised family needs abnormal samples with their label.
fn require_labels(family: Family, data: &RunData) -> Result<(), Failure> {
    if family.supervision != Supervision::Supervised || data.train.abnormal.is_some() {
        return Ok(());
    }
    let problem = "is supervised and needs labelled abnormal samples to train with; say what share of them by `data.split.labelled_abnormal`";
    Err(Failure::usage(format!("{} {problem}", family.name)))
}

fn introduce(data: &RunData, model: &dyn Detector, job: &Job) {
    let facts = &data.facts;
    say(&format!("data: {} from {}; {}", facts.name, facts.origin, facts.protocol));
    say(&format!(
        "      {} normals to train, {} to set the threshold, {} to test ({} abnormal), each a {}",
        facts.n_train, facts.n_validation, facts.n_test, facts.n_abnormal, facts.shape
    ));
    if facts.n_labelled_abnormal > 0 {
        say(&format!("      {} abnormal ones train with their label", facts.n_labelled_abnormal));
    }
    let parameters = model.weights().n_parameters();
    say(&format!("model: {parameters} parameters; seed {}, {} threads", job.seed, job.threads));
}

/// `config.toml`: the experiment as it ran, and what ran it.
#[derive(Serialize)]
struct Record<'a, C> {
    #[serde(flatten)]
    experiment: &'a Experiment<C>,
    run: RunRecord,
}

#[derive(Serialize)]
struct RunRecord {
    seed: u64,
    device: String,
    threads: usize,
    #[serde(flatten)]
    host: Host,
}

/// A new folder with the run's own description, or the old one and where its training stands.
fn open_folder<C: Config>(
    args: &Args,
    experiment: &Experiment<C>,
    job: &Job,
    data: &RunData,
) -> Result<(Folder, Option<Checkpoint>), Failure> {
    let run =
        RunRecord { seed: job.seed, device: args.device.clone(), threads: job.threads, host: Host::here() };
    let record = to_toml(&Record { experiment, run })?;
    if !args.resume {
        let folder = Folder::create(args.out.as_deref(), &experiment.name, job.seed)?;
        let begun = folder
            .write("config.toml", record.as_bytes())
            .and_then(|()| folder.write_json("data.json", &data.facts))
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
    let path = folder.path("config.toml");
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
fn fit<C: Config>(
    args: &Args,
    experiment: &Experiment<C>,
    job: &Job,
    data: &RunData,
    model: &mut C::Model,
    folder: &Folder,
    resume: Option<Checkpoint>,
) -> Result<f64, Failure> {
    let begun = Instant::now();
    Log::rewind(&folder.path("log.jsonl"), resume.as_ref().map(|checkpoint| &checkpoint.at))?;
    let mut screen = Screen::new(folder, args, data.prepare, args.resume)?;
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
    let fitted = model.fit(&data.train, &mut run);
    fitted.map_err(|error| match error {
        Error::Stopped(stop) => {
            Failure::Stopped(stop, format!("{stop}; go on with --resume --out {}", folder.dir().display()))
        }
        error => error.into(),
    })?;
    model.weights().save(&folder.path("weights.safetensors"))?;
    let seconds = begun.elapsed().as_secs_f64();
    screen.log().write(&json!({"event": "done", "seconds": seconds}))?;
    Ok(seconds)
}

/// Scores, judges, and writes everything that comes of it.
fn conclude<C: Config>(
    experiment: &Experiment<C>,
    job: &Job,
    data: &RunData,
    model: &dyn Detector,
    folder: &Folder,
    seconds_train: f64,
) -> Result<Evaluated, Failure> {
    let rng = Rng::new(job.seed).fork("score");
    let evaluated = evaluate::evaluate(folder, model, data, experiment.decide, &job.device, &rng)?;
    gallery::write(
        folder,
        model,
        &data.test,
        &evaluated,
        &Show { prepare: data.prepare, device: &job.device, rng: &rng },
    )?;
    if let Some(wanted) = &experiment.weighting {
        weighting::write(folder, wanted, [&evaluated.parts[0], &evaluated.parts[1]], &data.test)?;
    }
    let metrics = MetricsFile {
        summary: &evaluated.summary,
        alpha: experiment.decide.false_alarm_rate,
        n_validation: data.validation.source.len(),
        false_alarms: evaluated.calibration.false_alarms(),
        by_class: evaluate::by_class(&data.test, &evaluated),
        pixels: evaluated.pixels.as_ref(),
        nearest_corner: evaluate::nearest_corner(&data.test, &evaluated),
        both_classes: evaluate::of_both_classes(&data.test, &evaluated),
        seed: job.seed,
        seconds: job.begun.elapsed().as_secs_f64(),
        seconds_train,
        seconds_score: evaluated.seconds,
        peak_memory_bytes: peak_memory_bytes(),
        n_parameters: model.weights().n_parameters(),
    };
    folder.write_json("metrics.json", &metrics)?;
    report::write(folder.dir())?;
    Ok(evaluated)
}

/// The last lines on the screen.
fn summarise(args: &Args, evaluated: &Evaluated, job: &Job, folder: &Folder) -> Result<(), Failure> {
    let summary = &evaluated.summary;
    let estimate = |name: &str, estimate: Option<flicker_core::metrics::Estimate>| match estimate {
        Some(e) => format!("{name} {:.4} [{:.4}, {:.4}]", e.value, e.low, e.high),
        None => format!("{name} undefined"),
    };
    let mut lines = vec![
        estimate("AUROC", summary.auroc),
        estimate("AUPRC", summary.auprc)
            + &summary
                .prevalence
                .map_or(String::new(), |p| format!("  (prevalence {p:.4}; positive = abnormal)")),
        estimate("F1", summary.f1)
            + &match evaluated.calibration.shortfall() {
                Some(shortfall) => format!("  (nothing is flagged: {shortfall})"),
                None => format!(
                    "  (threshold {:.6}, from {} validation normals)",
                    evaluated.calibration.threshold_or_infinity(),
                    evaluated.calibration.n()
                ),
            },
    ];
    lines.extend(evaluated.pixels.as_ref().map(|pixels| pixels.in_words()));
    let dir = folder.dir().display();
    let memory = peak_memory_bytes().map_or(String::new(), |bytes| format!(", {} MiB at most", bytes >> 20));
    lines.push(format!("{:.1} s{memory}; everything is in {dir}", job.begun.elapsed().as_secs_f64()));
    if !args.quiet {
        let page: PathBuf = folder.path("report.html");
        lines.push(format!(
            "next: open {} in a browser, or try another seed with --seed {}",
            page.display(),
            job.seed + 1
        ));
    }
    crate::print(&(lines.join("\n") + "\n"));
    Ok(())
}
