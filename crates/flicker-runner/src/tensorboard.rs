//! Event files that TensorBoard reads: scalars, pictures and histograms over the steps of a training.
//!
//! A file is a sequence of TFRecords, each the protobuf message `Event` of TensorFlow (`event.proto`,
//! `summary.proto`). The few fields in use are encoded by hand, which spares the project a protobuf compiler.

mod event;
mod record;

use event::Summary;
use flicker_core::file::append_whole;
use flicker_core::{Error, Result};
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

/// Name of the file in its folder. TensorBoard looks for `tfevents` in it.
const FILE: &str = "events.out.tfevents.0.flicker";
/// Buckets of a histogram.
const BUCKETS: usize = 30;

/// Appends to the event file of one run. Each record is written whole and at once, so TensorBoard follows a running
/// training, and a crash can damage the last record only.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: File,
}

impl EventWriter {
    /// Begins the event file in the folder `dir`, which is made if it is not there. Times are seconds since 1970.
    ///
    /// # Errors
    /// If the folder has an event file already, or the system refuses.
    pub fn create(dir: &Path, wall_time: f64) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(|e| Error::io(dir, e))?;
        let path = dir.join(FILE);
        let file = OpenOptions::new().append(true).create_new(true).open(&path);
        let mut writer = Self { file: file.map_err(|e| Error::io(&path, e))?, path };
        writer.append(&event::version(wall_time))?;
        Ok(writer)
    }

    /// Goes on with the event file in `dir`, from `step` on: TensorBoard forgets what the file says of `step` and later
    /// ones so far. A last record that was cut off is removed. Begins a file where there is none.
    ///
    /// # Errors
    /// If a record before the last one is damaged, or the system refuses.
    pub fn resume(dir: &Path, step: i64, wall_time: f64) -> Result<Self> {
        let path = dir.join(FILE);
        if !path.exists() {
            return Self::create(dir, wall_time);
        }
        let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
        let whole =
            record::whole(&bytes).map_err(|problem| Error::data(path.display().to_string(), problem))?;
        let file = OpenOptions::new().append(true).open(&path).map_err(|e| Error::io(&path, e))?;
        file.set_len(whole as u64).map_err(|e| Error::io(&path, e))?;
        let mut writer = Self { path, file };
        if whole == 0 {
            writer.append(&event::version(wall_time))?;
        }
        writer.append(&event::session_start(step, wall_time))?;
        Ok(writer)
    }

    /// One number at `step`.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn scalar(&mut self, tag: &str, step: i64, value: f32, wall_time: f64) -> Result<()> {
        self.append(&event::summary(step, wall_time, tag, &Summary::Scalar(value)))
    }

    /// A picture at `step`: the bytes of a PNG file.
    ///
    /// # Errors
    /// If the bytes are not those of a PNG file, or the system refuses.
    pub fn image(&mut self, tag: &str, step: i64, png: &[u8], wall_time: f64) -> Result<()> {
        let Some((width, height, channels)) = png_header(png) else {
            return Err(Error::data(format!("picture `{tag}`"), "expected a PNG file, found other bytes"));
        };
        let image = Summary::Image { height, width, channels, png };
        self.append(&event::summary(step, wall_time, tag, &image))
    }

    /// The distribution of `values` at `step`, in equal buckets between the smallest and the largest.
    ///
    /// # Errors
    /// If there is no value or one is not finite, or the system refuses.
    pub fn histogram(&mut self, tag: &str, step: i64, values: &[f32], wall_time: f64) -> Result<()> {
        if values.is_empty() {
            return Err(Error::data(format!("histogram `{tag}`"), "expected at least one value, found none"));
        }
        if let Some(row) = values.iter().position(|value| !value.is_finite()) {
            let problem = format!("expected finite values, found {} at {row}", values[row]);
            return Err(Error::data(format!("histogram `{tag}`"), problem));
        }
        self.append(&event::summary(step, wall_time, tag, &Summary::Histogram(Histogram::of(values))))
    }

    fn append(&mut self, event: &[u8]) -> Result<()> {
        append_whole(&mut self.file, &self.path, &record::framed(event))
    }
}

/// Counts of values in equal buckets.
struct Histogram {
    low: f64,
    high: f64,
    n: f64,
    sum: f64,
    sum_of_squares: f64,
    /// The upper end of each bucket.
    limits: Vec<f64>,
    counts: Vec<f64>,
}

