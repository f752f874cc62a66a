//! What is written while a run goes on: every request as a row, every second as a histogram.
//!
//! One thread writes all of it, so that neither workers nor the thread that collects ever wait for a disk or a pipe.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crate::clock::Nanos;
use crate::rows::{Ending, Feed, Inbox, Piece, Row};

/// How a row is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// hey's `-o csv`, byte for byte: answered requests, in seconds with four decimals.
    Hey,
    /// Every request, in nanoseconds.
    Raw,
}

/// hey's columns.
const HEY_HEADER: &str =
    "response-time,DNS+dialup,DNS,Request-write,Response-delay,Response-read,status-code,offset\n";
/// Ours.
const RAW_HEADER: &str = "begin_ns,start_ns,end_ns,total_ns,dns_ns,connect_ns,write_ns,wait_ns,read_ns,status,failure,\
     written_bytes,head_bytes,body_bytes,redirects,reused,worker,slot\n";

impl Form {
    /// The line above the rows.
    pub fn header(self) -> &'static str {
        match self {
            Self::Hey => HEY_HEADER,
            Self::Raw => RAW_HEADER,
        }
    }

    /// Adds a row to `text`, if this form has rows for such a request.
    pub fn add(self, row: &Row, text: &mut Vec<u8>) {
        match self {
            Self::Hey => hey(row, text),
            Self::Raw => raw(row, text),
        }
    }
}

fn hey(row: &Row, text: &mut Vec<u8>) {
    let Ending::Answered(status) = row.ending else { return };
    let mut field = |nanos: Nanos| {
        put(text, format_args!("{},", FourDecimals(nanos)));
    };
    field(row.end.saturating_sub(row.begin));
    for phase in [row.connect, row.dns, row.write, row.wait, row.read] {
        field(phase.unwrap_or(0));
    }
    put(text, format_args!("{status},{}\n", FourDecimals(row.begin)));
}

fn raw(row: &Row, text: &mut Vec<u8>) {
    let total = row.end.saturating_sub(row.begin);
    put(text, format_args!("{},{},{},{total},", row.begin, row.start, row.end));
    for phase in [row.dns, row.connect, row.write, row.wait, row.read] {
        match phase {
            Some(nanos) => put(text, format_args!("{nanos},")),
            None => text.push(b','),
        }
    }
    match row.ending {
        Ending::Answered(status) => put(text, format_args!("{status},,")),
        Ending::Failed(kind) => put(text, format_args!(",{},", kind.name())),
        Ending::TimedOut => put(text, format_args!(",timeout,")),
        Ending::Aborted => put(text, format_args!(",aborted,")),
    }
    put(text, format_args!("{},{},{},", row.written, row.head_read, row.body_read));
    put(text, format_args!("{},{},{},{}\n", row.redirects, u8::from(row.reused), row.worker, row.slot));
}

fn put(text: &mut Vec<u8>, what: std::fmt::Arguments<'_>) {
    // Writing to memory cannot fail.
    let _ = text.write_fmt(what);
}

/// Seconds as hey prints them, `%4.4f`, in whole numbers: rows are many.
struct FourDecimals(Nanos);

impl std::fmt::Display for FourDecimals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let units = self.0.saturating_add(50_000) / 100_000;
        write!(f, "{}.{:04}", units / 10_000, units % 10_000)
    }
}

/// Where something is written.
pub struct Output {
    /// What to call it, for a person.
    pub name: String,
    /// Where it goes.
    pub file: Box<dyn Write + Send>,
    /// Raised when it can be written no more, if the run has no use without it.
    pub lost: Option<Arc<AtomicBool>>,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("name", &self.name).finish_non_exhaustive()
    }
}

/// An output in use: after its first error nothing more is written to it.
struct Stream {
    output: Output,
    error: Option<io::Error>,
    /// Whether its header is written.
    begun: bool,
}

impl Stream {
    fn begin(&mut self, form: Form) {
        if !self.begun {
            self.begun = true;
            self.write(form.header().as_bytes());
        }
    }

    fn write(&mut self, text: &[u8]) {
        if self.error.is_some() || text.is_empty() {
            return;
        }
        let Output { file, lost, .. } = &mut self.output;
        if let Err(error) = file.write_all(text).and_then(|()| file.flush()) {
            self.error = Some(error);
            if let Some(lost) = lost {
                lost.store(true, Ordering::Relaxed);
            }
        }
    }
}

/// What is written, and where.
#[derive(Debug, Default)]
pub struct Outputs {
    /// Rows.
    pub rows: Vec<(Form, Output)>,
    /// The interval log.
    pub log: Option<Output>,
}

impl Outputs {
    /// Whether nothing is to be written.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.log.is_none()
    }
}

/// The thread that writes.
#[derive(Debug)]
pub struct Writer {
    feed: Feed,
    thread: JoinHandle<Vec<(String, io::Error)>>,
}

