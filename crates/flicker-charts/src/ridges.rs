//! The score distributions of named groups (classes, kinds of noise), one row each over a common axis.

use maud::html;

use super::Chart;
use super::histogram::{Threshold, edges, median, shares};
use super::plot::{Plot, Sign};
use super::rates::share;
use super::scale::Scale;
use super::text::number;

const N_BINS: usize = 40;
const ROW: f64 = 30.0;
/// Rows that one chart can hold.
const MOST: usize = 24;

/// Scores of samples with a common name.
#[derive(Clone, Debug)]
pub struct Group {
    /// The class, or the name of the set.
    pub name: String,
    /// Whether they are abnormal; unknown in a set without labels.
    pub abnormal: Option<bool>,
    /// Their scores; none may be NaN.
    pub scores: Vec<f64>,
}

/// One row for each group, lowest median first, with the share of it above the threshold.
pub fn distributions(groups: &[Group], threshold: Option<Threshold>) -> Chart {
    let mut groups: Vec<&Group> = groups.iter().filter(|g| !g.scores.is_empty()).collect();
    groups.sort_by(|a, b| b.scores.len().cmp(&a.scores.len()).then(a.name.cmp(&b.name)));
    let left_out = groups.len().saturating_sub(MOST);
    groups.truncate(MOST);
    groups.sort_by(|a, b| median(&a.scores).total_cmp(&median(&b.scores)).then(a.name.cmp(&b.name)));
    let all: Vec<f64> = groups.iter().flat_map(|g| g.scores.iter().copied()).collect();
    let x = Scale::of_scores(&all, &threshold.iter().map(|t| t.value).collect::<Vec<_>>());
    let rows = Rows::new(&groups, &x, threshold);
    let mut plot =
        Plot::rows((x, "score, higher is more abnormal"), ROW * groups.len() as f64, &rows.names());
    for (i, row) in rows.0.iter().enumerate() {
        plot.row(i, ROW, &row.class, &edges(plot.x_scale(), N_BINS), &row.heights, &row.flagged);
    }
    if let Some(threshold) = threshold {
        plot.vertical(threshold.value);
        let words = format!("threshold {}; right: share of the row above it", number(threshold.value));
        plot.key(Sign::Line("guide"), "", &words);
    }
    for class in ["normal", "abnormal"].into_iter().filter(|c| rows.0.iter().any(|row| row.class == *c)) {
        plot.key(Sign::Block, class, class);
    }
    let said: Vec<String> = rows.0.iter().map(|row| row.said.clone()).collect();
    let note = match left_out {
        0 => String::new(),
        n => format!("{n} smaller groups are left out."),
    };
    plot.finish(
        "distributions",
        "Scores by class",
        format!("Score distributions. {}.", said.join("; ")),
        &note,
    )
}

struct Row {
    name: String,
    class: String,
    heights: Vec<f64>,
    flagged: String,
    said: String,
}

struct Rows(Vec<Row>);

impl Rows {
    fn new(groups: &[&Group], x: &Scale, threshold: Option<Threshold>) -> Self {
        let row = |group: &&Group| {
            let heights = shares(&group.scores, x, N_BINS);
            let most = heights.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
            let flagged = threshold.map_or(String::new(), |t| flagged(&group.scores, t.value));
            Row {
                name: group.name.clone(),
                class: class(group.abnormal).to_owned(),
                heights: heights.iter().map(|h| h / most).collect(),
                said: said(group, &flagged),
                flagged,
            }
        };
        Self(groups.iter().map(row).collect())
    }

    fn names(&self) -> Vec<&str> {
        self.0.iter().map(|row| row.name.as_str()).collect()
    }
}

fn class(abnormal: Option<bool>) -> &'static str {
    match abnormal {
        Some(true) => "abnormal",
        Some(false) => "normal",
        None => "s5",
    }
}

fn flagged(scores: &[f64], threshold: f64) -> String {
    let above = scores.iter().filter(|&&s| s > threshold).count();
    let percent = 100.0 * share(above, scores.len());
    if percent > 0.0 && percent < 9.95 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

fn said(group: &Group, flagged: &str) -> String {
    let mut said =
        format!("{}: {} samples, median {}", group.name, group.scores.len(), number(median(&group.scores)));
    if !flagged.is_empty() {
        said.push_str(&format!(", {flagged} above the threshold"));
    }
    said
}

impl Plot {
    /// One histogram in a row of its own, filling at most nine tenths of it, with a text at its right end.
    fn row(&mut self, index: usize, height: f64, class: &str, edges: &[f64], heights: &[f64], end: &str) {
        let base = self.row_base(index, height);
        let mut d = String::new();
        for (i, h) in heights.iter().enumerate() {
            let y = base - 0.9 * height * h;
            let (from, to) = (self.at_x(edges[i]), self.at_x(edges[i + 1]));
            d.push_str(&format!("{}{from:.1} {y:.1}L{to:.1} {y:.1}", if i == 0 { "M" } else { "L" }));
        }
        let (left, right) = (self.at_x(edges[0]), self.at_x(edges[heights.len()]));
        self.add(html! {
            path class="grid" d=(format!("M{left:.1} {base:.1}H{right:.1}")) {}
            path class=(format!("area {class}")) d=(format!("{d}L{right:.1} {base:.1}L{left:.1} {base:.1}Z")) {}
            text class=(format!("label {class}")) x=(format!("{:.1}", right + 6.0)) y=(format!("{:.1}", base - 6.0)) { (end) }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_by_median_and_say_what_is_flagged() {
        let group = |name: &str, abnormal, scores: &[f64]| Group {
            name: name.into(),
            abnormal: Some(abnormal),
            scores: scores.to_vec(),
        };
        let groups = [group("noise", true, &[5.0, 6.0, 7.0, 1.0]), group("seven", false, &[1.0, 2.0])];
        let chart = distributions(&groups, Some(Threshold { value: 5.0, alpha: None }));
        let text = &chart.description;
        assert!(text.find("seven") < text.find("noise"), "{text}");
        assert!(text.contains("noise: 4 samples, median 5.5, 50 % above the threshold"), "{text}");
    }
}
