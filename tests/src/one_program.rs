//! `flicker`, the program of all families, from the outside: a run folder is the model.

use crate::programs::{TINY, bytes, metrics, root, run, temporary};
use candle_core::Device;
use flicker_core::calibration::Calibration;
use flicker_core::{Config, Detector, Rng};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// What `flicker` prints, and nothing may go wrong.
#[track_caller]
pub(crate) fn flicker(dir: &Path, arguments: &[&str]) -> String {
    let output = run("flicker", dir, arguments);
    assert!(output.status.success(), "{arguments:?}:\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[track_caller]
pub(crate) fn json_of(dir: &Path, arguments: &[&str]) -> Value {
    let text = flicker(dir, arguments);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A trained GANomaly in `dir/r`.
pub(crate) fn trained(dir: &Path) {
    flicker(dir, &[&["train", "--model", "ganomaly", "--out", "r", "--quiet"], &TINY[..]].concat());
}

/// The rows of a table of scores: the values of these columns.
pub(crate) fn rows(path: &Path, columns: &[&str]) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_string).collect::<Vec<_>>());
    let header = lines.next().expect("a header");
    let positions: Vec<usize> = columns
        .iter()
        .map(|name| {
            header.iter().position(|known| known == name).unwrap_or_else(|| panic!("{name} in {header:?}"))
        })
        .collect();
    lines.map(|row| positions.iter().map(|&position| row[position].clone()).collect()).collect()
}

/// Scores are the same up to the rounding that another batch brings.
#[track_caller]
fn check_close(found: &[Vec<String>], expected: &[Vec<String>]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let score = |row: &[String]| row.last().expect("a score").parse::<f64>().expect("a number");
        let (a, b) = (score(found), score(expected));
        assert!((a - b).abs() <= 1e-5 * b.abs(), "{found:?} {expected:?}");
        assert_eq!(found[..found.len() - 1], expected[..expected.len() - 1]);
    }
}

#[test]
fn a_run_folder_scores_as_the_run_did() {
    let dir = temporary();
    trained(dir.path());
    let of_run = dir.path().join("r/scores.csv");
    let test = |columns: &[&str]| -> Vec<Vec<String>> {
        let mut rows = rows(&of_run, &[&["set"], columns].concat());
        rows.retain(|row| row[0] == "test");
        rows.into_iter().map(|row| row[1..].to_vec()).collect()
    };
    // Its own test set: the same text in every column.
    let all = ["id", "class", "label", "score", "latent", "residual", "p_value", "decision"];
    let said = json_of(dir.path(), &["score", "r", "--out", "own.csv", "--json"]);
    assert_eq!(rows(&dir.path().join("own.csv"), &all), test(&all));
    let flagged = test(&["decision"]).iter().filter(|row| row[0] == "abnormal").count();
    assert_eq!((said["n_flagged"].as_u64(), said["n_validation"].as_u64()), (Some(flagged as u64), Some(32)));
    // The data set by name, whose test part holds those of the run's test set that were not trained on.
    let table = flicker(dir.path(), &["score", "r", "mnist", "--part", "test", "--quiet"]);
    fs::write(dir.path().join("named.csv"), table).expect("written");
    let columns = ["id", "class", "label", "score"];
    let named = rows(&dir.path().join("named.csv"), &columns);
    assert_eq!(named.len(), 2000);
    let mut expected = test(&columns);
    expected.retain(|row| row[0].starts_with("test-"));
    let found: Vec<_> = expected
        .iter()
        .map(|row| named.iter().find(|of| of[0] == row[0]).expect("its row").clone())
        .collect();
    assert!(found.len() > 1000, "{}", found.len());
    check_close(&found, &expected);
    // The same images as a file: the model needs no labels.
    let images = root().join("datasets/mnist-sample/t10k-images-idx3-ubyte.gz");
    flicker(dir.path(), &["score", "r", &images.to_string_lossy(), "--out", "file.csv"]);
    check_close(
        &rows(&dir.path().join("file.csv"), &["score"]),
        &rows(&dir.path().join("named.csv"), &["score"]),
    );
}

#[test]
fn the_threshold_can_be_promised_anew_from_the_saved_scores() {
    let dir = temporary();
    trained(dir.path());
    let flagged = |rate: &str| {
        let arguments = ["score", "r", "--out", "s.csv", "--json", "--false-alarm-rate", rate];
        json_of(dir.path(), &arguments)["n_flagged"].as_u64().expect("a number")
    };
    let (few, many) = (flagged("0.05"), flagged("0.5"));
    assert!(few < many, "{few} {many}");
    let recorded = metrics(&dir.path().join("r"))["n_flagged"].as_u64();
    assert_eq!(Some(few), recorded, "0.05 is the run's own rate");
}

