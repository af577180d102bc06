//! Charts over many experiments: a metric case by case, accuracy against what scoring takes, and whether thresholds keep
//! their promise on the test.

use maud::html;

use super::Chart;
use super::plot::{Plot, Sign, px};
use super::rates::wilson_95;
use super::scale::{Scale, bounds};
use super::text::number;

const CLASSES: [&str; 6] = ["s0", "s1", "s2", "s3", "s4", "s5"];
const STYLES: [&str; 3] = ["", "dashed", "dotted"];
const ROW: f64 = 17.0;

/// One experiment's metric for every case, such as every digit.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it is called.
    pub name: String,
    /// Whether it is a value from a paper, and not measured here.
    pub published: bool,
    /// A value for each case, in the order of the cases; `None` where it was not run.
    pub cases: Vec<Option<Case>>,
}

/// A metric over the seeds of a case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Case {
    /// The mean.
    pub mean: f64,
    /// The lowest of the seeds.
    pub low: f64,
    /// The highest of the seeds.
    pub high: f64,
}

/// `metric` by case, a line for each experiment with its range over the seeds; published ones are dotted.
pub fn by_case(
    slug: &str,
    title: &str,
    (cases, axis): (&[&str], &str),
    metric: &str,
    lines: &[Line],
) -> Chart {
    let values: Vec<f64> = lines
        .iter()
        .flat_map(|line| line.cases.iter().flatten())
        .flat_map(|case| [case.low, case.high])
        .collect();
    let (low, high) = bounds(&values);
    let last = cases.len().saturating_sub(1) as f64;
    let mut plot = Plot::new(
        (Scale::whole(0.0, last), axis),
        (Scale::nice(low.min(0.999), high.min(1.0)), metric),
        190.0,
        0.0,
    );
    if low < 0.5 {
        plot.guide((0.0, 0.5), (last, 0.5));
    }
    for (i, line) in lines.iter().enumerate() {
        let class = if line.published { "s5" } else { CLASSES[i % 5] };
        let style = if line.published { "dotted" } else { STYLES[i / 5 % 2] };
        for run in known_in_a_row(&line.cases) {
            let of =
                |value: fn(Case) -> f64| run.iter().map(|&(at, case)| (at, value(case))).collect::<Vec<_>>();
            if !line.published {
                plot.band(class, &of(|case| case.high), &of(|case| case.low));
            }
            plot.line(class, style, &of(|case| case.mean));
        }
        plot.key(Sign::Line(style), class, &line.name);
    }
    let said: Vec<String> =
        lines.iter().map(|line| format!("{}: {}", line.name, in_words(cases, &line.cases))).collect();
    plot.finish(
        slug,
        title,
        format!("{}.", said.join("; ")),
        "Bands reach from the lowest to the highest seed.",
    )
}

