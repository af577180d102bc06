//! The only two ways to the terminal.

use std::io::Write;

/// One line for people, on standard error. A closed pipe is no reason to stop.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Results, on standard output. A closed pipe is no reason to stop.
pub(crate) fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
