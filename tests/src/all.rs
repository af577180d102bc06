//! The one test binary: everything that needs more than one crate.

mod begun_from;
mod classical;
mod conformance;
mod deep_svdd;
mod experiments;
mod folders;
mod full_disk;
mod networks;
mod one_program;
mod one_program_exports;
mod one_program_refuses;
mod onnx;
mod own_table;
mod parity;
mod parity_gan;
mod programs;
mod reproduce;
mod run_commands;
mod same_bytes;
mod streams;
mod threads;
