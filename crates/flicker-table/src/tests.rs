//! One table in every format is one table, and what is wrong with a file is told.

use crate::{Cells, Coding, Column, Kind, Result, Rules, Table, TableFile};
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int64Array, RecordBatch, TimestampMicrosecondArray,
};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const CSV: &str = "amount,country,code,new,when\n\
    1.5,DE,7,True,2024-01-01 06:00:00\n\
    2.5,FR,8,False,2024-01-03 12:00:00\n\
    ,DE,7,True,2024-01-02 18:00:00\n\
    4,\"\",9,False,\n";

const NAMES: [&str; 5] = ["amount", "country", "code", "new", "when"];

fn names() -> Vec<String> {
    NAMES.map(String::from).into()
}

/// The table of [`CSV`].
fn record() -> RecordBatch {
    let hour = |hours: i64| Some(1_704_067_200_000_000 + hours * 3_600_000_000);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Float64Array::from(vec![Some(1.5), Some(2.5), None, Some(4.0)])),
        Arc::new(
            [Some("DE"), Some("FR"), Some("DE"), None].into_iter().collect::<DictionaryArray<Int32Type>>(),
        ),
        Arc::new(Int64Array::from(vec![7, 8, 7, 9])),
        Arc::new(BooleanArray::from(vec![true, false, true, false])),
        Arc::new(TimestampMicrosecondArray::from(vec![hour(6), hour(60), hour(42), None])),
    ];
    RecordBatch::try_from_iter(NAMES.into_iter().zip(columns)).expect("a table")
}

fn write(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, bytes).expect("written");
    path
}

fn parquet(record: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(&mut bytes, record.schema(), None).expect("a writer");
    writer.write(record).expect("written");
    writer.close().expect("closed");
    bytes
}

fn arrow_file(record: &RecordBatch) -> Vec<u8> {
    let mut writer = arrow_ipc::writer::FileWriter::try_new(Vec::new(), &record.schema()).expect("a writer");
    writer.write(record).expect("written");
    writer.into_inner().expect("closed")
}

fn arrow_stream(record: &RecordBatch) -> Vec<u8> {
    let mut writer =
        arrow_ipc::writer::StreamWriter::try_new(Vec::new(), &record.schema()).expect("a writer");
    writer.write(record).expect("written");
    writer.into_inner().expect("closed")
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("a Vec takes all");
    encoder.finish().expect("a Vec takes all")
}

/// The numbers of all rows, with `code` as a name, fitted on the first `n` rows.
fn coded(path: &Path, n: usize) -> Result<(Coding, Vec<f32>)> {
    let file = TableFile::open(path)?;
    let mut columns = file.kinds(&names())?;
    columns[2].kind = Kind::Numeral;
    let table = Table::read(&file, &columns)?;
    let rows: Vec<usize> = (0..n).collect();
    let coding = Coding::fit(&table, &columns, &rows, &Rules { one_hot: 2 })?;
    let mut out = Vec::new();
    for batch in table.batches() {
        coding.apply(batch, &mut out)?;
    }
    Ok((coding, out))
}

#[test]
fn a_table_is_the_same_in_every_format() {
    let dir = tempfile::tempdir().expect("a folder");
    let plain = write(dir.path(), "t.csv", CSV.as_bytes());
    let expected = coded(&plain, 4).expect("coded");
    let zst = zstd::encode_all(CSV.as_bytes(), 1).expect("packed");
    for (name, bytes) in [
        ("t.csv.gz", gz(CSV.as_bytes())),
        ("t.csv.zst", zst),
        ("semicolons.csv", CSV.replace(',', ";").into_bytes()),
        ("bom.csv", [b"\xef\xbb\xbf", CSV.as_bytes()].concat()),
        ("t.parquet", parquet(&record())),
        ("t.arrow", arrow_file(&record())),
        ("stream.arrow", arrow_stream(&record())),
    ] {
        let path = write(dir.path(), name, &bytes);
        assert_eq!(coded(&path, 4).expect(name), expected, "{name}");
    }
}

#[test]
fn every_kind_becomes_numbers_by_the_rows_that_train() {
    let dir = tempfile::tempdir().expect("a folder");
    let (coding, out) = coded(&write(dir.path(), "t.csv", CSV.as_bytes()), 4).expect("coded");
    let expected = [
        "amount",
        "amount missing",
        "country=DE",
        "country=FR",
        "country missing",
        "code frequency",
        "new",
        "when",
        "when hour sin",
        "when hour cos",
        "when weekday sin",
        "when weekday cos",
        "when missing",
    ];
    assert_eq!(coding.names(), expected);
    let row = |row: usize| &out[row * 13..][..13];
    let mean = (1.5 + 2.5 + 4.0) / 3.0;
    assert_eq!(row(0)[..8], [1.5, 0.0, 1.0, 0.0, 0.0, 0.5, 1.0, 0.0]);
    assert_eq!(row(1)[..8], [2.5, 0.0, 0.0, 1.0, 0.0, 0.25, 0.0, 54.0 * 3600.0]);
    assert_eq!(row(2)[..8], [mean, 1.0, 1.0, 0.0, 0.0, 0.5, 1.0, 36.0 * 3600.0]);
    assert_eq!(row(3)[..8], [4.0, 0.0, 0.0, 0.0, 1.0, 0.25, 0.0, 30.0 * 3600.0]);
    let near = |found: &[f32], expected: &[f64]| {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-6, "{found} {expected}");
        }
    };
    // Six o'clock on a Monday.
    near(&row(0)[8..], &[1.0, 0.0, 0.0, 1.0, 0.0]);
    let wednesday = std::f64::consts::TAU * 2.0 / 7.0;
    near(&row(1)[8..], &[0.0, -1.0, wednesday.sin(), wednesday.cos(), 0.0]);
    assert_eq!(row(3)[12], 1.0);
    let text = serde_json::to_string(&coding).expect("JSON");
    assert_eq!(serde_json::from_str::<Coding>(&text).expect("JSON"), coding);
    let words = coding.in_words();
    assert!(words.contains("2 categories (country of 2, code by frequency of 3)"), "{words}");
    assert!(words.ends_with("13 columns of numbers; missing values in amount, country, when"), "{words}");
}

