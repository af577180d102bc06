//! A plot: two axes, the marks between them, the lines of the key below.

use maud::{Markup, html};

use super::Chart;
use super::scale::Scale;
use super::text;

/// Width of every chart, in its own units: about a phone's, so that text is not shrunk there.
pub(super) const WIDTH: f64 = 340.0;
const TOP: f64 = 42.0;
const LINE: f64 = 16.0;
const ROW_NAMES: f64 = 130.0;

/// A plot in the making.
pub(super) struct Plot {
    x: Scale,
    y: Scale,
    left: f64,
    right: f64,
    height: f64,
    marks: String,
    frame: String,
    key: String,
    n_keys: usize,
    x_title: String,
}

/// How a key line shows what it explains.
#[derive(Clone, Copy)]
pub(super) enum Sign {
    Line(&'static str),
    Block,
    Band,
    Dot,
}

impl Plot {
    /// Axes with their titles, `height` units of room between them and `room` units to the right, for labels.
    pub(super) fn new(x: (Scale, &str), y: (Scale, &str), height: f64, room: f64) -> Self {
        let (y_scale, y_title) = y;
        let ticks = y_scale.ticks(|_| (height / 26.0) as usize);
        let widest = ticks.iter().map(|(_, t)| text::width(t)).fold(0.0, f64::max);
        let mut plot = Self {
            x: x.0,
            y: y_scale,
            left: (widest + 10.0).max(20.0),
            right: WIDTH - room.max(14.0),
            height,
            marks: String::new(),
            frame: String::new(),
            key: String::new(),
            n_keys: 0,
            x_title: x.1.to_owned(),
        };
        plot.draw_y_axis(&ticks, y_title);
        plot.draw_x_axis();
        plot
    }

    /// A plot without heights: its y axis is a list of names, one for each row.
    pub(super) fn rows(x: (Scale, &str), height: f64, names: &[&str]) -> Self {
        let widest = names.iter().map(|n| text::width(n)).fold(0.0, f64::max).min(ROW_NAMES);
        let mut plot = Self {
            x: x.0,
            y: Scale::linear(0.0, 1.0),
            left: (widest + 8.0).max(20.0),
            right: WIDTH - 46.0,
            height,
            marks: String::new(),
            frame: String::new(),
            key: String::new(),
            n_keys: 0,
            x_title: x.1.to_owned(),
        };
        for (i, name) in names.iter().enumerate() {
            let y = plot.row_base(i, height / names.len() as f64) - 6.0;
            let short = text::cut_middle(name, ROW_NAMES);
            let name = html! { text x="0" y=(px(y)) { (short) title { (name) } } };
            plot.frame.push_str(&name.into_string());
        }
        plot.draw_x_axis();
        plot
    }

    /// The lower edge of row `index`, rows being `height` high.
    pub(super) fn row_base(&self, index: usize, height: f64) -> f64 {
        TOP + (index + 1) as f64 * height
    }

    pub(super) fn x_scale(&self) -> &Scale {
        &self.x
    }

    /// A line through the points; `style` is a class of the style sheet, or empty.
    pub(super) fn line(&mut self, class: &str, style: &str, points: &[(f64, f64)]) {
        let points = self.thinned(points);
        if let [(x, y)] = points[..] {
            return self
                .add(html! { circle class=(format!("dot {class}")) cx=(px(x)) cy=(px(y)) r="3.5" {} });
        }
        self.add(html! { path class=(format!("line {class} {style}")) d=(path(&points)) {} });
    }

    /// The area between two lines.
    pub(super) fn band(&mut self, class: &str, upper: &[(f64, f64)], lower: &[(f64, f64)]) {
        let mut points = self.thinned(upper);
        points.extend(self.thinned(lower).into_iter().rev());
        self.add(html! { path class=(format!("band {class}")) d=(path(&points) + "Z") {} });
    }

