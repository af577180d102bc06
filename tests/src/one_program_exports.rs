//! `flicker export`, from the outside: one file that decides as the run folder does.

use crate::one_program::{flicker, json_of, rows, trained};
use crate::programs::{bytes, check_refused, root, run, temporary};
use flicker_core::data::{Source, gather, idx};
use flicker_onnx::Session;
use std::fs;

#[test]
fn a_file_decides_on_raw_images_as_the_run_folder_does() {
    let dir = temporary();
    trained(dir.path());
    let said = json_of(dir.path(), &["export", "r", "--onnx", "model.onnx", "--json", "--quiet"]);
    assert_eq!((said["n"].as_u64(), said["decided_otherwise"].as_u64()), (Some(32), Some(0)), "{said}");
    let largest = said["largest_difference"].as_f64().expect("a number");
    assert!(largest <= 1e-4, "{said}");
    let file = bytes(dir.path().join("model.onnx"));
    for text in
        ["flicker.family", "ganomaly", "flicker.threshold", "flicker.weights_sha256", "(N, 1, 28, 28)"]
    {
        assert!(file.windows(text.len()).any(|window| window == text.as_bytes()), "{text}");
    }
    // Images of an official file, as they are: size and range are the file's own business.
    let path = root().join("datasets/mnist-sample/t10k-images-idx3-ubyte.gz");
    flicker(dir.path(), &["score", "r", &path.to_string_lossy(), "--out", "scores.csv"]);
    let expected = rows(&dir.path().join("scores.csv"), &["score", "p_value", "decision"]);
    let raw = fs::read(&path).expect("the images");
    let images = idx::images(idx::File { origin: "images", bytes: &raw }, "").expect("images");
    let n = 200.min(images.len());
    let values = gather(&images, &(0..n).collect::<Vec<_>>()).expect("pixels");
    let answers = Session::read(&file).and_then(|mut session| session.run(&values)).expect("carried out");
    for (i, row) in expected[..n].iter().enumerate() {
        let score: f32 = row[0].parse().expect("a number");
        assert!((answers.score[i] - score).abs() <= 1e-4 * score.abs(), "{i}: {} {score}", answers.score[i]);
        assert_eq!(answers.is_abnormal[i], row[2] == "abnormal", "{i}: {score}");
        let p_value: f32 = row[1].parse().expect("a number");
        assert!((answers.p_value[i] - p_value).abs() < 1e-6, "{i}");
    }
    assert!(answers.is_abnormal.contains(&true) && answers.is_abnormal.contains(&false));
    assert_eq!(answers.anomaly_map.len() % n, 0);
    // Where it may not go, and the words for people.
    let refused = |file: &str, message: &str| {
        check_refused(&run("flicker", dir.path(), &["export", "r", "--onnx", file]), 2, message);
    };
    refused("r/weights.safetensors", "--onnx r/weights.safetensors: belongs to the run, use another name");
    refused("absent/model.onnx", "--onnx absent/model.onnx: expected a file in a folder that is there");
    let words = flicker(dir.path(), &["export", "r", "--onnx", "again.onnx"]);
    assert!(
        words.starts_with("exported to again.onnx: on 32 validation samples its scores differ"),
        "{words}"
    );
    assert_eq!(file, bytes(dir.path().join("again.onnx")), "the same run, the same bytes");
}

#[test]
fn a_method_that_looks_through_kept_samples_is_refused_and_nothing_is_left() {
    let dir = temporary();
    flicker(dir.path(), &["train", "classic-mnist-knn", "--quick", "--out", "r", "--quiet"]);
    let output = run("flicker", dir.path(), &["export", "r", "--onnx", "model.onnx"]);
    check_refused(&output, 2, "classic: cannot be exported, no single forward pass: this method walks trees");
    assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 1, "the run folder alone");
}
