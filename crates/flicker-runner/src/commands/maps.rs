//! Anomaly maps of scored samples as files: each as numbers (npy) and as a picture over its image (PNG).

use crate::Failure;
use crate::pictures::{Colours, Picture};
use candle_core::Tensor;
use flicker_core::data::{Prepare, Source};
use flicker_core::{Error, SampleShape};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder of maps under way. It gets its name when all is written; until then it has another.
pub(super) struct MapsFolder {
    dir: PathBuf,
    partial: PathBuf,
    source: Arc<dyn Source>,
    prepare: Prepare,
    names: Vec<(usize, String)>,
    highest: f32,
}

impl MapsFolder {
    /// A folder to come at `dir` for the maps of `source`, whose images were prepared by `prepare`.
    ///
    /// # Errors
    /// If `dir` exists, cannot be made, or the samples are no images.
    pub(super) fn new(dir: &Path, source: &Arc<dyn Source>, prepare: Prepare) -> Result<Self, Failure> {
        let shown = dir.display();
        let SampleShape::Image { .. } = source.shape() else {
            let shape = source.shape();
            return Err(Failure::usage(format!("--maps {shown}: a {shape} has no map, an image has")));
        };
        if dir.exists() {
            return Err(Failure::usage(format!("--maps {shown}: exists already")));
        }
        let Some(name) = dir.file_name() else {
            return Err(Failure::usage(format!("--maps {shown}: expected the name of a new folder")));
        };
        let partial = dir.with_file_name(format!("{}.partial", name.to_string_lossy()));
        // Left by a scoring that was killed.
        if partial.is_dir() {
            std::fs::remove_dir_all(&partial).map_err(|error| failed(&partial, &error))?;
        }
        std::fs::create_dir_all(&partial).map_err(|error| failed(&partial, &error))?;
        let (dir, source) = (dir.to_path_buf(), source.clone());
        Ok(Self { dir, partial, source, prepare, names: Vec::new(), highest: 0.0 })
    }

    /// Writes the maps `(B, 1, H, W)` of the samples at `indices` as numbers.
    pub(super) fn add(&mut self, indices: &[usize], maps: &Tensor) -> Result<(), Failure> {
        if maps.rank() != 4 {
            return Err(Failure::Failed(format!(
                "--maps: this model has no map of an image, but {:?}",
                maps.dims()
            )));
        }
        for (row, &index) in indices.iter().enumerate() {
            let name = format!("{index:06}-{}", plain(&self.source.id(index)));
            let map = maps.get(row).and_then(|map| map.squeeze(0)).map_err(Error::from)?; // (H, W)
            self.highest =
                self.highest.max(map.max_all().and_then(|top| top.to_scalar()).map_err(Error::from)?);
            let path = self.partial.join(format!("{name}.npy"));
            map.write_npy(&path).map_err(|error| failed(&path, &error))?;
            self.names.push((index, name));
        }
        Ok(())
    }

    /// Draws the maps over their images, the brightest of all maps being the brightest colour, and gives the folder its name.
    ///
    /// # Errors
    /// If the model gave no maps, or a file cannot be written.
    pub(super) fn finish(self) -> Result<usize, Failure> {
        if self.names.is_empty() {
            std::fs::remove_dir_all(&self.partial).map_err(|error| failed(&self.partial, &error))?;
            return Err(Failure::Failed(format!("--maps {}: this model gives no maps", self.dir.display())));
        }
        let mut values = vec![0.0; self.source.shape().elements()];
        for (index, name) in &self.names {
            self.source.read(*index, &mut values)?;
            let path = self.partial.join(format!("{name}.npy"));
            let map = Tensor::read_npy(&path).map_err(|error| failed(&path, &error))?;
            let map: Vec<f32> = map.flatten_all().and_then(|map| map.to_vec1()).map_err(Error::from)?;
            let scale = if self.highest > 0.0 { self.highest } else { 1.0 };
            let map: Vec<f32> = map.into_iter().map(|value| value / scale).collect();
            let png = Picture::overlay(&self.image(&values)?, &map, None)?.to_png()?;
            let path = self.partial.join(format!("{name}.png"));
            std::fs::write(&path, png).map_err(|error| failed(&path, &error))?;
        }
        std::fs::rename(&self.partial, &self.dir).map_err(|error| failed(&self.dir, &error))?;
        Ok(self.names.len())
    }

    /// The image as it was before its values were brought to the model's range; of other channel numbers than 1 and 3 the first.
    fn image(&self, values: &[f32]) -> Result<Picture, Failure> {
        let SampleShape::Image { channels, height, width } = self.source.shape() else {
            return Err(Failure::Failed("--maps: expected images".into()));
        };
        let shown = if channels == 3 { 3 } else { 1 };
        let pixels: Vec<f32> =
            values[..shown * height * width].iter().map(|&value| self.prepare.range.undo(value)).collect();
        Ok(Picture::new((shown, height, width), pixels, Colours::Plain)?)
    }
}

/// An id as a part of a file's name: letters, digits, points and hyphens, not too long.
fn plain(id: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let name: String = id.chars().map(kept).collect();
    name[name.len().saturating_sub(80)..].trim_matches('-').to_string()
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::Failed(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flicker_core::data::Samples;

    #[test]
    fn the_folder_is_there_when_all_of_it_is() {
        let home = tempfile::tempdir().expect("a folder");
        let dir = home.path().join("maps");
        let images = Samples::new((1, 2, 2), vec![-1.0, 1.0, 0.0, 0.5, 0.1, 0.2, 0.3, 0.4]).expect("images");
        let images: Arc<dyn Source> = Arc::new(images);
        let mut maps = MapsFolder::new(&dir, &images, Prepare::KEEP).expect("new");
        let both = Tensor::new(
            &[[[[0f32, 1.0], [2.0, 4.0]]], [[[1.0, 1.0], [0.0, 0.0]]]],
            &candle_core::Device::Cpu,
        );
        maps.add(&[0, 1], &both.expect("maps")).expect("written");
        assert!(!dir.exists());
        assert_eq!(maps.finish().expect("finished"), 2);
        let mut names: Vec<String> = std::fs::read_dir(&dir)
            .expect("there")
            .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        assert_eq!(names.len(), 4, "{names:?}");
        let back = Tensor::read_npy(dir.join(&names[0])).expect("npy");
        assert_eq!(back.to_vec2::<f32>().expect("values"), [[0.0, 1.0], [2.0, 4.0]]);
        assert!(MapsFolder::new(&dir, &images, Prepare::KEEP).is_err(), "exists");
    }

    #[test]
    fn names_are_plain() {
        assert_eq!(plain("test/blowhole/é 1.png"), "test-blowhole---1.png");
        assert_eq!(plain(&"x".repeat(300)).len(), 80);
    }
}