impl Histogram {
    /// Of finite values, at least one.
    fn of(values: &[f32]) -> Self {
        let values = || values.iter().map(|&x| f64::from(x));
        let (low, high) =
            (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        let n_buckets = if low < high { BUCKETS } else { 1 };
        let width = (high - low) / n_buckets as f64;
        let mut counts = vec![0.0; n_buckets];
        for x in values() {
            let bucket = if width > 0.0 { ((x - low) / width) as usize } else { 0 };
            counts[bucket.min(n_buckets - 1)] += 1.0;
        }
        let mut limits: Vec<f64> = (1..=n_buckets).map(|i| low + width * i as f64).collect();
        limits[n_buckets - 1] = high;
        Self {
            low,
            high,
            n: values().count() as f64,
            sum: values().sum(),
            sum_of_squares: values().map(|x| x * x).sum(),
            limits,
            counts,
        }
    }
}

/// Width, height and channels of a PNG file, from its first chunk.
fn png_header(png: &[u8]) -> Option<(u32, u32, u32)> {
    let header = png.strip_prefix(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR")?;
    let (width, rest) = header.split_first_chunk()?;
    let (height, rest) = rest.split_first_chunk()?;
    let channels = match rest.get(1)? {
        0 => 1,
        4 => 2,
        2 | 3 => 3,
        6 => 4,
        _ => return None,
    };
    Some((u32::from_be_bytes(*width), u32::from_be_bytes(*height), channels))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The step of each event in the file after the first, which has none.
    pub(crate) fn steps(dir: &Path) -> Vec<i64> {
        let step = |payload: &Vec<u8>| {
            // The time (a tag and eight bytes), the tag of the step, the step in seven bits a byte.
            let varint = payload[10..].iter().enumerate();
            let digits = varint.map(|(i, &byte)| (i64::from(byte & 0x7f) << (7 * i), byte < 0x80));
            let mut step = 0;
            for (digit, last) in digits {
                step += digit;
                if last {
                    break;
                }
            }
            step
        };
        payloads(dir)[1..].iter().map(step).collect()
    }

    /// The payloads of a file.
    fn payloads(dir: &Path) -> Vec<Vec<u8>> {
        let bytes = std::fs::read(dir.join(FILE)).expect("an event file");
        let (mut rest, mut all) = (&bytes[..], Vec::new());
        while let Some((payload, after)) = record::first(rest) {
            all.push(payload.to_vec());
            rest = after;
        }
        assert!(rest.is_empty());
        all
    }

    /// A grey PNG of 3×2 pixels, as far as its header goes.
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x03\0\0\0\x02\x08\0\0\0\0";

    #[test]
    fn a_file_holds_what_was_written() -> Result<()> {
        let dir = tempfile::tempdir().expect("a folder");
        let mut writer = EventWriter::create(dir.path(), 1.5)?;
        writer.scalar("loss", 3, 0.25, 2.5)?;
        writer.image("pic", 300, PNG, 3.5)?;
        let image = Summary::Image { height: 2, width: 3, channels: 1, png: PNG };
        let expected = [
            event::version(1.5),
            event::summary(3, 2.5, "loss", &Summary::Scalar(0.25)),
            event::summary(300, 3.5, "pic", &image),
        ];
        assert_eq!(payloads(dir.path()), expected);
        assert!(EventWriter::create(dir.path(), 1.5).is_err());
        Ok(())
    }

    #[test]
    fn a_resumed_file_loses_its_cut_off_record_and_announces_the_step() -> Result<()> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join(FILE);
        let mut writer = EventWriter::resume(dir.path(), 0, 1.0)?;
        writer.scalar("loss", 1, 0.5, 2.0)?;
        let whole = std::fs::read(&path).expect("the file");
        writer.scalar("loss", 2, 0.25, 3.0)?;
        let longer = std::fs::read(&path).expect("the file");
        for cut in whole.len()..longer.len() {
            std::fs::write(&path, &longer[..cut]).expect("a cut file");
            EventWriter::resume(dir.path(), 1, 4.0)?.scalar("loss", 1, 0.75, 5.0)?;
            let expected = [
                event::version(1.0),
                event::summary(1, 2.0, "loss", &Summary::Scalar(0.5)),
                event::session_start(1, 4.0),
                event::summary(1, 5.0, "loss", &Summary::Scalar(0.75)),
            ];
            assert_eq!(payloads(dir.path()), expected);
        }
        Ok(())
    }

    #[test]
    fn a_file_damaged_in_the_middle_is_refused_and_kept() -> Result<()> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join(FILE);
        EventWriter::create(dir.path(), 1.0)?.scalar("loss", 1, 0.5, 2.0)?;
        let mut bytes = std::fs::read(&path).expect("the file");
        bytes[14] ^= 1;
        std::fs::write(&path, &bytes).expect("a damaged file");
        let error = EventWriter::resume(dir.path(), 1, 2.0).expect_err("damage");
        assert!(
            error.to_string().ends_with("record at byte 0: its content does not match its checksum"),
            "{error}"
        );
        assert_eq!(std::fs::read(&path).expect("the file"), bytes);
        Ok(())
    }

    #[test]
    fn what_is_no_picture_or_no_number_is_refused() -> Result<()> {
        let dir = tempfile::tempdir().expect("a folder");
        let mut writer = EventWriter::create(dir.path(), 1.0)?;
        let message = |result: Result<()>| result.expect_err("refused").to_string();
        assert_eq!(
            message(writer.image("x", 0, b"GIF89a", 1.0)),
            "picture `x`: expected a PNG file, found other bytes"
        );
        assert!(writer.image("x", 0, &PNG[..24], 1.0).is_err());
        assert_eq!(
            message(writer.histogram("h", 0, &[1.0, f32::NAN], 1.0)),
            "histogram `h`: expected finite values, found NaN at 1"
        );
        assert!(writer.histogram("h", 0, &[], 1.0).is_err());
        assert_eq!(payloads(dir.path()).len(), 1);
        Ok(())
    }

    #[test]
    fn a_histogram_counts_each_value_once() {
        let values: Vec<f32> = (0..=300).map(|i| i as f32 / 100.0).collect();
        let histogram = Histogram::of(&values);
        assert_eq!((histogram.low, histogram.high, histogram.n), (0.0, 3.0, 301.0));
        assert_eq!(histogram.counts.iter().sum::<f64>(), 301.0);
        assert_eq!((histogram.counts.len(), histogram.limits.len()), (30, 30));
        assert!(histogram.counts.iter().all(|count| (9.0..=12.0).contains(count)), "{:?}", histogram.counts);
        assert!((histogram.sum - 451.5).abs() < 1e-4 && (histogram.sum_of_squares - 904.505).abs() < 1e-3);
        let one = Histogram::of(&[2.0, 2.0]);
        assert_eq!((one.limits, one.counts), (vec![2.0], vec![2.0]));
    }
}
