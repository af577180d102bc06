//! The table: rows, what they were measured with, and both files.

use super::host::Host;
use super::row::{BUSY, Peak, Row, mebibytes, shown};
use anyhow::Result;
use serde::Serialize;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Everything that is written.
#[derive(Serialize)]
pub(super) struct Table {
    pub(super) host: Host,
    pub(super) ours: String,
    pub(super) peer: Option<String>,
    /// Why there is no peer.
    pub(super) missing: Option<String>,
    pub(super) rounds: usize,
    /// What `low` and `high` of a row are.
    pub(super) low_high: &'static str,
    pub(super) peaks: Vec<Peak>,
    pub(super) rows: Vec<Row>,
}

/// What `low` and `high` of every row are.
pub(super) const LOW_HIGH: &str = "quartiles of the rounds' ratios";

const NETWORKS: &str = "\
| workload | ours ms | PyTorch ms | ratio (quartiles) | at most | aim | stands | ratio of CPU time | GFLOP/s | % of peak | ours peak MiB | PyTorch peak MiB |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
";
const OPERATORS: &str = "\
| operator | ours ms | PyTorch ms | ratio (quartiles) | ratio of CPU time | GFLOP/s | % of peak |
| --- | --- | --- | --- | --- | --- | --- |
";

impl Table {
    /// The text of `bench.md`.
    pub(super) fn markdown(&self) -> String {
        let mut text = self.head();
        for peak in &self.peaks {
            let threads = peak.threads;
            let _ = writeln!(text, "\n## Threads: {threads}\n");
            let gflops = shown(peak.gflops, 0);
            let _ =
                writeln!(text, "Measured peak: {gflops} GFLOP/s ({}, multiply-adds in registers).", peak.set);
            let of = |operators: bool| {
                let rows = self.rows.iter().filter(move |row| row.threads == threads);
                rows.filter(move |row| row.workload.starts_with("op:") == operators)
            };
            let networks: Vec<String> = of(false).map(Row::network).collect();
            if !networks.is_empty() {
                let _ = writeln!(text, "\n{NETWORKS}{}", networks.join("\n"));
            }
            let operators: Vec<String> = of(true).map(Row::operator).collect();
            if !operators.is_empty() {
                let _ = writeln!(text, "\n{OPERATORS}{}", operators.join("\n"));
            }
        }
        text
    }

    fn head(&self) -> String {
        let Host { processor, cores, memory_bytes, system, load_before, compiler, commit } = &self.host;
        let peer = match (&self.peer, &self.missing) {
            (Some(peer), _) => peer.clone(),
            (None, reason) => format!("**no PyTorch** ({})", reason.as_deref().unwrap_or("not asked for")),
        };
        format!(
            "# What `cargo xtask bench` measured

Wall time of one step, ours ÷ PyTorch's; below 1 ours is faster. Written by the command, not by hand.

Both sides take turns for {rounds} rounds; a round's times are medians over its steps; the ratio is the median of the rounds' ratios, between its quartiles.
A workload runs in two processes of its own, and its peak of memory is the process's, with all that PyTorch or our program holds itself; the operators share two.
`-lean` twins spare themselves what ours spares itself: gradients of the discriminator's weights in the generator's part, and (GANomaly) a second pass over the real images.
GFLOP/s counts convolutions and products, the forward pass and each needed gradient once.
A row during which other programs kept more than {BUSY} cores busy is marked **busy** and shows little.

- Machine: {processor}, {cores} cores, {memory} MiB, {system}; load before: {load}.
- Ours: {ours}, {compiler}, commit {commit}.
- Peer: {peer}.
",
            rounds = self.rounds,
            memory = mebibytes(*memory_bytes),
            load = shown(*load_before, 2),
            ours = self.ours,
        )
    }

