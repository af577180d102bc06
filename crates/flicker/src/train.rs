//! `flicker train`: which family, which experiment; the rest is that of the train programs.

use crate::{experiments, families};
use clap::builder::PossibleValuesParser;
use flicker_runner::{
    AnyFamily, Failure, OwnData, Text, TrainArgs, read_experiment, text_of_run, train_family,
};
use std::path::Path;

/// Trains a detector on what is normal, scores the test set, and leaves a folder that explains itself.
///
/// EXPERIMENT is a file, or the name of one of the experiments that the program holds (`flicker models NAME` lists them).
/// With --resume and --out alone, the run in that folder goes on.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The family [default: the one that the experiment names]
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(families::names()))]
    pub(crate) model: Option<String>,

    #[command(flatten)]
    pub(crate) train: TrainArgs,
}

/// Trains.
pub(crate) fn run(mut args: Args, threads: usize) -> Result<(), Failure> {
    let (family, text) = choose(&mut args)?;
    train_family(family, &text, &args.train, threads)
}

fn choose(args: &mut Args) -> Result<(&'static AnyFamily, Text), Failure> {
    let families = families::all();
    let TrainArgs { experiment, from, out, resume, .. } = &args.train;
    let text = match (experiment, from, &args.model, out) {
        (Some(experiment), _, _, _) => text(experiment)?,
        (None, Some(run), _, _) => text_of_run(run)?,
        (None, None, Some(model), _) => default(model, OwnData::told_by(&args.train, None)?.as_ref())?,
        (None, None, None, Some(out)) if *resume => {
            let text = text_of_run(out)?;
            args.train.seed = args.train.seed.or(text.seed());
            text
        }
        (None, None, None, _) => {
            let problem = "expected --model NAME, an experiment, or --from RUN; the models are";
            return Err(Failure::Usage(format!("{problem} {}", families::names().join(", "))));
        }
    };
    let family = match (text.model()?, &args.model) {
        (Some(found), Some(asked)) if found != *asked => {
            let problem = format!("`model` is `{found}`, --model asks for `{asked}`");
            return Err(Failure::Usage(format!("{}: {problem}", text.origin)));
        }
        (Some(name), _) => AnyFamily::named(&families, &name, &text.origin)?,
        (None, Some(asked)) => AnyFamily::named(&families, asked, "--model")?,
        (None, None) => {
            let problem = "names no `model`; say it with --model, one of";
            let names = families::names().join(", ");
            return Err(Failure::Usage(format!("{}: {problem} {names}", text.origin)));
        }
    };
    Ok((family, text))
}

/// The experiment in a file, or the one of that name in the program.
fn text(experiment: &Path) -> Result<Text, Failure> {
    let name = experiment.to_string_lossy().into_owned();
    match experiments::named(&name) {
        Some(held) if !experiment.exists() => Ok(Text { origin: name, text: held.text.to_string() }),
        None if !experiment.exists() && !name.ends_with(".toml") => Err(Failure::Usage(format!(
            "{name}: no such file, and no experiment of the program; `flicker models NAME` lists those of a family"
        ))),
        _ => Ok(Text { origin: name, text: read_experiment(experiment)? }),
    }
}

/// The experiment that runs when none is named: on the user's own data where there are any.
fn default(model: &str, own: Option<&OwnData>) -> Result<Text, Failure> {
    let row = families::TABLE.iter().find(|row| row.name() == model);
    let wanted = |row: &families::Row| match own {
        None => Some(row.default),
        Some(OwnData::Table(_)) => row.table,
        Some(OwnData::Folder(_)) => row.folder,
    };
    if let (Some(row), Some(own)) = (row, own)
        && wanted(row).is_none()
    {
        let others: Vec<&str> =
            families::TABLE.iter().filter(|row| wanted(row).is_some()).map(families::Row::name).collect();
        let (what, field) = match own {
            OwnData::Table(_) => ("a table", "table"),
            OwnData::Folder(_) => ("a folder of images", "folder"),
        };
        return Err(Failure::Usage(format!(
            "{model} takes {}, and has no default for {what} of your own; {} have one, or an experiment with `data.{field}` says it all",
            row.family.facts().input,
            others.join(", ")
        )));
    }
    let held = row.and_then(wanted).and_then(experiments::named);
    let held = held
        .ok_or_else(|| Failure::Failed(format!("{model}: its default experiment is not in the program")))?;
    Ok(Text { origin: held.name.to_string(), text: held.text.to_string() })
}
