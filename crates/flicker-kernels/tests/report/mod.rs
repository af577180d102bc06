//! What the tests find, for `cargo xtask gradients`: where the environment variable [`FILE`] names a file, each comparison
//! of an operator adds a line to it. The tests judge by the same numbers that they note.

use std::io::Write;

/// The variable that names the file.
const FILE: &str = "FLICKER_GRADIENTS";

/// How often the operator was differentiated.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code)] // each test binary has its own copy, and not every one needs all
pub(crate) enum Order {
    Result,
    First,
    Second,
}

/// Notes the largest error of one comparison, and the largest that is allowed there. `way` says which code computed it, in
/// which type of number.
pub(crate) fn note(operator: &str, order: Order, way: &str, error: f64, allowed: f64) {
    let Some(path) = std::env::var_os(FILE) else { return };
    let line = format!("{operator}\t{order:?}\t{way}\t{error:e}\t{allowed:e}\n");
    let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
    // One write, so that lines of tests that run at the same time do not mix.
    file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the report can be written");
}
