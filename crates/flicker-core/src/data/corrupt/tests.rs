//! Corruptions of flat images, whose changes are seen at once.

use super::super::Images;
use super::*;

/// 16 images of 2×20×20, every pixel 102 (0.4) in the first channel and 204 (0.8) in the second.
fn flat() -> Arc<dyn Source> {
    let image = [[102; 400], [204; 400]].concat();
    Arc::new(Images::new((2, 20, 20), image.repeat(16), "test-").expect("16 images"))
}

fn read(source: &dyn Source, index: usize) -> Vec<f32> {
    let mut out = vec![f32::NAN; source.shape().elements()];
    source.read(index, &mut out).expect("a sample");
    out
}

fn corrupted(corruption: Corruption, clip: bool) -> Corrupted {
    Corrupted::new(flat(), corruption, [0.0, 1.0], clip, Rng::new(1)).expect("a corruption that works")
}

#[test]
fn each_index_has_its_own_numbers_in_any_order() {
    for corruption in [
        Corruption::Gaussian { sigma: 0.1 },
        Corruption::SaltAndPepper { p: 0.2 },
        Corruption::Patch { size: 5 },
    ] {
        let (source, again) = (corrupted(corruption, false), corrupted(corruption, false));
        let last = read(&again, 15);
        assert_eq!(read(&source, 0), read(&again, 0));
        assert_eq!(read(&source, 15), last);
        assert_ne!(read(&source, 0), last, "{corruption:?}");
    }
}

#[test]
fn gaussian_noise_has_its_deviation_and_the_clip_holds() {
    let mean_square = |clip| {
        let out = read(&corrupted(Corruption::Gaussian { sigma: 0.5 }, clip), 3);
        assert_eq!(clip, out.iter().all(|x| (0.0..=1.0).contains(x)));
        out[..400].iter().map(|x| (x - 0.4) * (x - 0.4)).sum::<f32>() / 400.0
    };
    assert!((mean_square(false).sqrt() - 0.5).abs() < 0.06);
    assert!(mean_square(true).sqrt() < 0.45);
}

#[test]
fn salt_and_pepper_hits_all_channels_of_a_pixel() {
    let out = read(&corrupted(Corruption::SaltAndPepper { p: 0.3 }, false), 0);
    let hit = |x: f32| x == 0.0 || x == 1.0;
    let hits = out[..400].iter().filter(|&&x| hit(x)).count();
    assert!((80..160).contains(&hits), "{hits} of 400 at p 0.3");
    assert!((0..400).all(|i| hit(out[i]) == hit(out[400 + i]) && (!hit(out[i]) || out[i] == out[400 + i])));
    let salt = out[..400].iter().filter(|&&x| x == 1.0).count();
    assert!((hits / 4..hits * 3 / 4).contains(&salt));
}

#[test]
fn a_patch_is_one_square() {
    let out = read(&corrupted(Corruption::Patch { size: 4 }, false), 7);
    let changed: Vec<usize> = (0..400).filter(|&i| out[i] != 0.4).collect();
    let (row, column) = (changed[0] / 20, changed[0] % 20);
    let square: Vec<usize> = (0..16).map(|i| (row + i / 4) * 20 + column + i % 4).collect();
    assert_eq!(changed, square);
    assert_eq!((400..800).filter(|&i| out[i] != 0.8).map(|i| i - 400).collect::<Vec<_>>(), square);
}

/// Where `source` differs from `base` in the first channel.
fn changed(source: &dyn Source, base: &dyn Source, index: usize) -> Vec<bool> {
    read(source, index)[..400].iter().zip(&read(base, index)[..400]).map(|(a, b)| a != b).collect()
}

#[test]
fn a_mask_says_where_a_patch_is() {
    let source = Arc::new(corrupted(Corruption::Patch { size: 4 }, false));
    let masks = source.masks().expect("a patch has a place");
    assert_eq!(masks.shape(), (1, 20, 20).into());
    for index in [0, 7] {
        let mask: Vec<bool> = read(&*masks, index).iter().map(|&value| value == 1.0).collect();
        assert_eq!(mask, changed(&*source, &*flat(), index));
    }
    assert!(Arc::new(corrupted(Corruption::Permuted, false)).masks().is_none());
}

