//! From bytes on a disk to batches: parsers, [`Source`]s, protocols and splits.
//!
//! A datum's way: bytes → a parser ([`idx`], [`csv`], [`npz`], [`decode()`], [`nifti`]) or a [`folder`] → a [`Source`] (one fixed sample shape, random access by index, in
//! memory or decoded when asked) → a [`Dataset`] (a source with its classes) → a [`Protocol`] (who is normal, who is
//! abnormal) → a [`Split`] (who trains, validates, tests) → [`batches`] or [`chunks`] of indices → [`tensor`].
//!
//! ```
//! use candle_core::Device;
//! use flicker_core::data::{Pool, Prepare, Protocol, Range, Resize, SplitConfig, batches, embedded, tensor};
//! use flicker_core::Rng;
//!
//! let digits = embedded::mnist()?;
//! let config = SplitConfig::new(Pool::Official, 0.1);
//! let split = Protocol::leave_one_out([2]).split(&digits, &config, &Rng::new(0))?;
//! let prepare = Prepare { resize: Resize::Bilinear { size: [32, 32] }, range: Range::Signed };
//! let source = prepare.apply(digits.source().clone())?;
//! let order = Rng::new(0).fork("order").permutation(split.train.len());
//! let order: Vec<usize> = order.iter().map(|&position| split.train[position]).collect();
//! let batch = batches(&order, 64).next().expect("64 digits");
//! assert_eq!(tensor(&source, batch, &Device::Cpu)?.dims(), &[64, 1, 32, 32]);
//! # Ok::<(), flicker_core::Error>(())
//! ```

mod batch;
mod combine;
mod corrupt;
pub mod csv;
mod dataset;
mod decode;
mod dicom;
pub mod embedded;
pub mod folder;
pub mod gz;
pub mod idx;
mod lesion;
mod masks;
mod memory;
pub mod nifti;
pub mod npz;
mod on_error;
mod prefetch;
mod prepare;
mod protocol;
mod resample;
mod rows;
mod scale;
mod source;
mod split;
mod twins;

pub use batch::{batches, chunks, gather, tensor};
pub use combine::{Concat, Subset};
pub use corrupt::{Corrupted, Corruption, NoiseImages};
pub use dataset::{Dataset, Part};
pub use decode::{EXTENSIONS, Header, Limits, Planes, decode, header};
pub use lesion::Lesion;
pub use masks::Masks;
pub use memory::{Images, Samples};
pub use on_error::OnError;
pub use prefetch::{Prefetch, prefetch};
pub use prepare::{Prepare, Prepared, Range, Resize};
pub use protocol::{Class, Order, Protocol};
pub use rows::Rows;
pub use scale::{Map, Scale, Scaled, ScaledColumn, Scaler};
pub use source::{Content, Source};
pub use split::{AbnormalShare, Pool, Split, SplitConfig};
pub use twins::Twins;
