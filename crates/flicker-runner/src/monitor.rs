//! The monitor of a program: progress on the screen, the log, checkpoints in the folder, and when to stop.

use crate::Failure;
use crate::args::TrainArgs;
use crate::folder::Folder;
use crate::gallery;
use crate::log::Log;
use crate::signals::Signals;
use crate::tensorboard::EventWriter;
use flicker_core::data::Prepare;
use flicker_core::run::{Checkpoint, Event, Monitor};
use flicker_core::{Error, Result, State, Stop};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Name of the checkpoint in a run folder.
pub(crate) const CHECKPOINT: &str = "checkpoint.safetensors";

/// Listens to a training on behalf of a program.
pub(crate) struct Screen {
    folder: Folder,
    log: Log,
    /// Opened by the first phase, which knows the step.
    events: Option<EventWriter>,
    resumed: bool,
    signals: Signals,
    deadline: Option<(Instant, f64)>,
    prepare: Prepare,
    quiet: bool,
    bar: Option<ProgressBar>,
    phase: PhaseClock,
    /// Steps of the phases before this one, and of all so far: the event files count through.
    steps_before: usize,
    step: usize,
}

/// What the time left is reckoned from.
#[derive(Debug)]
struct PhaseClock {
    begun: Instant,
    from_epoch: usize,
    epochs: usize,
}

impl Screen {
    /// A monitor that writes into `folder` and stops at signals or at the arguments' time limit.
    pub(crate) fn new(
        folder: &Folder,
        args: &TrainArgs,
        prepare: Prepare,
        signals: &Signals,
    ) -> std::result::Result<Self, Failure> {
        Ok(Self {
            log: Log::open(&folder.path("log.jsonl"))?,
            events: None,
            resumed: args.resume,
            signals: signals.clone(),
            deadline: args.time_limit.map(|seconds| (Instant::now(), seconds)),
            folder: folder.clone(),
            prepare,
            quiet: args.quiet,
            bar: None,
            phase: PhaseClock { begun: Instant::now(), from_epoch: 0, epochs: 0 },
            steps_before: 0,
            step: 0,
        })
    }

    /// The log, for lines of the program's own.
    pub(crate) fn log(&mut self) -> &mut Log {
        &mut self.log
    }

    /// Event files for TensorBoard: new ones, or those of the interrupted training without what is told again.
    fn open_events(&mut self) -> Result<()> {
        if self.events.is_none() {
            let dir = self.folder.path("events");
            let opened = if self.resumed {
                EventWriter::resume(&dir, self.step as i64 + 1, now())
            } else {
                EventWriter::create(&dir, now())
            };
            self.events = Some(opened?);
        }
        Ok(())
    }

    fn begin_phase(&mut self, name: &str, epochs: usize, steps: usize, from_epoch: usize) {
        self.phase = PhaseClock { begun: Instant::now(), from_epoch, epochs };
        if from_epoch > 0 {
            self.say(&format!("{name}: going on after epoch {from_epoch}"));
        }
        if !self.quiet && std::io::stderr().is_terminal() {
            let bar = ProgressBar::new((epochs * steps) as u64);
            bar.set_position((from_epoch * steps) as u64);
            let style = ProgressStyle::with_template(
                "{prefix} {bar:30} {pos}/{len} steps, {per_sec}, {eta} left  {msg}",
            );
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_prefix(name.to_string());
            bar.enable_steady_tick(Duration::from_millis(250));
            self.bar = Some(bar);
        }
    }

    fn end_epoch(&mut self, phase: &str, epoch: usize, losses: &[(String, f64)], seconds: f64) {
        let shown: Vec<String> = losses.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
        let done = (epoch - self.phase.from_epoch).max(1) as f64;
        let left = self.phase.begun.elapsed().as_secs_f64() / done * (self.phase.epochs - epoch) as f64;
        self.say(&format!(
            "{phase} epoch {epoch}/{}: {}  ({seconds:.1} s, {left:.0} s left)",
            self.phase.epochs,
            shown.join("  ")
        ));
        if epoch == self.phase.epochs
            && let Some(bar) = self.bar.take()
        {
            bar.finish_and_clear();
        }
    }

    /// One line for people: above the bar on a terminal, plain otherwise.
    pub(crate) fn say(&self, text: &str) {
        match &self.bar {
            _ if self.quiet => {}
            Some(bar) => bar.println(text),
            None => crate::say(text),
        }
    }

