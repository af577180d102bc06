//! The shape of one sample.

use serde::{Deserialize, Serialize};

/// The shape of one sample: an image or a row of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum SampleShape {
    /// An image, stored channel first.
    Image {
        /// Channels: 1 for grey, 3 for colour.
        channels: usize,
        /// Rows of pixels.
        height: usize,
        /// Columns of pixels.
        width: usize,
    },
    /// A row of a table.
    Table {
        /// Columns.
        features: usize,
    },
}

impl SampleShape {
    /// Values in one sample.
    pub fn elements(self) -> usize {
        match self {
            Self::Image { channels, height, width } => channels * height * width,
            Self::Table { features } => features,
        }
    }

    /// Dimensions of one sample: `[C, H, W]` or `[F]`.
    pub fn dims(self) -> Vec<usize> {
        match self {
            Self::Image { channels, height, width } => vec![channels, height, width],
            Self::Table { features } => vec![features],
        }
    }

    /// Dimensions of a batch of `n` samples: `[n, C, H, W]` or `[n, F]`.
    pub fn batch_dims(self, n: usize) -> Vec<usize> {
        let mut dims = vec![n];
        dims.extend(self.dims());
        dims
    }

    /// Refuses a tensor that is not a batch `(B, …)` of samples of this shape.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) with both shapes.
    pub fn expect_batch(&self, xs: &candle_core::Tensor) -> crate::Result<()> {
        let expected = self.batch_dims(xs.dims().first().copied().unwrap_or(0));
        if xs.dims() == expected {
            return Ok(());
        }
        let (expected, found) = (format!("{expected:?}"), format!("{:?}", xs.dims()));
        Err(crate::Error::Shape { what: "samples to score".into(), expected, found })
    }
}

impl From<(usize, usize, usize)> for SampleShape {
    /// `(channels, height, width)`.
    fn from((channels, height, width): (usize, usize, usize)) -> Self {
        Self::Image { channels, height, width }
    }
}

impl From<usize> for SampleShape {
    /// The number of features of a table row.
    fn from(features: usize) -> Self {
        Self::Table { features }
    }
}

impl std::fmt::Display for SampleShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Image { channels, height, width } => write!(f, "image {channels}x{height}x{width}"),
            Self::Table { features } => write!(f, "row of {features} features"),
        }
    }
}

impl std::str::FromStr for SampleShape {
    type Err = crate::Error;

    /// Reads what `Display` writes.
    fn from_str(text: &str) -> crate::Result<Self> {
        let sides =
            |text: &str| text.split('x').map(|side| side.parse().ok()).collect::<Option<Vec<usize>>>();
        let image = text.strip_prefix("image ").and_then(sides);
        let row =
            text.strip_prefix("row of ").and_then(|rest| rest.strip_suffix(" features")).and_then(sides);
        match (image.as_deref(), row.as_deref()) {
            (Some(&[channels, height, width]), _) => Ok((channels, height, width).into()),
            (_, Some(&[features])) => Ok(features.into()),
            _ => Err(crate::Error::Shape {
                what: "shape of a sample".into(),
                expected: "`image CxHxW` or `row of F features`".into(),
                found: format!("`{text}`"),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_read_as_it_is_written() -> crate::Result<()> {
        for shape in [SampleShape::from((3, 64, 32)), 30.into()] {
            assert_eq!(shape.to_string().parse::<SampleShape>()?, shape);
        }
        for wrong in ["", "image 3x64", "image 3x64xx", "row of 3", "row of 1x2 features", "row of features"]
        {
            let error = wrong.parse::<SampleShape>().expect_err(wrong).to_string();
            assert!(error.ends_with(&format!("found `{wrong}`")), "{error}");
        }
        Ok(())
    }
}
