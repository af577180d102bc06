//! What a cell may hold, and how text is read as that.

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use serde::{Deserialize, Serialize};

/// How the cells of a column are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Numbers.
    Number,
    /// True or false, as 1 and 0.
    Boolean,
    /// Moments: a date, or a date with the time of day. Without an offset they count as UTC.
    Time,
    /// Text.
    Text,
    /// Text in which numbers stand for names, such as codes of a branch: of a number the shortest text is read, so that `7`
    /// and `7.0` are one name.
    Numeral,
}

impl Kind {
    /// In words, for messages: what a cell is expected to be.
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Number => "a finite number",
            Self::Boolean => "true or false",
            Self::Time => "a date such as 2024-12-31 or 2024-12-31T23:59:59Z",
            Self::Text => "text",
            Self::Numeral => "text, or a number that stands for a name",
        }
    }
}

/// Whether text stands for no value, in a column that is no text.
pub(crate) fn is_missing(text: &str) -> bool {
    matches!(text, "" | "NA" | "N/A" | "NaN" | "nan" | "null" | "NULL" | "None")
}

/// A number that f32 can hold.
pub(crate) fn number(text: &str) -> Option<f32> {
    finite(text.parse::<f64>().ok()?)
}

/// A value as f32, if that is finite.
pub(crate) fn finite(value: f64) -> Option<f32> {
    Some(value as f32).filter(|value| value.is_finite())
}

/// True or false, as programs write them.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// The shortest text of a number.
pub(crate) fn numeral(value: f64) -> String {
    (value + 0.0).to_string() // no minus at zero
}

/// Microseconds since 1970 in UTC, of a date, or of a date and time with `T` or a space between, perhaps with an offset.
pub(crate) fn time(text: &str) -> Option<i64> {
    const DATES: [&str; 2] = ["%Y-%m-%d", "%Y/%m/%d"];
    // Nothing else begins with a year; it keeps numbers from being tried at length.
    let bytes = text.as_bytes();
    if bytes.len() < 8 || !bytes[..4].iter().all(u8::is_ascii_digit) || !matches!(bytes[4], b'-' | b'/') {
        return None;
    }
    if let Some(date) = DATES.iter().find_map(|format| NaiveDate::parse_from_str(text, format).ok()) {
        return Some(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros());
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_micros());
    }
    for date in DATES {
        for between in ["T", " "] {
            for clock in ["%H:%M:%S%.f", "%H:%M"] {
                let format = format!("{date}{between}{clock}");
                if let Ok(time) = NaiveDateTime::parse_from_str(text.trim_end_matches('Z'), &format) {
                    return Some(time.and_utc().timestamp_micros());
                }
                if let Ok(time) = DateTime::parse_from_str(text, &format!("{format}%#z")) {
                    return Some(time.timestamp_micros());
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_utc() {
        let noon = 1_704_110_400_000_000; // 2024-01-01 12:00 UTC
        for text in [
            "2024-01-01T12:00:00Z",
            "2024-01-01 12:00:00",
            "2024-01-01 12:00",
            "2024/01/01 12:00:00.0",
            "2024-01-01T14:00:00+02:00",
            "2024-01-01 14:00:00+0200",
            "2024-01-01 12:00:00+00",
        ] {
            assert_eq!(time(text), Some(noon), "{text}");
        }
        assert_eq!(time("2024-01-01"), Some(noon - 43_200_000_000));
        for text in ["2024", "20240101", "1.5", "2024-13-01", "2024-01-01 25:00", "01.01.2024", "2024-01é"] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_are_finite_and_have_one_numeral() {
        assert_eq!((number("1e3"), number("-0.5"), number("1e39")), (Some(1000.0), Some(-0.5), None));
        assert_eq!((number("inf"), number("1,5"), number("")), (None, None, None));
        assert_eq!((numeral(7.0), numeral(-0.0), numeral(0.5)), ("7".into(), "0".into(), "0.5".into()));
    }
}