#[test]
fn what_did_not_train_changes_nothing_and_an_unseen_value_is_none() {
    let dir = tempfile::tempdir().expect("a folder");
    let others = CSV
        .replace(",DE,7,True,2024-01-02 18:00:00", "9,XX,1,True,2030-01-01")
        .replace("4,\"\",9,False,\n", "");
    let (coding, out) = coded(&write(dir.path(), "u.csv", others.as_bytes()), 2).expect("coded");
    assert_eq!(coding.names()[1..4], ["country=DE", "country=FR", "code=7"]);
    let row = &out[2 * coding.width()..];
    assert_eq!(row[..6], [9.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    // A value that no row of the table missed must be there later.
    let file = TableFile::open(&write(dir.path(), "t.csv", CSV.as_bytes())).expect("a table");
    let batches =
        file.batches(&coding.columns()).expect("columns").collect::<Result<Vec<_>>>().expect("read");
    let error = coding.apply(&batches[0], &mut Vec::new()).expect_err("a missing amount").to_string();
    assert!(error.contains("t.csv, line 4: column `amount`: expected a value, found none"), "{error}");
}

#[track_caller]
fn refused(name: &str, bytes: &[u8], said: &str) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = write(dir.path(), name, bytes);
    let read = TableFile::open(&path).and_then(|file| {
        let columns = file.kinds(file.names())?;
        Table::read(&file, &columns)
    });
    let error = read.expect_err(name).to_string();
    assert!(error.contains(said) && error.contains(name), "{error}");
}

#[test]
fn faults_are_told_with_file_row_and_column() {
    refused("empty.csv", b"", "expected a table, found an empty file");
    refused("header.csv", b"a,b\n", "expected rows, found none");
    refused("numbers.csv", b"1,2\n3,4\n", "expected names of columns in the first line, found numbers");
    refused("twice.csv", b"a,b,a\n1,2,3\n", "two columns are called `a`");
    refused("short.csv", b"a,b\n1,2\n3\n", "short.csv, line 3: 1 fields, expected 2");
    refused(
        "inf.csv",
        b"a,b\n1,2\n3,inf\n",
        "inf.csv, line 3: column `b`: expected a finite number, found `inf`",
    );
    let mut mixed = "a\n".to_owned() + &"1\n".repeat(20);
    mixed += "?\n";
    refused("mixed.csv", mixed.as_bytes(), "line 22: column `a`: expected a finite number, found `?`");
    refused("big.csv", b"a\n1e300\n", "line 2: column `a`: expected a finite number, found `1e300`");
    let wide = (0..1_000_000).map(|i| format!("c{i}")).collect::<Vec<_>>().join(",") + "\n";
    refused("wide.csv", wide.as_bytes(), "1000000 columns, expected 1 to 10000");
    refused("picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "expected a table as CSV, Parquet or Arrow IPC");
    refused("text.parquet", b"a,b\n1,2\n", "expected a Parquet file, which begins with PAR1");
    let whole = parquet(&record());
    for end in [10, whole.len() / 2, whole.len() - 1] {
        refused("cut.parquet", &whole[..end], "expected a whole Parquet, found one that cannot be read");
    }
    let whole = arrow_file(&record());
    refused("cut.arrow", &whole[..whole.len() / 2], "expected a whole Arrow file");
    let whole = gz(CSV.as_bytes());
    refused("cut.csv.gz", &whole[..whole.len() - 12], "not readable as a table");
}

#[test]
fn an_infinite_number_in_parquet_is_told_with_its_row() {
    let column: ArrayRef = Arc::new(Float64Array::from(vec![1.0, f64::INFINITY]));
    let record = RecordBatch::try_from_iter([("a", column)]).expect("a table");
    refused(
        "inf.parquet",
        &parquet(&record),
        "row 1 (the first is 0): column `a`: expected a finite number, found inf",
    );
}

#[test]
fn columns_are_matched_by_name_and_type() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = write(dir.path(), "t.parquet", &parquet(&record()));
    let file = TableFile::open(&path).expect("a table");
    let ask = |name: &str, kind| {
        let column = Column { name: name.into(), kind };
        file.batches(&[column]).map(|_| ()).map_err(|error| error.to_string())
    };
    assert!(ask("code", Kind::Number).is_ok() && ask("code", Kind::Numeral).is_ok());
    let error = ask("country", Kind::Time).err();
    assert_eq!(error, None, "text may hold dates");
    let error = ask("amount", Kind::Text).expect_err("another type");
    assert!(error.ends_with("column `amount`: expected text, found Float64"), "{error}");
    let error = ask("price", Kind::Number).expect_err("no such column");
    assert!(error.contains("no column `price`, expected it among the 5: amount, country"), "{error}");
    // In another order than the file's.
    let columns = [
        Column { name: "new".into(), kind: Kind::Boolean },
        Column { name: "amount".into(), kind: Kind::Number },
    ];
    let table = Table::read(&file, &columns).expect("read");
    assert_eq!(table.batches()[0].columns()[0], Cells::Numbers(vec![1.0, 0.0, 1.0, 0.0]));
}
