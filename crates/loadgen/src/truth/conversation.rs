//! One connection from its acceptance to its end.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use socket2::SockRef;

use super::answer::{Answer, Behaviour, End, Kind, Pieces};
use super::request::{Head, Next, Reader};
use super::wire::Wire;
use super::{Heard, KEPT_BODY, Script, Served, Shared, Turn, add, lock};
use crate::clock::Nanos;

/// A connection and the thread that serves it.
pub(super) struct Conversation {
    number: u64,
    stream: Arc<TcpStream>,
    shared: Arc<Shared>,
    script: Arc<Script>,
}

/// One request that was read whole.
struct Request<'a> {
    number: u64,
    /// When its head was read.
    at: Nanos,
    /// When its last byte was.
    complete: Nanos,
    head: &'a Head,
}

/// How a turn ended.
enum Ended {
    /// The next request may come.
    Open,
    Close,
    Reset,
    /// An answer was given before the request was read: the rest of it is read and dropped.
    Unread,
}

impl From<End> for Ended {
    fn from(end: End) -> Self {
        match end {
            End::Open => Self::Open,
            End::Close => Self::Close,
            End::Reset => Self::Reset,
        }
    }
}

impl Conversation {
    pub(super) fn new(number: u64, stream: Arc<TcpStream>, shared: Arc<Shared>, script: Arc<Script>) -> Self {
        Self { number, stream, shared, script }
    }

    /// Serves the connection to its end.
    pub(super) fn hold(self) {
        if let Ok(wire) = Wire::new(&self.stream, self.shared.tls.as_ref()) {
            self.hold_on(&wire);
        }
        // The socket is closed when its last owner, this thread, drops it.
        lock(&self.shared.open).streams.remove(&self.number);
    }

    fn hold_on(&self, wire: &Wire<'_>) {
        let mut reader = Reader::new(wire);
        match self.serve(&mut reader, wire) {
            Ok(Ended::Reset) => drop(SockRef::from(&*self.stream).set_linger(Some(Duration::ZERO))),
            Ok(Ended::Unread) => {
                wire.announce_end();
                let _ = self.stream.shutdown(Shutdown::Write);
                reader.drain();
            }
            Ok(Ended::Open | Ended::Close) => wire.announce_end(),
            Err(_) => {}
        }
        add(&self.shared.counters.read, reader.take_read());
    }

    fn serve(&self, reader: &mut Reader<&Wire<'_>>, wire: &Wire<'_>) -> io::Result<Ended> {
        for request in 0.. {
            let head = match reader.head()? {
                Next::Head(head) => head,
                Next::End => return Ok(Ended::Close),
                Next::Malformed => {
                    add(&self.shared.counters.malformed, 1);
                    return Ok(Ended::Reset);
                }
            };
            let (number, at) = (self.shared.turns.fetch_add(1, Ordering::SeqCst), self.shared.now());
            let behaviour =
                (self.script)(&Turn { connection: self.number, request, number, at, head: &head });
            if behaviour == Behaviour::Counts {
                return self.tell_counts(request, reader, wire);
            }
            match &behaviour {
                Behaviour::Answer(answer) if answer.is_early() => {
                    self.answer(answer, &Request { number, at, complete: at, head: &head }, wire)?;
                    return Ok(Ended::Unread);
                }
                _ => {}
            }
            let Some(body) = reader.body(head.content_length, KEPT_BODY)? else { return Ok(Ended::Close) };
            add(&self.shared.counters.requests, 1);
            add(&self.shared.counters.read, reader.take_read());
            let close = head.close;
            let complete = self.shared.now();
            let ended = self.perform(&behaviour, &Request { number, at, complete, head: &head }, wire)?;
            self.shared.keep(Heard { head: head.text, body });
            if close || !matches!(ended, Ended::Open) {
                return Ok(ended);
            }
        }
        Ok(Ended::Close)
    }

    /// Answers a question about the counts without changing them, and closes.
    fn tell_counts(
        &self,
        request: u64,
        reader: &mut Reader<&Wire<'_>>,
        mut wire: &Wire<'_>,
    ) -> io::Result<Ended> {
        let _ = reader.take_read();
        self.shared.turns.fetch_sub(1, Ordering::SeqCst);
        if request == 0 {
            self.shared.counters.accepted.fetch_sub(1, Ordering::SeqCst);
        }
        let body = self.shared.report();
        let length = body.len() + 1;
        write!(
            wire,
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}\n"
        )?;
        Ok(Ended::Close)
    }

    fn perform(&self, behaviour: &Behaviour, request: &Request<'_>, wire: &Wire<'_>) -> io::Result<Ended> {
        match behaviour {
            Behaviour::Answer(answer) => self.answer(answer, request, wire),
            Behaviour::Raw(bytes, end) => {
                let mut pieces = Pieces::raw(bytes);
                self.write(&mut pieces, u64::MAX, wire)?;
                Ok((*end).into())
            }
            Behaviour::End(end) => Ok((*end).into()),
            // Counts are told before it comes to this.
            Behaviour::Silence | Behaviour::Counts => {
                self.shared.pause_for_ever();
                Ok(Ended::Close)
            }
        }
    }

    fn answer(&self, answer: &Answer, request: &Request<'_>, wire: &Wire<'_>) -> io::Result<Ended> {
        let kept;
        let answer = if request.head.wants_to_be_kept && answer.end() == End::Open {
            kept = answer.clone().field("Connection", "keep-alive");
            &kept
        } else {
            answer
        };
        if !answer.delay().is_zero() && !self.shared.pause(answer.delay()) {
            return Ok(Ended::Close);
        }
        let &Request { number, at, complete, head } = request;
        self.shared.keep_times(Served { number, at, held: self.shared.now().saturating_sub(complete) });
        let mut pieces = answer.pieces(head.content_length, head.method == "HEAD");
        let whole = pieces.left();
        pieces.append(answer.junk());
        let (limit, end) = answer.cut_at().unwrap_or((u64::MAX, answer.end()));
        let mut left = limit.min(pieces.left());
        while left > 0 {
            let step = match answer.pause() {
                Some(pause) if !self.shared.pause(pause) => return Ok(Ended::Close),
                Some(_) => 1,
                None => left,
            };
            self.write(&mut pieces, step, wire)?;
            left -= step;
        }
        if limit >= whole {
            self.shared.count_answer(answer.status_code());
        }
        Ok(end.into())
    }

    /// Writes at most so many bytes, and counts them as what they are.
    fn write(&self, pieces: &mut Pieces, limit: u64, mut wire: &Wire<'_>) -> io::Result<()> {
        let counters = &self.shared.counters;
        let mut left = limit.min(pieces.left());
        while left > 0 {
            let written = wire.write_vectored(&pieces.slices(left))?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            left -= written as u64;
            for (kind, bytes) in pieces.advance(written) {
                let counter = match kind {
                    Kind::Head => &counters.head_written,
                    Kind::Body => &counters.body_written,
                    Kind::Junk => &counters.junk_written,
                };
                add(counter, bytes);
            }
        }
        Ok(())
    }
}
