//! What instances print, printed again by their parent, and what it has to say itself. It must look after its instances
//! also when nobody reads.

use std::io;
use std::time::{Duration, Instant};

use supervise::{Line, Lines, Stream};

use super::{Program, tally};
use crate::clock;
use crate::printer::Printer;
use crate::words::counted;

/// How many batches of lines may wait to be printed, for each stream.
const BATCHES: usize = 64;

/// How often at most it is told that something was lost.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Prints on threads of its own, one for each stream: who reads one of them gets it.
#[derive(Debug)]
pub(super) struct Forward {
    name: String,
    stdout: Printer,
    stderr: Printer,
    /// Bytes that could not be printed, since that was told last.
    lost: u64,
    told: Option<Instant>,
}

impl Forward {
    pub(super) fn start(program: &Program) -> io::Result<Self> {
        let stdout = Printer::start("forward stdout", BATCHES, io::stdout())?;
        let stderr = Printer::start("forward stderr", BATCHES, io::stderr())?;
        Ok(Self { name: program.name(), stdout, stderr, lost: 0, told: None })
    }

    /// Prints these lines soon.
    pub(super) fn take(&mut self, batch: Lines) {
        self.lost += batch.lost;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        for line in batch.lines {
            match line.stream {
                // What an instance did is for the totals.
                Stream::Stdout if tally::told(&line.text).is_some() => {}
                Stream::Stdout => stdout.push(line.text),
                Stream::Stderr => stderr.push(self.numbered(&line)),
            }
        }
        self.lost += unprinted(&self.stdout, stdout) + unprinted(&self.stderr, stderr);
        let now = clock::now();
        let due = self.told.is_none_or(|told| now.duration_since(told) >= TELL_EVERY);
        if self.lost > 0 && due && self.stderr.offer(vec![self.loss()]).is_ok() {
            self.lost = 0;
            self.told = Some(now);
        }
    }

    /// One sentence of the parent itself, to stderr, soon.
    pub(super) fn say(&mut self, sentence: &str) {
        self.lost += unprinted(&self.stderr, vec![format!("{}: {sentence}", self.name)]);
    }

    /// Waits until everything is printed, or for a while when nobody reads: false when that is stdout.
    pub(super) fn finish(self) -> bool {
        let loss = if self.lost > 0 { vec![self.loss()] } else { Vec::new() };
        let (stdout, stderr) = (self.stdout.close(Vec::new()), self.stderr.close(loss));
        stderr.wait();
        stdout.wait()
    }

    fn loss(&self) -> String {
        let lost = counted(self.lost, "byte of the output was", "bytes of the output were");
        format!("{}: {lost} lost: printed faster than read", self.name)
    }

    /// What an instance says for people is said with its number.
    fn numbered(&self, line: &Line) -> String {
        let words = line.text.strip_prefix(&self.name).and_then(|rest| rest.strip_prefix(": "));
        let words = words.unwrap_or(&line.text);
        format!("{}: instance {} (process {}): {words}", self.name, line.instance, line.pid)
    }
}

/// Has the lines printed, and returns how many bytes there was no room for.
fn unprinted(printer: &Printer, lines: Vec<String>) -> u64 {
    if lines.is_empty() {
        return 0;
    }
    let refused = printer.offer(lines).err().unwrap_or_default();
    refused.iter().map(|line| line.len() as u64 + 1).sum()
}
