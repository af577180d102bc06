//! Every family whose score is one pass, as an ONNX file: carried out by another runtime it says what the model says.

use crate::conformance::{Case, fitted, some_samples};
use candle_core::{DType, Device, Tensor};
use flicker_core::calibration::Calibration;
use flicker_core::graph::Graph;
use flicker_core::{Config, Detector, Error, Result, Rng, SampleShape};
use flicker_onnx::{About, Answers, Outputs, Session, TOLERANCE, encode};

/// The bytes of the file of a model, with this calibration.
fn bytes(model: &impl Detector, shape: SampleShape, calibration: &Calibration) -> Result<Vec<u8>> {
    let mut graph = Graph::naming(model.weights());
    let xs = graph.input(&shape.dims());
    let described = model.describe(&mut graph, xs)?;
    let decided = Some(calibration.describe(&mut graph, described.total)?);
    let outputs = Outputs { score: described.total, decided, map: described.map };
    Ok(encode(&graph, &outputs, &About::default()).expect("encoded"))
}

#[track_caller]
fn answers(session: &mut Session, xs: &Tensor) -> Result<Answers> {
    Ok(session.run(&xs.flatten_all()?.to_vec1::<f32>()?).expect("carried out"))
}

/// The largest difference as a share of the largest size of `ours`.
fn difference(ours: &[f32], theirs: &[f32]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    let largest = ours.iter().fold(f32::MIN_POSITIVE, |largest, x| largest.max(x.abs()));
    ours.iter().zip(theirs).map(|(a, b)| f64::from((a - b).abs() / largest)).fold(0.0, f64::max)
}

/// Trains, writes, reads, and compares in batches of 5 and of 1; answers with the largest difference.
#[track_caller]
fn check<C: Config + Sync>(config: C, shape: impl Into<SampleShape>) -> Result<()> {
    let case = Case { config, shape: shape.into(), falling: "" };
    let (model, xs) = (fitted(&case, 0)?, some_samples(&case)?);
    let ours = model.score(&xs, &Rng::new(1))?;
    let calibration = Calibration::conformal(&ours.total[..9], 0.2)?;
    let mut session = Session::read(&bytes(&model, case.shape, &calibration)?).expect("read");
    let mut largest = 0f64;
    for size in [5, 1] {
        let mut all = Answers::default();
        for start in (0..10).step_by(size) {
            let found = answers(&mut session, &xs.narrow(0, start, size)?)?;
            all.score.extend(found.score);
            all.is_abnormal.extend(found.is_abnormal);
            all.p_value.extend(found.p_value);
            all.normalised.extend(found.normalised);
            all.anomaly_map.extend(found.anomaly_map);
        }
        largest = largest.max(difference(&ours.total, &all.score));
        let map = ours.map.as_ref().map(|map| map.flatten_all()?.to_vec1::<f32>()).transpose()?;
        largest = largest.max(difference(&map.unwrap_or_default(), &all.anomaly_map));
        // The decisions are those that belong to the file's own scores, to the last digit.
        for (i, decision) in calibration.decide(&all.score)?.iter().enumerate() {
            assert_eq!(all.is_abnormal[i], decision.abnormal, "sample {i}");
            assert!((f64::from(all.p_value[i]) - decision.p_value).abs() < 1e-6, "sample {i}");
            assert!((f64::from(all.normalised[i]) - decision.normalised).abs() < 1e-6, "sample {i}");
        }
        assert!(all.is_abnormal.iter().any(|abnormal| *abnormal), "one of ten lies above the threshold");
    }
    assert!(largest <= TOLERANCE, "{largest:e}");
    Ok(())
}

#[test]
fn ganomaly() -> Result<()> {
    let config = ganomaly::Config {
        latent: 6,
        features: 4,
        extra_layers: 1,
        epochs: 2,
        batch: 8,
        learning_rate: 4e-3,
        ..ganomaly::Config::paper()
    };
    check(config, (1, 16, 16))
}

#[test]
fn ae_of_images() -> Result<()> {
    let base = |network| ae::Config { network, epochs: 2, batch: 8, ..ae::Config::convolutional() };
    let convolutional =
        |batch_norm| ae::NetworkConfig::Convolutional { channels: vec![4, 6], code: 3, batch_norm };
    check(base(ae::NetworkConfig::tutorial(&[16, 4])), (1, 6, 6))?;
    let variant = ae::Variant::Variational { sigma: 0.3, beta: 0.5 };
    check(ae::Config { variant, score: ae::Score::Elbo {}, ..base(convolutional(true)) }, (1, 8, 12))?;
    check(ae::Config { loss: ae::Loss::Ssim { range: 2.0 }, ..base(convolutional(false)) }, (2, 12, 16))?;
    let network = ae::NetworkConfig::Pooled { channels: [4, 6], pool: 4, hidden: 12, code: 4 };
    check(ae::Config { loss: ae::Loss::L1 {}, output: ae::Output::Linear, ..base(network) }, (1, 16, 20))
}

