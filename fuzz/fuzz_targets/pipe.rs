//! An Arrow stream from a pipe: batches, or an error.
#![no_main]
use flicker_table::{Column, Kind, read_arrow};
use libfuzzer_sys::fuzz_target;
use std::io::Cursor;

fuzz_target!(|bytes: &[u8]| {
    let columns = [Column { name: "x".into(), kind: Kind::Number }];
    if let Ok(batches) = read_arrow("x", Cursor::new(bytes.to_vec()), &columns) {
        batches.take(8).for_each(drop);
    }
});
