//! What the data command shows: bars on a terminal, plain lines elsewhere.

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// How often a plain line is printed while something runs.
const PAUSE: Duration = Duration::from_secs(3);

/// One line for the user.
#[expect(clippy::print_stdout, reason = "the one place where this command prints")]
pub(super) fn say(line: &str) {
    println!("{line}");
}

/// Bytes on their way.
pub(super) struct Progress {
    label: String,
    total: u64,
    seen: u64,
    said: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Begins; nothing is shown for nothing.
    pub(super) fn new(label: &str, total: u64) -> Self {
        let bar = (total > 0 && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(total);
            if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {eta}") {
                bar.set_style(style);
            }
            bar.with_message(label.to_owned())
        });
        Self { label: label.into(), total, seen: 0, said: Instant::now(), bar }
    }

    /// `n` more bytes.
    pub(super) fn advance(&mut self, n: u64) {
        self.seen += n;
        match &self.bar {
            Some(bar) => bar.inc(n),
            None if self.said.elapsed() >= PAUSE => {
                self.said = Instant::now();
                say(&format!("{}: {} of {}", self.label, HumanBytes(self.seen), HumanBytes(self.total)));
            }
            None => {}
        }
    }

    /// Ends well, with a line.
    pub(super) fn done(self) {
        say(&format!("{}: {}, verified", self.label, HumanBytes(self.seen)));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
