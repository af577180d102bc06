//! `flicker score RUN -`: a line of JSON in, a line of JSON out; or batches of Arrow IPC.

use crate::one_program::{rows, table_run, trained};
use crate::programs::{check_refused, program, temporary};
use flicker_table::{ArrowWriter, Cells, Column, Kind, Values, read_arrow};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Output, Stdio};

/// What `flicker score r -` says to `lines`.
fn answers(dir: &Path, lines: impl AsRef<[u8]>, more: &[&str]) -> Output {
    let arguments = [&["score", "r", "-", "--quiet"], more].concat();
    let mut command = program("flicker", dir, &arguments);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    // A program that refuses its arguments does not read.
    let _ = child.stdin.take().expect("a pipe").write_all(lines.as_ref());
    child.wait_with_output().expect("the program ends")
}

fn parsed(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn rows_of_a_table_score_as_in_a_file() {
    let dir = temporary();
    table_run(&dir.path().join("r"));
    std::fs::write(dir.path().join("new.csv"), "V1,V2,Amount\n1,2,3\n4.5,-50,60\n").expect("written");
    crate::one_program::flicker(dir.path(), &["score", "r", "new.csv", "--out", "s.csv"]);
    let scores = rows(&dir.path().join("s.csv"), &["score"]);
    let lines = "{\"id\": \"a\", \"Amount\": 3, \"V1\": 1, \"V2\": 2}\n\n[4.5, -50, 60]\n";
    let told = parsed(&answers(dir.path(), lines, &[]));
    let score = |line: &Value| (line["score"].as_f64().expect("a number") as f32).to_string();
    assert_eq!(told.iter().map(score).collect::<Vec<_>>(), scores.concat());
    assert_eq!((told[0]["id"].as_str(), told[1].get("id")), (Some("a"), None));
    assert_eq!((told[0]["abnormal"].as_bool(), told[1]["abnormal"].as_bool()), (Some(false), Some(true)));
}

#[test]
fn batches_of_arrow_are_answered_by_batches() {
    let dir = temporary();
    table_run(&dir.path().join("r"));
    let table: [[f32; 3]; 5] =
        [[1.0, 2.0, 3.0], [4.5, -50.0, 60.0], [1.5, 2.0, 3.0], [0.0, 2.0, 9.0], [2.0, 2.0, 2.0]];
    let text: String = table.iter().map(|row| format!("{},{},{}\n", row[0], row[1], row[2])).collect();
    std::fs::write(dir.path().join("new.csv"), format!("V1,V2,Amount\n{text}")).expect("written");
    crate::one_program::flicker(dir.path(), &["score", "r", "new.csv", "--out", "s.csv"]);
    let expected = rows(&dir.path().join("s.csv"), &["score", "decision"]);
    let stream = |name: &str| {
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::new("stream", &mut bytes);
        for rows in [&table[..2], &table[2..]] {
            let column = |at: usize| Values::F32(rows.iter().map(|row| row[at]).collect());
            writer
                .write(vec![("Amount", column(2)), (name, column(0)), ("V2", column(1)), ("more", column(0))])
                .expect("written");
        }
        writer.finish().expect("finished");
        bytes
    };
    let output = answers(dir.path(), stream("V1"), &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let column = |name: &str, kind| Column { name: name.into(), kind };
    let columns =
        [column("row", Kind::Number), column("score", Kind::Number), column("abnormal", Kind::Boolean)];
    let batches = read_arrow("answers", std::io::Cursor::new(output.stdout), &columns).expect("a stream");
    let batches: Vec<_> = batches.collect::<Result<_, _>>().expect("batches");
    assert_eq!(batches.iter().map(|batch| batch.rows().len()).collect::<Vec<_>>(), [2, 3]);
    let all = |at: usize| -> Vec<f32> {
        let cells = batches.iter().map(|batch| &batch.columns()[at]);
        cells
            .flat_map(|cells| if let Cells::Numbers(found) = cells { found.clone() } else { vec![] })
            .collect()
    };
    assert_eq!(all(0), [0.0, 1.0, 2.0, 3.0, 4.0]);
    for (i, row) in expected.iter().enumerate() {
        assert_eq!(
            (all(1)[i].to_string(), all(2)[i] == 1.0),
            (row[0].clone(), row[1] == "abnormal"),
            "row {i}"
        );
    }
    check_refused(&answers(dir.path(), stream("V3"), &[]), 1, "standard input: no column `V1`");
    let skip = answers(dir.path(), stream("V1"), &["--on-error", "skip"]);
    check_refused(&skip, 2, "of an Arrow stream no row can be skipped");
}

#[test]
fn a_line_that_is_no_sample_is_named() {
    let dir = temporary();
    table_run(&dir.path().join("r"));
    let lines = "[1, 2, 3]\n{\"V1\": 1, \"V2\": \"x\", \"Amount\": 3}\n[1, 2]\n[1, 2\n[1, 2, 3]\n";
    let failed = answers(dir.path(), lines, &[]);
    check_refused(&failed, 1, "standard input, line 2: column `V2`: expected a number, found \"x\"");
    assert_eq!(parsed(&failed).len(), 1, "the line before it is answered");
    let told = parsed(&answers(dir.path(), lines, &["--on-error", "skip"]));
    assert_eq!(told.len(), 5);
    assert_eq!(told[0]["score"], told[4]["score"]);
    let problem = |line: &Value| line["error"].as_str().expect("an error").to_string();
    assert_eq!(problem(&told[2]), "expected a list of 3 numbers, found 2");
    assert!(problem(&told[3]).starts_with("is no JSON"), "{}", told[3]);
    assert_eq!(told[2]["line"].as_u64(), Some(3));
    let with_file = answers(dir.path(), "", &["--out", "x.csv"]);
    check_refused(&with_file, 2, "--out: cannot be used with -, which answers on the standard output");
}

#[test]
fn an_image_is_answered_before_the_next_one_is_asked() {
    let dir = temporary();
    trained(dir.path());
    for (name, value) in [("a.png", 40u8), ("b.png", 200)] {
        let pixel = |x: u32, y: u32| image::Luma([value.wrapping_add((x * y) as u8)]);
        image::GrayImage::from_fn(28, 28, pixel).save(dir.path().join(name)).expect("written");
    }
    let mut command = program("flicker", dir.path(), &["score", "r", "-", "--quiet"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
    let mut asked = child.stdin.take().expect("a pipe");
    let mut answered = BufReader::new(child.stdout.take().expect("a pipe"));
    for name in ["a.png", "b.png"] {
        writeln!(asked, "{{\"id\": {name:?}, \"path\": {name:?}}}").expect("read");
        let mut line = String::new();
        answered.read_line(&mut line).expect("a line");
        let line: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(line["id"].as_str(), Some(name));
        let score = line["score"].as_f64().expect("a number");
        assert!(score > 0.0 && line["residual"].is_number(), "{line}");
    }
    drop(asked);
    assert!(child.wait().expect("the program ends").success());
}
