//! A run folder with made-up numbers, for tests of the page's form. Nothing in it was measured.

use flicker_core::Rng;
use serde_json::json;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::scores::Scores;
use crate::pictures::{Colours, Item, Picture, Strip, write_gallery, write_samples};

/// Every optional file of a run folder.
pub(super) const FILES: [&str; 7] = [
    "config.toml",
    "data.json",
    "log.jsonl",
    "scores.csv",
    "metrics.json",
    "calibration.json",
    "gallery.json",
];

/// An id that would run as a script on a careless page.
pub(super) const HOSTILE: &str = "<script>alert(\"id\")</script>&'\"";

/// Where the pictures of a fixture come from: one of 28×28 for each number.
pub(super) type Digit<'a> = &'a dyn Fn(usize) -> Vec<f32>;

/// A finished run of 2,000 test samples, digit 2 being abnormal.
pub(super) fn write(dir: &Path, digit: Digit<'_>) {
    let mut rng = Rng::new(7);
    fs::write(dir.join("config.toml"), CONFIG).unwrap();
    fs::write(dir.join("data.json"), data().to_string()).unwrap();
    fs::write(dir.join("log.jsonl"), log(&mut rng)).unwrap();
    fs::write(dir.join("scores.csv"), scores(&mut rng)).unwrap();
    fs::write(dir.join("metrics.json"), metrics(&fs::read_to_string(dir.join("scores.csv")).unwrap()))
        .unwrap();
    let calibration = json!({"method": {"kind": "conformal", "alpha": 0.05}, "threshold": THRESHOLD, "n": 600, "normals": [0.1]});
    fs::write(dir.join("calibration.json"), calibration.to_string()).unwrap();
    write_gallery(dir, &strips(digit, &mut rng)).unwrap();
    for epoch in [1, 5, 10, 15] {
        let pictures: Vec<_> = (0..30).map(|i| blurred(&digit(i), 1.0 / epoch as f32)).collect();
        write_samples(dir, "reconstructions", epoch, &pictures, 6).unwrap();
    }
}

/// Blobs that stand for digits.
pub(super) fn blob(i: usize) -> Vec<f32> {
    let (cx, cy) = (9.0 + (i % 5) as f32 * 2.5, 9.0 + (i % 7) as f32 * 1.7);
    (0..784)
        .map(|p| (2.0 - ((p % 28) as f32 - cx).hypot((p / 28) as f32 - cy) / 3.0).clamp(0.0, 1.0))
        .collect()
}

const THRESHOLD: f64 = 0.036_827;

const CONFIG: &str = r#"title = "GANomaly, MNIST, digit 2 abnormal <b>"
name = "ganomaly-mnist-2"
model = "ganomaly"
seeds = [0, 1, 2]

[data]
name = "mnist"
size = 32
protocol = { kind = "leave_one_out", abnormal = [2] }

[config]
latent = 100
ngf = 24
epochs = 15
batch = 64
learning_rate = 0.0002
betas = [0.5, 0.999]
weights = { adversarial = 1.0, reconstruction = 50.0, encoding = 1.0 }
reinit_below = 1e-5
score = { kind = "latent" }

[expect.auroc]
published = 0.95
at_least = 0.93
source = "read off figure 4a"

[run]
seed = 0
device = "cpu"
threads = 2
version = "0.1.0"
commit = "0123456789ab"
"#;

fn data() -> serde_json::Value {
    let sha = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let file = |path: &str, bytes: u64| json!({"path": path, "sha256": sha, "bytes": bytes});
    json!({
        "name": "mnist", "origin": "embedded sample",
        "files": [file("mnist-sample-images.idx3-ubyte.gz", 1_650_000), file("mnist-sample-labels.idx1-ubyte.gz", 5_400)],
        "protocol": {"kind": "leave_one_out", "abnormal": [2]},
        "n_train": 6600, "n_validation": 600, "n_test": 2000, "n_abnormal": 200,
        "shape": "image 1x32x32", "classes": ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    })
}

fn log(rng: &mut Rng) -> String {
    let mut log = String::from(
        "{\"event\":\"start\"}\n{\"event\":\"phase\",\"phase\":\"gan\",\"epochs\":15,\"steps\":103}\n",
    );
    for epoch in 1..=15 {
        let fall = (-f64::from(epoch) / 5.0).exp();
        let mut near = |v: f64| v * (1.0 + 0.1 * (rng.uniform() - 0.5));
        let losses = json!({
            "generator": near(12.0 * fall + 2.0), "adversarial": near(0.2 + 0.3 * fall),
            "reconstruction": near(0.2 * fall + 0.03), "encoding": near(0.9 * fall.powi(3) + 0.004), "discriminator": near(0.6),
        });
        let epoch_line = json!({"event": "epoch", "phase": "gan", "epoch": epoch, "step": epoch * 103, "losses": losses, "seconds": near(8.0)});
        let series = json!({
            "normal digits": near(0.02 + 0.2 * fall), "unseen digit 2": near(0.06 + 0.15 * fall), "gaussian noise, σ 0.5": near(0.4),
            "salt and pepper": near(0.38), "permuted pixels": near(0.3 + 0.1 * fall), "N(0,1) images": near(0.9),
        });
        let watch = json!({"event": "watch", "phase": "gan", "epoch": epoch, "series": series});
        writeln!(log, "{epoch_line}\n{watch}").unwrap();
    }
    log + "{\"event\":\"note\",\"text\":\"discriminator re-initialised at step 120\"}\n{\"event\":\"done\"}\n"
}

