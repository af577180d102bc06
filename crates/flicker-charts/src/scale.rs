//! From values to places on an axis, and which ticks an axis shows.

use super::text;

/// A range of values laid over an axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scale {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) log: bool,
    /// Ticks at whole numbers only: epochs.
    pub(super) whole: bool,
}

impl Scale {
    /// A linear scale from `low` to `high`; an empty range is widened.
    pub(super) fn linear(low: f64, high: f64) -> Self {
        let (low, high) = if high > low { (low, high) } else { widened(low) };
        Self { low, high, log: false, whole: false }
    }

    /// A linear scale whose ends are ticks.
    pub(super) fn nice(low: f64, high: f64) -> Self {
        let scale = Self::linear(low, high);
        let step = step(scale.high - scale.low, 5);
        Self::linear((scale.low / step).floor() * step, (scale.high / step).ceil() * step)
    }

    /// A logarithmic scale; `low` must be above 0.
    pub(super) fn log(low: f64, high: f64) -> Self {
        let high = if high > low { high } else { low * 2.0 };
        Self { low: low / 1.05, high: high * 1.05, log: true, whole: false }
    }

    /// For counted things, such as epochs: ticks are whole numbers.
    pub(super) fn whole(low: f64, high: f64) -> Self {
        let (low, high) = if high > low { (low, high) } else { (low - 1.0, high + 1.0) };
        Self { low, high, log: false, whole: true }
    }

    /// The scale on which all of `values` can be told apart: logarithmic where they are above 0 and span a factor of 30.
    pub(super) fn of_losses(values: &[f64]) -> Self {
        let (low, high) = bounds(values);
        if low > 0.0 && high / low > 30.0 {
            return Self::log(low, high);
        }
        // Zero belongs on the axis where it is near: the height then says the size.
        let low = if low > 0.0 && low < 0.5 * high { 0.0 } else { low };
        Self::nice(low, high)
    }

    /// The scale for scores: as for losses if the bulk of them spans decades, otherwise linear, ending where a long thin
    /// tail would press everything else into one bin. `also` are values that must be on it.
    pub(super) fn of_scores(values: &[f64], also: &[f64]) -> Self {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let at =
            |q: f64| sorted.get(((sorted.len() as f64 - 1.0) * q).round() as usize).copied().unwrap_or(0.0);
        let (low, high) = (at(0.0), at(1.0));
        if low > 0.0 && at(0.99) / at(0.01) > 30.0 {
            let (least, most) = bounds(&[&[low, high], also].concat());
            return Self::log(if least > 0.0 { least } else { low }, most);
        }
        let bulk = at(0.99) - at(0.01);
        let cut =
            |end: f64, edge: f64| if bulk > 0.0 && (end - edge).abs() > 1.5 * bulk { edge } else { end };
        let high = cut(high, at(0.99) + 0.3 * bulk);
        let low = cut(low, at(0.01) - 0.3 * bulk);
        let (low, high) = bounds(&[&[low, high], also].concat());
        Self::linear(low, high)
    }

