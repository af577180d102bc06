//! Where it goes wrong: samples with their reconstructions and maps, and the sheets drawn while the model learned.

use maud::{Markup, html};
use std::collections::BTreeMap;

use super::missing;
use crate::pictures::{Contribution, ItemEntry, StripEntry};
use crate::report::folder::Folder;
use crate::report::format::{count, percent};
use crate::report::images::Images;

/// Samples of a strip that are seen at once; the others are one click away.
const AT_ONCE: usize = 6;
/// Longer side of a sample on the page.
const SIDE: u32 = 192;
/// Sheets of one kind, spread evenly over the epochs.
const SHEETS: usize = 4;

pub(super) fn body(folder: &Folder) -> Markup {
    let images = Images::new(&folder.path);
    let sheets = sheets(folder);
    let sheets = sheets_body(&sheets, &images);
    html! {
        @match folder.gallery.get() {
            Some(gallery) => {
                @if gallery.strips.iter().any(|s| s.items.iter().any(|item| !item.contributions.is_empty())) {
                    p { "What a column adds is its part of the score where the model knows that, otherwise how much lower the score is with "
                        "the column at its usual value, the median of the validation normals. Shares are of all that columns add." }
                }
                @let addresses = addresses(&gallery.strips, &images);
                @if gallery.strips.iter().all(|s| s.items.is_empty()) { (missing("gallery.json names no samples.")) }
                @for (strip, addresses) in gallery.strips.iter().zip(&addresses) { (self::strip(strip, addresses)) }
            }
            None => (missing(&folder.gallery.problem("gallery.json").unwrap_or_default())),
        }
        (sheets)
    }
}

/// The data of each picture of each sample of a strip, as far as there is room on the page.
type Addresses = Vec<Vec<Option<String>>>;

/// First the first sample of every strip, then the second ones: what is left out for room is the end of each strip.
fn addresses(strips: &[StripEntry], images: &Images<'_>) -> Vec<Addresses> {
    let mut all: Vec<Addresses> = strips.iter().map(|_| Vec::new()).collect();
    let longest = strips.iter().map(|s| s.items.len()).max().unwrap_or(0);
    for rank in 0..longest {
        for (strip, addresses) in strips.iter().zip(&mut all) {
            if let Some(item) = strip.items.get(rank) {
                addresses.push(item.images.iter().map(|image| images.address(&image.file, SIDE)).collect());
            }
        }
    }
    all
}

fn strip(strip: &StripEntry, addresses: &Addresses) -> Markup {
    let items: Vec<_> = strip.items.iter().zip(addresses).collect();
    let (first, rest) = items.split_at(items.len().min(AT_ONCE));
    html! {
        h3 { (strip.title) }
        @if !strip.note.is_empty() { p { (strip.note) } }
        @if items.is_empty() { p class="small" { "None." } }
        (list(first))
        @if !rest.is_empty() {
            details { summary { (count(rest.len() as u64)) " more" } (list(rest)) }
        }
    }
}

fn list(items: &[(&ItemEntry, &Vec<Option<String>>)]) -> Markup {
    let rows = items.iter().any(|(item, _)| !item.contributions.is_empty());
    let n = if rows { 4 } else { items.iter().map(|(item, _)| item.images.len()).max().unwrap_or(1) };
    html! { ul class="samples" style=(format!("--n: {n}")) { @for (item, addresses) in items { li { (sample(item, addresses)) } } } }
}

fn sample(item: &ItemEntry, addresses: &[Option<String>]) -> Markup {
    html! {
        @if !item.images.is_empty() { div class="pictures" {
            @for (image, address) in item.images.iter().zip(addresses) {
                figure {
                    @match address {
                        Some(address) => img src=(address) alt={ (image.name) " of sample " (item.id) } loading="lazy";,
                        None => span class="nopicture" { "see " (image.file) },
                    }
                    figcaption { (image.name) }
                }
            }
        } }
        @if !item.contributions.is_empty() { (contributions(&item.contributions)) }
        p {
            strong { @if let Some(score) = item.score { (crate::charts::number(f64::from(score))) } @else { "no score" } }
            " " span class="id" { (item.id) }
            @if !item.caption.is_empty() { br; (item.caption) }
        }
    }
}

/// The columns that add the most to a row's score.
fn contributions(all: &[Contribution]) -> Markup {
    html! {
        table class="contributions" {
            thead { tr { th scope="col" { "Column" } th scope="col" class="n" { "Value" } th scope="col" class="n" { "Usual" } th scope="col" { "Adds" } } }
            tbody { @for one in all { tr {
                th scope="row" { (one.column) }
                td class="n" { (number(one.value)) }
                td class="n" { (number(one.usual)) }
                td { span class="bar" style=(format!("--share: {:.1}%", 100.0 * one.share)) {} (percent(f64::from(one.share))) }
            } } }
        }
    }
}

fn number(value: f32) -> String {
    crate::charts::number(f64::from(value))
}

/// Files under `samples/` by kind, the last of each and some before it.
fn sheets(folder: &Folder) -> BTreeMap<String, Vec<String>> {
    let mut kinds: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let files = std::fs::read_dir(folder.path.join("samples")).into_iter().flatten().flatten();
    for name in files.filter_map(|file| file.file_name().into_string().ok()) {
        let Some(stem) = name.strip_suffix(".png").filter(|stem| !stem.starts_with('.')) else { continue };
        let kind = stem.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('-');
        kinds.entry(kind.to_owned()).or_default().push(name.clone());
    }
    for names in kinds.values_mut() {
        names.sort();
        let last = names.len() - 1;
        let n = names.len().min(SHEETS);
        let mut kept: Vec<String> = (0..n).map(|i| names[last - i * last / (n - 1).max(1)].clone()).collect();
        kept.dedup();
        kept.reverse();
        *names = kept;
    }
    kinds
}

fn sheets_body(kinds: &BTreeMap<String, Vec<String>>, images: &Images<'_>) -> Markup {
    html! {
        @for (kind, names) in kinds {
            h3 { "While it learned: " (kind.replace('-', " ")) }
            div class="sheets" {
                @for name in names {
                    @let file = format!("samples/{name}");
                    figure {
                        @match images.address(&file, 640) {
                            Some(address) => img src=(address) alt={ "sheet of pictures " (name) } loading="lazy";,
                            None => span class="nopicture" { "see " (file) },
                        }
                        figcaption { (epoch(name)) }
                    }
                }
            }
        }
    }
}

/// `epoch 12` of `reconstructions-0012.png`.
fn epoch(name: &str) -> String {
    let stem = name.trim_end_matches(".png");
    let digits = stem.len() - stem.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    match stem[stem.len() - digits..].parse::<u64>() {
        Ok(epoch) => format!("epoch {epoch}"),
        Err(_) => stem.to_owned(),
    }
}
