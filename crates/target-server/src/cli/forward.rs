//! What instances print, printed again by their parent.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use supervise::{Line, Lines, Stream};

use super::{Program, tally};

/// How many batches of lines may wait to be printed. When nobody reads what we print, the parent must look after its
/// instances all the same.
const BATCHES: usize = 64;

/// Prints on a thread of its own.
#[derive(Debug)]
pub(super) struct Forward {
    queue: SyncSender<Lines>,
    printer: JoinHandle<()>,
    /// Bytes that could not even be queued since the last batch that was.
    lost: u64,
}

impl Forward {
    pub(super) fn start(program: &Program) -> io::Result<Self> {
        let (queue, batches) = sync_channel(BATCHES);
        let name = program.name();
        let printer =
            std::thread::Builder::new().name("forward".into()).spawn(move || print_all(&batches, &name))?;
        Ok(Self { queue, printer, lost: 0 })
    }

    /// Prints these lines soon.
    pub(super) fn take(&mut self, mut batch: Lines) {
        batch.lost += std::mem::take(&mut self.lost);
        if batch.lines.is_empty() && batch.lost == 0 {
            return;
        }
        if let Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) = self.queue.try_send(batch)
        {
            self.lost = batch.lost + batch.lines.iter().map(|line| line.text.len() as u64 + 1).sum::<u64>();
        }
    }

    /// Waits until everything is printed.
    pub(super) fn finish(mut self) {
        if self.lost > 0 {
            let mut last = Lines::default();
            last.lost = self.lost;
            // Now there is time to wait for room.
            let _ = self.queue.send(last);
            self.lost = 0;
        }
        drop(self.queue);
        // A panic in there has been told of by itself.
        let _ = self.printer.join();
    }
}

fn print_all(batches: &Receiver<Lines>, program: &str) {
    for batch in batches {
        for line in &batch.lines {
            print(line, program);
        }
        if batch.lost > 0 {
            let lost = batch.lost;
            let _ = writeln!(
                io::stderr(),
                "{program}: {lost} bytes of what instances printed were lost: printed faster than read"
            );
        }
    }
}

/// What an instance says for people, on stderr, is said with its number. A reader that has gone is no reason to stop.
fn print(line: &Line, program: &str) {
    let _ = match line.stream {
        // What an instance did is for the totals.
        Stream::Stdout if tally::told(&line.text).is_some() => Ok(()),
        Stream::Stdout => writeln!(io::stdout(), "{}", line.text),
        Stream::Stderr => {
            let prefix = format!("{program}: ");
            let words = line.text.strip_prefix(&prefix).unwrap_or(&line.text);
            writeln!(io::stderr(), "{prefix}instance {} (process {}): {words}", line.instance, line.pid)
        }
    };
}
