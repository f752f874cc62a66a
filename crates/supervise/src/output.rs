//! What an instance prints: captured in a file, of which only the end matters.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// How many lines of an instance's output are handed over.
const TAIL_LINES: usize = 20;

/// And how many bytes at most.
const TAIL_BYTES: u64 = 16 * 1024;

/// A file that has grown beyond this is cut back to its tail.
const FILE_BYTES: u64 = 1024 * 1024;

/// One captured stream. A file and not a pipe: an instance must never wait for its supervisor to read, nor die of a
/// broken pipe while it finishes its work after the supervisor has gone.
#[derive(Debug)]
pub(crate) struct Output {
    file: File,
    /// The tail of what was cut off.
    earlier: Vec<u8>,
}

impl Output {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        // Appending is what makes cutting back safe while the instance writes.
        let file = OpenOptions::new().read(true).append(true).create_new(true).open(path)?;
        // Open is all it needs to be. Without a name it does not outlive a supervisor that is killed outright.
        std::fs::remove_file(path)?;
        Ok(Self { file, earlier: Vec::new() })
    }

    /// The descriptor for the child.
    pub(crate) fn writer(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Keeps the file from growing for ever. What is printed at the very moment of the cut may be lost.
    pub(crate) fn trim(&mut self) {
        if self.file.metadata().is_ok_and(|meta| meta.len() > FILE_BYTES) {
            self.earlier = self.end_of_file();
            // Failing to cut only means to try again at the next call.
            let _ = self.file.set_len(0);
        }
    }

    /// The last lines, ending without a line break. Empty when nothing was printed.
    pub(crate) fn tail(&self) -> String {
        let bytes = [self.earlier.clone(), self.end_of_file()].concat();
        last_lines(&String::from_utf8_lossy(&bytes))
    }

    fn end_of_file(&self) -> Vec<u8> {
        let length = self.file.metadata().map_or(0, |meta| meta.len());
        let start = length.saturating_sub(TAIL_BYTES);
        let mut bytes = vec![0; usize::try_from(length - start).unwrap_or(0)];
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

    use super::*;

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
    fn a_long_file_is_cut_back_and_keeps_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut output = Output::create(&folder.path().join("out")).unwrap();
        let mut writer = output.writer().unwrap();
        for n in 0..40_000 {
            writeln!(writer, "line {n:>30}").unwrap();
        }
        output.trim();
        assert_eq!(output.file.metadata().unwrap().len(), 0);
        assert!(output.tail().ends_with("39999"));
        writeln!(writer, "after").unwrap();
        assert!(output.tail().ends_with("39999\nafter"));
        output.trim();
        assert!(output.tail().ends_with("39999\nafter"), "a short file is left alone");
    }
}
