//! Folders of tiny images in every layout, and what can be wrong with them.

use super::super::{Source, Twins};
use super::*;
use image::{GrayImage, ImageFormat, Luma, RgbImage};
use std::io::Cursor;
use std::path::Path;

const OPTIONS: Options = Options {
    layout: None,
    channels: None,
    resize: Resize::Bilinear { size: [2, 2] },
    limits: Limits::USUAL,
    on_error: OnError::Fail,
};

fn png(width: u32, height: u32, grey: u8) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    GrayImage::from_pixel(width, height, Luma([grey])).write_to(&mut bytes, ImageFormat::Png).expect("a PNG");
    bytes.into_inner()
}

fn put(root: &Path, file: &str, bytes: &[u8]) {
    let path = root.join(file);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    std::fs::write(path, bytes).expect("written");
}

fn tree(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a folder");
    for (file, bytes) in files {
        put(root.path(), file, bytes);
    }
    root
}

/// Two normals of different sizes, a normal to test, two defects, and their masks.
fn mvtec() -> tempfile::TempDir {
    let mut left = GrayImage::new(4, 4);
    (0..4).for_each(|y| left.put_pixel(0, y, Luma([255])));
    let mut mask = Cursor::new(Vec::new());
    left.write_to(&mut mask, ImageFormat::Png).expect("a PNG");
    tree(&[
        ("train/good/b.png", png(4, 4, 51)),
        ("train/good/a.png", png(6, 3, 102)),
        ("test/good/c.PNG", png(4, 4, 51)),
        ("test/scratch/d.png", png(4, 4, 204)),
        ("test/hole/e.png", png(8, 8, 204)),
        ("ground_truth/scratch/d_mask.png", mask.into_inner()),
        ("ground_truth/hole/e_mask.png", png(8, 8, 0)),
        ("readme.txt", vec![]),
        ("train/good/.hidden.png", vec![]),
        ("train/good/notes.txt", vec![]),
    ])
}

fn ids(dataset: &Dataset) -> Vec<String> {
    (0..dataset.len()).map(|index| dataset.source().id(index)).collect()
}

fn read(source: &dyn Source, index: usize) -> Vec<f32> {
    let mut out = vec![f32::NAN; source.shape().elements()];
    source.read(index, &mut out).expect("a sample");
    out
}

#[track_caller]
fn refused(root: &Path, options: &Options, said: &str) {
    let message = open("x", root, options).unwrap_err().to_string();
    assert!(message.contains(said) && message.contains(&root.display().to_string()), "{message}");
}

#[test]
fn mvtec_has_parts_classes_and_masks() -> Result<()> {
    let root = mvtec();
    let Folder { dataset, layout, n_ignored, .. } = open("tiles", root.path(), &OPTIONS)?;
    assert_eq!((layout, n_ignored), (Layout::Mvtec, 1));
    let expected =
        ["test/good/c.PNG", "test/hole/e.png", "test/scratch/d.png", "train/good/a.png", "train/good/b.png"];
    assert_eq!(ids(&dataset), expected);
    assert_eq!(
        (dataset.classes(), dataset.labels()),
        (&["good", "hole", "scratch"].map(String::from)[..], &[0, 1, 2, 0, 0][..])
    );
    assert_eq!(dataset.parts(), [Part::Test, Part::Test, Part::Test, Part::Train, Part::Train]);
    assert_eq!(dataset.shape(), (1, 2, 2).into());
    assert_eq!(read(&**dataset.source(), 3), [0.4; 4]);
    let masks = dataset.masks().expect("masks");
    assert!((0..5).all(|index| masks.is_known(index)));
    assert_eq!(read(&**masks.source(), 2), [1.0, 0.0, 1.0, 0.0]);
    assert_eq!(read(&**masks.source(), 1), [0.0; 4]);
    // Twins by the stored bytes: b and c.
    assert_eq!(Twins::of(&**dataset.source())?.repeated(), 1);
    Ok(())
}