    /// The outline of a histogram: `heights[i]` between `edges[i]` and `edges[i + 1]`.
    pub(super) fn bars(&mut self, class: &str, edges: &[f64], heights: &[f64]) {
        let mut points = vec![];
        for (i, &height) in heights.iter().enumerate() {
            let top = self.at_y(height);
            points.extend([(self.at_x(edges[i]), top), (self.at_x(edges[i + 1]), top)]);
        }
        let base = TOP + self.height;
        points.insert(0, (points.first().map_or(self.left, |p| p.0), base));
        points.push((points.last().map_or(self.left, |p| p.0), base));
        self.add(html! { path class=(format!("area {class}")) d=(path(&points)) {} });
    }

    /// One point.
    pub(super) fn dot(&mut self, class: &str, x: f64, y: f64) {
        let (x, y) = (px(self.at_x(x)), px(self.at_y(y)));
        self.add(html! { circle class=(format!("dot {class}")) cx=(x) cy=(y) r="5" {} });
    }

    /// A dashed line across, from one point to another.
    pub(super) fn guide(&mut self, from: (f64, f64), to: (f64, f64)) {
        let points = [(self.at_x(from.0), self.at_y(from.1)), (self.at_x(to.0), self.at_y(to.1))];
        self.add(html! { path class="guide" d=(path(&points)) {} });
    }

    /// A dashed line from bottom to top at `x`.
    pub(super) fn vertical(&mut self, x: f64) {
        self.guide((x, self.y.low), (x, self.y.high));
    }

    /// A dashed line from left to right at `y`.
    pub(super) fn horizontal(&mut self, y: f64) {
        self.guide((self.x.low, y), (self.x.high, y));
    }

    /// Names to the right of the plot, each as near to its height as the others allow.
    pub(super) fn end_labels(&mut self, labels: &[(String, String, f64)]) {
        let wanted: Vec<f64> = labels.iter().map(|(_, _, y)| self.at_y(*y) + 4.0).collect();
        let places = text::spread(&wanted, 13.0, TOP + 4.0, TOP + self.height + 4.0);
        let room = (WIDTH - self.right - 6.0) / 1.08; // these are bold
        for ((class, name, _), y) in labels.iter().zip(places) {
            let short = text::cut(name, room);
            self.add(html! {
                text class=(format!("label {class}")) x=(px(self.right + 6.0)) y=(px(y)) { (short) title { (name) } }
            });
        }
    }

    /// A line of the key below the plot.
    pub(super) fn key(&mut self, sign: Sign, class: &str, words: &str) {
        let y = TOP + self.height + 49.0 + self.n_keys as f64 * LINE;
        let (x, middle) = (4.0, px(y - 4.0));
        let block = |name: &str| html! { rect class=(format!("{name} {class}")) x=(x) y=(px(y - 9.0)) width="18" height="9" {} };
        let sign = match sign {
            Sign::Line("guide") => html! { path class="guide" d=(format!("M{x} {middle}h18")) {} },
            Sign::Line(style) => {
                html! { path class=(format!("line {class} {style}")) d=(format!("M{x} {middle}h18")) {} }
            }
            Sign::Block => block("area"),
            Sign::Band => block("band"),
            Sign::Dot => html! { circle class=(format!("dot {class}")) cx="13" cy=(middle) r="5" {} },
        };
        for (i, line) in wrapped(words, WIDTH - 34.0).iter().enumerate() {
            let y = y + i as f64 * 14.0;
            let line = html! { @if i == 0 { (sign) } text x="28" y=(px(y)) { (line) } };
            self.key.push_str(&line.into_string());
            self.n_keys += 1;
        }
    }

    /// The chart.
    pub(super) fn finish(self, slug: &str, title: &str, description: String, note: &str) -> Chart {
        let heading = html! { text class="heading" x="0" y="14" { (text::cut(title, WIDTH / 1.3)) } };
        let body = format!("{}{}{}{}", heading.into_string(), self.frame, self.marks, self.key);
        let keys = if self.n_keys == 0 { 0.0 } else { 8.0 + self.n_keys as f64 * LINE };
        let height = TOP + self.height + 34.0 + keys;
        Chart {
            slug: text::slug(slug),
            title: title.to_owned(),
            description,
            note: note.to_owned(),
            width: WIDTH,
            height,
            body,
        }
    }

