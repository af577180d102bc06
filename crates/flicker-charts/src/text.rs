//! Text in a chart: how wide it is, how it is cut, how numbers are written, and how labels are kept apart.

/// Width of `text` in units of a chart whose font has 11 units: an estimate on the wide side, since fonts differ.
pub(super) fn width(text: &str) -> f64 {
    text.chars().map(|c| 11.0 * em(c)).sum()
}

fn em(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '|' | '\'' | '!' | ' ' => 0.32,
        'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '-' | '/' | '"' => 0.42,
        'm' | 'w' | 'M' | 'W' | '%' | '@' => 0.95,
        'A'..='Z' => 0.72,
        '0'..='9' => 0.64,
        c if c.is_ascii() => 0.6,
        '\u{2070}'..='\u{209f}' | '²' | '³' | '¹' | '·' => 0.42,
        '…' => 1.0,
        c if (c as u32) < 0x1100 || ('\u{2010}'..='\u{205f}').contains(&c) => 0.65,
        _ => 1.05,
    }
}

/// `text`, cut with an ellipsis so that it is no wider than `room`.
pub(super) fn cut(text: &str, room: f64) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        if width(&kept) + 11.0 * (em(c) + em('…')) > room {
            break;
        }
        kept.push(c);
    }
    format!("{}…", kept.trim_end())
}

/// As [`cut`], but what is left out is in the middle: the end of a name often tells it from the next.
pub(super) fn cut_middle(text: &str, room: f64) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let (mut start, mut end) = (Vec::new(), Vec::new());
    let (mut front, mut back) = (text.chars(), text.chars().rev());
    let mut left = room - width("…");
    loop {
        for (from_end, c) in [(false, front.next()), (true, back.next())] {
            let Some(c) = c.filter(|&c| 11.0 * em(c) <= left) else {
                return start.into_iter().chain(['…']).chain(end.into_iter().rev()).collect();
            };
            left -= 11.0 * em(c);
            if from_end { end.push(c) } else { start.push(c) }
        }
    }
}

/// A number for a reader: three significant digits, no more zeros than needed, powers of ten where they are shorter.
pub fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let size = value.abs();
    if !(1e-3..1e6).contains(&size) {
        return scientific(value, 2);
    }
    let decimals = (2 - size.log10().floor() as i32).max(0) as usize;
    trimmed(&format!("{value:.decimals$}"))
}

/// A multiple of `step`, with as many decimals as the step has, or as a power of ten where that is shorter.
pub(super) fn multiple(value: f64, step: f64) -> String {
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    let written = format!("{value:.decimals$}");
    if written.trim_start_matches('-').trim_matches(['0', '.']).is_empty() {
        "0".to_owned()
    } else if decimals > 4 || value.abs() >= 1e5 {
        // As many digits as tell it from its neighbours, one `step` away.
        let digits = value.abs().log10().floor() - step.log10().floor();
        scientific(value, digits.clamp(0.0, 9.0) as usize)
    } else {
        written
    }
}

fn scientific(value: f64, decimals: usize) -> String {
    let written = format!("{value:.decimals$e}");
    let Some((digits, power)) = written.split_once('e') else { return written };
    let power: String = power.chars().map(superscript).collect();
    match trimmed(digits).as_str() {
        "1" => format!("10{power}"),
        digits => format!("{digits}·10{power}"),
    }
}

fn superscript(c: char) -> char {
    match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '0' => '⁰',
        c => c.to_digit(10).and_then(|d| char::from_u32(0x2070 + d)).unwrap_or(c),
    }
}

fn trimmed(digits: &str) -> String {
    if digits.contains('.') {
        digits.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        digits.to_owned()
    }
}

/// Moves heights apart, so that neighbours are at least `apart` from each other and all lie within `low..=high` as far as
/// there is room; the order stays.
pub(super) fn spread(wanted: &[f64], apart: f64, low: f64, high: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|&a, &b| wanted[a].total_cmp(&wanted[b]));
    let mut places = wanted.to_vec();
    let mut floor = low;
    for &i in &order {
        places[i] = places[i].max(floor);
        floor = places[i] + apart;
    }
    let mut ceiling = high;
    for &i in order.iter().rev() {
        places[i] = places[i].min(ceiling);
        ceiling = places[i] - apart;
    }
    places
}

/// Letters, digits and hyphens of `text`, in lower case, for the name of a file or an id.
pub(super) fn slug(text: &str) -> String {
    let words: Vec<String> = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    let mut slug = words.join("-");
    slug.truncate(60);
    if slug.is_empty() { "unnamed".to_owned() } else { slug }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_number(value: f64, expected: &str) {
        assert_eq!(number(value), expected);
    }

    #[test]
    fn numbers_are_short() {
        check_number(0.0, "0");
        check_number(0.953_21, "0.953");
        check_number(12.0, "12");
        check_number(-1.5, "-1.5");
        check_number(1234.5, "1234");
        check_number(0.000_012, "1.2·10⁻⁵");
        check_number(1e7, "10⁷");
    }

    #[test]
    fn labels_keep_their_distance_and_their_order() {
        let places = spread(&[50.0, 10.0, 11.0, 12.0], 10.0, 0.0, 60.0);
        assert_eq!(places, [50.0, 10.0, 20.0, 30.0]);
        let places = spread(&[59.0, 60.0], 10.0, 0.0, 60.0);
        assert_eq!(places, [50.0, 60.0]);
    }

    #[test]
    fn long_text_is_cut_to_the_room() {
        let short = cut("salt and pepper noise of the strongest kind", 80.0);
        assert!(short.ends_with('…') && width(&short) <= 80.0, "{short}");
        assert_eq!(cut("normal", 80.0), "normal");
        let short = cut_middle("defect type number 17", 80.0);
        assert!(short.starts_with("def") && short.ends_with("17") && width(&short) <= 80.0, "{short}");
    }

    #[test]
    fn slugs_hold_nothing_that_means_something_elsewhere() {
        assert_eq!(slug("Generator <script>/../x"), "generator-script-x");
        assert_eq!(slug("ø"), "unnamed");
    }
}