#[test]
fn anomalib_classes_and_plain_normals() -> Result<()> {
    let root = tree(&[
        ("normal/a.png", png(2, 2, 0)),
        ("abnormal/b.png", png(2, 2, 0)),
        ("mask/b.png", png(2, 2, 255)),
        ("normal_test/c.png", png(2, 2, 0)),
    ]);
    let found = open("x", root.path(), &OPTIONS)?;
    assert_eq!((found.layout, found.dataset.labels()), (Layout::Anomalib, &[1, 0, 0][..]));
    assert_eq!(found.dataset.parts(), [Part::Test, Part::Train, Part::Test]);
    assert_eq!(read(&**found.dataset.masks().expect("masks").source(), 0), [1.0; 4]);
    let root =
        tree(&[("yes/1.png", png(2, 2, 0)), ("no/1.png", png(2, 2, 0)), ("no/deep/2.png", png(2, 2, 0))]);
    let found = open("x", root.path(), &OPTIONS)?;
    assert_eq!((found.layout, found.dataset.labels()), (Layout::Classes, &[0, 0, 1][..]));
    assert!(found.dataset.classes() == ["no", "yes"] && found.dataset.masks().is_none());
    let root = tree(&[
        ("train/a/1.png", png(2, 2, 0)),
        ("test/b/1.png", png(2, 2, 0)),
        ("test/a/1.png", png(2, 2, 0)),
    ]);
    let found = open("x", root.path(), &OPTIONS)?;
    assert_eq!(found.dataset.parts(), [Part::Test, Part::Test, Part::Train]);
    let root = tree(&[("1.png", png(2, 2, 0)), ("2.png", png(2, 2, 0))]);
    let found = open("x", root.path(), &OPTIONS)?;
    assert_eq!((found.layout, found.dataset.classes()), (Layout::Normals, &["normal".to_owned()][..]));
    Ok(())
}

#[test]
fn colour_is_taken_where_an_image_has_it() -> Result<()> {
    let mut colour = Cursor::new(Vec::new());
    let red = RgbImage::from_pixel(2, 2, image::Rgb([255, 0, 0]));
    red.write_to(&mut colour, ImageFormat::Bmp).expect("a BMP");
    let root = tree(&[("1.bmp", colour.into_inner()), ("2.png", png(2, 2, 51))]);
    let dataset = open("x", root.path(), &OPTIONS)?.dataset;
    assert_eq!(dataset.shape(), (3, 2, 2).into());
    assert_eq!(read(&**dataset.source(), 1), [0.2; 12]);
    let grey = open("x", root.path(), &Options { channels: Some(1), ..OPTIONS })?.dataset;
    assert!((read(&**grey.source(), 0)[0] - 0.299).abs() < 1e-6);
    assert!(open("x", root.path(), &Options { channels: Some(2), ..OPTIONS }).is_err());
    Ok(())
}

#[test]
fn sizes_that_differ_need_a_resize() -> Result<()> {
    let root = mvtec();
    let keep = Options { resize: Resize::Keep, ..OPTIONS };
    refused(root.path(), &keep, "test/hole/e.png: 8x8, but test/good/c.PNG is 4x4");
    let pad = Options { resize: Resize::Pad { size: [7, 7] }, ..OPTIONS };
    refused(root.path(), &pad, "7x7 cannot be made from 8x8");
    let root = tree(&[("1.png", png(3, 2, 51)), ("2.png", png(3, 2, 0))]);
    assert_eq!(open("x", root.path(), &keep)?.dataset.shape(), (1, 2, 3).into());
    // A file that changes after it was looked at.
    let dataset = open("x", root.path(), &keep)?.dataset;
    put(root.path(), "1.png", &png(2, 2, 0));
    let message = dataset.source().read(0, &mut [0.0; 6]).unwrap_err().to_string();
    assert!(message.contains("1.png: was changed: 2x2 now"), "{message}");
    Ok(())
}