#[test]
fn evaluation_again_says_whether_it_is_the_same() {
    let dir = temporary();
    trained(dir.path());
    let before = metrics(&dir.path().join("r"));
    let said = json_of(dir.path(), &["evaluate", "r", "--into", "e", "--json", "--threads", "1"]);
    assert_eq!(said["comparison"]["same"], json!(true), "{said:#}");
    for file in ["scores.csv", "calibration.json", "config.toml", "weights.safetensors", "gallery.json"] {
        assert_eq!(bytes(dir.path().join("r").join(file)), bytes(dir.path().join("e").join(file)), "{file}");
    }
    let mut after = metrics(&dir.path().join("e"));
    after["seconds_score"] = before["seconds_score"].clone();
    assert_eq!(after, before, "what the training took stays on record");

    // Weights of another seed are of the same shape: only the numbers can tell.
    let tiny = [&["train", "--model=ganomaly", "--out=other", "--seed=7"], &TINY[..]].concat();
    flicker(dir.path(), &tiny);
    fs::copy(dir.path().join("other/weights.safetensors"), dir.path().join("r/weights.safetensors"))
        .expect("copied");
    let text = flicker(dir.path(), &["evaluate", "r"]);
    assert!(
        text.contains("differs from what is recorded: ") && text.contains("auroc.value: recorded"),
        "{text}"
    );
    assert_ne!(metrics(&dir.path().join("r"))["auroc"], before["auroc"]);
    assert!(flicker(dir.path(), &["evaluate", "r"]).contains("the same as recorded"), "it was written again");
}

#[test]
fn a_run_that_was_cut_off_after_its_training_is_brought_to_its_end() {
    let dir = temporary();
    trained(dir.path());
    let (folder, before) = (dir.path().join("r"), metrics(&dir.path().join("r")));
    for file in ["metrics.json", "scores.csv", "calibration.json", "report.html"] {
        fs::remove_file(folder.join(file)).expect("removed");
    }
    let text = flicker(dir.path(), &["evaluate", "r"]);
    assert!(text.contains("nothing was recorded to compare with"), "{text}");
    let after = metrics(&folder);
    assert_eq!((&after["auroc"], &after["f1"]), (&before["auroc"], &before["f1"]));
    assert_eq!(after["seconds_train"], before["seconds_train"], "the log tells it");
    assert!(folder.join("report.html").exists());
}

#[test]
fn a_report_is_made_from_the_folder_alone() {
    let dir = temporary();
    trained(dir.path());
    fs::rename(dir.path().join("r"), dir.path().join("moved")).expect("moved");
    let page = bytes(dir.path().join("moved/report.html"));
    fs::remove_file(dir.path().join("moved/report.html")).expect("removed");
    assert_eq!(flicker(dir.path(), &["report", "moved"]), "moved/report.html\n");
    assert_eq!(bytes(dir.path().join("moved/report.html")), page);
    assert_eq!(json_of(dir.path(), &["report", "moved", "--json"]), json!({"report": "moved/report.html"}));
}

#[test]
fn it_trains_as_the_train_program_does() {
    let dir = temporary();
    let said =
        json_of(dir.path(), &[&["train", "--model=ganomaly", "--out=a", "--json"], &TINY[..]].concat());
    assert_eq!(said["metrics"], metrics(&dir.path().join("a")));
    assert!(run("ganomaly-train", dir.path(), &[&["--out=b"], &TINY[..]].concat()).status.success());
    // An experiment of the program by its name, which says the model.
    flicker(dir.path(), &[&["train", "ganomaly-mnist-2", "--out=c"], &TINY[..]].concat());
    for file in ["weights.safetensors", "scores.csv", "calibration.json", "data.json"] {
        let whole = bytes(dir.path().join("a").join(file));
        assert_eq!(whole, bytes(dir.path().join("b").join(file)), "{file}");
        assert_eq!(whole, bytes(dir.path().join("c").join(file)), "{file}");
    }
}

