//! A part of the runs: for machines that share the work, and as the job array of a cluster.

use anyhow::{Context, Result, bail};
use std::fmt::Write;
use std::path::Path;
use std::str::FromStr;

/// The `index`-th of `of` parts, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shard {
    pub(super) index: usize,
    pub(super) of: usize,
}

impl Shard {
    /// Whether the run at `position` in the plan belongs to it. The plan is the same on every machine, whatever is done already.
    pub(super) fn holds(self, position: usize) -> bool {
        position % self.of == self.index - 1
    }
}

impl FromStr for Shard {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts =
            text.split_once('/').and_then(|(index, of)| Some((index.parse().ok()?, of.parse().ok()?)));
        let (index, of): (usize, usize) =
            parts.with_context(|| format!("`{text}` is no part, such as 2/8"))?;
        if index == 0 || index > of {
            bail!("`{text}`: parts are counted from 1 to {of}");
        }
        Ok(Self { index, of })
    }
}

/// The script of a job array for Slurm, a job for each of `n` parts: each runs the program `task` of `folder` with `arguments`.
pub(super) fn slurm(
    folder: &Path,
    task: &Path,
    arguments: &[String],
    n: usize,
    minutes: Option<u64>,
) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    let mut script = String::from("#!/bin/bash\n");
    let mut set = |line: String| {
        let _ = writeln!(script, "#SBATCH {line}");
    };
    set("--job-name=flicker-reproduce".into());
    set(format!("--array=1-{n}"));
    set("--nodes=1".into());
    set("--ntasks=1".into());
    set("--cpus-per-task=2".into());
    set("--mem=4G".into());
    if let Some(minutes) = minutes {
        set(format!("--time={minutes}"));
    }
    set("--requeue".into());
    set("--output=reproduce-%A-%a.log".into());
    let arguments: Vec<String> = arguments.iter().map(|argument| quoted(argument)).collect();
    let _ = write!(
        script,
        "# A job that is stopped goes on where it was when it is queued again. Afterwards, where all jobs see the same folder:\n\
         # the same command without --shard; elsewhere: cargo xtask reproduce collect FOLDER…\n\
         set -euo pipefail\n\
         cd {}\n\
         exec {} reproduce {} --shard \"$SLURM_ARRAY_TASK_ID/{n}\" --threads \"${{SLURM_CPUS_PER_TASK:-2}}\"\n",
        quoted(&folder.display().to_string()),
        quoted(&task.display().to_string()),
        arguments.join(" "),
    );
    script
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn parts_hold_every_run_once() -> Result<()> {
        for of in 1..6 {
            let parts = (1..=of).map(|index| format!("{index}/{of}").parse::<Shard>());
            let parts = parts.collect::<Result<Vec<_>>>()?;
            for position in 0..20 {
                assert_eq!(parts.iter().filter(|part| part.holds(position)).count(), 1);
            }
        }
        for wrong in ["", "1", "0/3", "4/3", "a/b", "1/0"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
        Ok(())
    }

    #[test]
    fn the_script_of_a_job_array_runs_its_part() -> Result<()> {
        let dir = tempfile::tempdir()?;
        // A task that says how it was called.
        let task = dir.path().join("it's a task");
        std::fs::write(&task, "#!/bin/sh\nprintf '%s|' \"$@\"")?;
        Command::new("chmod").arg("+x").arg(&task).status()?;
        let script =
            slurm(dir.path(), &task, &["mnist-a".into(), "--data".into(), "my data".into()], 7, Some(90));
        for line in ["#SBATCH --array=1-7", "#SBATCH --time=90", "#SBATCH --requeue"] {
            assert!(script.lines().any(|found| found == line), "{script}");
        }
        let path = dir.path().join("job");
        std::fs::write(&path, script)?;
        let output = Command::new("bash").arg(&path).env("SLURM_ARRAY_TASK_ID", "3").output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said, "reproduce|mnist-a|--data|my data|--shard|3/7|--threads|2|", "{output:?}");
        Ok(())
    }
}
