//! What a program says when it cannot go on: one or two lines, and an exit code.

use flicker_core::{Error, Stop};
use std::process::ExitCode;

/// Why a program cannot go on.
#[derive(Debug)]
pub enum Failure {
    /// The user asked for something that cannot be: exit code 2.
    Usage(String),
    /// Something went wrong on the way: exit code 1.
    Failed(String),
    /// The work is done, and new samples do not look like the old ones: exit code 3.
    Drift(String),
    /// A signal or a limit stopped the work, which can be taken up again: exit code 130 (interrupt), 143 (terminate), or
    /// 1 (limit).
    Stopped(Stop, String),
}

impl Failure {
    /// The exit code, as shells read it.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => 2,
            Self::Failed(_) | Self::Stopped(Stop::TimeLimit, _) => 1,
            Self::Drift(_) => 3,
            Self::Stopped(Stop::Interrupt, _) => 130,
            Self::Stopped(Stop::Terminate, _) => 143,
        })
    }

    /// A usage error about `what`.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::Usage(what.into())
    }

    /// The same with a hint on how to take the work up again, if it was stopped.
    pub(crate) fn hinting(self, hint: &str) -> Self {
        match self {
            Self::Stopped(stop, text) => Self::Stopped(stop, format!("{text}; {hint}")),
            failure => failure,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Usage(text) | Self::Failed(text) | Self::Drift(text) | Self::Stopped(_, text) => {
                f.write_str(text)
            }
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Config { .. } | Error::Protocol(_) => Self::Usage(error.to_string()),
            Error::Stopped(stop) => Self::Stopped(stop, stop.to_string()),
            // candle's text goes on with a backtrace when one is asked for by the environment.
            Error::Candle(error) => Self::Failed(first_line(&error.to_string())),
            error => Self::Failed(error.to_string()),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<Error>() {
            Ok(error) => error.into(),
            Err(error) => Self::Failed(format!("{error:#}")),
        }
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backtrace_of_candle_is_not_shown() {
        let error = candle_core::Error::Msg("the shapes differ".into()).bt();
        let failure = Failure::from(Error::Candle(error));
        assert_eq!(failure.to_string(), "the shapes differ");
        let long = Failure::from(Error::Candle(candle_core::Error::Msg("what\n   0: backtrace".into())));
        assert_eq!(long.to_string(), "what");
    }
}
