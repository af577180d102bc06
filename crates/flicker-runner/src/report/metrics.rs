//! `metrics.json` and `calibration.json`, with every field optional.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// `metrics.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Metrics {
    pub(super) auroc: Option<Estimate>,
    pub(super) auprc: Option<Estimate>,
    pub(super) f1: Option<Estimate>,
    pub(super) precision: Option<Estimate>,
    pub(super) recall: Option<Estimate>,
    pub(super) specificity: Option<Estimate>,
    pub(super) mcc: Option<Estimate>,
    pub(super) fpr_at_95_tpr: Option<Estimate>,
    pub(super) eer: Option<Estimate>,
    pub(super) threshold: Option<f64>,
    pub(super) alpha: Option<f64>,
    pub(super) prevalence: Option<Estimate>,
    pub(super) n_test: Option<u64>,
    pub(super) n_validation: Option<u64>,
    pub(super) seed: Option<u64>,
    pub(super) seconds: Seconds,
    pub(super) seconds_train: Option<f64>,
    pub(super) seconds_score: Option<f64>,
    pub(super) false_alarms: Option<Estimate>,
    pub(super) peak_memory_bytes: Option<u64>,
    pub(super) confusion: Option<Confusion>,
    pub(super) by_class: Vec<ClassRow>,
    pub(super) pixels: Option<Pixels>,
    pub(super) nearest_corner: Option<serde_json::Map<String, Value>>,
    pub(super) both_classes: Vec<BothClasses>,
}

/// A value with its 95 % interval, where it has one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Estimate {
    pub(super) value: f64,
    pub(super) interval: Option<(f64, f64)>,
}

/// Where the time went.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Seconds {
    pub(super) train: Option<f64>,
    pub(super) score: Option<f64>,
    pub(super) total: Option<f64>,
}

/// Test samples by label and decision; positive is abnormal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Confusion {
    #[serde(rename = "true_positive")]
    pub(super) tp: u64,
    #[serde(rename = "false_positive")]
    pub(super) fp: u64,
    #[serde(rename = "true_negative")]
    pub(super) tn: u64,
    #[serde(rename = "false_negative")]
    pub(super) missed: u64,
}

/// Precision, recall and F1 at one threshold, one class being the positive one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct BothClasses {
    pub(super) at: String,
    pub(super) positive: String,
    pub(super) precision: f64,
    pub(super) recall: f64,
    pub(super) f1: f64,
    pub(super) n: u64,
}

/// `calibration.json`; its scores are not needed here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Calibration {
    pub(super) method: Method,
    pub(super) threshold: Option<f64>,
    pub(super) n: Option<u64>,
}

/// How one class of the test fared.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ClassRow {
    pub(super) class: String,
    pub(super) n: u64,
    pub(super) flagged: Option<f64>,
    pub(super) abnormal: bool,
    pub(super) auroc: Option<f64>,
    pub(super) mean: Option<f64>,
    pub(super) highest: Option<f64>,
}

/// The metrics of pixels.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Pixels {
    pub(super) n_images: u64,
    pub(super) n_abnormal_images: u64,
    pub(super) n_regions: u64,
    pub(super) n_without_mask: u64,
    pub(super) n_validation_pixels: u64,
    pub(super) prevalence: Option<f64>,
    pub(super) auroc: Option<f64>,
    pub(super) auprc: Option<f64>,
    pub(super) pro: Option<f64>,
    pub(super) threshold: Option<f64>,
    pub(super) alpha: Option<f64>,
    pub(super) dice: Option<f64>,
    pub(super) iou: Option<f64>,
    pub(super) precision: Option<f64>,
    pub(super) recall: Option<f64>,
    pub(super) false_positive_rate: Option<f64>,
    pub(super) dice_per_image: Option<f64>,
    pub(super) iou_per_image: Option<f64>,
    pub(super) best_dice: Option<BestDice>,
    pub(super) by_class: Vec<ClassPixels>,
}

/// The largest Dice of any threshold.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct BestDice {
    pub(super) value: Option<f64>,
}

/// The pixels of one class.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ClassPixels {
    pub(super) class: String,
    pub(super) n_images: u64,
    pub(super) n_regions: u64,
    pub(super) auroc: Option<f64>,
    pub(super) pro: Option<f64>,
    pub(super) dice_per_image: Option<f64>,
}

/// How the threshold was chosen.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Method {
    pub(super) kind: String,
    pub(super) alpha: Option<f64>,
}

impl<'de> Deserialize<'de> for Estimate {
    /// From a number, or from an object with `value` and perhaps `low` and `high`.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let json = Value::deserialize(from)?;
        let at = |key: &str| json.get(key).and_then(Value::as_f64);
        let value = json.as_f64().or_else(|| at("value"));
        let value = value.ok_or_else(|| {
            D::Error::custom(format!("expected a number or a value with low and high, found {json}"))
        })?;
        Ok(Self { value, interval: at("low").zip(at("high")) })
    }
}

impl<'de> Deserialize<'de> for Seconds {
    /// From a number, the total, or from an object.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let json = Value::deserialize(from)?;
        let at = |key: &str| json.get(key).and_then(Value::as_f64);
        Ok(Self { train: at("train"), score: at("score"), total: json.as_f64().or_else(|| at("total")) })
    }
}

impl Estimate {
    /// `0.953 [0.940, 0.966]`.
    pub(super) fn text(self) -> String {
        let value = super::format::metric(self.value);
        match self.interval() {
            Some(interval) => format!("{value} {interval}"),
            None => value,
        }
    }

    /// `[0.940, 0.966]`.
    pub(super) fn interval(self) -> Option<String> {
        let (low, high) = self.interval?;
        Some(format!("[{}, {}]", super::format::metric(low), super::format::metric(high)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_objects_are_both_read() {
        let text = r#"{"auroc": {"value": 0.9, "low": 0.8, "high": 0.95}, "f1": 0.5, "auprc": null, "seconds": 3.5,
            "confusion": {"true_positive": 1, "false_positive": 2, "true_negative": 3, "false_negative": 4}, "something_new": [1]}"#;
        let metrics: Metrics = serde_json::from_str(text).unwrap();
        assert_eq!(metrics.auroc.unwrap().text(), "0.900 [0.800, 0.950]");
        assert_eq!(metrics.f1.unwrap().text(), "0.500");
        assert!(metrics.auprc.is_none());
        assert_eq!(metrics.seconds.total, Some(3.5));
        assert_eq!(metrics.confusion.unwrap().missed, 4);
        assert!(serde_json::from_str::<Metrics>(r#"{"auroc": "good"}"#).is_err());
    }
}
