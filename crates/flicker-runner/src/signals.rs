//! SIGINT and SIGTERM ask for a stop; a second one ends the program at once.

use crate::Failure;
use flicker_core::Stop;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Remembers whether a signal came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signals {
    interrupt: Arc<AtomicBool>,
    terminate: Arc<AtomicBool>,
}

impl Signals {
    /// Listens from now on.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let signals = Self::default();
        for (signal, came, code) in [(SIGINT, &signals.interrupt, 130), (SIGTERM, &signals.terminate, 143)] {
            // In this order: the first signal finds the flag down and raises it, the second finds it up and exits.
            flag::register_conditional_shutdown(signal, code, came.clone())
                .and_then(|_| flag::register(signal, came.clone()))
                .map_err(|error| Failure::Failed(format!("cannot listen for signals: {error}")))?;
        }
        Ok(signals)
    }

    /// As after an interrupt.
    #[cfg(test)]
    pub(crate) fn interrupted() -> Self {
        let signals = Self::default();
        signals.interrupt.store(true, Ordering::Relaxed);
        signals
    }

    /// Why to stop, if a signal came.
    pub(crate) fn stop(&self) -> Option<Stop> {
        if self.interrupt.load(Ordering::Relaxed) {
            Some(Stop::Interrupt)
        } else if self.terminate.load(Ordering::Relaxed) {
            Some(Stop::Terminate)
        } else {
            None
        }
    }
}
