//! AUROC by the weight between two parts of a score.

use super::Chart;
use super::plot::{Plot, Sign};
use super::scale::Scale;
use super::text::number;

/// AUROC by weight, for one way to normalise.
#[derive(Clone, Debug)]
pub struct Weighed {
    /// How the parts were normalised, in words.
    pub name: String,
    /// Whether that looked at the test set.
    pub peeks: bool,
    /// Weight of the second part, and AUROC.
    pub points: Vec<(f64, f64)>,
}

/// A line for each way to normalise; what looked at the test set is dashed.
pub fn weighting([first, second]: [&str; 2], lines: &[Weighed]) -> Chart {
    let values = || lines.iter().flat_map(|line| line.points.iter().map(|point| point.1));
    let (low, high) = values().fold((1.0f64, 0.0f64), |(low, high), v| (low.min(v), high.max(v)));
    let mut plot = Plot::new(
        (Scale::linear(0.0, 1.0), &format!("weight r: {first} at 0, {second} at 1")),
        (Scale::nice(low, high), "AUROC"),
        180.0,
        0.0,
    );
    let mut said = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        let (class, style) = (["s0", "s1", "s2", "s3"][i % 4], if line.peeks { "dashed" } else { "" });
        plot.line(class, style, &line.points);
        plot.key(Sign::Line(style), class, &line.name);
        let end = |at: Option<&(f64, f64)>| at.map_or_else(String::new, |point| number(point.1));
        let (first, last) = (end(line.points.first()), end(line.points.last()));
        said.push(format!("{}: {first} at weight 0, {last} at weight 1", line.name));
    }
    let note = "No weight is chosen by this picture: it looks at test labels.";
    plot.finish("weighting", &format!("{first} against {second}"), format!("{}.", said.join("; ")), note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_said() {
        let line = Weighed { name: "standard".into(), peeks: false, points: vec![(0.0, 0.5), (1.0, 0.9)] };
        let chart = weighting(["residual", "discrimination"], &[line]);
        assert_eq!(chart.description, "standard: 0.5 at weight 0, 0.9 at weight 1.");
    }
}