    /// Writes `bench.md` and `bench.json` into `dir`, each whole or not at all.
    pub(super) fn write(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir)?;
        let json = serde_json::to_string_pretty(self)? + "\n";
        for (name, text) in [("bench.md", self.markdown()), ("bench.json", json)] {
            let part = dir.join(format!(".{name}.part"));
            fs::write(&part, text)?;
            fs::rename(&part, dir.join(name))?;
        }
        crate::say(&format!("written to {0}/bench.md and {0}/bench.json", dir.display()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::pair::{Measured, Times};
    use super::*;
    use serde_json::Value;

    fn measured(ours: &[f64], peer: Option<&[f64]>, others: f64) -> Measured {
        let times = |ms: &[f64], bytes: u64| Times {
            wall_ms: ms.to_vec(),
            cpu_ms: ms.to_vec(),
            base_bytes: Some(1 << 20),
            peak_bytes: Some(bytes << 20),
            value: Some(1.0),
            flops: Some(2e9),
        };
        Measured { ours: times(ours, 170), peer: peer.map(|ms| times(ms, 800)), others: Some(others) }
    }

    fn table(rows: Vec<Row>) -> Table {
        let host = Host {
            processor: "Abacus 9".to_string(),
            cores: 2,
            memory_bytes: Some(8 << 30),
            system: "linux-x86_64".to_string(),
            load_before: Some(0.05),
            compiler: "rustc 1.95.0".to_string(),
            commit: "0123456789ab".to_string(),
        };
        let (ours, peer) = ("flicker 0.1.0".to_string(), Some("PyTorch 2.15.0".to_string()));
        Table { host, ours, peer, missing: None, rounds: 3, low_high: LOW_HIGH, peaks: vec![peak()], rows }
    }

    fn peak() -> Peak {
        Peak::new(1, &serde_json::json!({ "gflops": 200.0, "set": "AVX-512" }))
    }

    #[test]
    fn rows_say_where_they_stand() {
        let row = |name: &str, ours: f64| Row::new(name, &peak(), &measured(&[ours], Some(&[100.0]), 0.0));
        let verdicts = [50.0, 60.0, 70.0, 80.0, 81.0].map(|ours| row("dcgan", ours).verdict());
        assert_eq!(verdicts, ["aim", "aim", "within", "within", "above"]);
        assert_eq!(row("dcgan-lean", 10.0).verdict(), "");
        assert_eq!(Row::new("dcgan", &peak(), &measured(&[1.0], None, 0.0)).verdict(), "");
    }

    #[test]
    fn the_table_shows_what_was_measured() {
        let rows = vec![
            Row::new("dcgan", &peak(), &measured(&[20.0, 30.0, 40.0], Some(&[100.0; 3]), 0.0)),
            Row::new("op:bn", &peak(), &measured(&[0.5], Some(&[0.25]), 0.7)),
            Row::failed("unet", 1, &anyhow::anyhow!("out of memory")),
        ];
        let text = table(rows).markdown();
        for part in [
            "Machine: Abacus 9, 2 cores, 8192 MiB, linux-x86_64; load before: 0.05.",
            "Peer: PyTorch 2.15.0.",
            "Measured peak: 200 GFLOP/s (AVX-512",
            "| dcgan | 30.00 | 100 | 0.30 (0.25–0.35) | 0.80 | 0.60 | aim | 0.30 | 67 | 33 | 170 | 800 |\n",
            "| bn | 0.500 | 0.250 | 2.00 (2.00–2.00) **busy** | 2.00 | 4000 | 2000 |\n",
            "| unet | – | – | out of memory |",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn without_a_peer_ours_and_the_reason_remain() {
        let rows = vec![Row::new("dcgan", &peak(), &measured(&[30.0], None, 0.0))];
        let table = Table { peer: None, missing: Some("no network".to_string()), ..table(rows) };
        let text = table.markdown();
        assert!(text.contains("**no PyTorch** (no network)"), "{text}");
        assert!(
            text.contains("| dcgan | 30.00 | – | – | 0.80 | 0.60 |  | – | 67 | 33 | 170 | – |"),
            "{text}"
        );
    }

    #[test]
    fn both_files_are_written_whole() -> Result<()> {
        let dir = tempfile::tempdir()?;
        table(vec![Row::new("dcgan", &peak(), &measured(&[30.0], Some(&[100.0]), 0.0))]).write(dir.path())?;
        let json: Value = serde_json::from_str(&fs::read_to_string(dir.path().join("bench.json"))?)?;
        let row = &json["rows"][0];
        assert_eq!((row["workload"].as_str(), row["threads"].as_u64()), (Some("dcgan"), Some(1)));
        assert_eq!((row["ratio"].as_f64(), row["target"].as_f64()), (Some(0.3), Some(0.8)));
        assert_eq!(row["ours_peak_bytes"].as_u64(), Some(170 << 20));
        assert_eq!(fs::read_dir(dir.path())?.count(), 2);
        Ok(())
    }
}
