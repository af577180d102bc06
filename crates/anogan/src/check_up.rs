//! What became of the game: whether the generator still makes different images, and whether the discriminator still tells
//! them from real ones.

use crate::AnoGan;
use candle_core::Tensor;
use flicker_core::data::{Source, tensor};
use flicker_core::nn::Mode;
use flicker_core::run::Run;
use flicker_core::{Result, Rng};

/// Images of either kind that are looked at.
const LOOKED_AT: usize = 256;
/// Generated images that are shown.
const SHOWN: usize = 64;
/// Below this share of the data's variance the generator counts as collapsed.
const COLLAPSED: f64 = 0.2;
/// What D says of real and of generated images counts as the same within this.
const SAME: f64 = 0.02;

impl AnoGan {
    /// Tells the run how the game ended, and shows generated images.
    pub(crate) fn check_up(&self, normal: &dyn Source, run: &mut Run<'_>) -> Result<()> {
        let rng = Rng::new(0).fork("check-up"); // what it draws is only looked at
        let n = normal.len().min(LOOKED_AT);
        let real = tensor(normal, &rng.fork("real").permutation(normal.len())[..n], self.weights.device())?;
        let fake = self.generate(n, &mut rng.fork("generated"))?;
        let share = spread(&fake)? / spread(&real)?.max(f64::MIN_POSITIVE);
        let says = |xs: &Tensor| -> Result<f64> {
            let logits = self.frozen.discriminator.forward(xs, Mode::Evaluation)?;
            Ok(f64::from(self.config.adversarial.output(&logits)?.mean_all()?.to_scalar::<f32>()?))
        };
        let (of_real, of_fake) = (says(&real)?, says(&fake)?);
        run.note(&format!(
            "generated images vary by {share:.2} of the data's variance; D says {of_real:.2} of real and {of_fake:.2} of generated images"
        ))?;
        if share < COLLAPSED {
            run.note("the generator has collapsed: its images hardly differ, so many normal images will have none like them")?;
        }
        if (of_real - of_fake).abs() < SAME {
            run.note("the discriminator says the same of real and generated images: its verdict tells nothing, its features may")?;
        }
        run.show_images("generated images", self.config.epochs, &fake.narrow(0, 0, n.min(SHOWN))?)
    }
}

/// The mean over pixels of the variance over images.
fn spread(xs: &Tensor) -> Result<f64> {
    let centred = xs.broadcast_sub(&xs.mean_keepdim(0)?)?;
    Ok(f64::from(centred.sqr()?.mean_all()?.to_scalar::<f32>()?))
}
