//! From anomaly maps and masks to the metrics of pixels.
//!
//! The threshold of pixels comes from the maps of the validation normals alone: the smallest value that leaves no more than
//! the share `decide.pixel_false_alarm_rate` of their pixels above it. Then the test is looked at, image by image, and no map
//! is kept.

use crate::Failure;
use crate::samples::TestSet;
use candle_core::Tensor;
use flicker_core::SampleShape;
use flicker_core::metrics::pixels::{PRO_LIMIT, PixelMetrics, Pixels, threshold_of_normals};
use serde::Serialize;

/// What `metrics.json` says of pixels.
#[derive(Serialize)]
pub(crate) struct PixelsFile {
    #[serde(flatten)]
    metrics: PixelMetrics,
    /// The share of the validation normals' pixels that may be flagged.
    alpha: f64,
    n_validation_pixels: usize,
    /// Abnormal images that were not looked at, since their masks are not known or empty.
    n_without_mask: usize,
    /// The false-positive rate up to which PRO is integrated.
    pro_limit: f64,
}

impl PixelsFile {
    /// One line for the screen.
    pub(crate) fn in_words(&self) -> String {
        let number =
            |value: Option<f64>| value.map_or("undefined".to_string(), |value| format!("{value:.4}"));
        let PixelMetrics { auroc, auprc, pro, dice, prevalence, .. } = self.metrics;
        format!(
            "pixels: AUROC {}  AUPRC {}  PRO {}  Dice {}  (prevalence {prevalence:.4})",
            number(auroc),
            number(auprc),
            number(pro),
            number(dice)
        )
    }
}

/// The values of the validation normals' maps, gathered where the test has masks.
pub(crate) struct ValidationMaps {
    wanted: bool,
    values: Vec<f32>,
}

impl ValidationMaps {
    pub(crate) fn new(test: &TestSet) -> Self {
        Self { wanted: test.masks.is_some(), values: Vec::new() }
    }

    pub(crate) fn add(&mut self, map: &Tensor) -> Result<(), Failure> {
        if self.wanted && map.rank() == 4 {
            self.values.extend(values_of(map)?);
        }
        Ok(())
    }
}

/// The maps of the test against its masks.
pub(crate) struct TestMaps<'a> {
    test: &'a TestSet,
    /// `None` where there are no masks or no maps.
    pixels: Option<Pixels>,
    alpha: f64,
    n_validation_pixels: usize,
    n_without_mask: usize,
}

impl<'a> TestMaps<'a> {
    /// With the threshold that the validation normals give for the share `alpha`.
    pub(crate) fn new(test: &'a TestSet, normals: ValidationMaps, alpha: f64) -> Result<Self, Failure> {
        let n_validation_pixels = normals.values.len();
        let pixels = match test.source.shape() {
            SampleShape::Image { height, width, .. } if n_validation_pixels > 0 => {
                let threshold = threshold_of_normals(normals.values, alpha)?;
                Some(Pixels::new([height, width], &test.classes, f64::from(threshold))?)
            }
            _ => None,
        };
        Ok(Self { test, pixels, alpha, n_validation_pixels, n_without_mask: 0 })
    }

    /// Takes in the maps `(B, 1, H, W)` of the samples at `rows`.
    pub(crate) fn add(&mut self, rows: &[usize], map: &Tensor) -> Result<(), Failure> {
        let (Some(pixels), Some(masks)) = (&mut self.pixels, &self.test.masks) else { return Ok(()) };
        let values = values_of(map)?;
        let n = values.len() / rows.len();
        let mut mask = vec![0.0; masks.source().shape().elements()];
        for (&row, values) in rows.iter().zip(values.chunks_exact(n)) {
            let named = |error: flicker_core::Error| {
                Failure::Failed(format!("the map of sample {}: {error}", self.test.source.id(row)))
            };
            if !self.test.abnormal[row] {
                pixels.add(values, None).map_err(named)?;
                continue;
            }
            masks.source().read(row, &mut mask)?;
            let marked: Vec<bool> = mask.iter().map(|&value| value >= 0.5).collect();
            if masks.is_known(row) && marked.contains(&true) {
                pixels.add(values, Some((self.test.labels[row], &marked))).map_err(named)?;
            } else {
                self.n_without_mask += 1;
            }
        }
        Ok(())
    }

    /// The metrics, where there were masks and maps.
    pub(crate) fn finish(self) -> Result<Option<PixelsFile>, Failure> {
        let Some(pixels) = self.pixels else { return Ok(None) };
        Ok(Some(PixelsFile {
            metrics: pixels.metrics()?,
            alpha: self.alpha,
            n_validation_pixels: self.n_validation_pixels,
            n_without_mask: self.n_without_mask,
            pro_limit: PRO_LIMIT,
        }))
    }
}

fn values_of(map: &Tensor) -> Result<Vec<f32>, Failure> {
    let values = map.flatten_all().and_then(|map| map.to_vec1::<f32>());
    Ok(values.map_err(flicker_core::Error::from)?)
}
