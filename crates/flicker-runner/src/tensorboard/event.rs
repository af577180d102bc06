//! The protobuf messages of an event file: TensorFlow's `event.proto` and `summary.proto`. The number after each field
//! is its number there.

use super::Histogram;

/// What a step has to say under one tag.
pub(super) enum Summary<'a> {
    /// A number.
    Scalar(f32),
    /// A picture, as a PNG file of the given size.
    Image { height: u32, width: u32, channels: u32, png: &'a [u8] },
    /// A distribution.
    Histogram(Histogram),
}

/// The event that opens a file.
pub(super) fn version(wall_time: f64) -> Vec<u8> {
    Message::new().double(1, wall_time).bytes(3, b"brain.Event:2").0
}

/// The event that says: what the file holds of `step` and later is void.
pub(super) fn session_start(step: i64, wall_time: f64) -> Vec<u8> {
    // SessionLog.status (1) = START.
    event(step, wall_time).message(7, &Message::new().integer(1, 1u32)).0
}

/// The event of one tag at one step.
pub(super) fn summary(step: i64, wall_time: f64, tag: &str, summary: &Summary<'_>) -> Vec<u8> {
    let value = Message::new().bytes(1, tag.as_bytes());
    let value = match summary {
        Summary::Scalar(number) => value.float(2, *number),
        Summary::Image { height, width, channels, png } => {
            let size = Message::new().integer(1, *height).integer(2, *width).integer(3, *channels);
            value.message(4, &size.bytes(4, png))
        }
        Summary::Histogram(histogram) => value.message(5, &histogram_message(histogram)),
    };
    event(step, wall_time).message(5, &Message::new().message(1, &value)).0
}

fn event(step: i64, wall_time: f64) -> Message {
    // A negative step is its two's complement, as protobuf's int64 has it.
    Message::new().double(1, wall_time).integer(2, step as u64)
}

fn histogram_message(histogram: &Histogram) -> Message {
    Message::new()
        .double(1, histogram.low)
        .double(2, histogram.high)
        .double(3, histogram.n)
        .double(4, histogram.sum)
        .double(5, histogram.sum_of_squares)
        .doubles(6, &histogram.limits)
        .doubles(7, &histogram.counts)
}

/// A protobuf message in the making: fields in the order in which they are added.
struct Message(Vec<u8>);

impl Message {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn integer(mut self, field: u64, value: impl Into<u64>) -> Self {
        self.varint(field << 3);
        self.varint(value.into());
        self
    }

    fn double(mut self, field: u64, value: f64) -> Self {
        self.varint(field << 3 | 1);
        self.0.extend(value.to_le_bytes());
        self
    }

    fn float(mut self, field: u64, value: f32) -> Self {
        self.varint(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    fn doubles(self, field: u64, values: &[f64]) -> Self {
        let packed: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.bytes(field, &packed)
    }

    fn message(self, field: u64, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }

    /// Seven bits a byte, the low ones first; the high bit says that more follow.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensorboard::record;

    /// `expected` is the record that the Python package `tensorboard` 2.21 (`RecordWriter`, protobuf 7) makes of the
    /// same event, in hexadecimal.
    #[track_caller]
    fn check(event: &[u8], expected: &str) {
        let found: String = record::framed(event).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn events_are_those_of_the_reference() {
        check(
            &version(1.5),
            "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c",
        );
        check(
            &summary(3, 2.5, "loss", &Summary::Scalar(0.25)),
            "1a00000000000000129bd82d09000000000000044010032a0d0a0b0a046c6f7373150000803eb1006461",
        );
        check(
            &summary(300, 3.5, "pic", &Summary::Image { height: 2, width: 3, channels: 1, png: b"\x89PNG" }),
            "2300000000000000b09f7743090000000000000c4010ac022a150a130a03706963220c08021003180122048950\
             4e474446813b",
        );
        check(&session_start(7, 4.5), "0f000000000000006d532b0909000000000000124010073a020801bc95b171");
    }

    #[test]
    fn a_histogram_is_that_of_the_reference() {
        let histogram = Histogram {
            low: 1.0,
            high: 2.0,
            n: 3.0,
            sum: 4.0,
            sum_of_squares: 6.0,
            limits: vec![1.5, 2.0],
            counts: vec![2.0, 1.0],
        };
        check(&summary(-1, 5.5, "h", &Summary::Histogram(histogram)), HISTOGRAM);
    }

    const HISTOGRAM: &str = "6e00000000000000c4bf336409000000000000164010ffffffffffffffffff012a580a560a01682a5109000000\
        000000f03f11000000000000004019000000000000084021000000000000104029000000000000184032100000\
        00000000f83f00000000000000403a100000000000000040000000000000f03f57c1a818";
}
