//! `flicker models`: every family with what it learns from, the data it takes, its source, and its experiments.

use crate::experiments::{self, Experiment};
use crate::families::{Row, TABLE, names};
use clap::builder::PossibleValuesParser;
use flicker_core::Supervision;
use flicker_runner::{Failure, print, print_json};
use serde::Serialize;
use serde_json::json;
use std::fmt::Write;

/// Which families are listed, and how.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// One family, with the titles of its experiments [default: all]
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(names()))]
    name: Option<String>,

    /// As JSON on standard output
    #[arg(long)]
    json: bool,

    /// Only the names
    #[arg(long, conflicts_with = "json")]
    quiet: bool,
}

/// What is said of a family.
#[derive(Serialize)]
struct Listed {
    name: &'static str,
    /// What it learns from.
    kind: &'static str,
    data: &'static str,
    source: &'static str,
    /// The experiment that runs when none is named.
    default: &'static str,
    experiments: Vec<ListedExperiment>,
}

#[derive(Serialize)]
struct ListedExperiment {
    name: &'static str,
    title: String,
    /// Whether its numbers are the published ones; the others are ours.
    published: bool,
}

/// Lists them.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let rows = TABLE.iter().filter(|row| args.name.as_deref().is_none_or(|name| name == row.name()));
    let listed: Vec<Listed> = rows.map(Listed::new).collect();
    if args.json {
        print_json(&json!({ "models": listed }));
    } else if args.quiet {
        listed.iter().for_each(|model| print(&format!("{}\n", model.name)));
    } else {
        let texts: Vec<String> = listed.iter().map(|model| model.in_words(args.name.is_some())).collect();
        print(&texts.join("\n"));
    }
    Ok(())
}

impl Listed {
    fn new(row: &Row) -> Self {
        let family = row.family.facts();
        let experiments: Vec<Experiment> =
            experiments::all().filter(|experiment| experiment.model.as_deref() == Some(row.name())).collect();
        let published: Vec<&Experiment> =
            experiments.iter().filter(|experiment| row.published.contains(&experiment.name)).collect();
        let is_published = |experiment: &Experiment| {
            experiment.config.is_some() && published.iter().any(|other| other.config == experiment.config)
        };
        let list = |experiment: &Experiment| ListedExperiment {
            name: experiment.name,
            title: experiment.title.clone().unwrap_or_default(),
            published: is_published(experiment),
        };
        Self {
            name: row.name(),
            kind: match family.supervision {
                Supervision::NormalOnly => "normal-only",
                Supervision::Supervised => "supervised",
                Supervision::Unlabelled => "unlabelled",
            },
            data: family.input,
            source: family.source,
            default: row.default,
            experiments: experiments.iter().map(list).collect(),
        }
    }

    /// A few lines; with `titles`, one for each experiment.
    fn in_words(&self, titles: bool) -> String {
        let mut text =
            format!("{}: {}, takes {}\n  source     {}\n", self.name, self.kind, self.data, self.source);
        for (published, word) in [(true, "published"), (false, "ours")] {
            let of: Vec<_> = self.experiments.iter().filter(|one| one.published == published).collect();
            let shown =
                |name: &str| if name == self.default { format!("{name} (default)") } else { name.into() };
            if titles {
                let width = of.iter().map(|one| shown(one.name).len()).max().unwrap_or(0);
                for one in &of {
                    let _ = writeln!(text, "  {word:9}  {:width$}  {}", shown(one.name), one.title);
                }
            } else if !of.is_empty() {
                let names = runs(&of.iter().map(|one| shown(one.name)).collect::<Vec<_>>());
                let _ = writeln!(text, "  {word:9}  {}", names.join(", "));
            }
        }
        text
    }
}

/// Names, those that differ in their last digit alone as `first … last`.
fn runs(names: &[String]) -> Vec<String> {
    let stem = |name: &String| name.trim_end_matches(|c: char| c.is_ascii_digit()).to_string();
    names
        .chunk_by(|a, b| a != &stem(a) && stem(a) == stem(b))
        .map(|same| match same {
            [first, .., last] => format!("{first} … {last}"),
            one => one.concat(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_a_row_are_said_as_one() {
        let names = ["a-0", "a-1", "a-2", "b", "b", "c-1"].map(String::from);
        assert_eq!(runs(&names), ["a-0 … a-2", "b", "b", "c-1"]);
    }

    #[test]
    fn the_experiments_of_published_numbers_are_told_from_ours() {
        for row in &TABLE {
            let listed = Listed::new(row);
            for one in &listed.experiments {
                assert!(!row.published.contains(&one.name) || one.published, "{}", one.name);
                assert!(!one.title.is_empty(), "{}", one.name);
            }
        }
        let ganomaly = TABLE.iter().find(|row| row.name() == "ganomaly").map(Listed::new).expect("a line");
        assert_eq!(ganomaly.experiments.iter().filter(|one| one.published).count(), 1);
        let text = ganomaly.in_words(false);
        assert!(text.contains("published  ganomaly-mnist-paper\n"), "{text}");
        assert!(text.contains("ours       ganomaly-mnist-2 (default), "), "{text}");
    }
}
