//! Command line, experiment file, run folder, report.

pub mod datasets;
