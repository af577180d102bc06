//! Where it is abnormal: the metrics of pixels, where masks are known.

use maud::{Markup, html};

use crate::report::format::{count, metric, percent};
use crate::report::metrics::Pixels;

pub(super) fn body(pixels: &Pixels) -> Markup {
    let chance = pixels.prevalence.map(|p| format!("average precision of pixels; chance: {}", metric(p)));
    let chance = chance.unwrap_or_else(|| "average precision of pixels".to_owned());
    let at = threshold_words(pixels);
    let best = pixels.best_dice.as_ref().and_then(|best| best.value);
    let rows: [(&str, &str, Option<f64>); 11] = [
        ("AUROC", "a random abnormal pixel has a higher value than a random normal one", pixels.auroc),
        ("AUPRC", &chance, pixels.auprc),
        ("PRO", "mean share of a region that is found, up to 30\u{a0}% false positives", pixels.pro),
        ("Dice", &at, pixels.dice),
        ("IoU", "intersection over union at the same threshold", pixels.iou),
        ("Precision", "share of the flagged pixels that is abnormal", pixels.precision),
        ("Recall", "share of the abnormal pixels that is flagged", pixels.recall),
        ("False-positive rate", "share of the normal pixels that is flagged", pixels.false_positive_rate),
        ("Dice per image", "mean over abnormal images", pixels.dice_per_image),
        ("IoU per image", "mean over abnormal images", pixels.iou_per_image),
        ("Best Dice", "of any threshold: chosen on the masks of the test, not one to use", best),
    ];
    html! {
        p { (population(pixels)) }
        table {
            caption { "Metrics of pixels. Positive = abnormal." }
            thead { tr { th scope="col" { "Metric" } th scope="col" class="n" { "Value" } } }
            tbody {
                @for (name, meaning, value) in &rows {
                    @if let Some(value) = value {
                        tr { th scope="row" { (name) small { (meaning) } } td class="n" { (metric(*value)) } }
                    }
                }
            }
        }
        @if !pixels.by_class.is_empty() { (classes(pixels)) }
    }
}

/// What was looked at.
fn population(pixels: &Pixels) -> String {
    let mut said = format!(
        "{} images, {} of them abnormal with {} marked regions.",
        count(pixels.n_images),
        count(pixels.n_abnormal_images),
        count(pixels.n_regions)
    );
    if pixels.n_without_mask > 0 {
        let n = count(pixels.n_without_mask);
        said.push_str(&format!(
            " {n} more abnormal images have no known or an empty mask, and are left out."
        ));
    }
    said
}

fn threshold_words(pixels: &Pixels) -> String {
    match (pixels.threshold, pixels.alpha) {
        (Some(threshold), Some(alpha)) => format!(
            "at {}, which {} of {} pixels of validation normals exceed",
            crate::charts::number(threshold),
            percent(alpha),
            count(pixels.n_validation_pixels)
        ),
        _ => "at the calibrated threshold".to_owned(),
    }
}

fn classes(pixels: &Pixels) -> Markup {
    let shown = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), metric);
    html! {
        table {
            caption { "Each class against the normal pixels of all images." }
            thead {
                tr {
                    th scope="col" { "Class" }
                    @for name in ["Images", "Regions", "AUROC", "PRO", "Dice per image"] { th scope="col" class="n" { (name) } }
                }
            }
            tbody {
                @for row in &pixels.by_class {
                    tr {
                        th scope="row" { (row.class) }
                        td class="n" { (count(row.n_images)) }
                        td class="n" { (count(row.n_regions)) }
                        td class="n" { (shown(row.auroc)) }
                        td class="n" { (shown(row.pro)) }
                        td class="n" { (shown(row.dice_per_image)) }
                    }
                }
            }
        }
    }
}
