//! The one test binary: everything that needs more than one crate.

mod classical;
mod conformance;
mod deep_svdd;
mod experiments;
mod full_disk;
mod parity;
mod programs;