#[test]
fn a_run_goes_on_by_its_folder_alone() {
    let dir = temporary();
    let tiny = |more: &[&'static str]| [&["train", "--model=ganomaly", "--seed=3"], &TINY[..], more].concat();
    flicker(dir.path(), &tiny(&["--out=whole"]));
    let stopped = run("flicker", dir.path(), &tiny(&["--out=cut", "--time-limit=0.01"]));
    assert_eq!(stopped.status.code(), Some(1));
    flicker(dir.path(), &["train", "--resume", "--out", "cut"]);
    for file in ["weights.safetensors", "scores.csv"] {
        assert_eq!(
            bytes(dir.path().join("whole").join(file)),
            bytes(dir.path().join("cut").join(file)),
            "{file}"
        );
    }
}

/// The folder of a run on a table of three columns, written by hand: no table is embedded that one could train on.
pub(crate) fn table_run(dir: &Path) -> ae::Autoencoder {
    let network = ae::NetworkConfig::Dense {
        widths: vec![2],
        batch_norm: false,
        encoder: ae::Hidden::Relu,
        code: ae::Hidden::Relu,
        decoder: ae::Hidden::Tanh,
    };
    let config = ae::Config { network, output: ae::Output::Linear, ..ae::Config::steady() };
    let model = config.build(3.into(), Rng::new(4), &Device::Cpu).expect("a model");
    fs::create_dir(dir).expect("made");
    let mut experiment: toml::Table = toml::from_str(
        "name = 'table'\ntitle = 'a table'\nmodel = 'ae'\nseeds = [4]\n[data]\nname = 'creditcard'\n\
         protocol = { kind = 'one_class', normal = ['normal'] }\n\
         split = { pool = { kind = 'official' }, validation = 0.1 }\n[decide]\nfalse_alarm_rate = 0.1\n[keep]\ncheckpoint_every = 0\nweights_every = 0\npictures_every = 0\n\
         [run]\nseed = 4\n",
    )
    .expect("TOML");
    experiment.insert("config".into(), toml::Value::try_from(&config).expect("TOML"));
    let facts = json!({
        "name": "creditcard", "origin": "", "files": [], "protocol": "", "n_train": 0, "n_validation": 0, "n_test": 0,
        "n_abnormal": 0, "n_left_out": 0, "shape": "row of 3 features", "classes": [], "columns": ["V1", "V2", "Amount"],
    });
    let normals: Vec<f32> = (0..40).map(|i| i as f32).collect();
    let calibration = Calibration::conformal(&normals, 0.1).expect("a threshold");
    fs::write(dir.join("config.toml"), experiment.to_string()).expect("written");
    fs::write(dir.join("data.json"), facts.to_string()).expect("written");
    fs::write(dir.join("calibration.json"), json!(calibration).to_string()).expect("written");
    model.weights().save(&dir.join("weights.safetensors")).expect("written");
    model
}

#[test]
fn a_table_is_scored_by_the_names_of_its_columns() {
    let dir = temporary();
    let model = table_run(&dir.path().join("r"));
    let text = "\"Amount\",\"Time\",\"V2\",\"V1\"\n3,0,2,1\n60,0,-50,4.5\n";
    fs::write(dir.path().join("new.csv"), text).expect("written");
    flicker(dir.path(), &["score", "r", "new.csv", "--out", "s.csv"]);
    let xs = candle_core::Tensor::new(&[[1f32, 2.0, 3.0], [4.5, -50.0, 60.0]], &Device::Cpu).expect("rows");
    let expected = model.score(&xs, &Rng::new(0)).expect("scores").total;
    let found = rows(&dir.path().join("s.csv"), &["score", "decision"]);
    let decision = |score: &f32| if *score > 36.0 { "abnormal" } else { "normal" }.to_string();
    let expected: Vec<Vec<String>> =
        expected.iter().map(|score| vec![score.to_string(), decision(score)]).collect();
    assert_eq!(found, expected);
    assert_ne!(found[0][1], found[1][1], "one on each side of the threshold");

    fs::write(dir.path().join("short.csv"), "V1,V2\n1,2\n").expect("written");
    let refused = run("flicker", dir.path(), &["score", "r", "short.csv", "--out", "t.csv"]);
    crate::programs::check_refused(&refused, 1, "short.csv: no column `Amount`, expected one of 2: V1, V2");
    let images = root().join("datasets/mnist-sample/t10k-images-idx3-ubyte.gz");
    let refused = run("flicker", dir.path(), &["score", "r", &images.to_string_lossy()]);
    let problem = "expected samples of the model's shape, row of 3 features, found image 1x28x28";
    crate::programs::check_refused(&refused, 1, problem);
    assert!(!dir.path().join("t.csv").exists());
}

/// Draws a grey picture of `size` with a bar at `x`; no two of different `number` are the same.
fn picture(path: &Path, size: u32, x: u32, number: u32) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    let value = |at: u32, row: u32| {
        image::Luma([if at.abs_diff(x) < 3 { 220 } else { (row * (number + 7) % 31) as u8 }])
    };
    image::GrayImage::from_fn(size, size, value).save(path).expect("written");
}

