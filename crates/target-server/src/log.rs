//! What does it say while it runs? One line per event: JSON for machines, a sentence for people.
//!
//! Nobody waits for a line to be read: what cannot be printed is counted and left out.

use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};

use crate::clock;
use crate::printer::Printer;

/// How many lines may wait to be written.
const MOST_LINES: usize = 1024;

/// How much an event matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Level {
    /// Something failed
    Error,
    /// Something will fail, or is slower than it could be
    Warn,
    /// What an operator wants to know
    #[default]
    Info,
    /// More than that
    Debug,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        })
    }
}

/// How events are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Sentences on a terminal, JSON elsewhere
    #[default]
    Auto,
    /// One JSON object per line
    Json,
    /// Sentences
    Plain,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Json => "json",
            Self::Plain => "plain",
        })
    }
}

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Event {
    name: &'static str,
    sentence: String,
    fields: Map<String, Value>,
}

impl Event {
    /// Something by its name and as a sentence.
    pub fn new(name: &'static str, sentence: impl Into<String>) -> Self {
        Self { name, sentence: sentence.into(), fields: Map::new() }
    }

    /// The same as another sentence.
    #[must_use]
    pub fn saying(self, sentence: String) -> Self {
        Self { sentence, ..self }
    }

    /// One more thing that machines want to know.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(field.to_owned(), value.into());
        self
    }

    /// All that an object holds.
    #[must_use]
    pub fn with_all(mut self, value: Value) -> Self {
        if let Value::Object(fields) = value {
            self.fields.extend(fields);
        }
        self
    }
}

/// Where lines go.
#[derive(Debug)]
pub struct Log {
    level: AtomicU8,
    plain: bool,
    /// Whose lines these are, where several print to the same place.
    instance: Option<String>,
    printer: Mutex<Option<Printer>>,
    lost: AtomicU64,
}

impl Log {
    /// Lines of at least this level to `out`, as sentences or as JSON, of this instance where there are several.
    ///
    /// # Errors
    /// When the thread that writes them cannot be started.
    pub fn new(
        level: Level,
        plain: bool,
        instance: Option<String>,
        out: impl Write + Send + 'static,
    ) -> std::io::Result<Self> {
        let printer = Printer::start("log", MOST_LINES, out)?;
        Ok(Self {
            level: AtomicU8::new(level as u8),
            plain,
            instance,
            printer: Mutex::new(Some(printer)),
            lost: AtomicU64::new(0),
        })
    }

    /// A log that nobody reads.
    pub fn silent() -> Self {
        let level = AtomicU8::new(Level::Error as u8);
        Self { level, plain: true, instance: None, printer: Mutex::new(None), lost: AtomicU64::new(0) }
    }

    /// Whether events of this level are told: for those whose telling costs something.
    pub fn tells(&self, level: Level) -> bool {
        level as u8 <= self.level.load(Ordering::Relaxed)
    }

    /// Tells events of at least this level from now on.
    pub fn set_level(&self, level: Level) {
        self.level.store(level as u8, Ordering::Relaxed);
    }

    /// Tells what happened, if it matters enough.
    pub fn tell(&self, level: Level, event: Event) {
        if self.tells(level) {
            self.say(level, event);
        }
    }