#[test]
fn ae_of_tables_by_every_score() -> Result<()> {
    let scores = [ae::Score::Error {}, ae::Score::Scaled {}, ae::Score::LogScaled {}, ae::Score::Latent {}];
    for score in scores {
        let network = ae::NetworkConfig::Dense {
            widths: vec![8, 3],
            batch_norm: false,
            encoder: ae::Hidden::Silu,
            code: ae::Hidden::Linear,
            decoder: ae::Hidden::Tanh,
        };
        check(ae::Config { network, score, epochs: 2, batch: 4, ..ae::Config::table() }, 9)?;
    }
    Ok(())
}

#[test]
fn cnn() -> Result<()> {
    let config = cnn::Config {
        channels: vec![3, 4],
        pool: 2,
        hidden: 6,
        epochs: 2,
        batch: 8,
        learning_rate: 1e-2,
        ..cnn::Config::published()
    };
    check(config, (2, 10, 12))
}

#[test]
fn fanogan_of_every_architecture() -> Result<()> {
    for (networks, latent_range) in [
        (fanogan::Architecture::Convolutional { features: 4 }, fanogan::LatentRange::Tanh { bound: 2.0 }),
        (fanogan::Architecture::Dense { width: 4, norm_eps: 0.8 }, fanogan::LatentRange::Clip { bound: 0.1 }),
        (fanogan::Architecture::Residual { features: 2 }, fanogan::LatentRange::Free),
    ] {
        let config = fanogan::Config {
            networks,
            latent_range,
            latent: 4,
            epochs: 2,
            batch: 8,
            encoder_epochs: 1,
            score_standardised: latent_range != fanogan::LatentRange::Free,
            score_latent: 0.5,
            ..fanogan::Config::paper()
        };
        check(config, (1, 8, 8))?;
    }
    Ok(())
}

#[test]
fn deepsvdd_of_images_and_tables() -> Result<()> {
    let base = deepsvdd::Config { batch: 8, pretrain_epochs: 1, epochs: 2, ..deepsvdd::Config::paper() };
    let network = deepsvdd::Network::Lenet { channels: vec![4, 2], latent: 16 };
    check(deepsvdd::Config { network, ..base.clone() }, (1, 16, 16))?;
    let network = deepsvdd::Network::Dense { widths: vec![8, 4] };
    let objective = deepsvdd::Objective::SoftBoundary;
    let contrast = deepsvdd::Contrast::None;
    check(deepsvdd::Config { network, objective, contrast, warm_up_epochs: 1, rescale: false, ..base }, 9)
}

#[test]
fn classical_methods_of_products() -> Result<()> {
    use classic::{Components, Config, Encoder, Mahalanobis, Pca, Shrinkage};
    let mahalanobis =
        |encoder| Config::Mahalanobis(Mahalanobis { shrinkage: Shrinkage::Value(0.1), encoder });
    check(Config::Pca(Pca { components: Components::Count(3) }), (2, 4, 4))?;
    check(Config::Pca(Pca { components: Components::Share(0.9) }), 9)?;
    check(mahalanobis(Encoder::Identity {}), 9)?;
    check(mahalanobis(Encoder::Pca { components: 3 }), (2, 4, 4))?;
    check(
        mahalanobis(Encoder::Autoencoder { widths: vec![8, 2], epochs: 2, batch: 4, learning_rate: 1e-2 }),
        9,
    )
}

#[test]
fn what_is_no_single_pass_says_why() -> Result<()> {
    let why = |model: &dyn Detector, shape: SampleShape| {
        let mut graph = Graph::new();
        let xs = graph.input(&shape.dims());
        match model.describe(&mut graph, xs).expect_err("no single pass") {
            Error::NotOnePass(why) => why,
            other => panic!("{other}"),
        }
    };
    let shape = SampleShape::from((1, 28, 28));
    let model = anogan::Config::small().build(shape, Rng::new(0), &Device::Cpu)?;
    assert!(why(&model, shape).contains("searched for step by step"));
    let model = anoddpm::Config::small().build(shape, Rng::new(0), &Device::Cpu)?;
    assert!(why(&model, shape).contains("denoised over many steps"));
    let lof = classic::Config::Lof(classic::Lof { neighbours: 3 });
    let model = lof.build(shape, Rng::new(0), &Device::Cpu)?;
    assert!(why(&model, shape).contains("pca and mahalanobis can be exported"));
    Ok(())
}

