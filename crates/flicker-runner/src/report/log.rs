//! `log.jsonl`: one JSON object a line, of which the report needs the losses, the watched sets and the notes.
//!
//! A resumed run repeats epochs; the last line about an epoch counts. Lines that are no JSON (a torn last line) and events
//! of other kinds are passed over.

use serde_json::Value;
use std::collections::BTreeMap;

use crate::charts::Losses;

/// The log, by phase.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) phases: Vec<Phase>,
    pub(super) notes: Vec<String>,
    /// How often the run was taken up again.
    pub(super) n_resumes: usize,
    /// Whether it came to its end.
    pub(super) done: bool,
}

/// One phase of the training.
#[derive(Debug, Default)]
pub(super) struct Phase {
    pub(super) name: String,
    pub(super) n_epochs: usize,
    pub(super) seconds: f64,
    pub(super) losses: Vec<Losses>,
    pub(super) watched: Vec<Losses>,
}

/// Values by name, in the order of first appearance, and by epoch.
type Series = Vec<(String, BTreeMap<u64, f64>)>;

#[derive(Default)]
struct Raw {
    name: String,
    losses: Series,
    watched: Series,
    seconds: BTreeMap<u64, f64>,
}

impl Log {
    pub(super) fn parse(text: &str) -> Self {
        let mut log = Self::default();
        let mut phases: Vec<Raw> = Vec::new();
        for event in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            match event["event"].as_str() {
                Some("phase") => drop(phase(&mut phases, &event)),
                Some("epoch") => phase(&mut phases, &event).add_epoch(&event),
                Some("watch") => {
                    let phase = phase(&mut phases, &event);
                    add(&mut phase.watched, &event["epoch"], &event["series"]);
                }
                Some("note") => log.notes.extend(event["text"].as_str().map(str::to_owned)),
                Some("resume") => log.n_resumes += 1,
                Some("done") => log.done = true,
                _ => {}
            }
        }
        log.phases = phases.into_iter().map(Raw::finished).collect();
        log
    }
}

fn phase<'a>(phases: &'a mut Vec<Raw>, event: &Value) -> &'a mut Raw {
    let name = event["phase"].as_str().unwrap_or("training");
    let at = phases.iter().position(|p| p.name == name).unwrap_or_else(|| {
        phases.push(Raw { name: name.to_owned(), ..Raw::default() });
        phases.len() - 1
    });
    &mut phases[at]
}

fn add(series: &mut Series, epoch: &Value, values: &Value) {
    let (Some(epoch), Some(values)) = (epoch.as_u64(), values.as_object()) else { return };
    for (name, value) in values {
        let Some(value) = value.as_f64() else { continue };
        match series.iter_mut().find(|(known, _)| known == name) {
            Some((_, points)) => drop(points.insert(epoch, value)),
            None => series.push((name.clone(), BTreeMap::from([(epoch, value)]))),
        }
    }
}

impl Raw {
    fn add_epoch(&mut self, event: &Value) {
        add(&mut self.losses, &event["epoch"], &event["losses"]);
        if let (Some(epoch), Some(seconds)) = (event["epoch"].as_u64(), event["seconds"].as_f64()) {
            self.seconds.insert(epoch, seconds);
        }
    }

    fn finished(self) -> Phase {
        let lines = |series: Series| -> Vec<Losses> {
            let points =
                |by_epoch: BTreeMap<u64, f64>| by_epoch.into_iter().map(|(e, v)| (e as f64, v)).collect();
            series.into_iter().map(|(name, by_epoch)| Losses { name, points: points(by_epoch) }).collect()
        };
        let losses = lines(self.losses);
        Phase {
            name: self.name,
            n_epochs: losses.iter().map(|l| l.points.len()).max().unwrap_or(0).max(self.seconds.len()),
            seconds: self.seconds.values().sum(),
            losses,
            watched: lines(self.watched),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_about_an_epoch_counts() {
        let log = Log::parse(
            r#"{"event":"start"}
{"event":"phase","phase":"gan","epochs":2,"steps":10}
{"event":"epoch","phase":"gan","epoch":1,"losses":{"generator":2.0},"seconds":1.5}
{"event":"epoch","phase":"gan","epoch":2,"losses":{"generator":9.0},"seconds":1.0}
{"event":"resume"}
{"event":"epoch","phase":"gan","epoch":2,"losses":{"generator":1.0},"seconds":1.0}
{"event":"watch","phase":"gan","epoch":2,"series":{"normal":0.5,"odd":"text"}}
{"event":"note","text":"hello"}
{"event":"done"}
{"event":"epo"#,
        );
        let phase = &log.phases[0];
        assert_eq!(phase.losses[0].points, [(1.0, 2.0), (2.0, 1.0)]);
        assert_eq!((phase.n_epochs, phase.seconds, phase.watched.len()), (2, 2.5, 1));
        assert_eq!((log.notes.len(), log.n_resumes, log.done), (1, 1, true));
    }

    #[test]
    fn what_is_no_log_gives_an_empty_one() {
        assert!(
            Log::parse("\u{0}\n[]\n{}\n{\"event\":\"epoch\"}").phases.iter().all(|p| p.losses.is_empty())
        );
    }
}
