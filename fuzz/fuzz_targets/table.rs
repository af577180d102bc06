//! A user's table as CSV (also packed), Parquet and Arrow: as many rows of numbers as it says, or an error.
#![no_main]
use flicker_table::{Coding, Rules, Table, TableFile};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let path = std::env::temp_dir().join(format!("flicker-fuzz-{}", std::process::id()));
    std::fs::write(&path, bytes).expect("written");
    let Ok(file) = TableFile::open(&path) else { return };
    let _ = file.n_rows();
    let Ok(columns) = file.kinds(file.names()) else { return };
    let Ok(table) = Table::read(&file, &columns) else { return };
    let rows: Vec<usize> = (0..table.len()).collect();
    let Ok(coding) = Coding::fit(&table, &columns, &rows, &Rules { one_hot: 5 }) else { return };
    let mut values = Vec::new();
    for batch in table.batches() {
        coding.apply(batch, &mut values).expect("rows that it was fitted on");
    }
    assert_eq!(values.len(), table.len() * coding.width());
    assert!(values.iter().all(|value| value.is_finite()));
});