#[test]
fn a_folder_of_images_is_trained_on_and_another_scored() {
    let dir = temporary();
    for i in 0..24 {
        picture(&dir.path().join(format!("parts/train/good/{i:02}.png")), 40, 8 + i % 6, i);
    }
    for i in 0..4 {
        picture(&dir.path().join(format!("parts/test/good/{i}.png")), 40, 8 + i, 24 + i);
        picture(&dir.path().join(format!("parts/test/shifted/{i}.png")), 40, 30 + i, i);
        picture(&dir.path().join(format!("new/{i}.png")), 48, 10 + 5 * i, i);
    }
    let folder = dir.path().join("parts").to_string_lossy().into_owned();
    let set = [
        &format!("--set=data.folder={folder:?}"),
        "--set=data.name=parts",
        "--set=data.protocol={kind='one_class',normal=['good']}",
        "--set=data.split.validation=0.25",
        "--set=config.batch=8",
        "--set=config.features=4",
        "--set=config.epochs=2",
    ];
    // A table is merged into the one that is there, so the abnormal digit has to go with its file.
    let text = fs::read_to_string(root().join("experiments/ganomaly-mnist-2.toml")).expect("the experiment");
    let text =
        text.replace("{ kind = \"leave_one_out\", abnormal = [2] }", "{ kind = \"one_class\", normal = [] }");
    fs::write(dir.path().join("x.toml"), text).expect("written");
    flicker(dir.path(), &[&["train", "x.toml", "--out=r"], &set[..]].concat());
    let of_run = dir.path().join("r/scores.csv");
    let mut expected = rows(&of_run, &["set", "id", "class", "label", "score"]);
    expected.retain(|row| row[0] == "test");
    let expected: Vec<_> = expected.into_iter().map(|row| row[1..].to_vec()).collect();
    assert_eq!(expected.len(), 8);
    // The test part of the same folder has labels, by the protocol of the run.
    flicker(dir.path(), &["score", "r", "parts", "--out", "parts.csv"]);
    check_close(&rows(&dir.path().join("parts.csv"), &["id", "class", "label", "score"]), &expected);
    // A plain folder of images of another size has none.
    let said = json_of(dir.path(), &["score", "r", "new", "--out", "new.csv", "--json"]);
    assert_eq!(said["n"], json!(4));
    let text = fs::read_to_string(dir.path().join("new.csv")).expect("scores");
    assert!(text.starts_with("id,score,latent,residual,normalised,p_value,decision\n0.png,"), "{text}");
}

#[test]
fn the_families_are_listed() {
    let dir = temporary();
    let listed = json_of(dir.path(), &["models", "--json"]);
    let models = listed["models"].as_array().expect("a list");
    for name in flicker(dir.path(), &["models", "--quiet"]).lines() {
        let model = models.iter().find(|model| model["name"] == name).expect(name);
        assert!(
            ["normal-only", "supervised", "unlabelled"].contains(&model["kind"].as_str().expect("a kind"))
        );
        for key in ["data", "source"] {
            assert!(!model[key].as_str().expect(key).is_empty(), "{name}: {key}");
        }
        let experiments = model["experiments"].as_array().expect("a list");
        assert!(experiments.iter().any(|one| one["name"] == model["default"]), "{name}");
        let text = flicker(dir.path(), &["models", name]);
        assert!(
            experiments.iter().all(|one| text.contains(one["title"].as_str().expect("a title"))),
            "{text}"
        );
    }
    assert_eq!(models.len(), flicker(dir.path(), &["models", "--quiet"]).lines().count());
}

#[test]
fn shells_and_man_are_served() {
    let dir = temporary();
    for shell in ["bash", "zsh", "fish"] {
        let script = flicker(dir.path(), &["completions", shell]);
        assert!(script.contains("evaluate") && script.contains("ganomaly"), "{shell}");
    }
    flicker(dir.path(), &["man", "."]);
    for page in ["flicker.1", "flicker-train.1", "flicker-score.1"] {
        let text = fs::read_to_string(dir.path().join(page)).expect(page);
        assert!(text.contains(".TH flicker"), "{page}");
    }
}
