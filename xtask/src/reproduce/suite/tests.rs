//! Suites from small texts.

use super::*;
use crate::reproduce::experiment::tests::write_toy;
use std::path::Path;

/// Writes a small suite.
pub(in crate::reproduce) fn write(folder: &Path, name: &str, text: &str) {
    std::fs::create_dir_all(folder.join("suites")).expect("made");
    std::fs::write(folder.join(format!("suites/{name}.toml")), text).expect("written");
}

const TEXT: &str = r#"
    title = "toys"
    text = "Toys by digit."
    axis = "digit"
    seeds = [7]
    [[case]]
    name = "0"
    set.data.protocol.normal = [0]
    [[case]]
    name = "1"
    set.data.protocol.normal = [1]
    [[published]]
    name = "paper"
    source = "table 1"
    metric = "auroc"
    values = [0.9, 0.7]
    [[entry]]
    name = "few"
    title = "few epochs"
    experiment = "toy"
    published = "paper"
    [[entry]]
    name = "other"
    experiment = "toy"
    seeds = [1, 2]
    set.config = { kind = "b", width = 3 }
"#;

fn suites(text: &str) -> Result<Vec<Suite>> {
    let dir = tempfile::tempdir()?;
    write_toy(dir.path(), "toy");
    write_toy(dir.path(), "lone");
    write(dir.path(), "toys", text);
    all(dir.path())
}

#[test]
fn an_entry_is_run_for_each_case_with_what_it_changes() -> Result<()> {
    let suites = suites(TEXT)?;
    let [few, other] = &suites[0].entries[..] else { panic!("two entries") };
    let labels: Vec<String> = few.experiments.iter().map(Experiment::label).collect();
    assert_eq!(labels, ["toys/few/0", "toys/few/1"]);
    assert_eq!(few.experiments.iter().map(|one| one.plain).collect::<Vec<_>>(), [true, false]);
    assert_eq!(few.experiments[1].table["data"]["protocol"]["normal"][0].as_integer(), Some(1));
    assert_eq!(few.experiments[1].table["data"]["protocol"]["kind"].as_str(), Some("one_class"));
    assert_eq!(few.experiments[1].table["title"].as_str(), Some("few epochs, digit 1"));
    assert_eq!((&few.experiments[0].seeds[..], &other.experiments[0].seeds[..]), (&[7][..], &[1, 2][..]));
    // A table of another kind is another table.
    assert_eq!(other.experiments[0].table["config"].to_string(), "{ kind = \"b\", width = 3 }");
    let dirs: Vec<_> = [&few.experiments[0], &few.experiments[1], &other.experiments[0]]
        .map(|one| one.dir.display().to_string())
        .into();
    assert_eq!(
        dirs,
        ["toy", "toys/few-1", "toys/other-0"],
        "what is as in the file is run once for all suites"
    );
    assert_eq!(few.published_value(&suites[0], "auroc", Some(1)), Some((0.7, "paper, table 1".into())));
    assert_eq!(few.published_value(&suites[0], "auroc", None).map(|value| value.0), Some(0.8));
    assert_eq!(few.published_value(&suites[0], "auprc", None), None);
    let others: Vec<&str> = suites[1].entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!((suites[1].name.as_str(), &others[..]), (OTHERS, &["lone"][..]));
    assert_eq!(suites[1].entries[0].expect["auroc"].at_least, Some(0.5));
    Ok(())
}

#[test]
fn names_choose_suites_entries_cases_and_files() -> Result<()> {
    let check = |names: &[&str], expected: &[&str]| -> Result<()> {
        let mut suites = suites(TEXT)?;
        select(&mut suites, &names.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        let left = suites.iter().flat_map(|suite| &suite.entries).flat_map(|entry| &entry.experiments);
        assert_eq!(left.map(Experiment::label).collect::<Vec<_>>(), expected, "{names:?}");
        Ok(())
    };
    check(&["toys/other"], &["toys/other/0", "toys/other/1"])?;
    check(&["toys/few/1", "lone"], &["toys/few/1", "lone"])?;
    check(&["toy"], &["toys/few/0"])?;
    check(&["others"], &["lone"])?;
    check(&[], &["toys/few/0", "toys/few/1", "toys/other/0", "toys/other/1", "lone"])?;
    let error = check(&["toys/fwe"], &[]).expect_err("no such entry").to_string();
    assert!(error.starts_with("there is no suite, entry or experiment `toys/fwe`"), "{error}");
    Ok(())
}

#[test]
fn a_suite_that_cannot_be_is_refused() {
    let check = |text: String, said: &str| {
        let error = format!("{:#}", suites(&text).expect_err("wrong"));
        assert!(error.contains("toys.toml") && error.contains(said), "{error}");
    };
    check(TEXT.replace("[0.9, 0.7]", "[0.9, 0.7, 0.1]"), "a value for each case");
    check(TEXT.replace("published = \"paper\"", "published = \"papre\""), "no published row `papre`");
    check(TEXT.replace("experiment = \"toy\"", "experiment = \"tyo\""), "no experiment `tyo`");
    check(TEXT.replace("\"other\"", "\"few\""), "two entries are called `few`");
    check(TEXT.replace("axis", "axes"), "unknown field `axes`");
}
