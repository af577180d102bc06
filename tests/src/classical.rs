//! The classical detectors: the conformance suite, and their scores against scikit-learn's from a fixture whose maker lies
//! beside it.

use crate::conformance::{Case, check, check_one_pass, interrupted_after};
use crate::parity::{check_close, fixture};
use candle_core::{DType, Device, Tensor};
use classic::{
    Components, Config, Distance, Encoder, Gamma, IsolationForest, Knn, LatentKmeans, Lof, Mahalanobis,
    OneClassSvm, Pca, Scale, Shrinkage, ShrinkageRule,
};
use flicker_core::data::Samples;
use flicker_core::run::{Quiet, Run};
use flicker_core::{Config as _, Detector as _, Result, Rng, SampleShape, State, TrainSet};
use std::sync::Arc;

fn pca(components: Components) -> Config {
    Config::Pca(Pca { components })
}

fn knn(distance: Distance) -> Config {
    Config::Knn(Knn { neighbours: 5, distance })
}

fn svm(nu: f64, tolerance: f64) -> Config {
    Config::OneClassSvm(OneClassSvm { nu, gamma: Gamma::Rule(Scale::Scale), tolerance })
}

fn forest(trees: usize, samples: usize) -> Config {
    Config::IsolationForest(IsolationForest { trees, samples })
}

fn kmeans(encoder: Encoder) -> Config {
    Config::LatentKmeans(LatentKmeans { clusters: 3, starts: 5, rounds: 100, encoder })
}

fn mahalanobis(shrinkage: Shrinkage, encoder: Encoder) -> Config {
    Config::Mahalanobis(Mahalanobis { shrinkage, encoder })
}

const LEDOIT_WOLF: Shrinkage = Shrinkage::Rule(ShrinkageRule::LedoitWolf);

fn conforms(config: &Config, seeded: bool) -> Result<()> {
    for shape in [SampleShape::from((2, 4, 4)), SampleShape::from(9)] {
        check_one_pass(&Case { config: config.clone(), shape, falling: "" }, seeded)?;
    }
    Ok(())
}

#[test]
fn pca_conforms() -> Result<()> {
    conforms(&pca(Components::Count(3)), false)?;
    conforms(&pca(Components::Share(0.9)), false)
}

#[test]
fn knn_conforms() -> Result<()> {
    conforms(&knn(Distance::Kth), false)?;
    conforms(&knn(Distance::Mean), false)
}

#[test]
fn lof_conforms() -> Result<()> {
    conforms(&Config::Lof(Lof { neighbours: 5 }), false)
}

#[test]
fn isolation_forest_conforms() -> Result<()> {
    conforms(&forest(40, 16), true)
}

#[test]
fn one_class_svm_conforms() -> Result<()> {
    conforms(&svm(0.2, 1e-4), false)
}

#[test]
fn latent_kmeans_conforms() -> Result<()> {
    let encoder = Encoder::Autoencoder { widths: vec![8, 2], epochs: 6, batch: 4, learning_rate: 1e-2 };
    let case = Case { config: kmeans(encoder), shape: 9.into(), falling: "reconstruction" };
    check(&case)?;
    interrupted_after(&case, 48 + 2)?; // between two starts of k-means
    conforms(&kmeans(Encoder::Pca { components: 2 }), false)?;
    conforms(&kmeans(Encoder::Identity {}), false)
}

#[test]
fn mahalanobis_conforms() -> Result<()> {
    conforms(&mahalanobis(LEDOIT_WOLF, Encoder::Identity {}), false)?;
    conforms(&mahalanobis(Shrinkage::Value(0.0), Encoder::Pca { components: 3 }), false)?;
    let encoder = Encoder::Autoencoder { widths: vec![8, 3], epochs: 6, batch: 4, learning_rate: 1e-2 };
    check(&Case { config: mahalanobis(LEDOIT_WOLF, encoder), shape: 9.into(), falling: "reconstruction" })
}