/// Log-normal scores: the abnormal ones and some classes higher; p-values from the validation rows.
fn scores(rng: &mut Rng) -> String {
    let mut rows = String::from("id,set,class,label,score,residual,latent,p_value,decision\n");
    let normals = rng.normals(4 * 2600);
    let mut known = Vec::new();
    for i in 0..2600_usize {
        let set = if i < 600 { "validation" } else { "test" };
        let class = if i < 600 && i % 10 == 2 { 3 } else { i % 10 };
        let abnormal = class == 2;
        let shift = if abnormal { 1.9 } else { [0.1, -0.9, 0.0, 0.2, 0.1, 0.3, 0.0, -0.2, 0.4, 0.0][class] };
        let z = f64::from(normals[4 * i]) * 0.6 + shift;
        let score = 0.0125 * z.exp();
        if i < 600 {
            known.push(score);
        }
        let p_value = (1 + known.iter().filter(|&&k| k >= score).count()) as f64 / (known.len() + 1) as f64;
        let (label, decision) = (
            if abnormal { "abnormal" } else { "normal" },
            if score >= THRESHOLD { "abnormal" } else { "normal" },
        );
        let id =
            if i == 2599 { format!("\"{}\"", HOSTILE.replace('"', "\"\"")) } else { format!("test/{i}") };
        let (residual, latent) =
            (score * 4.0 * f64::from(normals[4 * i + 1]).mul_add(0.2, 1.0).abs(), score * 0.3);
        writeln!(
            rows,
            "{id},{set},{class},{label},{score:.6},{residual:.6},{latent:.6},{p_value:.5},{decision}"
        )
        .unwrap();
    }
    rows
}

fn metrics(scores: &str) -> String {
    let confusion = Scores::parse(scores).unwrap().confusion().unwrap();
    let estimate = |v: f64, half: f64| json!({"value": v, "low": v - half, "high": (v + half).min(1.0)});
    let (tp, fp) = (confusion.tp as f64, confusion.fp as f64);
    let (precision, recall) = (tp / (tp + fp), tp / (tp + confusion.missed as f64));
    json!({
        "auroc": estimate(0.978, 0.011), "auprc": estimate(0.846, 0.042),
        "f1": estimate(2.0 * precision * recall / (precision + recall), 0.04),
        "precision": estimate(precision, 0.05), "recall": estimate(recall, 0.045),
        "specificity": estimate(0.95, 0.01), "mcc": estimate(0.71, 0.04),
        "fpr_at_95_tpr": estimate(0.12, 0.05), "eer": estimate(0.07, 0.02),
        "threshold": THRESHOLD, "alpha": 0.05, "prevalence": 0.1, "n_test": 2000, "n_validation": 600, "seed": 0,
        "seconds": {"train": 121.4, "score": 3.2, "total": 128.0}, "peak_memory_bytes": 912_000_000_u64,
        "confusion": {"true_positive": confusion.tp, "false_positive": confusion.fp, "true_negative": confusion.tn, "false_negative": confusion.missed},
        "nearest_corner": {"threshold": 0.0274, "precision": 0.61, "recall": 0.93, "note": "chosen on test labels: a report, not a threshold"},
    })
    .to_string()
}

fn strips(digit: Digit<'_>, rng: &mut Rng) -> Vec<Strip> {
    let titles = [
        ("Most abnormal", "The highest scores of the test.", 12, 0.2),
        ("Most normal", "The lowest scores of the test.", 8, 0.0025),
        ("False alarms", "Normal samples called abnormal, highest first.", 9, 0.06),
        ("Misses", "Abnormal samples called normal, lowest first.", 7, 0.012),
        ("Borderline", "Nearest to the threshold on either side.", 0, 0.031),
    ];
    let strip = |(title, note, n, score): (&str, &str, usize, f32)| Strip {
        title: title.into(),
        note: note.into(),
        items: (0..n).map(|i| item(digit, rng, i + n, score * (1.0 + i as f32 / 20.0))).collect(),
    };
    titles.into_iter().map(strip).collect()
}

fn item(digit: Digit<'_>, rng: &mut Rng, i: usize, score: f32) -> Item {
    let pixels = digit(rng.below(1000));
    let input = Picture::new((1, 28, 28), pixels.clone(), Colours::Plain).unwrap();
    let reconstruction = blurred(&pixels, 0.6);
    let residual = pixels.iter().zip(&reconstruction.pixels).map(|(a, b)| (a - b).abs()).collect();
    let residual = Picture::new((1, 28, 28), residual, Colours::Heat).unwrap();
    let id = if i == 12 { HOSTILE.to_owned() } else { format!("test/{}", 100 + i) };
    let images = [("input", input), ("reconstruction", reconstruction), ("residual", residual)];
    let images = images.into_iter().map(|(name, picture)| (name.to_owned(), picture)).collect();
    Item { id, caption: format!("class {}, normal", i % 10), score, images, contributions: Vec::new() }
}

/// A digit mixed with the mean of its neighbourhood.
fn blurred(pixels: &[f32], part: f32) -> Picture {
    let at = |x: i32, y: i32| {
        if (0..28).contains(&x) && (0..28).contains(&y) { pixels[(y * 28 + x) as usize] } else { 0.0 }
    };
    let mean = |x: i32, y: i32| {
        (-1..=1)
            .flat_map(|dy| (-1..=1).map(move |dx| (dx, dy)))
            .map(|(dx, dy)| at(x + dx, y + dy))
            .sum::<f32>()
            / 9.0
    };
    let value = |p: i32| (1.0 - part) * at(p % 28, p / 28) + part * mean(p % 28, p / 28);
    Picture::new((1, 28, 28), (0..784).map(value).collect(), Colours::Plain).unwrap()
}
