//! What programs do with a run folder, for any family: score new samples, evaluate, verify, report, look for drift, and compare two runs.

mod compare;
mod drift;
mod evaluate;
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
pub use report::{ReportArgs, report};
pub use score::{ScoreArgs, score};
pub use threshold::ThresholdArgs;
pub use verify::{VerifyArgs, verify};