/// A model that is fitted on the fixture's table.
fn fitted(config: &Config, fixture: &State) -> Result<classic::Classic> {
    let rows = fixture.require("train")?;
    let features = rows.dims()[1];
    let samples = Samples::new(features, rows.flatten_all()?.to_vec1()?)?;
    let mut model = config.build(features.into(), Rng::new(0), &Device::Cpu)?;
    model
        .fit(&TrainSet::of_normal(Arc::new(samples)), &mut Run::new(Rng::new(1), &Device::Cpu, &mut Quiet))?;
    Ok(model)
}

fn scores(model: &classic::Classic, fixture: &State) -> Result<Tensor> {
    Ok(Tensor::new(model.score(fixture.require("test")?, &Rng::new(0))?.total, &Device::Cpu)?)
}

fn sklearn() -> Result<State> {
    fixture(include_bytes!("../fixtures/classic/classic.safetensors"))
}

/// Scores of `config` are scikit-learn's.
#[track_caller]
fn check_scores(name: &str, config: &Config, tolerance: f32) -> Result<()> {
    let fixture = sklearn()?;
    check_close(name, &scores(&fitted(config, &fixture)?, &fixture)?, fixture.require(name)?, tolerance)
}

#[test]
fn pca_is_scikit_learns() -> Result<()> {
    check_scores("pca", &pca(Components::Count(2)), 1e-5)?;
    let fixture = sklearn()?;
    let model = fitted(&pca(Components::Count(2)), &fixture)?;
    let variances = model.weights().fitted("variances")?;
    check_close("variances", &variances, fixture.require("pca.variances")?, 1e-5)?;
    let kept = fitted(&pca(Components::Share(0.95)), &fixture)?.weights().fitted("components")?.dims()[0];
    assert_eq!(fixture.require("pca.share")?.to_vec1::<f32>()?, [kept as f32]);
    Ok(())
}

#[test]
fn neighbours_are_scikit_learns() -> Result<()> {
    check_scores("knn.kth", &knn(Distance::Kth), 1e-6)?;
    check_scores("knn.mean", &knn(Distance::Mean), 1e-6)?;
    check_scores("lof", &Config::Lof(Lof { neighbours: 7 }), 1e-5)
}

#[test]
fn clusters_are_scikit_learns() -> Result<()> {
    check_scores("kmeans", &kmeans(Encoder::Pca { components: 2 }), 1e-5)
}

#[test]
fn mahalanobis_distances_are_scikit_learns() -> Result<()> {
    check_scores("mahalanobis.empirical", &mahalanobis(Shrinkage::Value(0.0), Encoder::Identity {}), 1e-5)?;
    let shrunk = mahalanobis(LEDOIT_WOLF, Encoder::Identity {});
    check_scores("mahalanobis.ledoit_wolf", &shrunk, 1e-5)?;
    check_scores("mahalanobis.latent", &mahalanobis(LEDOIT_WOLF, Encoder::Pca { components: 2 }), 1e-5)?;
    let fixture = sklearn()?;
    let shrinkage = fitted(&shrunk, &fixture)?.weights().fitted("shrinkage")?;
    check_close("shrinkage", &shrinkage, fixture.require("mahalanobis.shrinkage")?, 1e-5)
}

/// A column that repeats another leaves the covariance without an inverse; its difference has no part in the distance.
#[test]
fn directions_without_variance_have_no_part() -> Result<()> {
    let mut fixture = sklearn()?;
    for name in ["train", "test"] {
        let rows = fixture.require(name)?.clone();
        fixture.put(name, Tensor::cat(&[&rows, &rows.narrow(1, 0, 1)?], 1)?);
    }
    let model = fitted(&mahalanobis(Shrinkage::Value(0.0), Encoder::Identity {}), &fixture)?;
    assert_eq!(model.weights().fitted("whitening")?.dims(), [6, 7]);
    let expected = fixture.require("mahalanobis.singular")?;
    check_close("singular", &scores(&model, &fixture)?, expected, 1e-5)
}

