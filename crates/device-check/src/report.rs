//! The table, as Markdown that also reads well on a screen.

use crate::compare::{Precision, Row};
use crate::timing::{Spread, Timed};

/// What was compared with what.
pub(crate) struct Setting<'a> {
    pub(crate) device: &'a str,
    pub(crate) precision: &'a Precision,
}

impl Setting<'_> {
    fn sentences(&self) -> String {
        let Precision { device, products, convolutions } = self.precision;
        let on_or_off = |on: bool| if on { "on" } else { "off" };
        let what = if device.is_cpu() { " (the compositions that other devices get)" } else { "" };
        let cudnn = if cfg!(feature = "cudnn") { "cuDNN" } else { "matrix products" };
        format!(
            "`{}`{what} against the CPU's kernels; f32, TF32 {} in products and {} in convolutions, which are {cudnn}.\n\
             Errors are shares of the largest number: of each operator against f64, of a family's first steps against f32.\n",
            self.device,
            on_or_off(*products),
            on_or_off(*convolutions),
        )
    }
}

/// The whole report.
pub(crate) fn markdown(setting: &Setting<'_>, rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).max(4);
    let mut text = format!("# A device against the CPU\n\n{}\n", setting.sentences());
    text += &format!("| {:width$} |  result | gradients | allowed |    |\n", "what");
    text += &format!("| {:-<width$} | ------: | --------: | ------: | -- |\n", "");
    for row in rows {
        let gradient = row.gradient.map_or("–".to_string(), |error| format!("{error:.1e}"));
        let verdict = if row.holds() { "ok" } else { "NO" };
        text += &format!(
            "| {:width$} | {:>7} | {gradient:>9} | {:>7} | {verdict} |\n",
            row.name,
            format!("{:.1e}", row.result),
            format!("{:.0e}", row.allowed),
        );
    }
    let failed = rows.iter().filter(|row| !row.holds()).count();
    text += &format!("\n{} of {} rows are within what is allowed.\n", rows.len() - failed, rows.len());
    text
}

/// The table of times.
pub(crate) fn times(rows: &[Timed]) -> String {
    let mut text =
        "\n## Times\n\nMilliseconds a step: the median of the turns, the shortest and the longest. \
                    PyTorch's f32 is as above; its bf16 is autocast, which ours does not have.\n\n"
            .to_string();
    text += "| workload | ours | PyTorch | ours ÷ PyTorch | PyTorch, bf16 |\n";
    text += "| -------- | ---: | ------: | -------------: | ------------: |\n";
    let spread = |spread: &Spread| format!("{:.3} ({:.3} – {:.3})", spread.median, spread.low, spread.high);
    let or_dash = |found: Option<String>| found.unwrap_or("–".into());
    for Timed { name, ours, peer, peer_bf16 } in rows {
        let ratio = peer.map(|peer| format!("{:.2}", ours.median / peer.median));
        let (ours, peer, bf16) = (spread(ours), peer.as_ref().map(spread), peer_bf16.as_ref().map(spread));
        text +=
            &format!("| {name} | {ours} | {} | {} | {} |\n", or_dash(peer), or_dash(ratio), or_dash(bf16));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn a_row_that_fails_is_seen() {
        let row = |name: &str, result| Row { name: name.into(), result, gradient: None, allowed: 1e-5 };
        let setting = Setting { device: "cpu", precision: &Precision::new(&Device::Cpu, true) };
        let text = markdown(&setting, &[row("fine", 1e-6), row("far", f64::NAN)]);
        assert!(text.contains("TF32 off in products"), "{text}");
        assert!(text.contains("| fine |  1.0e-6 |         – |    1e-5 | ok |"), "{text}");
        assert!(text.contains("| far  |     NaN |") && text.contains("| NO |"), "{text}");
        assert!(text.contains("1 of 2 rows are within"), "{text}");
    }

    #[test]
    fn times_have_a_ratio_where_there_is_a_peer() {
        let spread = |median| Spread { median, low: 0.5 * median, high: 2.0 * median };
        let row = |peer| Timed { name: "unet".into(), ours: spread(3.0), peer, peer_bf16: None };
        let text = times(&[row(Some(spread(2.0))), row(None)]);
        assert!(
            text.contains("| unet | 3.000 (1.500 – 6.000) | 2.000 (1.000 – 4.000) | 1.50 | – |"),
            "{text}"
        );
        assert!(text.contains("| unet | 3.000 (1.500 – 6.000) | – | – | – |"), "{text}");
    }
}
