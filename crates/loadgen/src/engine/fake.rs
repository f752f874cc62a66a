//! An engine without a network: answers after a set time. It tests everything around an engine.

use crate::clock::{Nanos, SECOND, Timer};
use crate::engine::{Answer, Connection, Engine, Failure, Kept, Trace};
use crate::source::{Origin, Request};

/// What the fake server does with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers with this status after so many nanoseconds.
    Answer(u16, Nanos),
    /// Fails after so many nanoseconds.
    Fail(Failure, Nanos),
    /// Answers 200 after a millisecond, but for a stretch of time in which nothing is answered before its end.
    Freeze(std::ops::Range<Nanos>),
    /// Never answers.
    Silence,
}

/// Decides by connection number and request number on that connection, both from 0.
pub type Script = fn(connection: u64, request: u64) -> Behaviour;

/// Answers by a [`Script`].
#[derive(Debug)]
pub struct Fake {
    script: Script,
    connections: std::cell::Cell<u64>,
}

impl Fake {
    /// An engine that behaves as the script says.
    pub fn new(script: Script) -> Self {
        Self { script, connections: std::cell::Cell::new(0) }
    }
}

/// A connection to nowhere.
#[derive(Debug)]
pub struct FakeConnection {
    script: Script,
    number: u64,
    requests: u64,
}

impl<T: Timer> Engine<T> for Fake {
    type Connection = FakeConnection;

    async fn connect(
        &self,
        _origin: &Origin,
        _timer: &T,
        trace: &mut Trace,
    ) -> Result<FakeConnection, Failure> {
        trace.opened += 1;
        trace.connect_ns = Some(0);
        let number = self.connections.replace(self.connections.get() + 1);
        Ok(FakeConnection { script: self.script, number, requests: 0 })
    }
}

impl<T: Timer> Connection<T> for FakeConnection {
    async fn send(&mut self, request: &Request, timer: &T, trace: &mut Trace) -> Result<Answer, Failure> {
        trace.first_write = timer.now();
        trace.last_write = Some(trace.first_write);
        let behaviour = (self.script)(self.number, self.requests);
        self.requests += 1;
        let (delay, result) = match behaviour {
            Behaviour::Answer(status, delay) => (delay, Ok(status)),
            Behaviour::Fail(failure, delay) => (delay, Err(failure)),
            Behaviour::Freeze(stretch) if stretch.contains(&trace.first_write) => {
                (stretch.end - trace.first_write, Ok(200))
            }
            Behaviour::Freeze(_) => (SECOND / 1000, Ok(200)),
            Behaviour::Silence => return std::future::pending().await,
        };
        timer.until(trace.first_write + delay).await;
        trace.first_read = Some(timer.now());
        trace.last_read = trace.first_read;
        result.map(|status| {
            let mut kept = Kept::new(request.keep);
            if let Some(kept) = &mut kept {
                kept.head = format!("HTTP/1.1 {status} Fake\r\n\r\n").into_bytes();
            }
            Answer { status, location: None, kept }
        })
    }

    fn is_reusable(&self) -> bool {
        true
    }

    fn is_stale(&mut self) -> bool {
        false
    }
}
