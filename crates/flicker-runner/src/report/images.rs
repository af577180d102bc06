//! PNG files of the run folder as data inside the page, within a limit of bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::cell::Cell;
use std::fs;
use std::path::{Component, Path};

use crate::pictures::shrink_png;

/// Bytes of PNG that a page may hold; a third more as text, which keeps the page under 5 MB with its charts.
const MOST_BYTES: usize = 3_200_000;

/// Pictures of a run folder; hands out what fits.
pub(super) struct Images<'a> {
    folder: &'a Path,
    left: Cell<usize>,
}

impl<'a> Images<'a> {
    pub(super) fn new(folder: &'a Path) -> Self {
        Self { folder, left: Cell::new(MOST_BYTES) }
    }

    /// The picture as the address of an `img`, its longer side at most `side` pixels; `None` where it cannot be read, lies
    /// outside the folder, is no PNG, or nothing is left of the limit.
    pub(super) fn address(&self, file: &str, side: u32) -> Option<String> {
        let inside = Path::new(file).components().all(|part| matches!(part, Component::Normal(_)));
        let bytes = inside.then(|| fs::read(self.folder.join(file)).ok()).flatten()?;
        if !bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            return None;
        }
        let bytes = shrink_png(&bytes, side).filter(|small| small.len() < bytes.len()).unwrap_or(bytes);
        let left = self.left.get().checked_sub(bytes.len())?;
        self.left.set(left);
        Some(format!("data:image/png;base64,{}", STANDARD.encode(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pictures_of_the_folder_are_taken() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("run");
        fs::create_dir(&folder).unwrap();
        let png = crate::pictures::Picture::new((1, 1, 1), vec![0.5], crate::pictures::Colours::Plain);
        let png = png.unwrap().to_png().unwrap();
        fs::write(folder.join("a.png"), &png).unwrap();
        fs::write(outer.path().join("b.png"), &png).unwrap();
        fs::write(folder.join("c.png"), "no picture").unwrap();
        let images = Images::new(&folder);
        assert!(images.address("a.png", 200).is_some_and(|a| a.starts_with("data:image/png;base64,iVBOR")));
        for file in ["../b.png", "c.png", "d.png", "/etc/passwd"] {
            assert!(images.address(file, 200).is_none(), "{file}");
        }
    }
}
