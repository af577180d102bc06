//! Nothing but the README, whose example is compiled with the doc tests; the tests are in `src/all.rs`.
#![doc = include_str!("../../README.md")]
