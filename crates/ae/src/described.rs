//! The score as a graph: what `score` computes, told to an exporter.

use crate::score::Statistics;
use crate::{Config, Loss, Network, Score, Variant};
use flicker_core::graph::{Binary, Described, Graph, Unary, Value};
use flicker_core::losses::describe_ssim;
use flicker_core::{Error, Result};

/// Adds the score of `xs` to `graph`, each step as in `score::score`.
pub(crate) fn describe(
    config: &Config,
    network: &Network,
    statistics: &Statistics,
    graph: &mut Graph,
    xs: Value,
) -> Result<Described> {
    if let Score::OutlierFactor { .. } = config.score {
        return Err(Error::NotOnePass("a local outlier factor walks trees of kept codes".into()));
    }
    let dims = graph.dims(xs).to_vec();
    let (mean, log_variance) = network.describe_encode(graph, xs)?;
    let x_hat = network.describe_decode(graph, mean, &dims)?;
    let scaled = match (config.score, statistics.residuals()) {
        (Score::Scaled {} | Score::LogScaled {} | Score::Latent {}, Some(residuals)) => {
            let squares = graph.squared_difference(xs, x_hat)?;
            let squares = graph.flatten(squares)?;
            let residuals = graph.weight(residuals);
            Some(graph.binary(Binary::Div, squares, residuals)?)
        }
        _ => None,
    };
    let (total, map) = match (config.score, scaled) {
        (Score::Scaled {}, Some(scaled)) => (graph.mean(scaled), scaled),
        (Score::LogScaled {}, Some(scaled)) => {
            let more = graph.affine_by(scaled, 1.0, 1.0)?;
            let values = graph.unary(Unary::Log, more);
            (graph.mean(values), values)
        }
        (Score::Latent {}, Some(scaled)) => (latent(graph, scaled, mean, statistics)?, scaled),
        (Score::Elbo {}, _) => {
            let (error, map) = loss(config.loss, graph, x_hat, xs)?;
            (elbo(config, graph, dims.iter().product(), error, (mean, log_variance))?, map)
        }
        _ => loss(config.loss, graph, x_hat, xs)?,
    };
    let map = graph.reshape(map, &dims)?;
    Ok(Described { total, map: Some(graph.mean_of_channels(map)) })
}

/// The mean loss of each sample, and the loss of each value.
fn loss(loss: Loss, graph: &mut Graph, x_hat: Value, xs: Value) -> Result<(Value, Value)> {
    match loss {
        Loss::Mse {} => {
            let values = graph.squared_difference(xs, x_hat)?;
            Ok((graph.mean(values), values))
        }
        Loss::L1 {} => {
            let values = graph.absolute_difference(xs, x_hat)?;
            Ok((graph.mean(values), values))
        }
        Loss::Ssim { range } => {
            let similar = describe_ssim(graph, x_hat, xs, range)?;
            let inner = graph.affine_by(similar, -1.0, 1.0)?;
            let border = (graph.dims(xs)[1] - graph.dims(inner)[1]) / 2;
            Ok((graph.mean(inner), graph.pad_edge(inner, border)?))
        }
    }
}

/// `values` are those of a sample, `code` is the mean and the logarithm of the variance.
fn elbo(
    config: &Config,
    graph: &mut Graph,
    values: usize,
    error: Value,
    (mean, log_variance): (Value, Option<Value>),
) -> Result<Value> {
    let (Variant::Variational { beta, .. }, Some(log_variance)) = (config.variant, log_variance) else {
        return Err(Error::config("config.score", "elbo needs the variational variant"));
    };
    let reconstruction = graph.affine_by(error, config.variant.nats_per_loss(&config.loss), 0.0)?;
    let squares = graph.binary(Binary::Mul, mean, mean)?;
    let variance = graph.unary(Unary::Exp, log_variance);
    let terms = graph.binary(Binary::Add, squares, variance)?;
    let terms = graph.affine_by(terms, 1.0, -1.0)?;
    let terms = graph.binary(Binary::Sub, terms, log_variance)?;
    let kl = graph.sum(terms);
    let kl = graph.affine_by(kl, 0.5 * beta / values as f64, 0.0)?;
    graph.binary(Binary::Add, reconstruction, kl)
}

fn latent(graph: &mut Graph, scaled: Value, code: Value, statistics: &Statistics) -> Result<Value> {
    let Some((mean, precision)) = statistics.codes() else {
        return Err(Error::config("config.score", "latent has no statistics of codes"));
    };
    let n = (graph.dims(scaled)[0] + graph.dims(code)[0]) as f64;
    let residual = graph.sum(scaled);
    let (mean, precision) = (graph.weight(mean), graph.weight(precision));
    let off = graph.binary(Binary::Sub, code, mean)?;
    let product = graph.matmul(off, precision)?;
    let product = graph.binary(Binary::Mul, product, off)?;
    let distance = graph.sum(product);
    let both = graph.binary(Binary::Add, residual, distance)?;
    graph.affine_by(both, 1.0 / n, 0.0)
}
