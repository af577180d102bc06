//! Command line, experiment file, run folder, report.

pub mod charts;
pub mod pictures;
pub mod report;
