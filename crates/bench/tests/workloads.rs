//! Every workload of whole networks computes something finite, and the trained ones learn; those of whole families give what their
//! twins in PyTorch give.

use candle_core::Device;
use flicker_bench::{FAMILIES, NETWORKS, workload};
use flicker_core::Result;

/// Sizes of what the first `n` steps of a workload give, as a session tells them.
fn values(name: &str, n: usize) -> Result<Vec<f32>> {
    let mut workload = workload(name, &Device::Cpu)?;
    (0..n).map(|_| Ok(workload.step()?.abs()?.mean_all()?.to_scalar()?)).collect()
}

#[test]
fn losses_are_finite_and_fall() -> Result<()> {
    for name in NETWORKS {
        let inference = name.starts_with("inf");
        let losses = values(name, if inference { 1 } else { 6 })?;
        assert!(losses.iter().all(|loss| loss.is_finite() && *loss > 0.0), "{name}: {losses:?}");
        // A game's losses go up and down, but the first networks are easily bettered. The search starts from a generator that
        // has learnt nothing, and whose images hardly depend on the latents.
        let most = if name == "latent" { 0.9999 } else { 0.98 };
        let best = losses.iter().copied().fold(f32::INFINITY, f32::min);
        assert!(inference || best < most * losses[0], "{name}: {losses:?}");
    }
    Ok(())
}

/// What each twin gives (peer/peer.py) in its step of this number, and by how much ours may differ from it: rounding, which a
/// search and a training magnify; more where noise is drawn apart.
const OF_TWINS: [(&str, usize, f32, f32); FAMILIES.len()] = [
    ("search1", 1, 1.007_462_6, 1e-4),
    ("search65", 1, 0.998_597_26, 1e-4),
    ("score-ganomaly1", 1, 0.334_487_53, 1e-4),
    ("score-ganomaly256", 1, 0.287_952_04, 1e-4),
    ("score-fanogan1", 1, 1.547_173_4, 1e-4),
    ("score-fanogan256", 1, 1.819_337_1, 1e-4),
    ("score-fanogan64px", 1, 32.497, 1e-4),
    ("anoddpm32", 3, 1.133_348_5, 1e-4),
    ("anoddpm64", 1, 1.137_759_3, 1e-4),
    ("diffusion32", 1, 0.716_180_56, 0.05),
    ("diffusion64", 1, 0.660_447_8, 0.05),
];

#[test]
fn families_do_the_same_as_their_twins() -> Result<()> {
    for (name, step, expected, tolerance) in OF_TWINS {
        let value = values(name, step)?[step - 1];
        assert!((value / expected - 1.0).abs() < tolerance, "{name}: {value}, expected {expected}");
    }
    Ok(())
}

#[test]
fn operators_run_and_unknown_names_are_refused() -> Result<()> {
    // One of each kind: a pass of a convolution, a backward pass, the optimizer. The numbers are PyTorch's (peer/peer.py).
    for (name, expected) in [
        ("op:one-64-128@16/input", 0.511_257_8),
        ("op:one-64-128@16/weight", 0.693_193_7),
        ("op:softmax", 0.003_771_838_7),
        ("op:attention", 0.064_120_68),
        ("op:adam", 0.249_000_83),
    ] {
        let value = values(name, 1)?[0];
        assert!((value / expected - 1.0).abs() < 1e-4, "{name}: {value}, expected {expected}");
    }
    for name in ["nothing", "op:nothing", "op:one-64-128@16/nothing"] {
        let error = workload(name, &Device::Cpu).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(&format!("`{name}`")), "{error}");
    }
    Ok(())
}