/// Stretches of cases that were run, each with its position.
fn known_in_a_row(cases: &[Option<Case>]) -> Vec<Vec<(f64, Case)>> {
    let mut runs: Vec<Vec<(f64, Case)>> = vec![vec![]];
    for (i, case) in cases.iter().enumerate() {
        match (case, runs.last_mut()) {
            (Some(case), Some(run)) => run.push((i as f64, *case)),
            _ => runs.push(vec![]),
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

fn in_words(names: &[&str], cases: &[Option<Case>]) -> String {
    let one = |(name, case): (&&str, &Option<Case>)| {
        let value = case.map_or("not run".to_owned(), |case| number(case.mean));
        format!("{name} {value}")
    };
    names.iter().zip(cases).map(one).collect::<Vec<_>>().join(", ")
}

/// What an experiment reaches, and what a score costs.
#[derive(Clone, Debug)]
pub struct Costed {
    /// What it is called.
    pub name: String,
    /// The metric.
    pub value: f64,
    /// Seconds of scoring a sample.
    pub seconds: f64,
}

/// `metric` against the time that a score takes, a numbered dot for each experiment.
pub fn accuracy_and_time(slug: &str, metric: &str, points: &[Costed]) -> Chart {
    let milliseconds = |point: &Costed| (1000.0 * point.seconds).max(1e-6);
    let (low, high) = bounds(&points.iter().map(milliseconds).collect::<Vec<_>>());
    let (least, most) = bounds(&points.iter().map(|point| point.value).collect::<Vec<_>>());
    let x = Scale::log(low.max(1e-6) / 1.5, high * 1.5);
    let mut plot =
        Plot::new((x, "milliseconds to score a sample"), (Scale::nice(least, most), metric), 190.0, 0.0);
    for (i, point) in points.iter().enumerate() {
        let class = CLASSES[i % CLASSES.len()];
        plot.dot(class, milliseconds(point), point.value);
        plot.beside(class, milliseconds(point), point.value, &(i + 1).to_string());
        let words =
            format!("{}  {}: {}, {} ms", i + 1, point.name, number(point.value), number(milliseconds(point)));
        plot.key(Sign::Dot, class, &words);
    }
    let said: Vec<String> = points
        .iter()
        .map(|point| format!("{}: {} at {} ms", point.name, number(point.value), number(milliseconds(point))))
        .collect();
    let note =
        "Scoring alone, in batches, on the threads that the table names; up and to the left is better.";
    plot.finish(slug, "Accuracy and the time of a score", format!("{}.", said.join("; ")), note)
}

/// The false-alarm rates of an experiment's runs.
#[derive(Clone, Debug)]
pub struct FalseAlarms {
    /// What it is called.
    pub name: String,
    /// The rate that thresholds were set for.
    pub promised: f64,
    /// For each run the normal test samples that were flagged, and all of them.
    pub runs: Vec<(usize, usize)>,
}

/// Whether thresholds from validation normals keep their promise on the test: a row for each experiment, with a dot for each
/// run and the 95 % interval of all its runs together.
pub fn false_alarms(slug: &str, experiments: &[FalseAlarms]) -> Chart {
    let rate = |&(flagged, of): &(usize, usize)| flagged as f64 / of.max(1) as f64;
    let rates = experiments.iter().flat_map(|one| one.runs.iter().map(rate).chain([one.promised]));
    let (_, high) = bounds(&rates.collect::<Vec<_>>());
    let names: Vec<&str> = experiments.iter().map(|one| one.name.as_str()).collect();
    let x = Scale::nice(0.0, high * 1.02);
    let mut plot = Plot::rows((x, "false-alarm rate on the test"), ROW * names.len() as f64, &names);
    let mut said = Vec::new();
    for (i, one) in experiments.iter().enumerate() {
        let all = one.runs.iter().fold((0, 0), |sum, run| (sum.0 + run.0, sum.1 + run.1));
        plot.rates_row(
            i,
            one.promised,
            wilson_95(all.0, all.1),
            &one.runs.iter().map(rate).collect::<Vec<_>>(),
        );
        said.push(format!(
            "{}: promised {}, observed {}",
            one.name,
            number(one.promised),
            number(rate(&all))
        ));
    }
    plot.key(Sign::Line("guide"), "", "promised");
    plot.key(Sign::Dot, "normal", "a run; the bar is the 95 % interval of all its normal test samples");
    let note = "Each threshold comes from validation normals; where the dots lie around the dashed mark, it carries over to the test.";
    plot.finish(slug, "False alarms, promised and observed", format!("{}.", said.join("; ")), note)
}

impl Plot {
    /// A short text to the upper right of a point.
    fn beside(&mut self, class: &str, x: f64, y: f64, words: &str) {
        let (x, y) = (self.at_x(x) + 5.0, self.at_y(y) - 5.0);
        self.add(html! { text class=(format!("label {class}")) x=(px(x)) y=(px(y)) { (words) } });
    }

    /// A row with the rate that was promised, an interval, and the rates of runs.
    fn rates_row(&mut self, index: usize, promised: f64, (low, high): (f64, f64), rates: &[f64]) {
        let base = self.row_base(index, ROW);
        let middle = base - ROW / 2.0;
        let (from, to, at) = (self.at_x(low), self.at_x(high), self.at_x(promised));
        self.add(html! {
            path class="grid" d=(format!("M{} {}H{}", px(self.at_x(0.0)), px(base), px(self.at_x(f64::MAX)))) {}
            rect class="band normal" x=(px(from)) y=(px(middle - 5.0)) width=(px((to - from).max(0.5))) height="10" {}
            path class="guide" d=(format!("M{} {}V{}", px(at), px(base - ROW), px(base))) {}
            @for rate in rates { circle class="dot normal" cx=(px(self.at_x(*rate))) cy=(px(middle)) r="3.5" {} }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(mean: f64) -> Option<Case> {
        Some(Case { mean, low: mean - 0.01, high: mean + 0.01 })
    }

    #[test]
    fn a_case_that_was_not_run_is_a_gap_and_is_said() {
        let line = Line {
            name: "ours".into(),
            published: false,
            cases: vec![case(0.9), None, case(0.8), case(0.7)],
        };
        assert_eq!(known_in_a_row(&line.cases).iter().map(Vec::len).collect::<Vec<_>>(), [1, 2]);
        let chart = by_case("digits", "By digit", (&["0", "1", "2", "3"], "digit"), "AUROC", &[line]);
        assert_eq!(chart.description, "ours: 0 0.9, 1 not run, 2 0.8, 3 0.7.");
        assert!(chart.standalone().matches("class=\"line s0 ").count() >= 1);
    }

    #[test]
    fn costs_and_false_alarms_are_said() {
        let point = Costed { name: "PCA".into(), value: 0.95, seconds: 2e-6 };
        let chart = accuracy_and_time("cost", "AUROC", &[point]);
        assert_eq!(chart.description, "PCA: 0.95 at 0.002 ms.");
        let alarms = FalseAlarms { name: "PCA".into(), promised: 0.05, runs: vec![(4, 100), (8, 100)] };
        let chart = false_alarms("alarms", &[alarms]);
        assert_eq!(chart.description, "PCA: promised 0.05, observed 0.06.");
        assert!(!chart.standalone().contains("NaN"));
    }
}
