//! Numbers, times, sizes and values from files, as a reader wants them.

use serde_json::Value;

/// Thousands apart by a narrow space: `12 345`.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// A share as percent with one decimal.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1}\u{a0}%", 100.0 * share)
}

/// `8.4 s`, `2 min 05 s`, `1 h 02 min`.
pub(super) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "unknown".to_owned();
    }
    if seconds < 60.0 {
        return format!("{seconds:.1}\u{a0}s");
    }
    let whole = seconds.round() as u64;
    if whole < 3600 {
        format!("{}\u{a0}min {:02}\u{a0}s", whole / 60, whole % 60)
    } else {
        format!("{}\u{a0}h {:02}\u{a0}min", whole / 3600, whole % 3600 / 60)
    }
}

/// `512 B`, `9.9 MiB`, `1.2 GiB`.
pub(super) fn bytes(n: u64) -> String {
    let mut size = n as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if size < 1024.0 {
            let decimals = usize::from(unit != "B" && size < 100.0);
            return format!("{size:.decimals$}\u{a0}{unit}");
        }
        size /= 1024.0;
    }
    format!("{size:.1}\u{a0}TiB")
}

/// A value of a metric: three decimals.
pub(super) fn metric(value: f64) -> String {
    format!("{value:.3}").replace('-', "\u{2212}")
}

/// A TOML value in one line, text without quotes.
pub(super) fn toml_value(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A JSON value in one line: `kind (a: 1, b: 2)` for an object with a kind, text without quotes.
pub(super) fn json_value(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(json_value).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let rest = fields.iter().filter(|(key, _)| *key != "kind");
            let rest: Vec<_> = rest.map(|(key, v)| format!("{}: {}", words(key), json_value(v))).collect();
            let kind = fields.get("kind").map(|kind| words(&json_value(kind)));
            match (kind, rest.is_empty()) {
                (Some(kind), true) => kind,
                (Some(kind), false) => format!("{kind} ({})", rest.join(", ")),
                (None, _) => rest.join(", "),
            }
        }
        other => other.to_string(),
    }
}

/// A key as words: `leave_one_out` is read as `leave one out`.
pub(super) fn words(key: &str) -> String {
    key.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_for_people() {
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(count(123), "123");
        assert_eq!(duration(8.44), "8.4\u{a0}s");
        assert_eq!(duration(125.0), "2\u{a0}min 05\u{a0}s");
        assert_eq!(duration(3_720.0), "1\u{a0}h 02\u{a0}min");
        assert_eq!(duration(f64::NAN), "unknown");
        assert_eq!(bytes(512), "512\u{a0}B");
        assert_eq!(bytes(9_912_422), "9.5\u{a0}MiB");
        assert_eq!(bytes(3_000_000_000), "2.8\u{a0}GiB");
    }

    #[test]
    fn protocols_are_read_as_words() {
        let protocol = serde_json::json!({"kind": "leave_one_out", "abnormal": [2, 3]});
        assert_eq!(json_value(&protocol), "leave one out (abnormal: 2, 3)");
        assert_eq!(json_value(&serde_json::json!("one_class")), "one_class");
    }
}