#[test]
fn one_weight_that_is_another_is_found() -> Result<()> {
    let config = ae::Config {
        network: ae::NetworkConfig::tutorial(&[16, 4]),
        epochs: 2,
        batch: 8,
        ..ae::Config::tutorial()
    };
    let case = Case { config, shape: (1, 6, 6).into(), falling: "" };
    let (model, xs) = (fitted(&case, 0)?, some_samples(&case)?);
    let ours = model.score(&xs, &Rng::new(1))?.total;
    let calibration = Calibration::conformal(&ours, 0.2)?;
    let (name, first) = &model.weights().vars("decoder")[0];
    let mut values: Vec<f32> = first.flatten_all()?.to_vec1()?;
    values[3] += 0.05;
    let other = Tensor::from_vec(values, first.shape(), &Device::Cpu)?;
    let kept = first.as_tensor().copy()?;
    first.set(&other)?;
    let wrong = bytes(&model, case.shape, &calibration)?;
    first.set(&kept)?;
    let found = answers(&mut Session::read(&wrong).expect("read"), &xs)?;
    let difference = difference(&ours, &found.score);
    assert!(difference > TOLERANCE, "{name}: {difference:e}");
    Ok(())
}

#[test]
fn weights_have_the_names_of_their_file() -> Result<()> {
    let config = ganomaly::Config { latent: 6, features: 4, ..ganomaly::Config::paper() };
    let model = config.build((1, 16, 16).into(), Rng::new(0), &Device::Cpu)?;
    let file = bytes(&model, (1, 16, 16).into(), &Calibration::conformal(&[0.0, 1.0], 0.5)?)?;
    let said = |name: &str| file.windows(name.len()).any(|window| window == name.as_bytes());
    for name in model.weights().state()?.keys().filter(|name| name.starts_with("generator.")) {
        assert!(said(name), "{name}");
    }
    assert!(!said("discriminator."), "the score does not look at it");
    Ok(())
}

#[test]
fn images_are_prepared_and_columns_scaled_as_when_they_are_read() -> Result<()> {
    use flicker_core::data::{Prepare, Range, Resize, Samples, Scale, Source, gather};
    use std::sync::Arc;
    // The values of prepared samples are the score's own parts: the map of a graph that does nothing else.
    let run = |graph: &mut Graph, prepared, values: &[f32]| {
        let outputs = Outputs { score: graph.mean(prepared), decided: None, map: Some(prepared) };
        let bytes = encode(graph, &outputs, &About::default()).expect("encoded");
        Session::read(&bytes).expect("read").run(values).expect("carried out").anomaly_map
    };
    let images = Samples::new((2, 9, 12), Rng::new(1).uniforms(3 * 2 * 9 * 12, 0.0, 1.0))?;
    let images: Arc<dyn Source> = Arc::new(images);
    for resize in [
        Resize::Keep,
        Resize::Pad { size: [12, 16] },
        Resize::Bilinear { size: [6, 16] },
        Resize::Letterbox { size: [8, 8] },
        Resize::Crop { size: [5, 4] },
    ] {
        for range in [Range::Unit, Range::Signed, Range::Standard { mean: 0.4, std: 0.3 }] {
            let prepare = Prepare { resize, range };
            let ours = gather(&prepare.apply(images.clone())?, &[0, 1, 2])?;
            let mut graph = Graph::new();
            let xs = graph.input(&[2, 9, 12]);
            let prepared = prepare.describe(&mut graph, xs)?;
            let theirs = run(&mut graph, prepared, &gather(images.as_ref(), &[0, 1, 2])?);
            assert!(difference(&ours, &theirs) < 1e-5, "{prepare:?}");
        }
    }
    // Ties, values at the quantiles, between them and far outside.
    let train: Vec<f32> = (0..40).flat_map(|i| [(i / 4) as f32, (i * i) as f32 * 1e5, 3.0]).collect();
    let rows: Vec<f32> =
        [-9.0, 0.0, 0.5, 1.0, 4.0, 4.2, 9.0, 99.0].iter().flat_map(|x| [*x, x * 1e6, *x]).collect();
    let rows: Arc<dyn Source> = Arc::new(Samples::new(3, rows)?);
    for scale in [
        Scale::Standard { columns: None },
        Scale::Robust { columns: None },
        Scale::Quantile { quantiles: 11, columns: None },
    ] {
        let scaler = scale.fit(&Samples::new(3, train.clone())?, &[])?;
        let all: Vec<usize> = (0..rows.len()).collect();
        let ours = gather(&scaler.apply(rows.clone())?, &all)?;
        let mut graph = Graph::new();
        let xs = graph.input(&[3]);
        let scaled = scaler.describe(&mut graph, xs)?;
        let theirs = run(&mut graph, scaled, &gather(rows.as_ref(), &all)?);
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert!((ours - theirs).abs() <= 1e-6 * ours.abs().max(1.0), "{scale:?}: {ours} {theirs}");
        }
    }
    Ok(())
}

#[test]
fn half_precision_is_refused() -> Result<()> {
    let mut graph = Graph::new();
    let xs = graph.input(&[2]);
    let half = Tensor::ones(2, DType::F16, &Device::Cpu)?;
    let half = graph.constant("half", &half);
    let sum = graph.binary(flicker_core::graph::Binary::Add, xs, half)?;
    let outputs = Outputs { score: graph.mean(sum), decided: None, map: None };
    let error = encode(&graph, &outputs, &About::default()).expect_err("f16").to_string();
    assert_eq!(error, "onnx: tensor `half`: expected f32 or f64, found F16");
    Ok(())
}
