//! CSV of a data set with a manifest: finite rows, or an error.
#![no_main]
use flicker_core::data::Source;
use flicker_core::data::csv::{Column, Header, Layout, dataset, features};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for header in [Header::Names, Header::Absent, Header::Skipped] {
        let layout = Layout { header, label: Column::Position(0), values: vec!["0".into(), "1".into()], drop: vec![] };
        if let Ok(table) = dataset("x", "x", bytes, &layout, &["a".into(), "b".into()]) {
            let mut out = vec![0.0; table.shape().elements()];
            (0..table.len().min(3)).for_each(|index| table.source().read(index, &mut out).expect("a row"));
        }
    }
    let _ = features("x", bytes, Header::Names, &["a".into(), "b".into()]);
});
