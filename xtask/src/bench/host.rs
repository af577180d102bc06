//! What was measured where.

use serde::Serialize;
use std::fs;
use std::process::Command;

/// The machine, and the state of the tree.
#[derive(Debug, Serialize)]
pub(crate) struct Host {
    /// The processor's name, family, model and stepping.
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) system: String,
    /// Programs that ran or waited to, over the minute before: what else the machine had to do.
    pub(crate) load_before: Option<f64>,
    pub(crate) compiler: String,
    pub(crate) commit: String,
}

impl Host {
    pub(crate) fn here() -> Self {
        let memory =
            field("/proc/meminfo", "MemTotal").and_then(|value| value.split(' ').next()?.parse::<u64>().ok());
        let load = fs::read_to_string("/proc/loadavg").ok();
        Self {
            processor: processor(),
            cores: std::thread::available_parallelism().map_or(1, Into::into),
            memory_bytes: memory.map(|kib| kib * 1024),
            system: format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
            load_before: load.and_then(|text| text.split(' ').next()?.parse().ok()),
            compiler: told("rustc", &["--version"]).unwrap_or_else(|| "unknown compiler".to_string()),
            commit: commit(),
        }
    }
}

fn processor() -> String {
    let Some(name) = field("/proc/cpuinfo", "model name") else { return "unknown processor".to_string() };
    let number = |what: &str| field("/proc/cpuinfo", what).unwrap_or_else(|| "?".to_string());
    // "model" alone would find "model name"; its line has a tab.
    format!(
        "{name} (family {}, model {}, stepping {})",
        number("cpu family"),
        number("model\t"),
        number("stepping")
    )
}

/// The commit, and whether the tree differs from it by more than results.
fn commit() -> String {
    let Some(hash) = told("git", &["rev-parse", "--short=12", "HEAD"]) else { return "unknown".to_string() };
    let changed = told("git", &["status", "--porcelain", "--", ".", ":!results"]);
    if changed.is_some_and(|changed| !changed.is_empty()) { format!("{hash} with changes") } else { hash }
}

/// What a program says.
fn told(program: &str, arguments: &[&str]) -> Option<String> {
    let output =
        Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_string())
}

/// The value after the first `name…:` in a file of such lines.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_string())
}
