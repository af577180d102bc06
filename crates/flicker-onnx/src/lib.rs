//! Detectors as ONNX models: a [`Graph`] is written as a file that other runtimes read, and read back and carried out by a
//! runtime of its own, so that an export is known to say what the model says.
//!
//! The input is `samples` `(N, …)`, f32, N open. The outputs are those that [`Outputs`] names:
//!
//! | output | shape | what it is |
//! | --- | --- | --- |
//! | `score` | `(N)`, f32 | higher is more abnormal |
//! | `p_value` | `(N)`, f32 | conformal, by the validation normals |
//! | `normalised` | `(N)`, f32 | the score between 0 and 1, above 0.5 where it is above the threshold |
//! | `is_abnormal` | `(N)`, bool | whether the score is above the threshold |
//! | `anomaly_map` | `(N, 1, H, W)` or `(N, F)`, f32 | of families that have one |
//!
//! ```
//! use flicker_core::graph::{Graph, Unary};
//! use flicker_onnx::{About, Outputs, Session, encode};
//!
//! let mut graph = Graph::new();
//! let xs = graph.input(&[2]);
//! let sizes = graph.unary(Unary::Abs, xs);
//! let outputs = Outputs { score: graph.mean(sizes), decided: None, map: None };
//! let bytes = encode(&graph, &outputs, &About::default())?;
//! let answers = Session::read(&bytes)?.run(&[1.0, -3.0, 0.0, 5.0])?;
//! assert_eq!(answers.score, [2.0, 2.5]);
//! # Ok::<(), flicker_onnx::Error>(())
//! ```
//!
//! The messages of the format are those that tract, the runtime, brings along: no compiler of protocol buffers is needed.

mod encode;
mod error;
mod message;
mod operators;
mod session;

pub use encode::{About, Outputs, encode};
pub use error::{Error, Result};
pub use session::{Answers, Session};

// For the links above.
#[cfg(doc)]
use flicker_core::graph::Graph;

/// The largest difference of an exported model's scores from ours that is no fault, as a share of the largest of our
/// scores' sizes.
pub const TOLERANCE: f64 = 1e-4;
