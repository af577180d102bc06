//! Nothing here: the package exists for its one test binary, `src/all.rs`.