    /// Where `x` stands, in units of the chart.
    pub(super) fn at_x(&self, x: f64) -> f64 {
        self.left + self.x.unit(x) * (self.right - self.left)
    }

    pub(super) fn at_y(&self, y: f64) -> f64 {
        TOP + self.height * (1.0 - self.y.unit(y))
    }

    /// Adds a mark.
    pub(super) fn add(&mut self, mark: Markup) {
        self.marks.push_str(&mark.into_string());
    }

    /// Points in the chart's units, without those that no eye could tell from their predecessor.
    fn thinned(&self, points: &[(f64, f64)]) -> Vec<(f64, f64)> {
        let mut kept: Vec<(f64, f64)> = Vec::new();
        for (i, &(x, y)) in points.iter().enumerate() {
            if !(x.is_finite() && y.is_finite()) {
                continue;
            }
            let at = (self.at_x(x), self.at_y(y));
            let near =
                kept.last().is_some_and(|last| (last.0 - at.0).abs() < 0.6 && (last.1 - at.1).abs() < 0.6);
            if !near || (i + 1 == points.len() && kept.len() > 1) {
                kept.push(at);
            }
        }
        kept
    }

    fn draw_y_axis(&mut self, ticks: &[(f64, String)], title: &str) {
        let title = if self.y.log { format!("{title} (log scale)") } else { title.to_owned() };
        let (left, right) = (px(self.left), px(self.right));
        let frame = html! {
            text x="0" y="31" { (text::cut(&title, WIDTH)) }
            @for (value, label) in ticks {
                @let y = self.at_y(*value);
                path class="grid" d=(format!("M{left} {0}H{right}", px(y))) {}
                text x=(px(self.left - 6.0)) y=(px(y + 4.0)) text-anchor="end" { (label) }
            }
        };
        self.frame.push_str(&frame.into_string());
    }

    fn draw_x_axis(&mut self) {
        let room = self.right - self.left;
        let ticks = self.x.ticks(|widest| (room / (widest + 14.0)) as usize);
        let base = TOP + self.height;
        let title = if self.x.log { format!("{} (log scale)", self.x_title) } else { self.x_title.clone() };
        let frame = html! {
            path class="axis" d=(format!("M{} {}H{}", px(self.left), px(base), px(self.right))) {}
            @for (value, label) in &ticks {
                @let x = self.at_x(*value);
                @let end = WIDTH - text::width(label) / 2.0;
                path class="axis" d=(format!("M{} {}v4", px(x), px(base))) {}
                text x=(px(x.min(end))) y=(px(base + 15.0)) text-anchor="middle" { (label) }
            }
            text x=(px(f64::midpoint(self.left, self.right))) y=(px(base + 29.0)) text-anchor="middle" { (title) }
        };
        self.frame.push_str(&frame.into_string());
    }
}

/// `words` in lines no wider than `room`.
pub(super) fn wrapped(words: &str, room: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words.split_whitespace() {
        match lines.last_mut() {
            Some(line) if text::width(line) + text::width(word) + 4.0 <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(text::cut(word, room)),
        }
    }
    lines
}

/// A coordinate: tenths are enough.
pub(super) fn px(value: f64) -> String {
    let written = format!("{value:.1}");
    written.strip_suffix(".0").unwrap_or(&written).to_owned()
}

fn path(points: &[(f64, f64)]) -> String {
    let mut d = String::new();
    for (i, (x, y)) in points.iter().enumerate() {
        d.push(if i == 0 { 'M' } else { 'L' });
        d.push_str(&px(*x));
        d.push(' ');
        d.push_str(&px(*y));
    }
    d
}
