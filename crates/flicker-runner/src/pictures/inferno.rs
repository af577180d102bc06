//! The colour map "inferno" of S. van der Walt and N. Smith (matplotlib, given to the public domain as CC0): dark is low,
//! bright is high, in steps that look equal, in grey and to the colour-blind too.
//!
//! 33 of its 256 colours; between them the line, which stays within 1.5 of 255 of the full table.

/// The colour at `value`, cut to `[0, 1]`; a value that is not a number is drawn as 0.
pub(super) fn inferno(value: f32) -> [u8; 3] {
    let last = STOPS.len() - 1;
    let position = value.clamp(0.0, 1.0) * last as f32; // the cast below takes NaN to 0
    let below = (position as usize).min(last - 1);
    let part = if position.is_nan() { 0.0 } else { position - below as f32 };
    std::array::from_fn(|i| {
        let (a, b) = (f32::from(STOPS[below][i]), f32::from(STOPS[below + 1][i]));
        (a + (b - a) * part).round() as u8
    })
}

const STOPS: [[u8; 3]; 33] = [
    [0, 0, 4],
    [4, 3, 18],
    [11, 7, 36],
    [21, 11, 55],
    [33, 12, 74],
    [46, 10, 90],
    [60, 9, 101],
    [74, 12, 107],
    [87, 16, 109],
    [99, 20, 110],
    [112, 25, 110],
    [125, 30, 109],
    [137, 34, 106],
    [150, 39, 102],
    [163, 43, 97],
    [175, 49, 92],
    [187, 55, 85],
    [198, 62, 77],
    [209, 70, 68],
    [219, 79, 59],
    [227, 89, 50],
    [235, 101, 40],
    [241, 113, 30],
    [246, 127, 20],
    [249, 141, 10],
    [251, 156, 6],
    [252, 171, 15],
    [251, 186, 31],
    [249, 202, 50],
    [245, 217, 73],
    [242, 232, 101],
    [243, 245, 134],
    [252, 255, 164],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_and_middle_are_those_of_matplotlib() {
        assert_eq!(inferno(0.0), [0, 0, 4]);
        assert_eq!(inferno(1.0), [252, 255, 164]);
        // matplotlib.colormaps["inferno"](128, bytes=True)
        for (ours, theirs) in inferno(128.0 / 255.0).into_iter().zip([187_u8, 55, 84]) {
            assert!(ours.abs_diff(theirs) <= 2, "{ours} {theirs}");
        }
    }

    #[test]
    fn what_is_outside_is_cut() {
        assert_eq!(inferno(-3.0), inferno(0.0));
        assert_eq!(inferno(7.0), inferno(1.0));
        assert_eq!(inferno(f32::NAN), inferno(0.0));
    }
}
