//! A user's own table, from the outside: trained on, scored, refused.

use crate::one_program::{flicker, json_of, rows};
use crate::programs::{bytes, check_refused, run, temporary};
use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use flicker_core::Rng;
use flicker_table::{Kind, TableFile};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// A row of sales, with a column of every kind.
struct Sale {
    amount: Option<f64>,
    items: i64,
    country: &'static str,
    new: bool,
    day: i64,
    hour: i64,
    fraud: bool,
}

/// Frauds are large, at night, and buy one thing.
fn sale(rng: &mut Rng, fraud: bool) -> Sale {
    let items = if fraud { 1 } else { 1 + rng.below(9) as i64 };
    let price = if fraud { 900.0 } else { 20.0 + f64::from(rng.below(10) as u32) };
    Sale {
        amount: (rng.below(20) > 0).then_some(price * items as f64),
        items,
        country: ["DE", "FR", "IT"][rng.below(3)],
        new: rng.below(2) == 0,
        day: rng.below(28) as i64,
        hour: if fraud { 3 } else { 9 + rng.below(9) as i64 },
        fraud,
    }
}

fn sales(n: usize, frauds: usize, seed: u64) -> Vec<Sale> {
    let mut rng = Rng::new(seed);
    (0..n).map(|row| sale(&mut rng, row >= n - frauds)).collect()
}

fn csv(sales: &[Sale]) -> String {
    let mut text = "id,amount,items,country,new,when,is_fraud\n".to_owned();
    for (id, sale) in sales.iter().enumerate() {
        let Sale { items, country, new, day, hour, fraud, .. } = sale;
        let (day, new) = (day + 1, if *new { "True" } else { "False" });
        let amount = sale.amount.map_or(String::new(), |amount| amount.to_string());
        let when = format!("2024-02-{day:02} {hour:02}:00:00");
        writeln!(text, "{id},{amount},{items},{country},{new},{when},{}", u8::from(*fraud)).expect("text");
    }
    text
}

fn parquet(sales: &[Sale]) -> Vec<u8> {
    const FEBRUARY: i64 = 1_706_745_600;
    let micros = |sale: &Sale| (FEBRUARY + (sale.day * 24 + sale.hour) * 3600) * 1_000_000;
    let int = |of: &dyn Fn(&Sale) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(sales.iter().map(of)))
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("is_fraud", int(&|sale| i64::from(sale.fraud))),
        ("amount", Arc::new(sales.iter().map(|sale| sale.amount).collect::<Float64Array>())),
        ("items", int(&|sale| sale.items)),
        ("country", Arc::new(StringArray::from_iter_values(sales.iter().map(|sale| sale.country)))),
        ("new", Arc::new(sales.iter().map(|sale| Some(sale.new)).collect::<BooleanArray>())),
        ("when", Arc::new(TimestampMicrosecondArray::from_iter_values(sales.iter().map(micros)))),
        ("id", int(&|sale| sale.items)),
    ];
    let table = RecordBatch::try_from_iter(columns).expect("a table");
    let mut bytes = Vec::new();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(&mut bytes, table.schema(), None).expect("a writer");
    writer.write(&table).expect("written");
    writer.close().expect("closed");
    bytes
}

const OF_SALES: [&str; 5] = ["--label", "is_fraud", "--drop", "id", "--quiet"];

fn trained(dir: &Path) {
    let table = sales(400, 20, 1);
    fs::write(dir.join("sales.csv"), csv(&table)).expect("written");
    let data = ["train", "--model", "ae", "--data", "sales.csv", "--out", "r"];
    flicker(dir, &[&data[..], &OF_SALES].concat());
}

