//! Pixel metrics against scikit-learn, SciPy and a PRO written from its definition: `tests/fixtures/pixels/make.py`.

use super::*;
use crate::Rng;
use serde_json::Value;

fn filled(case: &Value) -> Result<PixelMetrics> {
    let size: [usize; 2] = serde_json::from_value(case["size"].clone()).expect("a size");
    let classes: Vec<i64> = serde_json::from_value(case["classes"].clone()).expect("classes");
    let maps: Vec<Vec<f32>> = serde_json::from_value(case["maps"].clone()).expect("maps");
    let masks: Vec<String> = serde_json::from_value(case["masks"].clone()).expect("masks");
    let mut pixels = Pixels::new(size, &["a", "b"], case["threshold"].as_f64().expect("a threshold"))?;
    for ((class, map), mask) in classes.iter().zip(&maps).zip(&masks) {
        let mask: Vec<bool> = mask.chars().map(|c| c == '1').collect();
        pixels.add(map, usize::try_from(*class).ok().map(|class| (class, &mask[..])))?;
    }
    pixels.metrics()
}

#[test]
fn equal_those_of_python() -> Result<()> {
    let text = include_str!("../../../../../tests/fixtures/pixels/pixels.json");
    let cases: Vec<Value> = serde_json::from_str(text).expect("the fixture is JSON");
    assert_eq!(cases.len(), 6);
    for case in &cases {
        let found = serde_json::to_value(filled(case)?).expect("metrics are JSON");
        let check = |found: &Value, expected: &Value, names: &[&str]| {
            for name in names {
                let pick = |value: &Value| match &value[name] {
                    Value::Object(best) => best["value"].as_f64(),
                    number => number.as_f64(),
                };
                let (found, expected) = (pick(found).expect(name), pick(expected).expect(name));
                assert!((found - expected).abs() < 1e-12, "{}: {name} {found} {expected}", case["name"]);
            }
        };
        check(
            &found,
            case,
            &["n_regions", "prevalence", "auroc", "auprc", "pro", "dice", "iou", "precision"],
        );
        check(
            &found,
            case,
            &["recall", "false_positive_rate", "dice_per_image", "iou_per_image", "best_dice"],
        );
        for (row, expected) in
            found["by_class"].as_array().expect("rows").iter().zip(case["by_class"].as_array().expect("rows"))
        {
            check(row, expected, &["n_images", "n_regions", "auroc", "pro", "dice_per_image"]);
        }
        assert_eq!(found["by_class"].as_array().map(Vec::len), Some(2));
    }
    Ok(())
}

#[test]
fn the_best_dice_is_that_of_its_threshold() -> Result<()> {
    let mut rng = Rng::new(0);
    let map = rng.uniforms(400, 0.0, 1.0);
    let mask: Vec<bool> = map.iter().map(|&value| f64::from(value) > 0.3 + 0.5 * rng.uniform()).collect();
    let at = |threshold| -> Result<PixelMetrics> {
        let mut pixels = Pixels::new([20, 20], &["x"], threshold)?;
        pixels.add(&map, Some((0, &mask)))?;
        pixels.metrics()
    };
    let best = at(0.5)?.best_dice.expect("abnormal pixels");
    assert!((at(best.threshold)?.dice.expect("a Dice") - best.value).abs() < 1e-12);
    for step in 0..50 {
        assert!(at(f64::from(step) / 50.0)?.dice.expect("a Dice") <= best.value);
    }
    Ok(())
}

#[test]
fn normal_images_alone_have_a_false_positive_rate_and_nothing_else() -> Result<()> {
    let mut pixels = Pixels::new([1, 2], &["x"], 0.5)?;
    pixels.add(&[0.0, 1.0], None)?;
    let found = pixels.metrics()?;
    assert_eq!(
        (found.false_positive_rate, found.auroc, found.pro, found.dice),
        (Some(0.5), None, None, None)
    );
    assert!(Pixels::new([1, 2], &["x"], 0.5)?.metrics().is_err());
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused() -> Result<()> {
    let mut pixels = Pixels::new([1, 2], &["x"], f64::INFINITY)?;
    assert!(pixels.add(&[0.0], None).is_err());
    assert!(pixels.add(&[0.0, f32::NAN], None).unwrap_err().to_string().contains("pixel 1 is NaN"));
    assert!(pixels.add(&[0.0, 1.0], Some((0, &[true]))).is_err());
    assert!(pixels.add(&[0.0, 1.0], Some((1, &[true, false]))).is_err());
    assert!(pixels.add(&[0.0, 1.0], Some((0, &[false, false]))).is_err());
    assert!(Pixels::new([0, 2], &["x"], 0.0).is_err() && Pixels::new([1, 2], &["x"], f64::NAN).is_err());
    Ok(())
}

#[test]
fn a_threshold_flags_no_more_than_its_rate() -> Result<()> {
    let values: Vec<f32> = (1..=100).rev().map(|i| i as f32).collect();
    assert_eq!(threshold_of_normals(values.clone(), 0.05)?, 95.0);
    assert_eq!(threshold_of_normals(values, 0.001)?, 100.0);
    assert_eq!(threshold_of_normals(vec![1.0; 9], 0.5)?, 1.0);
    assert!(threshold_of_normals(vec![], 0.5).is_err() && threshold_of_normals(vec![1.0], 1.0).is_err());
    Ok(())
}
