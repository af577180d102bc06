//! What programs do with a run folder, for any family: score new samples, evaluate, verify, report, look for drift, compare
//! two runs, and export.

mod arrow;
mod compare;
mod drift;
mod evaluate;
#[cfg(feature = "onnx")]
mod export;
mod lines;
mod maps;
mod report;
mod rescore;
mod score;
mod stream;
mod threshold;
mod verify;

pub use compare::{CompareArgs, compare};
pub use drift::{DriftArgs, drift};
pub use evaluate::{EvaluateArgs, evaluate};
#[cfg(feature = "onnx")]
pub use export::{ExportArgs, export};
pub use report::{ReportArgs, report};
pub use score::{ScoreArgs, score};
pub use threshold::ThresholdArgs;
pub use verify::{VerifyArgs, verify};
