//! The small real data that every program carries, so that everything runs with no network.

use super::Dataset;
use super::idx::{self, File, Files};
use crate::Result;

/// Name of [`mnist`], and of its manifest in `datasets/`.
pub const MNIST: &str = "mnist-sample";

/// The files of [`mnist`], by name: IDX, gzip.
pub const MNIST_FILES: [(&str, &[u8]); 4] = [
    (
        "train-images-idx3-ubyte.gz",
        include_bytes!("../../../../datasets/mnist-sample/train-images-idx3-ubyte.gz"),
    ),
    (
        "train-labels-idx1-ubyte.gz",
        include_bytes!("../../../../datasets/mnist-sample/train-labels-idx1-ubyte.gz"),
    ),
    (
        "t10k-images-idx3-ubyte.gz",
        include_bytes!("../../../../datasets/mnist-sample/t10k-images-idx3-ubyte.gz"),
    ),
    (
        "t10k-labels-idx1-ubyte.gz",
        include_bytes!("../../../../datasets/mnist-sample/t10k-labels-idx1-ubyte.gz"),
    ),
];

/// A stratified sample of MNIST, real digits of 28×28 pixels: 8,000 of the official training part and 2,000 of the
/// official test part, drawn by a fixed rule with the proportions of the classes kept. Licence and attribution lie
/// beside the files.
///
/// # Errors
/// Never, unless the files in the source tree were changed.
pub fn mnist() -> Result<Dataset> {
    let [train_images, train_labels, test_images, test_labels] =
        MNIST_FILES.map(|(origin, bytes)| File { origin, bytes });
    let classes: Vec<String> = (0..10).map(|digit| digit.to_string()).collect();
    let train = Files { images: train_images, labels: train_labels };
    idx::dataset(MNIST, &classes, train, Files { images: test_images, labels: test_labels })
}

#[cfg(test)]
mod tests {
    use super::super::Part;
    use super::*;

    #[test]
    fn eight_thousand_and_two_thousand_in_official_proportions() -> Result<()> {
        let digits = mnist()?;
        assert_eq!(digits.shape(), (1, 28, 28).into());
        let counts = |part| {
            let mut counts = [0; 10];
            for (&label, _) in digits.labels().iter().zip(digits.parts()).filter(|(_, of)| **of == part) {
                counts[label as usize] += 1;
            }
            counts
        };
        // The official counts times 8000 / 60000 and 2000 / 10000.
        assert_eq!(counts(Part::Train), [790, 899, 794, 818, 779, 723, 789, 835, 780, 793]);
        assert_eq!(counts(Part::Test), [196, 227, 206, 202, 196, 178, 192, 206, 195, 202]);
        Ok(())
    }
}