#[test]
fn a_lesion_covers_its_mask_and_little_more() {
    let lesion = Lesion { radius: [0.1, 0.25], contrast: [0.2, 0.3], edge: 0.4, tissue: 0.1 };
    let source = Arc::new(corrupted(Corruption::Lesion(lesion), false));
    let masks = source.masks().expect("a lesion has a place");
    let mut sizes = Vec::new();
    for index in 0..16 {
        let mask: Vec<bool> = read(&*masks, index).iter().map(|&value| value == 1.0).collect();
        let changed = changed(&*source, &*flat(), index);
        let (n_mask, n_changed) = [&mask, &changed].map(|of| of.iter().filter(|&&x| x).count()).into();
        assert!(mask.iter().zip(&changed).all(|(mask, changed)| !mask || *changed));
        assert!((5..=100).contains(&n_mask) && n_changed <= 3 * n_mask + 12, "{n_mask} {n_changed}");
        // The second channel stands at 0.8: with 0.2 or more to add, and nothing beyond 1, both channels darken or brighten.
        let (out, before) = (read(&*source, index), read(&*flat(), index));
        let middle = mask.iter().position(|&x| x).expect("a pixel");
        assert!((out[middle] - before[middle]).abs() > 0.09, "half of the contrast at least");
        assert!(out.iter().all(|x| (0.0..=1.0).contains(x)));
        sizes.push(n_mask);
    }
    sizes.dedup();
    assert!(sizes.len() > 8, "sizes differ: {sizes:?}");
    let dark: Arc<dyn Source> = Arc::new(Images::new((1, 9, 9), vec![0; 81], "").expect("one image"));
    let nothing = Corrupted::new(dark.clone(), Corruption::Lesion(lesion), [0.0, 1.0], true, Rng::new(0));
    assert_ne!(read(&nothing.expect("it fits"), 0), read(&*dark, 0), "where all is dark, anywhere");
}

#[test]
fn a_permutation_keeps_the_pixels_of_all_channels_together() {
    let bytes: Vec<u8> = (0..50).chain(100..150).collect();
    let base: Arc<dyn Source> = Arc::new(Images::new((2, 5, 10), bytes, "").expect("one image"));
    let before = read(&*base, 0);
    let source = Corrupted::new(base, Corruption::Permuted, [0.0, 1.0], true, Rng::new(0)).expect("it fits");
    let after = read(&source, 0);
    assert_ne!(before, after);
    assert!((0..50).all(|i| (after[50 + i] - after[i] - 100.0 / 255.0).abs() < 1e-6));
    let sorted = |mut values: Vec<f32>| {
        values.sort_by(f32::total_cmp);
        values
    };
    assert_eq!(sorted(after), sorted(before));
}

#[test]
fn pure_noise_is_standard_normal_and_clipped_if_told() {
    let noise = |clip| NoiseImages::new(30, (1, 28, 28), clip, Rng::new(3));
    let all: Vec<f32> = (0..30).flat_map(|index| read(&noise(None), index)).collect();
    let mean_square = all.iter().map(|x| x * x).sum::<f32>() / all.len() as f32;
    assert!((mean_square - 1.0).abs() < 0.03, "{mean_square}");
    assert_ne!(all[..784], all[784..1568]);
    assert!(read(&noise(Some([0.0, 1.0])), 0).iter().all(|x| (0.0..=1.0).contains(x)));
    assert!(noise(None).read(30, &mut [0.0; 784]).is_err());
}

#[test]
fn numbers_out_of_range_are_refused() {
    let refused = |corruption, values| Corrupted::new(flat(), corruption, values, true, Rng::new(0)).is_err();
    assert!(refused(Corruption::Gaussian { sigma: 0.0 }, [0.0, 1.0]));
    assert!(refused(Corruption::SaltAndPepper { p: 1.5 }, [0.0, 1.0]));
    assert!(refused(Corruption::Patch { size: 21 }, [0.0, 1.0]));
    assert!(refused(Corruption::Permuted, [1.0, 1.0]));
    let lesion = Lesion { radius: [0.1, 0.2], contrast: [0.1, 0.2], edge: 0.3, tissue: 0.1 };
    assert!(!refused(Corruption::Lesion(lesion), [0.0, 1.0]));
    assert!(refused(Corruption::Lesion(Lesion { radius: [0.2, 0.1], ..lesion }), [0.0, 1.0]));
    assert!(refused(Corruption::Lesion(Lesion { contrast: [0.0, 1.5], ..lesion }), [0.0, 1.0]));
    assert!(refused(Corruption::Lesion(Lesion { edge: -1.0, ..lesion }), [0.0, 1.0]));
}
