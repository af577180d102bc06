//! Reading the next batches while the current one is computed.

use super::{Source, gather};
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

/// An iterator over batches that a thread of its own reads ahead, at most `depth` of them; see [`prefetch`].
pub struct Prefetch {
    source: Arc<dyn Source>,
    device: Device,
    /// Samples in each batch still to come, last first.
    sizes: Vec<usize>,
    receiver: Option<Receiver<Result<Vec<f32>>>>,
    reader: Option<JoinHandle<()>>,
}

/// Reads `batches` of `source` in order on a thread of its own, at most `depth` batches ahead (at least one), so that
/// decoding runs beside the computation. Batches come in order and hold what [`super::tensor`] gives; after an error
/// nothing more comes. Dropping the iterator ends the thread.
///
/// # Errors
/// If the thread cannot be started.
pub fn prefetch(
    source: Arc<dyn Source>,
    batches: Vec<Vec<usize>>,
    depth: usize,
    device: &Device,
) -> Result<Prefetch> {
    // One batch waits in the sender's hands while the channel is full, hence one less in the channel.
    let (sender, receiver) = sync_channel(depth.max(1) - 1);
    let sizes = batches.iter().rev().map(Vec::len).collect();
    let of_reader = source.clone();
    let read = move || {
        for batch in batches {
            let values = gather(&*of_reader, &batch);
            let failed = values.is_err();
            if sender.send(values).is_err() || failed {
                return;
            }
        }
    };
    let reader = std::thread::Builder::new()
        .name("prefetch".into())
        .spawn(read)
        .map_err(|error| Error::data("prefetch", format!("no thread to read with: {error}")))?;
    Ok(Prefetch { source, device: device.clone(), sizes, receiver: Some(receiver), reader: Some(reader) })
}

impl Prefetch {
    fn receive(&mut self, size: usize) -> Result<Tensor> {
        let died = || Error::data("prefetch", "the reading thread ended before its last batch");
        let values = self.receiver.as_ref().ok_or_else(died)?.recv().map_err(|_| died())??;
        Ok(Tensor::from_vec(values, self.source.shape().batch_dims(size), &self.device)?)
    }
}

impl Iterator for Prefetch {
    type Item = Result<Tensor>;

    fn next(&mut self) -> Option<Self::Item> {
        let size = self.sizes.pop()?;
        let batch = self.receive(size);
        if batch.is_err() {
            self.sizes.clear();
        }
        Some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.sizes.len()))
    }
}

impl Drop for Prefetch {
    fn drop(&mut self) {
        self.receiver = None; // the reader's next send fails, and it ends
        if let Some(reader) = self.reader.take() {
            // A panic of the source was already reported as an error by `receive`.
            let _ = reader.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Samples, tensor};
    use super::*;
    use crate::SampleShape;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Counts reads; fails at one index, panics at another.
    struct Watched {
        samples: Samples,
        reads: AtomicUsize,
    }

    impl Watched {
        fn new(n: usize) -> Arc<Self> {
            let samples = Samples::new(3, (0..3 * n).map(|i| i as f32).collect()).expect("whole samples");
            Arc::new(Self { samples, reads: AtomicUsize::new(0) })
        }
    }

    impl Source for Watched {
        fn len(&self) -> usize {
            self.samples.len()
        }

        fn shape(&self) -> SampleShape {
            self.samples.shape()
        }

        fn read(&self, index: usize, out: &mut [f32]) -> Result<()> {
            self.reads.fetch_add(1, Ordering::SeqCst);
            assert_ne!(index, 99, "a decoder that panics");
            self.samples.read(index, out)
        }
    }

    #[test]
    fn gives_the_same_batches_as_reading_directly() -> Result<()> {
        let source = Watched::new(20);
        let batches: Vec<Vec<usize>> = vec![vec![3, 1], vec![19], vec![0, 4, 5]];
        let ahead = prefetch(source.clone(), batches.clone(), 2, &Device::Cpu)?;
        for (xs, batch) in ahead.zip(&batches) {
            let direct = tensor(&*source, batch, &Device::Cpu)?;
            assert_eq!(xs?.to_vec2::<f32>()?, direct.to_vec2::<f32>()?);
        }
        Ok(())
    }

    #[test]
    fn reads_no_further_ahead_than_told() -> Result<()> {
        let source = Watched::new(90);
        let mut ahead = prefetch(source.clone(), (0..90).map(|i| vec![i]).collect(), 3, &Device::Cpu)?;
        ahead.next().expect("a batch")?;
        std::thread::sleep(std::time::Duration::from_millis(100));
        let reads = source.reads.load(Ordering::SeqCst);
        assert!((2..=4).contains(&reads), "one taken and three ahead, but {reads} were read");
        drop(ahead);
        assert!(source.reads.load(Ordering::SeqCst) <= reads + 1, "the reader went on after the drop");
        Ok(())
    }

    #[test]
    fn an_error_or_a_panic_ends_it() -> Result<()> {
        for (bad, said) in [(500, "below 120"), (99, "ended before")] {
            let mut ahead = prefetch(Watched::new(120), vec![vec![0], vec![bad], vec![1]], 2, &Device::Cpu)?;
            assert!(ahead.next().is_some_and(|xs| xs.is_ok()));
            let message = ahead.next().expect("the error").unwrap_err().to_string();
            assert!(message.contains(said), "{message}");
            assert!(ahead.next().is_none());
        }
        Ok(())
    }
}