#[test]
fn a_table_of_every_kind_trains_and_scores_the_same_in_csv_and_parquet() {
    let dir = temporary();
    let dir = dir.path();
    trained(dir);
    fs::write(dir.join("other.csv"), csv(&sales(10_000, 100, 2))).expect("written");
    fs::write(dir.join("other.parquet"), parquet(&sales(10_000, 100, 2))).expect("written");
    let coding = fs::read_to_string(dir.join("r/coding.json")).expect("the coding");
    for name in ["\"DE\"", "\"time\"", "\"boolean\"", "\"missing\""] {
        assert!(coding.contains(name), "{name} in {coding}");
    }
    let auroc =
        json_of(dir, &["evaluate", "r", "--into", "e", "--json"])["metrics"]["auroc"]["value"].as_f64();
    assert!(auroc.expect("an AUROC") > 0.95, "{auroc:?}");
    flicker(dir, &["verify", "r"]);
    // The rows of other, larger files: two pieces and more. 64 validation normals support no rate as small as the usual one.
    for name in ["other.csv", "other.parquet"] {
        let out = format!("{name}.scores");
        flicker(dir, &["score", "r", name, "--out", &out, "--false-alarm-rate", "0.05"]);
    }
    assert_eq!(bytes(dir.join("other.csv.scores")), bytes(dir.join("other.parquet.scores")));
    // The scores as Parquet, from a table that is read piece by piece and from the run's own test set.
    flicker(dir, &["score", "r", "other.csv", "--out", "s.parquet", "--false-alarm-rate", "0.05"]);
    flicker(dir, &["score", "r", "--out", "own.parquet"]);
    for (name, n) in [("s.parquet", 10_000..=10_000), ("own.parquet", 90..=100)] {
        let file = TableFile::open(&dir.join(name)).expect("Parquet");
        let rows = file.n_rows().expect("a count").expect("told by the file");
        assert!(n.contains(&rows), "{name}: {rows}");
        let kinds = file.kinds(&["score".into(), "p_value".into(), "decision".into()]).expect("columns");
        assert_eq!(
            kinds.iter().map(|column| column.kind).collect::<Vec<_>>(),
            [Kind::Number, Kind::Number, Kind::Text]
        );
    }
    let scores = rows(&dir.join("other.csv.scores"), &["id", "decision"]);
    assert_eq!((scores.len(), scores[9_999][0].as_str()), (10_000, "9999"));
    let flagged = |rows: &[Vec<String>]| rows.iter().filter(|row| row[1] == "abnormal").count();
    // A rate set by so few has a standard deviation of .027: below .13 by three of them.
    let (alarms, found) = (flagged(&scores[..9_900]), flagged(&scores[9_900..]));
    assert!(found > 80 && alarms < 1_300, "{found} found, {alarms} false alarms");
    // A table that is read whole, for a threshold by labels, has the same scores.
    fs::write(dir.join("labels.csv"), "id,label\n0,normal\n9999,abnormal\n").expect("written");
    flicker(dir, &["score", "r", "other.csv", "--out", "whole", "--best-f1-on", "labels.csv"]);
    assert_eq!(rows(&dir.join("whole"), &["score"]), rows(&dir.join("other.csv.scores"), &["score"]));
    let drift = json_of(dir, &["drift", "r", "other.parquet", "--json"]);
    assert_eq!(drift["n"].as_u64(), Some(10_000));
    // Trained on the same rows as Parquet, with its columns in another order: another model, as good.
    fs::write(dir.join("sales.parquet"), parquet(&sales(400, 20, 1))).expect("written");
    let data = ["train", "--model", "classic", "--data", "sales.parquet", "--out", "p"];
    let said = flicker(dir, &[&data[..], &OF_SALES].concat());
    assert!(said.contains("AUROC 0.9") || said.contains("AUROC 1.0"), "{said}");
}

#[test]
fn a_table_without_a_label_is_all_normal() {
    let dir = temporary();
    let dir = dir.path();
    fs::write(dir.join("sales.csv"), csv(&sales(300, 0, 1))).expect("written");
    let said = flicker(
        dir,
        &[
            "train",
            "--model",
            "classic",
            "--data",
            "sales.csv",
            "--drop",
            "id",
            "--drop",
            "is_fraud",
            "--out",
            "r",
        ],
    );
    assert!(said.contains("no abnormal sample is known, so AUROC, AUPRC and F1 are not told"), "{said}");
    assert!(said.contains("of 60 normals held out for a test are flagged"), "{said}");
}

#[test]
fn new_rows_need_the_columns_and_nothing_is_written_without() {
    let dir = temporary();
    let dir = dir.path();
    trained(dir);
    let text = csv(&sales(30, 0, 3));
    let refused = |text: &str, message: &str| {
        fs::write(dir.join("new.csv"), text).expect("written");
        let output = run("flicker", dir, &["score", "r", "new.csv", "--out", "s.csv"]);
        check_refused(&output, 1, message);
        let left: Vec<_> =
            fs::read_dir(dir).expect("readable").flatten().map(|entry| entry.file_name()).collect();
        assert!(left.iter().all(|name| !name.to_string_lossy().contains("s.csv.")), "{left:?}");
        assert!(!dir.join("s.csv").exists());
    };
    refused(
        &text.replacen("country", "land", 1),
        "new.csv: no column `country`, expected it among the 7: id, amount",
    );
    refused(&text.replacen(",DE,", ",,", 1), "column `country`: expected a value, found none");
    refused(&text.replacen("True", "maybe", 1), "column `new`: expected true or false, found `maybe`");
    refused(&text.replacen("2024-02-", "Feb ", 1), "column `when`: expected a date such as 2024-12-31");
    // A country that did not train is none of those that did.
    fs::write(dir.join("new.csv"), text.replace(",DE,", ",XX,")).expect("written");
    flicker(dir, &["score", "r", "new.csv", "--out", "s.csv"]);
    assert_eq!(rows(&dir.join("s.csv"), &["id"]).len(), 30);
}

#[test]
fn what_cannot_be_a_table_of_ones_own_is_said() {
    let dir = temporary();
    let dir = dir.path();
    fs::write(dir.join("sales.csv"), csv(&sales(50, 5, 1))).expect("written");
    let refused = |arguments: &[&str], message: &str| {
        let output = run("flicker", dir, &[&["train", "--out", "r"], arguments].concat());
        check_refused(&output, 2, message);
        assert!(!dir.join("r").exists());
    };
    let data = ["--data", "sales.csv"];
    refused(&[&["--model", "ganomaly"], &data[..]].concat(), "ae, classic, deepsvdd have one");
    refused(&[&["ae-creditcard"], &data[..]].concat(), "the experiment reads a data set");
    let on = [&["--model", "ae"], &data[..]].concat();
    refused(&[&on[..], &["--label", "fraud"]].concat(), "has no column `fraud`; it has id, amount");
    refused(
        &[&on[..], &["--label", "country"]].concat(),
        "its values are `DE`, `FR`, `IT`, and none of them",
    );
    refused(&[&on[..], &["--label", "is_fraud", "--normal", "2"]].concat(), "its values are `0`, `1`");
    refused(&["--model", "ae", "--label", "is_fraud"], "--label is for your own table, which --data names");
}
