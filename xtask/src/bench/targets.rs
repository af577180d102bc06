//! What the ratios ours ÷ PyTorch are held against, for 1 and 2 threads.

/// The bound of a workload, and the aim beyond it. The lean twins and the operators have none.
pub(super) struct Target {
    pub(super) at_most: f64,
    pub(super) aim: f64,
}

/// How the names of the families' workloads start.
const FAMILIES: [&str; 4] = ["search", "score-", "anoddpm", "diffusion"];

/// By what factor the sizes of what both sides give may differ. Operators and families get the same numbers, but for the noise of
/// a diffusion; the weights and samples of the other workloads are drawn apart.
pub(super) fn apart_at_most(name: &str) -> f64 {
    match name {
        _ if name.starts_with("op:") => 1.001,
        _ if name.starts_with("diffusion") => 1.1,
        _ if FAMILIES.iter().any(|family| name.starts_with(family)) => 1.01,
        _ => 2.0,
    }
}

pub(super) fn of(name: &str) -> Option<Target> {
    let (at_most, aim) = match name {
        "ae65" | "dense65" => (0.5, 0.35),
        "ae256" | "dense256" => (0.7, 0.5),
        "dcgan" | "ganomaly" => (0.8, 0.6),
        "unet" => (0.9, 0.7),
        "latent" | "inf256" => (0.75, 0.6),
        "inf1" => (0.33, 0.25),
        _ if FAMILIES.iter().any(|family| name.starts_with(family)) => (0.8, 0.6),
        "pca100k" | "knn100k" | "forest100k" => (1.0, 0.8),
        _ => return None,
    };
    Some(Target { at_most, aim })
}
