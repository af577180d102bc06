//! The one test binary: everything that needs more than one crate.

mod conformance;
mod experiments;
mod folders;
mod full_disk;
mod parity;
mod programs;