#[test]
fn broken_files_and_masks_are_named() {
    let root = mvtec();
    let path = root.path();
    put(path, "ground_truth/hole/e_mask.png", &png(8, 7, 0));
    refused(path, &OPTIONS, "e_mask.png: the mask is 7x8, expected 8x8 as its image");
    std::fs::remove_file(path.join("ground_truth/hole/e_mask.png")).expect("removed");
    refused(path, &OPTIONS, "e.png: has no mask, expected");
    put(path, "ground_truth/hole/e_mask.png", &png(8, 8, 0));
    put(path, "train/good/z.png", b"");
    refused(path, &OPTIONS, "z.png: is empty");
    put(path, "train/good/z.png", b"no picture");
    refused(path, &OPTIONS, "z.png: is no image");
    put(path, "train/good/z.png", &png(100, 100, 0));
    let limits = Limits { pixels: 9_999, ..Limits::USUAL };
    refused(path, &Options { limits, ..OPTIONS }, "z.png: has 100x100 pixels, expected 1 to 9999");
    let limits = Limits { bytes: 10, ..Limits::USUAL };
    refused(path, &Options { limits, ..OPTIONS }, "more than the 10 that are allowed");
}

#[test]
fn broken_files_are_skipped_by_choice_and_each_is_named() -> Result<()> {
    let root = mvtec();
    let path = root.path();
    let mut cut = png(64, 64, 7);
    cut.truncate(cut.len() - 20); // its head is whole
    put(path, "train/good/cut.png", &cut);
    put(path, "train/good/empty.png", b"");
    put(path, "ground_truth/hole/e_mask.png", &png(8, 7, 0));
    let skip = Options { on_error: OnError::Skip, ..OPTIONS };
    let found = open("x", path, &skip)?;
    let expected = ["test/good/c.PNG", "test/scratch/d.png", "train/good/a.png", "train/good/b.png"];
    assert_eq!(ids(&found.dataset), expected);
    assert_eq!(found.dataset.labels(), [0, 2, 0, 0]);
    assert_eq!(read(&**found.dataset.masks().expect("masks").source(), 1), [1.0, 0.0, 1.0, 0.0]);
    let said: Vec<String> = found.skipped.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 3);
    for (said, expected) in
        said.iter().zip(["e_mask.png: the mask is 7x8", "cut.png: ", "empty.png: is empty"])
    {
        assert!(said.contains(expected), "{said}");
    }
    refused(tree(&[("a.png", vec![]), ("b.png", vec![])]).path(), &skip, "a.png: is empty");
    Ok(())
}

#[test]
fn folders_that_say_nothing_are_refused() {
    refused(tree(&[("a.txt", vec![])]).path(), &OPTIONS, "no images and no folders of images");
    refused(
        tree(&[("a.png", png(2, 2, 0)), ("b/c.png", png(2, 2, 0))]).path(),
        &OPTIONS,
        "images beside folders",
    );
    refused(tree(&[("a/b.txt", vec![])]).path(), &OPTIONS, "no image in the layout Classes");
    assert!(open("x", Path::new("no/such"), &OPTIONS).unwrap_err().to_string().starts_with("no/such: "));
}

#[cfg(unix)]
#[test]
fn a_loop_of_folders_is_noticed_and_a_link_is_followed() -> Result<()> {
    let root = tree(&[("a/1.png", png(2, 2, 0)), ("b/2.png", png(2, 2, 0))]);
    let link = |to: &str, at: &str| {
        std::os::unix::fs::symlink(root.path().join(to), root.path().join(at)).expect("linked");
    };
    link("a", "c");
    assert_eq!(ids(&open("x", root.path(), &OPTIONS)?.dataset), ["a/1.png", "b/2.png", "c/1.png"]);
    link("b", "b/again");
    refused(root.path(), &OPTIONS, "b/again: leads back to");
    Ok(())
}