    /// Tells it whatever the level: programs wait for it.
    pub fn say(&self, level: Level, event: Event) {
        let line = self.line(level, event);
        if let Some(printer) = &*lock(&self.printer)
            && printer.offer(vec![line]).is_err()
        {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Says the last words. Returns when all lines are written, or after a while when nobody reads them: false then.
    pub fn finish(&self, event: Event) -> bool {
        self.end_with(self.line(Level::Info, event))
    }

    /// The same for a program that waits for the figures, in plain form too: there they are an object, and nothing else.
    pub fn finish_with_figures(&self, event: Event) -> bool {
        let line =
            if self.plain { Value::Object(event.fields).to_string() } else { self.json(Level::Info, event) };
        self.end_with(line)
    }

    fn end_with(&self, line: String) -> bool {
        let printer = lock(&self.printer).take();
        printer.is_none_or(|printer| printer.finish(vec![line]))
    }

    fn line(&self, level: Level, event: Event) -> String {
        match &self.instance {
            Some(instance) if self.plain => format!("instance {instance}: {}", event.sentence),
            None if self.plain => event.sentence,
            _ => self.json(level, event),
        }
    }

    fn json(&self, level: Level, event: Event) -> String {
        let mut object = Map::new();
        object.insert("time".into(), clock::timestamp().into());
        object.insert("level".into(), level.to_string().into());
        if let Some(instance) = &self.instance {
            object.insert("instance".into(), instance.as_str().into());
        }
        object.insert("event".into(), event.name.into());
        object.insert("message".into(), event.sentence.into());
        object.extend(event.fields);
        Value::Object(object).to_string()
    }

    /// Lines that were left out because too many waited already.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Kept {
        fn text(&self) -> String {
            String::from_utf8(lock(&self.0).clone()).unwrap()
        }
    }

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            lock(&self.0).write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn told(plain: bool, level: Level) -> String {
        let kept = Kept::default();
        let log = Log::new(level, plain, None, kept.clone()).unwrap();
        log.say(Level::Info, Event::new("serving", "serving on x").with("url", "x"));
        log.tell(Level::Debug, Event::new("detail", "a detail"));
        log.tell(Level::Warn, Event::new("limit", "too many"));
        assert!(log.finish(Event::new("stopped", "stopped").with("rows", 7)));
        kept.text()
    }

    #[test]
    fn people_read_sentences() {
        assert_eq!(told(true, Level::Info), "serving on x\ntoo many\nstopped\n");
        assert_eq!(told(true, Level::Error), "serving on x\nstopped\n");
        assert_eq!(told(true, Level::Debug), "serving on x\na detail\ntoo many\nstopped\n");
    }

    #[test]
    fn a_parent_reads_the_figures_whatever_people_read() {
        let kept = Kept::default();
        let log = Log::new(Level::Info, true, Some("1".into()), kept.clone()).unwrap();
        log.say(Level::Info, Event::new("drain-begun", "draining"));
        assert!(log.finish_with_figures(Event::new("stopped", "stopped").with("rows", 7)));
        assert_eq!(kept.text(), "instance 1: draining\n{\"rows\":7}\n");
    }

    #[test]
    fn machines_read_an_object_per_line() {
        let text = told(false, Level::Info);
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let events: Vec<_> =
            lines.iter().map(|line| (line["level"].as_str(), line["event"].as_str())).collect();
        let expected = [("info", "serving"), ("warn", "limit"), ("info", "stopped")];
        assert_eq!(events, expected.map(|(level, event)| (Some(level), Some(event))));
        assert_eq!((&lines[0]["url"], &lines[0]["message"]), (&"x".into(), &"serving on x".into()));
        assert_eq!(lines[2]["rows"], 7);
        let time: jiff::Timestamp = lines[0]["time"].as_str().unwrap().parse().unwrap();
        assert!((time.as_millisecond() as f64 / 1000.0 - clock::unix_seconds()).abs() < 60.0);
    }

    #[test]
    fn a_reader_that_does_not_read_stops_nobody() {
        struct Stuck(std::sync::mpsc::Receiver<()>);
        impl Write for Stuck {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                let _ = self.0.recv();
                Ok(bytes.len())
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let (_release, stuck) = std::sync::mpsc::channel();
        let log = Log::new(Level::Info, true, None, Stuck(stuck)).unwrap();
        (0..MOST_LINES + 10).for_each(|n| log.say(Level::Info, Event::new("line", n.to_string())));
        assert!((9..=10).contains(&log.lost()), "{}", log.lost());
        assert!(!log.finish(Event::new("stopped", "")));
    }
}