    fn scalars(&mut self, prefix: &str, values: &[(String, f64)]) -> Result<()> {
        let Some(events) = &mut self.events else { return Ok(()) };
        for (name, value) in values {
            events.scalar(&format!("{prefix}/{name}"), self.step as i64, *value as f32, now())?;
        }
        Ok(())
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

impl Monitor for Screen {
    fn event(&mut self, event: &Event<'_>) -> Result<()> {
        self.log.event(event)?;
        match *event {
            Event::Phase { name, epochs, steps, from_epoch, steps_before } => {
                (self.steps_before, self.step) = (steps_before, steps_before + from_epoch * steps);
                self.open_events()?;
                self.begin_phase(name, epochs, steps, from_epoch);
            }
            Event::Step { epoch, step, steps, .. } => {
                if let Some(bar) = &self.bar {
                    bar.set_position((epoch * steps + step) as u64);
                }
            }
            Event::Epoch { phase, epoch, steps, losses, seconds } => {
                self.end_epoch(phase, epoch, losses, seconds);
                self.step = self.steps_before + steps;
                self.scalars(phase, losses)?;
            }
            Event::Watch { phase, series, epoch } => {
                let shown: Vec<String> =
                    series.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
                self.say(&format!("{phase} epoch {epoch}, watched: {}", shown.join("  ")));
                self.scalars(&format!("{phase}/watched"), series)?;
            }
            Event::Pictures { epoch, set, input, reconstruction, .. } => {
                gallery::write_epoch(self.folder.dir(), epoch, set, input, reconstruction, self.prepare)?;
            }
            Event::Generated { name, epoch, images } => {
                gallery::write_generated(self.folder.dir(), epoch, name, images, self.prepare)?;
            }
            Event::Note { text } => self.say(text),
            _ => {}
        }
        Ok(())
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        flicker_core::file::write_whole(&self.folder.path(CHECKPOINT), &checkpoint.to_bytes()?)
    }

    fn weights(&mut self, phase: &str, epoch: usize, state: &State) -> Result<()> {
        let path = self.folder.path(&format!("checkpoints/{phase}-epoch-{epoch:04}.safetensors"));
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| Error::io(parent, error))?;
        }
        flicker_core::file::write_whole(&path, &state.part("weights").to_bytes(&BTreeMap::new())?)
    }

    fn stop(&mut self) -> Option<Stop> {
        let late = self.deadline.is_some_and(|(begun, limit)| begun.elapsed().as_secs_f64() >= limit);
        self.signals.stop().or(late.then_some(Stop::TimeLimit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::TrainProgram;
    use crate::tensorboard::tests::steps;
    use clap::Parser;

    /// Tells a screen of a phase with epochs of 100 steps.
    fn tell(
        screen: &mut Screen,
        phase: &str,
        epochs: std::ops::Range<usize>,
        steps_before: usize,
    ) -> Result<()> {
        let (steps, from_epoch) = (100, epochs.start);
        screen.event(&Event::Phase { name: phase, epochs: 3, steps, from_epoch, steps_before })?;
        for epoch in epochs {
            let (epoch, losses) = (epoch + 1, [("loss".to_string(), 0.5)]);
            screen.event(&Event::Epoch {
                phase,
                epoch,
                steps: epoch * steps,
                losses: &losses,
                seconds: 1.0,
            })?;
            screen.event(&Event::Watch { phase, epoch, series: &losses })?;
        }
        Ok(())
    }

    #[test]
    fn steps_of_event_files_count_through_phases_and_resumptions() -> Result<()> {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::at(dir.path());
        let args = TrainProgram::try_parse_from(["program", "--quiet"]).expect("arguments").train;
        let screen = |resume| {
            Screen::new(&folder, &TrainArgs { resume, ..args.clone() }, Prepare::KEEP, &Signals::default())
                .map_err(|f| Error::data("screen", f.to_string()))
        };
        let mut first = screen(false)?;
        tell(&mut first, "a", 0..3, 0)?;
        tell(&mut first, "b", 0..2, 300)?;
        // The checkpoint is that of the first epoch: what the file has of the second is void, and told again.
        tell(&mut screen(true)?, "b", 1..3, 300)?;
        let expected = [100, 100, 200, 200, 300, 300, 400, 400, 500, 500, 401, 500, 500, 600, 600];
        assert_eq!(steps(&dir.path().join("events")), expected);
        Ok(())
    }
}
