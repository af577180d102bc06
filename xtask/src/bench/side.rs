//! A program that answers commands, a line each: ours or the peer's.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// How a side is started.
pub(super) struct Start {
    program: OsString,
    arguments: Vec<OsString>,
}

impl Start {
    /// Our program.
    pub(super) fn program(path: &Path) -> Self {
        Self { program: path.into(), arguments: Vec::new() }
    }

    /// The twins, by a Python that has PyTorch.
    pub(super) fn peer(python: &Path) -> Self {
        Self { program: python.into(), arguments: vec!["crates/bench/peer/peer.py".into()] }
    }
}

/// A running side. It ends when dropped.
pub(super) struct Side {
    child: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Side {
    /// Starts it with so many threads to compute with.
    pub(super) fn start(start: &Start, threads: usize) -> Result<Self> {
        let mut child = Command::new(&start.program)
            .args(&start.arguments)
            .args(["--threads", &threads.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", start.program.display()))?;
        let commands = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().context("the program has no output")?);
        Ok(Self { child, commands, answers })
    }

    /// The answer to a command.
    pub(super) fn ask(&mut self, command: &str) -> Result<Value> {
        let commands = self.commands.as_mut().context("the program takes no commands")?;
        writeln!(commands, "{command}").with_context(|| format!("`{command}`: the program has ended"))?;
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            bail!("`{command}`: the program has ended without an answer");
        }
        let answer: Value = serde_json::from_str(&line).with_context(|| format!("`{command}`: {line}"))?;
        match answer["error"].as_str() {
            Some(error) => bail!("`{command}`: {error}"),
            None => Ok(answer),
        }
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        self.commands = None; // the end of its input ends it
        let _ = self.child.wait();
    }
}
