//! What programs do with a run folder, for any family: score new samples, evaluate again, report again.

mod evaluate;
mod report;
mod score;

pub use evaluate::{EvaluateArgs, evaluate};
pub use report::{ReportArgs, report};
pub use score::{ScoreArgs, score};
