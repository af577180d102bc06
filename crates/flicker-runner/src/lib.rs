//! Command line, experiment file, run folder, report.
