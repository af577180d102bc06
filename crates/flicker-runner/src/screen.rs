//! The only ways to the terminal.

use std::io::Write;

/// One line for people, on standard error. A closed pipe is no reason to stop.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Results, on standard output. A closed pipe is no reason to stop.
pub fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// A result for scripts: one JSON object on standard output.
pub fn print_json(value: &serde_json::Value) {
    print(&format!("{value:#}\n"));
}
