//! A built train program on a made folder of small images in MVTec's layout, with masks.

use crate::programs::{bytes, check_refused, run, temporary};
use image::{GrayImage, Luma};
use std::fs;
use std::path::Path;

/// Side of the images in files; they are brought to 32 pixels.
const SIDE: u32 = 24;

/// A bright disc on a dark ground, its place and brightness varying with `i`, and a dark square in it if `broken`.
fn part(i: u32, broken: bool) -> (GrayImage, GrayImage) {
    let (mut image, mut mask) = (GrayImage::new(SIDE, SIDE), GrayImage::new(SIDE, SIDE));
    for (x, y, pixel) in image.enumerate_pixels_mut() {
        let (dx, dy) = (f64::from(x) - 11.5 - f64::from(i % 3), f64::from(y) - 11.5 + f64::from(i % 2));
        let bright = 170 + 10 * (i % 5) as u8 + ((x * 7 + y * 13 + i * 31) % 11) as u8;
        *pixel = Luma([if dx.hypot(dy) < 8.0 { bright } else { 20 }]);
        let left = 8 + i % 4;
        if broken && (left..left + 6).contains(&x) && (8..14).contains(&y) {
            *pixel = Luma([20]);
            mask.put_pixel(x, y, Luma([255]));
        }
    }
    (image, mask)
}

fn save(image: &GrayImage, root: &Path, file: &str) {
    let path = root.join(file);
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    image.save(&path).expect("written");
}

fn parts(root: &Path) {
    for i in 0..64 {
        save(&part(i, false).0, root, &format!("train/good/{i:02}.png"));
    }
    for i in 64..76 {
        save(&part(i, false).0, root, &format!("test/good/{i:02}.png"));
        let (image, mask) = part(i, true);
        save(&image, root, &format!("test/hole/{i:02}.png"));
        save(&mask, root, &format!("ground_truth/hole/{i:02}_mask.png"));
    }
}

const EXPERIMENT: &str = r#"
name = "parts"
title = "made parts"
model = "ganomaly"
seeds = [0]

[data]
folder = "parts"
protocol = { kind = "one_class", normal = ["good"] }
split = { pool = { kind = "official" }, validation = 0.3 }
prepare = { resize = { kind = "letterbox", size = [32, 32] }, range = { kind = "signed" } }

[config]
latent = 16
features = 8
extra_layers = 0
epochs = 30
batch = 8
learning_rate = 0.002
beta1 = 0.5
beta2 = 0.999
w_adversarial = 1.0
w_contextual = 50.0
w_encoder = 1.0
reinit_below = 0.00001
score = { kind = "latent" }

[decide]
false_alarm_rate = 0.1
pixel_false_alarm_rate = 0.02

[keep]
checkpoint_every = 0
weights_every = 0
pictures_every = 0
"#;

fn experiment(dir: &Path) {
    fs::write(dir.join("x.toml"), EXPERIMENT).expect("written");
}

