//! Facts about the program and the machine that a run folder records.

use serde::{Deserialize, Serialize};
use std::fs;

/// Which program ran, and on what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Host {
    /// Version of the workspace.
    pub version: String,
    /// The commit it was built from.
    pub commit: String,
    /// The processor's own name, where the system tells it, and the operating system.
    pub machine: String,
}

impl Host {
    /// This program, here.
    pub(crate) fn here() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_string(),
            commit: env!("FLICKER_COMMIT").to_string(),
            machine: format!(
                "{}, {}-{}",
                field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_string()),
                std::env::consts::OS,
                std::env::consts::ARCH
            ),
        }
    }
}

/// The most memory that this process has held, in bytes, where the system tells it (Linux).
pub(crate) fn peak_memory_bytes() -> Option<u64> {
    let kilobytes: u64 = field("/proc/self/status", "VmHWM")?.split(' ').next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// The value after `name:` in a file of such lines.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_string())
}
