//! Lines that instances print, on their way to whoever wants them.

/// Bytes of text that wait to be taken at most; what comes then waits in the files of the instances.
const WAITING_BYTES: usize = 4 * 1024 * 1024;

/// Where a line was printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One line that an instance printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Number of the instance, from 1.
    pub instance: u16,
    /// Its process id.
    pub pid: u32,
    /// Where it was printed.
    pub stream: Stream,
    /// The line without its line break; one of more than 64 KiB may come in pieces. What is not UTF-8 is replaced.
    pub text: String,
}

/// What instances have printed since it was last asked for.
#[derive(Debug, Default)]
pub struct Lines {
    /// The lines, in order for each stream of each process.
    pub lines: Vec<Line>,
    /// Bytes that were lost, because nobody took the lines for too long. 0 when nothing was.
    pub lost: u64,
    bytes: usize,
}

impl Lines {
    /// How many bytes may be added.
    pub(crate) fn room(&self) -> usize {
        WAITING_BYTES.saturating_sub(self.bytes)
    }

    pub(crate) fn add(&mut self, line: Line) {
        self.bytes += line.text.len();
        self.lines.push(line);
    }
}
