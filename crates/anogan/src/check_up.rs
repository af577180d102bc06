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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Architecture, Config};
    use candle_core::Device;
    use flicker_core::data::Samples;
    use flicker_core::run::{Checkpoint, Event, Monitor};
    use flicker_core::{Config as _, Detector as _, SampleShape, State, Stop};

    #[derive(Default)]
    struct Notes(Vec<String>, usize);

    impl Monitor for Notes {
        fn event(&mut self, event: &Event<'_>) -> Result<()> {
            match event {
                Event::Note { text } => self.0.push((*text).to_string()),
                Event::Generated { images, .. } => self.1 = images.dim(0)?,
                _ => {}
            }
            Ok(())
        }

        fn checkpoint(&mut self, _: &Checkpoint) -> Result<()> {
            Ok(())
        }

        fn weights(&mut self, _: &str, _: usize, _: &State) -> Result<()> {
            Ok(())
        }

        fn stop(&mut self) -> Option<Stop> {
            None
        }
    }

    fn notes(collapse: bool) -> Result<Notes> {
        let networks = Architecture::Tutorial { generator: 16, discriminator: 2 };
        let config = Config { networks, latent: 4, ..Config::tutorial() };
        let model = config.build((1, 8, 8).into(), Rng::new(0), &Device::Cpu)?;
        if collapse {
            model.weights().redraw("", &Rng::new(0), |name, value, _| {
                Ok(name.ends_with("last.weight").then(|| value.zeros_like()).transpose()?)
            })?;
        }
        // Images of the model itself: an uncollapsed generator varies as they do.
        let config = Config { prior: crate::Prior::Normal { sd: 1.0 }, ..config };
        let maker = config.build((1, 8, 8).into(), Rng::new(0), &Device::Cpu)?;
        let images = maker.generate(64, &mut Rng::new(1))?.flatten_all()?.to_vec1::<f32>()?;
        let normal = Samples::new(SampleShape::from((1, 8, 8)), images)?;
        let mut notes = Notes::default();
        let judged = if collapse { &model } else { &maker };
        judged.check_up(&normal, &mut Run::new(Rng::new(2), &Device::Cpu, &mut notes))?;
        Ok(notes)
    }

    #[test]
    fn a_collapse_and_a_blind_discriminator_are_said() -> Result<()> {
        let Notes(said, shown) = notes(true)?;
        assert_eq!(shown, 64);
        assert!(said[0].starts_with("generated images vary by 0.00 of the data's variance"), "{said:?}");
        assert!(said.iter().any(|text| text.starts_with("the generator has collapsed")), "{said:?}");
        assert!(said.iter().any(|text| text.starts_with("the discriminator says the same")), "{said:?}");
        Ok(())
    }

    #[test]
    fn a_generator_that_varies_as_the_data_do_has_not_collapsed() -> Result<()> {
        let Notes(said, _) = notes(false)?;
        assert!(!said.iter().any(|text| text.contains("collapsed")), "{said:?}");
        Ok(())
    }
}
