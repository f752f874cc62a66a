//! What an instance prints: captured in a file, read line by line if somebody wants the lines, and its end kept.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};

/// How many lines of an instance's output are handed over when it ends.
const TAIL_LINES: usize = 20;

/// And how many bytes at most.
const TAIL_BYTES: u64 = 16 * 1024;

/// When this much at the front of the file is of no use any more, its room is given back.
const IDLE_BYTES: u64 = 1024 * 1024;

/// How much is read in one go, so that a talkative instance cannot hold up the others.
const READ_BYTES: u64 = 256 * 1024;

/// A line that has become longer than this is not waited for any longer, but handed over in pieces.
const LINE_BYTES: usize = 64 * 1024;

/// How much may wait in the file until somebody takes the lines.
const UNREAD_BYTES: u64 = 16 * 1024 * 1024;

/// One captured stream. A file and not a pipe: an instance must never wait for its supervisor to read, nor die of a
/// broken pipe while it finishes its work after the supervisor has gone.
#[derive(Debug)]
pub(crate) struct Output {
    file: File,
    /// Everything before this offset has been read, or was never wanted.
    read: u64,
    /// Everything before this offset takes no room any more.
    freed: u64,
    /// The beginning of a line whose end has not been printed yet.
    begun: Vec<u8>,
}

