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
