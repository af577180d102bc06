//! The U-Net of guided diffusion (Dhariwal and Nichol, 2021, <https://arxiv.org/abs/2105.05233>, appendix A) as the authors of
//! AnoDDPM use it. Their dropout is 0 in all their settings, and is left out.

use crate::Config;
use crate::blocks::{Attention, KEEPING, Residual, Size, ZeroConv, norm};
use candle_core::{D, Device, Tensor};
use candle_nn::VarBuilder;
use flicker_core::nn::{Activation, Conv2d, GroupNorm, Linear, activate};
use flicker_core::{Error, Result};

/// A block and the attention behind it, where there is one.
#[derive(Clone, Debug)]
struct Stage {
    residual: Residual,
    attention: Option<Attention>,
}

impl Stage {
    fn forward(&self, xs: &Tensor, time: &Tensor) -> Result<Tensor> {
        let xs = self.residual.forward(xs, time)?;
        self.attention.as_ref().map_or(Ok(xs.clone()), |attention| attention.forward(&xs))
    }
}

/// Predicts what is in a disturbed image: `(B, C, S, S)` and steps to `(B, C, S, S)`.
#[derive(Clone, Debug)]
pub struct UNet {
    base: usize,
    time1: Linear,
    time2: Linear,
    stem: Conv2d,
    down: Vec<Stage>,
    middle: [Stage; 2],
    /// Each takes one of the maps of the way down; a second stage doubles the size.
    up: Vec<(Stage, Option<Residual>)>,
    norm: GroupNorm,
    last: ZeroConv,
}

/// Makes blocks that share the numbers of a network.
struct Maker<'a, 'b> {
    config: &'a Config,
    vb: &'a VarBuilder<'b>,
}

impl Maker<'_, '_> {
    fn residual(&self, channels: [usize; 2], size: Size, name: &str) -> Result<Residual> {
        Residual::new(channels, 4 * self.config.base, self.config.groups, size, &self.vb.pp(name))
    }

    fn stage(&self, channels: [usize; 2], attends: bool, name: &str) -> Result<Stage> {
        let Config { heads, groups, .. } = *self.config;
        let attention =
            || Attention::new(channels[1], heads, groups, &self.vb.pp(format!("{name}_attention")));
        Ok(Stage {
            residual: self.residual(channels, Size::Kept, name)?,
            attention: attends.then(attention).transpose()?,
        })
    }
}

impl UNet {
    /// The network for images of `[channels, size, size]`. Variables: `time1`, `time2`, `stem`, `down0` …, `middle0`,
    /// `middle1`, `up0` …, `norm`, `last`.
    pub(crate) fn new(config: &Config, [channels, size, _]: [usize; 3], vb: &VarBuilder<'_>) -> Result<Self> {
        let make = Maker { config, vb };
        let (base, levels) = (config.base, config.multipliers.len());
        let attends = |level: usize| config.attention_sizes.contains(&(size >> level));
        let mut now = base * config.multipliers[0];
        let first = now;
        let mut skips = vec![now];
        let mut down = Vec::new();
        for (level, multiplier) in config.multipliers.iter().enumerate() {
            for _ in 0..config.residual_blocks {
                let name = format!("down{}", down.len());
                down.push(make.stage([now, base * multiplier], attends(level), &name)?);
                now = base * multiplier;
                skips.push(now);
            }
            if level + 1 < levels {
                let residual = make.residual([now, now], Size::Halved, &format!("down{}", down.len()))?;
                down.push(Stage { residual, attention: None });
                skips.push(now);
            }
        }
        let middle = [make.stage([now, now], true, "middle0")?, make.stage([now, now], false, "middle1")?];
        let mut up = Vec::new();
        for (level, multiplier) in config.multipliers.iter().enumerate().rev() {
            for block in 0..=config.residual_blocks {
                let name = format!("up{}", up.len());
                let skip = skips.pop().unwrap_or(0); // one was pushed for each
                let stage = make.stage([now + skip, base * multiplier], attends(level), &name)?;
                now = base * multiplier;
                let doubles = level > 0 && block == config.residual_blocks;
                let double = || make.residual([now, now], Size::Doubled, &format!("{name}_double"));
                up.push((stage, doubles.then(double).transpose()?));
            }
        }
        Ok(Self {
            base,
            time1: Linear::new(base, 4 * base, Activation::Silu, &vb.pp("time1"))?,
            time2: Linear::new(4 * base, 4 * base, Activation::None, &vb.pp("time2"))?,
            stem: Conv2d::new(channels, first, 3, KEEPING, &vb.pp("stem"))?,
            down,
            middle,
            up,
            norm: norm(config.groups, now, Activation::Silu, &vb.pp("norm"))?,
            last: ZeroConv::new(now, channels, 3, &vb.pp("last"))?,
        })
    }

    /// What the network finds in `xs` `(B, C, S, S)`, image `i` at step `ts[i]`: `(B, C, S, S)`.
    ///
    /// # Errors
    /// If the shape is another, or there are not as many steps as images.
    pub fn forward(&self, xs: &Tensor, ts: &[usize]) -> Result<Tensor> {
        if xs.dims().first() != Some(&ts.len()) {
            let (expected, found) = (format!("{} images", ts.len()), format!("{:?}", xs.dims()));
            return Err(Error::Shape { what: "images of the steps".into(), expected, found });
        }
        let time = self.time1.forward(&embedding(ts, self.base, xs.device())?)?;
        let time = activate(&self.time2.forward(&time)?, Activation::Silu)?; // (B, 4·base), as every block takes it
        let mut xs = self.stem.forward(xs)?;
        let mut skips = vec![xs.clone()];
        for stage in &self.down {
            xs = stage.forward(&xs, &time)?;
            skips.push(xs.clone());
        }
        for stage in &self.middle {
            xs = stage.forward(&xs, &time)?;
        }
        for ((stage, double), skip) in self.up.iter().zip(skips.iter().rev()) {
            xs = stage.forward(&Tensor::cat(&[&xs, skip], 1)?, &time)?;
            if let Some(double) = double {
                xs = double.forward(&xs, &time)?;
            }
        }
        self.last.forward(&self.norm.forward(&xs)?)
    }
}

/// Sines, then cosines, of each step times frequencies from 1 down to 1/10,000: `(B)` to `(B, features)` (Vaswani et al., 2017).
fn embedding(ts: &[usize], features: usize, device: &Device) -> Result<Tensor> {
    let half = features / 2;
    let angle = |t: usize, i: usize| t as f64 * (-(1e4f64.ln()) * i as f64 / half as f64).exp();
    let values = |f: fn(f64) -> f64| -> Result<Tensor> {
        let values =
            ts.iter().flat_map(|&t| (0..half).map(move |i| f(angle(t, i)) as f32)).collect::<Vec<_>>();
        Ok(Tensor::from_vec(values, (ts.len(), half), device)?)
    };
    Ok(Tensor::cat(&[values(f64::sin)?, values(f64::cos)?], D::Minus1)?)
}