#[test]
fn a_folder_gives_metrics_of_pixels_and_pictures() {
    let dir = temporary();
    parts(&dir.path().join("parts"));
    experiment(dir.path());
    let output = run("ganomaly-train", dir.path(), &["x.toml", "--out", "r"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("data: parts from 88 images from parts; one class: `good` normal"), "{said}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("pixels: AUROC 0."), "{output:?}");
    let folder = dir.path().join("r");
    let metrics: serde_json::Value =
        serde_json::from_slice(&bytes(folder.join("metrics.json"))).expect("metrics.json is JSON");
    let pixels = &metrics["pixels"];
    let number = |name: &str| pixels[name].as_f64().unwrap_or_else(|| panic!("{name} in {pixels}"));
    assert_eq!((number("n_images"), number("n_abnormal_images"), number("n_regions")), (24.0, 12.0, 12.0));
    assert_eq!((number("n_pixels"), number("alpha"), number("n_without_mask")), (24.0 * 1024.0, 0.02, 0.0));
    assert!(number("auroc") > 0.95 && number("pro") > 0.9 && number("dice") > 0.3, "{pixels}");
    let best = pixels["best_dice"]["value"].as_f64().expect("a number");
    assert!((number("dice")..=1.0).contains(&best), "{pixels}");
    assert!(number("false_positive_rate") < 0.2, "{pixels}");
    assert_eq!(pixels["by_class"][0]["class"], "hole");
    // Of whole images so short a training knows nothing: the distance of two latents does not see a hole of 32 pixels.
    assert!(metrics["auroc"]["value"].is_number(), "{metrics}");
    let scores = String::from_utf8(bytes(folder.join("scores.csv"))).expect("text");
    assert!(scores.contains("test/hole/70.png,test,hole,abnormal,"), "{scores}");
    let gallery = String::from_utf8(bytes(folder.join("gallery.json"))).expect("text");
    assert!(gallery.contains("map, mask outlined"), "{gallery}");
    let page = String::from_utf8(bytes(folder.join("report.html"))).expect("text");
    assert!(
        page.contains("Where it is abnormal") && page.contains("12 marked regions"),
        "no metrics of pixels"
    );
}

#[test]
fn a_folder_that_cannot_be_read_is_named() {
    let dir = temporary();
    experiment(dir.path());
    let absent = run("ganomaly-train", dir.path(), &["x.toml", "--out", "r"]);
    check_refused(&absent, 2, "config field `data.folder`: parts is no folder");
    parts(&dir.path().join("parts"));
    save(&GrayImage::new(5, 5), &dir.path().join("parts"), "ground_truth/hole/70_mask.png");
    let wrong = run("ganomaly-train", dir.path(), &["x.toml", "--out", "r"]);
    check_refused(
        &wrong,
        1,
        "parts/ground_truth/hole/70_mask.png: the mask is 5x5, expected 24x24 as its image",
    );
    fs::write(dir.path().join("parts/train/good/00.png"), b"").expect("written");
    let empty = run("ganomaly-train", dir.path(), &["x.toml", "--out", "r"]);
    check_refused(&empty, 1, "parts/train/good/00.png: is empty, expected an image");
    assert!(!dir.path().join("r").exists());
}

#[test]
fn tiles_that_are_not_there_are_asked_for() {
    let dir = temporary();
    let absent = run("ganomaly-train", dir.path(), &["--set=data.name='magnetic-tile'"]);
    check_refused(&absent, 1, "missing 1736 images; `cargo xtask data magnetic-tile` brings it");
}

#[test]
fn broken_files_are_skipped_by_choice_named_and_kept_in_the_run() {
    let dir = temporary();
    let dir = dir.path();
    parts(&dir.join("parts"));
    fs::write(dir.join("parts/train/good/broken.png"), "no picture").expect("written");
    experiment(dir);
    let quick = ["train", "x.toml", "--set", "config.epochs=1", "--out", "r"];
    check_refused(&run("flicker", dir, &quick), 1, "broken.png: is no image that can be read");
    assert!(!dir.join("r").exists());
    let output = run("flicker", dir, &[&quick[..], &["--set", "data.on_error=\"skip\""]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("skipped: parts/train/good/broken.png: is no"),
        "{said}"
    );
    let page = String::from_utf8(bytes(dir.join("r/report.html"))).expect("text");
    assert!(page.contains("1 broken files skipped"), "not on the page");
    // The model reads its own folder again as it was told to, a new one as it is told now.
    assert!(run("flicker", dir, &["verify", "r"]).status.success());
    fs::create_dir(dir.join("new")).expect("made");
    save(&part(1, false).0, &dir.join("new"), "a.png");
    fs::write(dir.join("new/b.png"), "").expect("written");
    check_refused(&run("flicker", dir, &["score", "r", "new"]), 1, "b.png: is empty, expected an image");
    let output = run("flicker", dir, &["score", "r", "new", "--on-error", "skip"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("skipped: new/b.png: is empty"), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 2);
    // The user's own folder by --data.
    let own =
        ["train", "--model", "ganomaly", "--data", "parts", "--quick", "--out", "s", "--on-error", "skip"];
    assert!(run("flicker", dir, &own).status.success());
}