    /// Where `value` stands: 0 at the low end, 1 at the high one; cut to the axis.
    pub(super) fn unit(&self, value: f64) -> f64 {
        let place = if self.log {
            (value.max(f64::MIN_POSITIVE) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        if place.is_nan() { 0.0 } else { place.clamp(0.0, 1.0) }
    }

    /// The value at a place from 0 to 1.
    pub(super) fn value(&self, unit: f64) -> f64 {
        if self.log {
            self.low * (self.high / self.low).powf(unit)
        } else {
            self.low + (self.high - self.low) * unit
        }
    }

    /// Ticks with their text, `room(text width)` saying how many fit.
    pub(super) fn ticks(&self, most: impl Fn(f64) -> usize) -> Vec<(f64, String)> {
        let mut best: Vec<(f64, String)> = Vec::new();
        for wanted in [7, 6, 5, 4, 3, 2] {
            let ticks = if self.log { self.log_ticks(wanted) } else { self.linear_ticks(wanted) };
            if ticks.len() >= 2 && (best.is_empty() || ticks.len() < best.len()) {
                best = ticks;
            }
            if best.len() <= most(widest(&best)) {
                break;
            }
        }
        while best.len() > most(widest(&best)).max(2) {
            best = best.into_iter().step_by(2).collect();
        }
        if best.len() < 2 { self.ends() } else { best }
    }

    fn linear_ticks(&self, wanted: usize) -> Vec<(f64, String)> {
        let mut step = step(self.high - self.low, wanted);
        if self.whole {
            step = step.max(1.0).round();
        }
        let first = (self.low / step - 1e-9).ceil();
        let count = ((self.high / step + 1e-9).floor() - first).max(0.0) as usize;
        (0..=count).map(|i| (first + i as f64) * step).map(|v| (v, text::multiple(v, step))).collect()
    }

    fn log_ticks(&self, wanted: usize) -> Vec<(f64, String)> {
        let (low, high) = (self.low.log10(), self.high.log10());
        let within = |v: &f64| (self.low..=self.high).contains(v);
        if high - low < 3.5 && (high - low < 2.0 || wanted > 4) {
            let steps: &[f64] = if high - low < 2.0 && wanted > 4 { &[1.0, 2.0, 5.0] } else { &[1.0, 3.0] };
            let powers = low.floor() as i32..=high.ceil() as i32;
            let values = powers.flat_map(|p| steps.iter().map(move |s| s * 10_f64.powi(p)));
            let ticks: Vec<_> = values.filter(within).map(|v| (v, text::number(v))).collect();
            return ticks;
        }
        let stride = ((high - low) / wanted as f64).ceil().max(1.0) as usize;
        let powers = (low.ceil() as i32..=high.floor() as i32).step_by(stride);
        powers.map(|p| 10_f64.powi(p)).filter(within).map(|v| (v, text::number(v))).collect()
    }

    fn ends(&self) -> Vec<(f64, String)> {
        [0.1, 0.9].iter().map(|&u| self.value(u)).map(|v| (v, text::number(v))).collect()
    }
}

fn widest(ticks: &[(f64, String)]) -> f64 {
    ticks.iter().map(|(_, text)| text::width(text)).fold(0.0, f64::max)
}

/// The least and the greatest of the finite values; (0, 1) where there are none.
pub(super) fn bounds(values: &[f64]) -> (f64, f64) {
    let finite = values.iter().copied().filter(|v| v.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if low <= high { (low, high) } else { (0.0, 1.0) }
}

/// A step of 1, 2, 5 or 10 times a power of ten, at most `wanted` of which span `range`, about.
fn step(range: f64, wanted: usize) -> f64 {
    let raw = range / wanted.max(1) as f64;
    let power = 10_f64.powf(raw.log10().floor());
    let nice = [1.0, 2.0, 5.0, 10.0].into_iter().find(|&s| s * power >= raw * 0.999);
    nice.unwrap_or(10.0) * power
}

fn widened(value: f64) -> (f64, f64) {
    let by = if value == 0.0 || !value.is_finite() { 1.0 } else { value.abs() * 0.5 };
    if value.is_finite() { (value - by, value + by) } else { (0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(scale: &Scale, expected: &[&str]) {
        let texts: Vec<String> = scale.ticks(|_| 6).into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, expected);
    }

    #[test]
    fn ticks_are_round_numbers() {
        check(&Scale::linear(0.0, 1.0), &["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        check(&Scale::whole(1.0, 3.0), &["1", "2", "3"]);
        check(&Scale::whole(1.0, 15.0), &["5", "10", "15"]);
        check(&Scale::log(0.001, 100.0), &["0.001", "0.01", "0.1", "1", "10", "100"]);
    }

    #[test]
    fn neighbouring_ticks_differ() {
        check(
            &Scale::linear(1_000_000_001.0, 1_000_000_399.0),
            &["1.0000001·10⁹", "1.0000002·10⁹", "1.0000003·10⁹"],
        );
        check(&Scale::linear(0.0, 2e-6), &["0", "5·10⁻⁷", "10⁻⁶", "1.5·10⁻⁶", "2·10⁻⁶"]);
    }

    #[test]
    fn there_are_two_ticks_at_the_least() {
        for (low, high) in [(0.574, 0.631), (0.0, 1.0), (3.0, 3.1), (-1e-9, 1e9), (99.0, 101.0)] {
            for room in 1..8 {
                let n = Scale::nice(low, high).ticks(|_| room).len();
                assert!((2..=room.max(2)).contains(&n), "{low} {high}: {n} ticks in the room for {room}");
            }
        }
    }

    #[test]
    fn one_value_still_has_an_axis() {
        for scale in
            [Scale::linear(0.0, 0.0), Scale::nice(2.0, 2.0), Scale::whole(1.0, 1.0), Scale::log(3.0, 3.0)]
        {
            assert!(scale.high > scale.low);
            assert!(scale.ticks(|_| 5).len() >= 2, "{scale:?}");
        }
    }

    #[test]
    fn a_long_tail_is_cut_and_decades_are_logarithmic() {
        let mut scores: Vec<f64> = (0..1000).map(|i| f64::from(i) / 1000.0 - 0.1).collect();
        scores.push(500.0);
        let scale = Scale::of_scores(&scores, &[]);
        assert!(!scale.log && scale.high < 2.0, "{scale:?}");
        let scores: Vec<f64> = (0..1000).map(|i| 10_f64.powf(f64::from(i) / 250.0)).collect();
        assert!(Scale::of_scores(&scores, &[]).log);
    }

    #[test]
    fn places_and_values_are_inverse() {
        for scale in [Scale::linear(-2.0, 5.0), Scale::log(0.1, 7.0)] {
            for unit in [0.0, 0.3, 1.0] {
                assert!((scale.unit(scale.value(unit)) - unit).abs() < 1e-9);
            }
        }
        assert_eq!(Scale::linear(0.0, 1.0).unit(9.0), 1.0);
    }
}
