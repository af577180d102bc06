//! What happened while the model learned: each loss by epoch, and the scores of the sets that were watched.

use super::Chart;
use super::plot::{Plot, Sign};
use super::scale::{Scale, bounds};
use super::text;
use super::text::number;

/// Room to the right of a plot whose lines are named at their ends.
const LABELS: f64 = 118.0;

/// The values of one loss, or of one watched set, by epoch within one phase.
#[derive(Clone, Debug)]
pub struct Losses {
    /// Its name.
    pub name: String,
    /// Epoch and value, in order.
    pub points: Vec<(f64, f64)>,
}

/// One small chart for each loss of a phase: losses of one model differ by orders, and one axis would flatten all but one.
pub fn losses(phase: &str, losses: &[Losses]) -> Vec<Chart> {
    losses.iter().map(|loss| one_loss(phase, loss)).collect()
}

/// The watched sets of a phase in one chart, each line named at its end.
pub fn watched(phase: &str, series: &[Losses]) -> Chart {
    let values: Vec<f64> = series.iter().flat_map(|s| s.points.iter().map(|p| p.1)).collect();
    let y = Scale::of_losses(&values);
    let longest = series.iter().map(|s| text::width(&s.name)).fold(0.0, f64::max);
    let room = (longest * 1.1 + 12.0).min(LABELS);
    let mut plot = Plot::new((epochs(series), "epoch"), (y, "mean score of the set"), 200.0, room);
    let mut labels = Vec::new();
    for (i, line) in series.iter().enumerate() {
        let (class, style) = look(i);
        plot.line(class, style, &line.points);
        if let Some(&(_, last)) = line.points.last() {
            labels.push((class.to_owned(), line.name.clone(), last));
        }
        if longest * 1.1 + 12.0 > LABELS {
            plot.key(Sign::Line(style), class, &line.name);
        }
    }
    plot.end_labels(&labels);
    let said: Vec<String> = series.iter().map(in_words).collect();
    let note = "Watched while learning, never trained on; no epoch is chosen by them.";
    plot.finish(
        &format!("watched-{phase}"),
        &format!("Watched sets, {phase}"),
        format!("{}.", said.join("; ")),
        note,
    )
}

fn one_loss(phase: &str, loss: &Losses) -> Chart {
    let values: Vec<f64> = loss.points.iter().map(|p| p.1).collect();
    let y = Scale::of_losses(&values);
    let x = epochs(std::slice::from_ref(loss));
    let what = match loss.points.iter().rfind(|p| p.1.is_finite()) {
        Some((_, last)) => format!("mean of the epoch, {} at the end", number(*last)),
        None => "mean of the epoch".to_owned(),
    };
    let mut plot = Plot::new((x, "epoch"), (y, &what), 110.0, 0.0);
    plot.line("s0", "", &loss.points);
    plot.finish(&format!("loss-{phase}-{}", loss.name), &loss.name, format!("{}.", in_words(loss)), "")
}

fn epochs(series: &[Losses]) -> Scale {
    let epochs: Vec<f64> = series.iter().flat_map(|s| s.points.iter().map(|p| p.0)).collect();
    let (low, high) = bounds(&epochs);
    Scale::whole(low, high)
}

/// Six colours, then the same dashed, then dotted.
fn look(i: usize) -> (&'static str, &'static str) {
    let class = ["s0", "s1", "s2", "s3", "s4", "s5"][i % 6];
    (class, ["", "dashed", "dotted"][(i / 6) % 3])
}

fn in_words(line: &Losses) -> String {
    let mut finite = line.points.iter().filter(|p| p.1.is_finite());
    match (finite.next(), finite.next_back().or_else(|| line.points.iter().find(|p| p.1.is_finite()))) {
        (Some((from, first)), Some((to, last))) => {
            format!("{}: {} at epoch {from}, {} at epoch {to}", line.name, number(*first), number(*last))
        }
        _ => format!("{}: no values", line.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, values: &[f64]) -> Losses {
        let points = values.iter().enumerate().map(|(i, &v)| ((i + 1) as f64, v)).collect();
        Losses { name: name.into(), points }
    }

    #[test]
    fn first_and_last_are_said() {
        let chart = watched("gan", &[line("normal", &[0.5, 0.25]), line("noise", &[1.0, 3.0])]);
        assert_eq!(
            chart.description,
            "normal: 0.5 at epoch 1, 0.25 at epoch 2; noise: 1 at epoch 1, 3 at epoch 2."
        );
        assert_eq!(chart.slug, "watched-gan");
    }

    #[test]
    fn one_epoch_or_none_draws() {
        for values in [&[][..], &[0.5], &[f64::NAN, 1.0], &[0.0, 0.0]] {
            let chart = losses("gan", &[line("generator", values)]).remove(0).standalone();
            assert!(!chart.contains("NaN"), "{chart}");
        }
    }

    #[test]
    fn losses_over_decades_are_on_a_log_scale() {
        let charts = losses("gan", &[line("a", &[100.0, 1.0, 0.01]), line("b", &[1.0, 0.9, 0.8])]);
        assert!(charts[0].standalone().contains("(log scale)"));
        assert!(!charts[1].standalone().contains("(log scale)"));
    }
}
