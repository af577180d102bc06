//! From what: the data with their hashes, and every field of the configuration.

use maud::{Markup, html};

use super::{facts, missing};
use crate::report::folder::{Config, Data, Folder};
use crate::report::format::{bytes, count, json_value, toml_value, words};

pub(super) fn body(folder: &Folder) -> Markup {
    html! {
        @match folder.data.get() {
            Some(data) => (data_body(data)),
            None => (missing(&folder.data.problem("data.json").unwrap_or_default())),
        }
        @match folder.config.get() {
            Some(config) => (config_body(config)),
            None => (missing(&folder.config.problem("config.toml").unwrap_or_default())),
        }
    }
}

fn data_body(data: &Data) -> Markup {
    let classes: Vec<String> = data.classes.iter().map(json_value).collect();
    let rows = [
        ("name", Some(data.name.clone())),
        ("read from", Some(data.origin.clone())),
        ("one sample", Some(json_value(&data.shape))),
        ("protocol", Some(json_value(&data.protocol))),
        ("classes", Some(classes.join(", "))),
        ("training", data.n_train.map(count)),
        ("validation", data.n_validation.map(count)),
        ("test", data.n_test.map(count)),
        ("test, abnormal", data.n_abnormal.map(count)),
    ];
    html! {
        (facts("The data, and how they were divided.", &rows))
        @if !data.skipped.is_empty() {
            details open {
                summary { (count(data.skipped.len() as u64)) " broken files skipped" }
                ul { @for problem in &data.skipped { li { (problem) } } }
            }
        }
        @if !data.files.is_empty() {
            details {
                summary { (count(data.files.len() as u64)) " files with checksums" }
                table class="facts" {
                    caption { "Files read, with their SHA-256." }
                    tbody {
                        @for file in &data.files {
                            tr {
                                th scope="row" { (file.path) @if let Some(n) = file.bytes { small { (bytes(n)) } } }
                                td { code { (file.sha256) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn config_body(config: &Config) -> Markup {
    let (tables, single): (Vec<_>, Vec<_>) = config.table.iter().partition(|(_, value)| value.is_table());
    html! {
        h3 { "Configuration" }
        (rows("Experiment", &single.into_iter().map(|(key, value)| (words(key), toml_value(value))).collect::<Vec<_>>()))
        @for (name, table) in tables {
            details {
                summary { code { "[" (name) "]" } }
                (rows(&words(name), &flat("", table)))
            }
        }
        details {
            summary { code { "config.toml" } " as it stands" }
            pre { code { (config.text) } }
        }
    }
}

fn rows(caption: &str, rows: &[(String, String)]) -> Markup {
    let rows: Vec<_> = rows.iter().map(|(name, value)| (name.as_str(), Some(value.clone()))).collect();
    facts(caption, &rows)
}

/// Keys with their path, tables within tables unfolded.
fn flat(prefix: &str, value: &toml::Value) -> Vec<(String, String)> {
    let Some(table) = value.as_table() else { return vec![(prefix.to_owned(), toml_value(value))] };
    let join = |key: &str| if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
    table.iter().flat_map(|(key, value)| flat(&join(key), value)).collect()
}