impl Output {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).append(true).create_new(true).open(path)?;
        // Open is all it needs to be. Without a name it does not outlive a supervisor that is killed outright.
        std::fs::remove_file(path)?;
        Ok(Self { file, read: 0, freed: 0, begun: Vec::new() })
    }

    /// The descriptor for the child.
    pub(crate) fn writer(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Leaves out what has been printed so far: nobody wants its lines.
    pub(crate) fn skip(&mut self) {
        self.read = self.length();
    }

    /// Whether so much was waiting that more of it can be read at once, when there is `room` for it.
    pub(crate) fn has_more(&self, room: usize) -> bool {
        room > 0 && self.length() - self.read >= READ_BYTES
    }

    /// The next whole lines, of about `room` bytes at most, and how many bytes had to be left out, because too many were
    /// waiting.
    pub(crate) fn lines(&mut self, room: usize) -> (Vec<String>, u64) {
        let length = self.length();
        let mut lost = length.saturating_sub(self.read).saturating_sub(UNREAD_BYTES);
        if lost > 0 {
            self.read += lost;
            // Its end is among what is left out.
            lost += self.begun.len() as u64;
            self.begun.clear();
        }
        let wanted = (length - self.read).min(READ_BYTES).min(room as u64);
        let bytes = self.bytes(self.read, wanted);
        self.read += bytes.len() as u64;
        let mut lines = Vec::new();
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.begun.extend_from_slice(part.strip_suffix(b"\n").unwrap_or(part));
            if part.ends_with(b"\n") || self.begun.len() >= LINE_BYTES {
                lines.push(self.take_begun());
            }
        }
        (lines, lost)
    }

    /// What is left once nothing more will be printed: all lines, the last one whole or not, as far as there is `room`, and
    /// how many bytes there was none for.
    pub(crate) fn rest(&mut self, room: usize) -> (Vec<String>, u64) {
        let (mut all, mut lost, mut room) = (Vec::new(), 0, room);
        loop {
            let before = self.read;
            let (lines, left_out) = self.lines(room);
            all.extend(lines);
            lost += left_out;
            let got = usize::try_from(self.read - before).unwrap_or(usize::MAX);
            if got == 0 {
                break;
            }
            room = room.saturating_sub(got);
        }
        lost += self.length() - self.read;
        if !self.begun.is_empty() {
            all.push(self.take_begun());
        }
        (all, lost)
    }

    fn take_begun(&mut self) -> String {
        let line = String::from_utf8_lossy(&self.begun).into_owned();
        self.begun.clear();
        line
    }

    /// Gives the room of what nobody needs any more back to the file system. The offsets stay, so nothing can be lost that
    /// is printed meanwhile. (Where a file system knows no holes, the file grows until its instance ends.)
    pub(crate) fn trim(&mut self) {
        let needless = self.read.min(self.length().saturating_sub(TAIL_BYTES));
        if needless < self.freed + IDLE_BYTES {
            return;
        }
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        // Failing only means to try again when there is more.
        let _ = fallocate(&self.file, hole, self.freed, needless - self.freed);
        self.freed = needless;
    }

    /// The last lines, ending without a line break. Empty when nothing was printed.
    pub(crate) fn tail(&self) -> String {
        let length = self.length();
        let start = length.saturating_sub(TAIL_BYTES);
        last_lines(&String::from_utf8_lossy(&self.bytes(start, length - start)))
    }

    fn length(&self) -> u64 {
        self.file.metadata().map_or(0, |meta| meta.len())
    }

    fn bytes(&self, start: u64, length: u64) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        match self.file.read_exact_at(&mut bytes, start) {
            Ok(()) => bytes,
            Err(_) => Vec::new(),
        }
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    const ROOM: usize = usize::MAX;

    fn output() -> (Output, File) {
        let folder = tempfile::tempdir().unwrap();
        let output = Output::create(&folder.path().join("out")).unwrap();
        let writer = output.writer().unwrap();
        (output, writer)
    }

    #[test]
    fn the_tail_is_the_last_lines() {
        let text: String = (1..=30).flat_map(|n| ["line ".into(), n.to_string(), "\n".into()]).collect();
        let tail = last_lines(&text);
        assert_eq!(tail.lines().count(), TAIL_LINES);
        assert!(tail.starts_with("line 11\n"));
        assert!(tail.ends_with("line 30"));
        assert_eq!(last_lines(""), "");
        assert_eq!(last_lines("one"), "one");
    }

    #[test]
    fn a_long_file_gives_its_room_back_and_keeps_its_end() {
        let (mut output, mut writer) = output();
        for n in 0..40_000 {
            writeln!(writer, "line {n:>30}").unwrap();
        }
        let room = |output: &Output| output.file.metadata().unwrap().blocks() * 512;
        output.trim();
        assert!(room(&output) > IDLE_BYTES, "lines that somebody may want stay");
        output.skip();
        output.trim();
        assert!(room(&output) < 2 * TAIL_BYTES, "{}", room(&output));
        assert!(output.tail().ends_with("39999"));
        writeln!(writer, "after").unwrap();
        assert!(output.tail().ends_with("39999\nafter"));
        assert_eq!(output.lines(ROOM), (vec!["after".into()], 0));
    }

    #[test]
    fn lines_come_once_they_are_whole() {
        let (mut output, mut writer) = output();
        write!(writer, "one\ntw").unwrap();
        assert_eq!(output.lines(ROOM), (vec!["one".into()], 0));
        assert_eq!(output.lines(ROOM), (vec![], 0));
        writeln!(writer, "o\n\nthree").unwrap();
        assert_eq!(output.lines(ROOM).0, ["two", "", "three"]);
        write!(writer, "four\nfi").unwrap();
        assert_eq!(output.rest(ROOM), (vec!["four".into(), "fi".into()], 0));
        assert_eq!(output.tail().lines().last(), Some("fi"));
    }

    #[test]
    fn an_endless_line_comes_in_pieces() {
        let (mut output, mut writer) = output();
        writer.write_all(&vec![b'x'; 300 * 1024]).unwrap();
        let mut got = 0;
        while let (lines, 0) = output.lines(ROOM)
            && !lines.is_empty()
        {
            got += lines.iter().map(String::len).sum::<usize>();
        }
        got += output.rest(ROOM).0.iter().map(String::len).sum::<usize>();
        assert_eq!(got, 300 * 1024);
    }

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let (mut output, mut writer) = output();
        write!(writer, "begun").unwrap();
        assert_eq!(output.lines(ROOM), (vec![], 0));
        let line = format!("{}\n", "y".repeat(1023));
        for _ in 0..17 * 1024 {
            writer.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(output.lines(0), (vec![], 1024 * 1024 + 5), "with the line that had been begun");
        let (lines, lost) = output.rest(10 * 1024);
        assert_eq!((lines.len(), lost), (10, UNREAD_BYTES - 10 * 1024));
    }
}