/// What became of the outputs.
#[derive(Debug, Default)]
pub struct Written {
    /// Those that could not be written to their end, and why.
    pub errors: Vec<(String, io::Error)>,
    /// Rows that are in no output, because too many waited to be written.
    pub lost_rows: u64,
    /// Lines of the interval log, likewise.
    pub lost_lines: u64,
}

impl Writer {
    /// Starts writing what so many workers tell.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(outputs: Outputs, workers: usize) -> io::Result<Self> {
        let (feed, inbox) = Feed::new(workers);
        let thread =
            thread::Builder::new().name("writer".to_owned()).spawn(move || write_all(outputs, inbox))?;
        Ok(Self { feed, thread })
    }

    /// Where it is told what to write.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Waits until everything is written. Call it when the workers are done.
    pub fn finish(self) -> Written {
        self.feed.end();
        let errors = self.thread.join().unwrap_or_else(|_| {
            // Its panic was printed when it happened.
            vec![("rows".to_owned(), io::Error::other("the thread that writes them ended"))]
        });
        let (lost_rows, lost_lines) = self.feed.lost();
        Written { errors, lost_rows, lost_lines }
    }
}

fn write_all(outputs: Outputs, inbox: Inbox) -> Vec<(String, io::Error)> {
    let stream = |output| Stream { output, error: None, begun: false };
    let mut rows: Vec<_> = outputs.rows.into_iter().map(|(form, output)| (form, stream(output))).collect();
    let mut log = outputs.log.map(stream);
    let mut text = Vec::new();
    let is_whole = inbox.drain(|piece| match piece {
        Piece::Rows(new) => {
            for (form, stream) in &mut rows {
                stream.begin(*form);
                text.clear();
                for row in new {
                    form.add(row, &mut text);
                }
                stream.write(&text);
            }
        }
        Piece::Lines(lines) => {
            if let Some(log) = &mut log {
                log.write(lines.as_bytes());
            }
        }
    });
    // Of a run that never began nothing is written, of one without requests the header.
    if is_whole {
        for (form, stream) in &mut rows {
            stream.begin(*form);
        }
    }
    let streams = rows.into_iter().map(|(_, stream)| stream).chain(log);
    streams.filter_map(|Stream { output, error, .. }| Some((output.name, error?))).collect()
}

#[cfg(test)]
mod tests {
    use report::document::FailureKind;

    use super::*;

    fn row(ending: Ending) -> Row {
        Row {
            begin: 1_999_949_999,
            start: 2_000_000_000,
            end: 3_234_550_000,
            dns: None,
            connect: Some(150_000),
            write: Some(49_999),
            wait: Some(1_000_000_000),
            read: None,
            ending,
            written: 120,
            head_read: 99,
            body_read: 5,
            redirects: 1,
            reused: true,
            worker: 1,
            slot: 7,
        }
    }

    fn text(form: Form, ending: Ending) -> String {
        let mut text = Vec::new();
        form.add(&row(ending), &mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn heys_rows_are_those_of_answered_requests() {
        assert_eq!(
            text(Form::Hey, Ending::Answered(404)),
            "1.2346,0.0002,0.0000,0.0000,1.0000,0.0000,404,1.9999\n"
        );
        assert_eq!(text(Form::Hey, Ending::TimedOut), "");
    }

    #[test]
    fn raw_rows_are_those_of_all_and_leave_out_what_is_unknown() {
        let begin = "1999949999,2000000000,3234550000,1234600001,,150000,49999,1000000000,,";
        for (ending, middle) in [
            (Ending::Answered(404), "404,"),
            (Ending::Failed(FailureKind::Truncated), ",truncated"),
            (Ending::TimedOut, ",timeout"),
            (Ending::Aborted, ",aborted"),
        ] {
            assert_eq!(text(Form::Raw, ending), format!("{begin}{middle},120,99,5,1,1,1,7\n"));
        }
        let columns = RAW_HEADER.split(',').count();
        assert_eq!(text(Form::Raw, Ending::TimedOut).split(',').count(), columns);
    }

    /// Takes some bytes and then no more.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 < bytes.len() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0 -= bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_output_that_is_full_says_so_and_leaves_the_others_alone() {
        let lost = Arc::new(AtomicBool::new(false));
        let whole = tempfile::NamedTempFile::new().unwrap();
        let output =
            |name: &str, file: Box<dyn Write + Send>, lost| Output { name: name.to_owned(), file, lost };
        let outputs = Outputs {
            rows: vec![
                (Form::Hey, output("full", Box::new(Full(50)), Some(Arc::clone(&lost)))),
                (Form::Raw, output("whole", Box::new(whole.reopen().unwrap()), None)),
            ],
            log: Some(output("log", Box::new(Full(3)), None)),
        };
        let writer = Writer::start(outputs, 1).unwrap();
        writer.feed().lines("a\n".to_owned());
        writer.feed().lines("b\n".to_owned());
        let written = writer.finish();
        let names: Vec<_> = written.errors.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["full", "log"]);
        assert!(lost.load(Ordering::Relaxed));
        assert_eq!(std::fs::read_to_string(whole.path()).unwrap(), RAW_HEADER);
    }
}
