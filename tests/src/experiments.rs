//! The experiments agree with the published numbers in the code, and none is forgotten by the README of their folder.

use std::path::{Path, PathBuf};
use toml::Table;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package lies in the workspace")
        .join("experiments")
}

fn experiment(name: &str) -> Table {
    let path = folder().join(format!("{name}.toml"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn config<C: serde::de::DeserializeOwned>(name: &str) -> C {
    experiment(name)["config"].clone().try_into().unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn published_numbers_are_those_of_the_code() {
    assert_eq!(config::<ganomaly::Config>("ganomaly-mnist-paper"), ganomaly::Config::paper());
    assert_eq!(config::<deepsvdd::Config>("deepsvdd-mnist-0"), deepsvdd::Config::paper());
    let forest = config::<classic::Config>("classic-mnist-isolation-forest");
    assert_eq!(forest, classic::Config::paper_isolation_forest());
    assert_eq!(config::<ganomaly::Config>("ganomaly-mnist-2"), ganomaly::Config::small());
    assert_eq!(config::<anogan::Config>("anogan-mnist-0"), anogan::Config::tutorial());
    for name in ["anogan-mnist-0-small", "anogan-mnist-a"] {
        assert_eq!(config::<anogan::Config>(name), anogan::Config::small());
    }
    assert_eq!(config::<fanogan::Config>("fanogan-mnist-1"), fanogan::Config::a03ki());
    for name in ["fanogan-mnist-2", "fanogan-mnist-a"] {
        assert_eq!(config::<fanogan::Config>(name), fanogan::Config::small());
    }
    assert_eq!(config::<anoddpm::Config>("anoddpm-mnist-1"), anoddpm::Config::small());
    assert_eq!(config::<ae::Config>("ae-mnist-noise-tutorial"), ae::Config::tutorial());
    assert_eq!(config::<ae::Config>("ae-mnist-noise"), ae::Config::steady());
    assert_eq!(config::<ae::Config>("ae-mnist-conv-7"), ae::Config::convolutional());
    assert_eq!(config::<ae::Config>("ae-mnist-variational-7"), ae::Config::variational());
    assert_eq!(config::<ae::Config>("ae-creditcard-tutorial"), ae::Config::credit_card_tutorial());
    for name in ["ae-creditcard-masked", "ae-creditcard-masked-time"] {
        assert_eq!(config::<ae::Config>(name), ae::Config::table());
    }
    let pooled = ae::Config { epochs: 100, ..ae::Config::pooled() };
    assert_eq!(config::<ae::Config>("ae-mnist-pooled-7"), pooled);
    assert_eq!(config::<cnn::Config>("cnn-mnist-published"), cnn::Config::published());
    assert_eq!(config::<cnn::Config>("cnn-mnist-few-labels"), cnn::Config::balanced());
}

/// What Gaussian noise is held against differs in the noise alone.
#[test]
fn noises_are_compared_on_the_same_numbers() {
    for name in ["anoddpm-mnist-1", "anoddpm-tiles", "anoddpm-brain"] {
        let gaussian = format!("{name}-gaussian");
        let simplex = config::<anoddpm::Config>(name);
        assert_ne!(simplex.noise, anoddpm::Noise::Gaussian {});
        let expected = anoddpm::Config { noise: anoddpm::Noise::Gaussian {}, ..simplex };
        assert_eq!(config::<anoddpm::Config>(&gaussian), expected);
        for key in ["data", "decide", "seeds", "quick"] {
            assert_eq!(experiment(name).get(key), experiment(&gaussian).get(key), "{name}: {key}");
        }
    }
}

#[test]
fn every_experiment_is_named_after_its_file() {
    for entry in std::fs::read_dir(folder()).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
            assert_eq!(experiment(&stem)["name"].as_str(), Some(stem.as_str()));
        }
    }
}
