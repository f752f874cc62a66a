//! How is printed without waiting for who reads? By a thread of its own, from a queue that has an end.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::time::{Duration, Instant};

use crate::clock;

/// How long the end waits for somebody who reads nothing at all. Who reads slowly is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// About how many bytes are written at once: few enough that somebody who reads is seen to do so.
const PIECE: usize = 16 * 1024;

/// Prints lines in the order in which they come.
#[derive(Debug)]
pub(crate) struct Printer {
    queue: SyncSender<Vec<String>>,
    /// Has room for what comes last, whatever else waits.
    last: SyncSender<Vec<String>>,
    /// Closed when everything is printed.
    over: Receiver<()>,
    /// How many pieces have been taken by who reads.
    pieces: Arc<AtomicU64>,
}

impl Printer {
    /// Prints to `out`, on a thread of this name. At most `room` batches of lines wait.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn start(name: &str, room: usize, out: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, waiting) = sync_channel(room);
        let (last, words) = sync_channel(1);
        let (alive, over) = channel();
        let pieces = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&pieces);
        let print = move || print(&[waiting, words], out, &counted, alive);
        std::thread::Builder::new().name(name.to_owned()).spawn(print)?;
        Ok(Self { queue, last, over, pieces })
    }

    /// Prints these lines soon; gives them back when too much waits already.
    pub(crate) fn offer(&self, lines: Vec<String>) -> Result<(), Vec<String>> {
        self.queue.try_send(lines).map_err(|error| match error {
            TrySendError::Full(lines) | TrySendError::Disconnected(lines) => lines,
        })
    }

    /// Prints what waits and then these lines; false when nobody reads them.
    pub(crate) fn finish(self, lines: Vec<String>) -> bool {
        self.close(lines).wait()
    }

    /// The same for several at once: their patience begins now.
    pub(crate) fn close(self, lines: Vec<String>) -> Closing {
        // There is room for them, or the thread has panicked, which it has told by itself.
        let _ = self.last.try_send(lines);
        let so_far = self.pieces.load(Ordering::Relaxed);
        Closing { over: self.over, pieces: self.pieces, so_far, until: clock::now() + PATIENCE }
    }
}

/// The end of a printer.
#[derive(Debug)]
pub(crate) struct Closing {
    over: Receiver<()>,
    pieces: Arc<AtomicU64>,
    /// How many pieces had been taken when the patience began.
    so_far: u64,
    until: Instant,
}

impl Closing {
    /// Waits until everything is printed; false when nobody reads it.
    pub(crate) fn wait(mut self) -> bool {
        loop {
            let left = self.until.saturating_duration_since(clock::now());
            if self.over.recv_timeout(left) != Err(RecvTimeoutError::Timeout) {
                return true;
            }
            let taken = self.pieces.load(Ordering::Relaxed);
            if taken == self.so_far {
                return false;
            }
            (self.so_far, self.until) = (taken, clock::now() + PATIENCE);
        }
    }
}

/// A reader that has gone is no reason to stop.
fn print(queues: &[Receiver<Vec<String>>], mut out: impl Write, pieces: &AtomicU64, _alive: Sender<()>) {
    for batch in queues.iter().flatten() {
        let mut piece = String::new();
        let mut lines = batch.iter().peekable();
        while let Some(line) = lines.next() {
            piece.push_str(line);
            piece.push('\n');
            // Whole lines only: others print to the same place.
            if piece.len() >= PIECE || lines.peek().is_none() {
                let _ = out.write_all(piece.as_bytes()).and_then(|()| out.flush());
                pieces.fetch_add(1, Ordering::Relaxed);
                piece.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes one piece for each word from the other end, and none any more once that has gone silent.
    struct Reluctant(Receiver<()>);

    impl Write for Reluctant {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv().map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nobody_waits_for_who_does_not_read() {
        let (_silent, words) = channel();
        let printer = Printer::start("test", 2, Reluctant(words)).unwrap();
        let refused = (0..10).filter(|n| printer.offer(vec![n.to_string()]).is_err()).count();
        assert!((7..=8).contains(&refused), "{refused}");
        assert!(!printer.finish(vec!["last".into()]));
    }

    #[test]
    fn who_reads_slowly_gets_everything() {
        let (read, words) = channel();
        let printer = Printer::start("test", 5, Reluctant(words)).unwrap();
        for n in 0..3 {
            printer.offer(vec![n.to_string()]).unwrap();
        }
        let reader = std::thread::spawn(move || {
            let mut pieces = 0;
            // Longer than the patience in all, and never so long at once.
            while read.send(()).is_ok() {
                pieces += 1;
                std::thread::sleep(Duration::from_millis(800));
            }
            pieces
        });
        assert!(printer.finish(vec!["last".into()]));
        assert!(reader.join().unwrap() >= 4);
    }
}
