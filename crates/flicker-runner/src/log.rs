//! `log.jsonl`: one JSON object a line, for every event worth keeping.

use flicker_core::file::{append_whole, write_whole};
use flicker_core::run::{Event, Position};
use flicker_core::{Error, Result};
use serde_json::{Map, Value, json};
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

/// The log of a run, open at its end.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    /// Opens `path` for more lines; makes it if it is not there.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let opened = OpenOptions::new().append(true).create(true).open(path);
        let file = opened.map_err(|error| Error::io(path, error))?;
        Ok(Self { path: path.to_path_buf(), file })
    }

    /// Takes out what happened after the checkpoint at `at`, as the training will tell it again, and a last line that was
    /// cut off. Without a checkpoint the training tells everything again.
    pub(crate) fn rewind(path: &Path, at: Option<&Position>) -> Result<()> {
        let Ok(text) = fs::read_to_string(path) else { return Ok(()) };
        let before = |line: &str| {
            at.is_some_and(|at| serde_json::from_str(line).is_ok_and(|value| !is_after(&value, at)))
        };
        let kept: String =
            text.lines().take_while(|line| before(line)).flat_map(|line| [line, "\n"]).collect();
        write_whole(path, kept.as_bytes())
    }

    /// Writes one line.
    pub(crate) fn write(&mut self, value: &Value) -> Result<()> {
        append_whole(&mut self.file, &self.path, format!("{value}\n").as_bytes())
    }

    /// Writes an event, unless it is a mere step or a picture.
    pub(crate) fn event(&mut self, event: &Event<'_>) -> Result<()> {
        match line(event) {
            Some(value) => self.write(&value),
            None => Ok(()),
        }
    }
}

fn is_after(line: &Value, at: &Position) -> bool {
    let Some(phase) = line["phase"].as_str() else { return false };
    let told = line["event"].as_str().is_some_and(|event| ["epoch", "watch", "phase"].contains(&event));
    let epoch = line["epoch"].as_u64().unwrap_or(0) as usize;
    let later =
        if phase == at.phase { epoch > at.epoch } else { !at.finished.iter().any(|name| name == phase) };
    told && later
}

fn line(event: &Event<'_>) -> Option<Value> {
    match event {
        Event::Phase { name, epochs, steps, from_epoch: 0, .. } => {
            Some(json!({"event": "phase", "phase": name, "epochs": epochs, "steps": steps}))
        }
        Event::Phase { name, from_epoch, .. } => {
            Some(json!({"event": "resume", "phase": name, "after_epoch": from_epoch}))
        }
        Event::Epoch { phase, epoch, steps, losses, seconds } => Some(json!({
            "event": "epoch", "phase": phase, "epoch": epoch, "step": steps, "losses": map(losses), "seconds": seconds,
        })),
        Event::Watch { phase, epoch, series } => {
            Some(json!({"event": "watch", "phase": phase, "epoch": epoch, "series": map(series)}))
        }
        Event::Note { text } => Some(json!({"event": "note", "text": text})),
        _ => None,
    }
}

fn map(pairs: &[(String, f64)]) -> Map<String, Value> {
    pairs.iter().map(|(name, value)| (name.clone(), json!(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewinding_drops_what_the_training_will_tell_again() -> Result<()> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("log.jsonl");
        let lines = [
            r#"{"event":"start"}"#,
            r#"{"event":"phase","phase":"a"}"#,
            r#"{"event":"epoch","phase":"a","epoch":1}"#,
            r#"{"event":"epoch","phase":"b","epoch":1}"#,
            r#"{"event":"epoch","phase":"b","epoch":2}"#,
            r#"{"event":"note","text":"after the checkpoint"}"#,
            r#"{"event":"epoch","phase":"c","epoch":1}"#,
            r#"{"event":"epo"#,
        ];
        fs::write(&path, lines.join("\n")).expect("written");
        let at = Position { phase: "b".into(), finished: vec!["a".into()], epoch: 1, step: 3, sums: vec![] };
        Log::rewind(&path, Some(&at))?;
        assert_eq!(fs::read_to_string(&path).expect("readable"), lines[..4].join("\n") + "\n");
        Log::rewind(&path, None)?;
        assert_eq!(fs::read_to_string(&path).expect("readable"), "");
        Ok(())
    }
}
