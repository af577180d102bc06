//! A table that is scored as it is read, so that it may be larger than memory.

use crate::Failure;
use crate::args::Common;
use crate::opened::Opened;
use crate::say;
use crate::scoring::{Scored, Scorer};
use crate::signals::Signals;
use flicker_core::SampleShape;
use flicker_core::data::{Samples, Source};
use flicker_table::{Batch, Coding, TableFile};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

/// Rows that are scored at once: whole batches of the scorer, so that a score is the same as in a table that is read whole, and
/// the same whatever the pieces that a file gives.
const ROWS: usize = 8192;
/// Pieces of the file that are read while others are scored.
const AHEAD: usize = 2;

/// Gets scores with the rows that they are of.
pub(super) type SeeScores<'a> = dyn FnMut(Range<usize>, &Scored) -> Result<(), Failure> + 'a;

/// A table that is scored as it is read.
pub(super) struct Stream<'a> {
    run: &'a Opened,
    file: TableFile,
    coding: Coding,
    /// What the user should know about how it is read.
    notes: Vec<String>,
}

impl<'a> Stream<'a> {
    /// The table at `asked`, where that is a file and the model reads a user's tables, or the file is none that is read otherwise:
    /// of columns, or packed by Zstandard.
    ///
    /// # Errors
    /// If it is no table, or not one with the columns that the model takes.
    pub(super) fn open(run: &'a Opened, asked: Option<&str>) -> Result<Option<Self>, Failure> {
        let Some(path) = asked.map(Path::new).filter(|path| path.is_file()) else { return Ok(None) };
        let coding = match &run.coding {
            Some(coding) => coding.clone(),
            None if takes_rows(run) && is_other(path) => Coding::of_numbers(&run.facts.columns),
            None => return Ok(None),
        };
        let file = TableFile::open(path)?;
        drop(file.batches(&coding.columns())?); // columns are compared before any work
        let read = coding.columns();
        let unused: Vec<&str> = file
            .names()
            .iter()
            .filter(|name| read.iter().all(|column| column.name != **name))
            .map(String::as_str)
            .collect();
        let notes = match unused.is_empty() {
            true => Vec::new(),
            false => vec![format!("{}: not used by the model: {}", file.origin(), unused.join(", "))],
        };
        match coding.width() {
            width if run.shape == (SampleShape::Table { features: width }) => {
                Ok(Some(Self { run, file, coding, notes }))
            }
            width => Err(Failure::Failed(format!(
                "{}: a row becomes {width} numbers, the model takes a {}",
                run.folder.path("coding.json").display(),
                run.shape
            ))),
        }
    }

    /// The file, as messages name it.
    pub(super) fn origin(&self) -> &str {
        self.file.origin()
    }

    /// Says what scores what, unless that is not wanted.
    pub(super) fn announce(&self, common: &Common) {
        if !common.quiet {
            let run = self.run;
            say(&format!("model: {}, seed {}: {}", run.experiment.model, run.seed, run.experiment.title));
            say(&format!("data: {} ({}), each row a {}", self.origin(), self.file.format(), run.shape));
            self.notes.iter().for_each(|note| say(note));
        }
    }

    /// Scores all rows, in order; `see` gets each piece of the scores with the rows that they are of. Answers how many there are.
    ///
    /// # Errors
    /// If a cell cannot be read, there is no row, or `see` fails.
    pub(super) fn score(&self, common: &Common, see: &mut SeeScores<'_>) -> Result<usize, Failure> {
        let (rng, signals) = (self.run.scoring_rng(), Signals::listen()?);
        let (model, device) = (self.run.model.as_ref(), self.run.model.weights().device());
        let scorer = Scorer { model, device, rng: &rng, signals: &signals, quiet: common.quiet };
        let bar = scorer.bar(self.file.n_rows()?.unwrap_or(0));
        let (mut waiting, mut begin) = (Vec::new(), 0);
        let mut piece = |values: Vec<f32>| -> Result<(), Failure> {
            let source = self.prepared(values, begin)?;
            let rows = begin..begin + source.len();
            begin = rows.end;
            see(rows, &scorer.score(&source, &bar, &mut |_, _| Ok(()))?)
        };
        let at_once = ROWS * self.coding.width();
        for batch in self.batches()? {
            self.coding.apply(&batch?, &mut waiting)?;
            while waiting.len() >= at_once {
                let rest = waiting.split_off(at_once);
                piece(std::mem::replace(&mut waiting, rest))?;
            }
        }
        if !waiting.is_empty() {
            piece(waiting)?;
        }
        bar.finish_and_clear();
        match begin {
            0 => Err(Failure::Failed(format!("{}: expected rows, found none", self.origin()))),
            rows => Ok(rows),
        }
    }

    /// The batches of the file, read on a thread of its own.
    fn batches(&self) -> Result<Receiver<flicker_table::Result<Batch>>, Failure> {
        let batches = self.file.batches(&self.coding.columns())?;
        let (sender, receiver) = sync_channel(AHEAD);
        let read = move || {
            for batch in batches {
                if sender.send(batch).is_err() {
                    break; // nobody wants more
                }
            }
        };
        std::thread::Builder::new()
            .name("table".into())
            .spawn(read)
            .map_err(|error| Failure::Failed(format!("thread that reads the table: {error}")))?;
        Ok(receiver)
    }

    /// Rows as the model takes them; the first is row `begin` of the file.
    fn prepared(&self, values: Vec<f32>, begin: usize) -> Result<Arc<dyn Source>, Failure> {
        let rows: Arc<dyn Source> = Arc::new(Samples::new(self.coding.width(), values)?);
        let rows = match &self.run.scaler {
            Some(scaler) => Arc::new(scaler.apply(rows)?),
            None => rows,
        };
        Ok(Arc::new(Numbered { rows, begin }))
    }
}

fn takes_rows(run: &Opened) -> bool {
    let named = !run.facts.columns.is_empty() && !run.experiment.data.leak_label;
    named && matches!(run.shape, SampleShape::Table { .. })
}

/// Whether a file begins as a table that is no plain or gzip CSV.
fn is_other(path: &Path) -> bool {
    TableFile::open(path).is_ok_and(|file| file.format() != "CSV" || file.is_zst())
}

/// Rows that are numbered from some row on.
struct Numbered {
    rows: Arc<dyn Source>,
    begin: usize,
}

impl Source for Numbered {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn shape(&self) -> SampleShape {
        self.rows.shape()
    }

    fn read(&self, index: usize, out: &mut [f32]) -> flicker_core::Result<()> {
        self.rows.read(index, out)
    }

    fn id(&self, index: usize) -> String {
        (self.begin + index).to_string()
    }
}
