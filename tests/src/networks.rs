//! Every family of networks passes the suite.

use crate::conformance::{Case, check, interrupted_after};
use flicker_core::Result;

fn small_ganomaly(score: ganomaly::Score) -> Case<ganomaly::Config> {
    let config = ganomaly::Config {
        latent: 6,
        features: 4,
        epochs: 4,
        batch: 8,
        learning_rate: 4e-3,
        score,
        ..ganomaly::Config::paper()
    };
    Case { config, shape: (1, 16, 16).into(), falling: "contextual" }
}

#[test]
fn ganomaly() -> Result<()> {
    check(&small_ganomaly(ganomaly::Score::Latent {}))
}

#[test]
fn the_outlier_factor_of_latents() -> Result<()> {
    check(&small_ganomaly(ganomaly::Score::OutlierFactor { neighbours: 5 }))?;
    let config = ae::Config { score: ae::Score::OutlierFactor { neighbours: 5 }, ..ae_of_nine_features() };
    check(&Case { config, shape: 9.into(), falling: "reconstruction" })
}

#[test]
fn ae_of_images() -> Result<()> {
    let network = ae::NetworkConfig::tutorial(&[16, 4]);
    let config = ae::Config { network, epochs: 6, batch: 8, ..ae::Config::tutorial() };
    check(&Case { config, shape: (1, 6, 6).into(), falling: "reconstruction" })
}

/// The tutorial's network for tables, with an unbounded output.
fn ae_of_nine_features() -> ae::Config {
    let mut config = ae::Config {
        output: ae::Output::Linear,
        epochs: 8,
        batch: 4,
        learning_rate: 1e-2,
        ..ae::Config::credit_card_tutorial()
    };
    config.network = ae::NetworkConfig::Dense {
        widths: vec![8, 3],
        batch_norm: false,
        encoder: ae::Hidden::Silu,
        code: ae::Hidden::Linear,
        decoder: ae::Hidden::Tanh,
    };
    config
}

#[test]
fn ae_of_tables() -> Result<()> {
    check(&Case { config: ae_of_nine_features(), shape: 9.into(), falling: "reconstruction" })
}

#[test]
fn ae_denoising_with_every_corruption_and_score() -> Result<()> {
    let corruptions = [
        ae::Corruption::Gaussian { sigma: 0.05 },
        ae::Corruption::SaltAndPepper { p: 0.05, low: -1.0, high: 1.0 },
        ae::Corruption::Masking { p: 0.05 },
    ];
    let scores = [ae::Score::Scaled {}, ae::Score::LogScaled {}, ae::Score::Latent {}];
    for (corruption, score) in corruptions.into_iter().zip(scores) {
        let variant = ae::Variant::Denoising { corruption };
        let schedule = ae::Schedule::Cosine;
        let config = ae::Config { variant, score, schedule, ..ae_of_nine_features() };
        check(&Case { config, shape: 9.into(), falling: "reconstruction" })?;
    }
    Ok(())
}

#[test]
fn ae_convolutional_by_structural_similarity() -> Result<()> {
    let network = ae::NetworkConfig::Convolutional { channels: vec![4, 6], code: 4, batch_norm: false };
    let loss = ae::Loss::Ssim { range: 2.0 };
    let config = ae::Config {
        network,
        loss,
        epochs: 10,
        batch: 8,
        learning_rate: 1e-2,
        ..ae::Config::convolutional()
    };
    check(&Case { config, shape: (2, 12, 16).into(), falling: "reconstruction" })
}

#[test]
fn ae_pooled() -> Result<()> {
    let network = ae::NetworkConfig::Pooled { channels: [4, 6], pool: 4, hidden: 12, code: 4 };
    let config = ae::Config {
        network,
        loss: ae::Loss::L1 {},
        epochs: 8,
        batch: 8,
        learning_rate: 1e-2,
        ..ae::Config::pooled()
    };
    check(&Case { config, shape: (1, 16, 20).into(), falling: "reconstruction" })
}

#[test]
fn ae_variational() -> Result<()> {
    let network = ae::NetworkConfig::Convolutional { channels: vec![4, 6], code: 3, batch_norm: true };
    let config = ae::Config { network, epochs: 8, batch: 8, ..ae::Config::variational() };
    check(&Case { config, shape: (1, 8, 12).into(), falling: "elbo" })?;
    let variant = ae::Variant::Variational { sigma: 0.2, beta: 0.5 };
    let config = ae::Config { variant, score: ae::Score::Elbo {}, ..ae_of_nine_features() };
    check(&Case { config, shape: 9.into(), falling: "elbo" })
}

