//! Which data sets there are, where their files are, and whether they are what they should be.
//!
//! A [`Manifest`] is one TOML of `datasets/`: files with their SHA-256 (or a folder with its [`Digest`]), shape, classes, licence, and where the set comes
//! from. [`locate`] finds the full set or says that the embedded sample stands in; [`place`] puts a file where it belongs,
//! whole and verified or not at all. This crate parses no data and links no tensors, so the programs that fetch use it
//! as well as those that train.
//!
//! ```
//! let mnist = flicker_manifest::named("mnist")?;
//! assert_eq!(mnist.files.iter().map(|file| file.bytes).sum::<u64>(), 54_950_048);
//! let located = flicker_manifest::locate(&mnist, std::path::Path::new("data"))?;
//! assert!(located.to_string().starts_with("embedded sample mnist-sample instead of the full mnist"));
//! # Ok::<(), flicker_manifest::Error>(())
//! ```

mod digest;
mod error;
mod locate;
mod manifest;
mod place;
mod verify;

pub use digest::{Digest, digest, images};
pub use error::{Error, Result};
pub use locate::{Located, data_root, locate};
pub use manifest::{File, Format, IdxPart, Manifest, Origin, Package, Volume, all, named};
pub use place::place;
pub use verify::{Hasher, missing, sha256_of, sha256_of_file, verify};