#[test]
fn one_class_svm_is_scikit_learns() -> Result<()> {
    let fixture = sklearn()?;
    let model = fitted(&svm(0.2, 1e-9), &fixture)?;
    let unit = -0.2 * fixture.require("train")?.dims()[0] as f64; // ours is minus theirs, with multipliers that sum to 1
    check_close("svm", &(scores(&model, &fixture)? * unit)?, fixture.require("svm")?, 1e-4)?;
    let supports = model.weights().fitted("support")?.dims()[0];
    assert_eq!(fixture.require("svm.supports")?.to_vec1::<f32>()?, [supports as f32]);
    Ok(())
}

/// scikit-learn's own trees give scikit-learn's scores.
#[test]
fn isolation_trees_score_as_scikit_learns() -> Result<()> {
    let fixture = sklearn()?;
    let model = forest(12, 64).build(6.into(), Rng::new(0), &Device::Cpu)?;
    let mut state = fixture.part("forest");
    state.retain(|name, _| name.starts_with("trees.") || name == "samples");
    model.weights().restore("fixture", &state)?;
    check_close("forest", &scores(&model, &fixture)?, fixture.require("forest.scores")?, 1e-6)
}

/// Our own trees, of which there are many, have the same expected scores as scikit-learn's 4,000.
#[test]
fn isolation_trees_grow_as_scikit_learns() -> Result<()> {
    let fixture = sklearn()?;
    let ours = scores(&fitted(&forest(2000, 64), &fixture)?, &fixture)?.to_vec1::<f32>()?;
    let theirs = fixture.require("forest.expected")?.to_vec1::<f32>()?;
    let worst = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    // A path length has a deviation of about 2 over trees: 0.05 over 2,000, or 0.003 of the score.
    assert!(worst < 0.01, "{worst}: {ours:?} {theirs:?}");
    Ok(())
}

#[test]
fn trees_of_a_file_that_lead_nowhere_are_refused() -> Result<()> {
    let fixture = sklearn()?;
    let model = forest(12, 64).build(6.into(), Rng::new(0), &Device::Cpu)?;
    let mut state = fixture.part("forest");
    state.retain(|name, _| name.starts_with("trees.") || name == "samples");
    let wrong = (state.require("trees.children")?.to_dtype(DType::F64)? * 1000.0)?.to_dtype(DType::U32)?;
    state.put("trees.children", wrong);
    model.weights().restore("fixture", &state)?;
    let error = scores(&model, &fixture).expect_err("outside").to_string();
    assert_eq!(error, "trees: tree 0 is none: a node leads outside of it");
    Ok(())
}

/// Wide samples go by their products with each other, and many wide ones by a random subspace; all find the same components.
#[test]
fn wide_samples_have_the_same_components() -> Result<()> {
    // 3 directions of decreasing variance in 1,100 features, and a little noise.
    let (features, mut rng) = (1100, Rng::new(5));
    let axes: Vec<f32> = rng.normals(3 * features);
    let mut rows = |n: usize| -> Vec<f32> {
        let mut values = Vec::new();
        for _ in 0..n {
            let along = rng.normals(3);
            values.extend((0..features).map(|j| {
                let signal: f32 =
                    (0..3).map(|k| along[k] * axes[k * features + j] * [4.0, 2.0, 1.0][k]).sum();
                signal + 1.0
            }));
        }
        values
    };
    let (few, many) = (rows(200), rows(1200));
    for values in [few, many] {
        let n = values.len() / features;
        let mut model = pca(Components::Count(3)).build(features.into(), Rng::new(0), &Device::Cpu)?;
        let xs = Tensor::from_slice(&values[..10 * features], (10, features), &Device::Cpu)?;
        let set = TrainSet::of_normal(Arc::new(Samples::new(features, values)?));
        model.fit(&set, &mut Run::new(Rng::new(1), &Device::Cpu, &mut Quiet))?;
        let components = model.weights().fitted("components")?;
        assert_eq!(components.dims(), [3, features], "{n}");
        let products = components.matmul(&components.t()?)?;
        check_close("orthonormal", &products, &Tensor::eye(3, DType::F32, &Device::Cpu)?, 1e-4)?;
        // Nothing lies outside of the three directions.
        let totals = model.score(&xs, &Rng::new(0))?.total;
        assert!(totals.iter().all(|&total| total < 1e-6), "{n} samples: {totals:?}");
    }
    Ok(())
}