#[test]
fn cnn() -> Result<()> {
    for balance in [cnn::Balance::None, cnn::Balance::ClassWeights, cnn::Balance::Oversampling] {
        let config = cnn::Config {
            channels: vec![3, 4],
            pool: 2,
            hidden: 6,
            balance,
            epochs: 6,
            batch: 8,
            learning_rate: 1e-2,
            ..cnn::Config::published()
        };
        check(&Case { config, shape: (2, 10, 12).into(), falling: "cross_entropy" })?;
    }
    Ok(())
}

#[test]
fn anogan() -> Result<()> {
    let config = anogan::Config {
        networks: anogan::Architecture::Tutorial { generator: 16, discriminator: 2 },
        latent: 4,
        epochs: 6,
        batch: 8,
        learning_rate_discriminator: 4e-3,
        encoder_epochs: 2,
        encoder_features: 4,
        tune_generator: true,
        search_steps: 20,
        search_restarts: 2,
        search_patience: 3,
        search_bound: 3.0,
        score: anogan::Scoring::Standardised,
        ..anogan::Config::egbad()
    };
    let case = Case { config, shape: (1, 8, 8).into(), falling: "discriminator" };
    check(&case)?;
    [24, 29].into_iter().try_for_each(|steps| interrupted_after(&case, steps)) // at the end of the game, and in the encoder's phase
}

#[test]
fn fanogan() -> Result<()> {
    let config = fanogan::Config {
        networks: fanogan::Architecture::Convolutional { features: 4 },
        latent: 4,
        epochs: 6,
        batch: 8,
        n_critic: 3,
        learning_rate: 1e-2,
        encoder_epochs: 2,
        score_standardised: true,
        score_latent: 0.5,
        ..fanogan::Config::paper()
    };
    let case = Case { config, shape: (1, 8, 8).into(), falling: "penalty" };
    check(&case)?;
    [24, 29].into_iter().try_for_each(|steps| interrupted_after(&case, steps))
}

#[test]
fn fanogan_dense_and_residual() -> Result<()> {
    for networks in [
        fanogan::Architecture::Dense { width: 4, norm_eps: 0.8 },
        fanogan::Architecture::Residual { features: 2 },
    ] {
        let config = fanogan::Config {
            networks,
            latent: 4,
            epochs: 8,
            batch: 8,
            learning_rate: 4e-3,
            encoder_epochs: 2,
            encoder_optimizer: fanogan::EncoderOptimizer::Adam,
            tune_generator: true,
            ..fanogan::Config::paper()
        };
        check(&Case { config, shape: (1, 8, 8).into(), falling: "critic" })?;
    }
    Ok(())
}

#[test]
fn anoddpm_with_simplex_noise() -> Result<()> {
    let config = anoddpm::Config {
        base: 8,
        multipliers: vec![1, 2],
        attention_sizes: vec![4],
        epochs: 6,
        batch: 8,
        learning_rate: 4e-3,
        distance: 100,
        reverse: anoddpm::Reverse::Ancestral { every: 20 },
        ..anoddpm::Config::small()
    };
    check(&Case { config, shape: (2, 8, 8).into(), falling: "noise" })
}

#[test]
fn anoddpm_with_gaussian_noise() -> Result<()> {
    let config = anoddpm::Config {
        base: 8,
        multipliers: vec![1, 1],
        attention_sizes: vec![],
        prediction: anoddpm::Prediction::Velocity,
        loss: anoddpm::Loss::Hybrid,
        weighting: anoddpm::Weighting::PropT,
        epochs: 6,
        batch: 8,
        learning_rate: 4e-3,
        distance: 60,
        draws: 2,
        smoothing: 0.7,
        image_score: anoddpm::ImageScore::Top(0.1),
        noise: anoddpm::Noise::Gaussian {},
        reverse: anoddpm::Reverse::Ddim { every: 20, eta: 0.0 },
        ..anoddpm::Config::small()
    };
    check(&Case { config, shape: (1, 8, 8).into(), falling: "noise" })
}
