//! One connection from its acceptance to its end.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;

use super::answer::{Answer, Behaviour, End, Kind, Pieces};
use super::request::{Head, Next, Reader};
use super::{Heard, KEPT_BODY, Script, Shared, Turn, add, lock};

/// A connection and the thread that serves it.
pub(super) struct Conversation {
    number: u64,
    stream: Arc<TcpStream>,
    shared: Arc<Shared>,
    script: Arc<Script>,
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
        let mut reader = Reader::new(&*self.stream);
        // Without it, an answer in several writes would wait for the client's acknowledgement.
        let ended = self.stream.set_nodelay(true).and_then(|()| self.serve(&mut reader));
        match ended {
            Ok(Ended::Reset) => drop(SockRef::from(&*self.stream).set_linger(Some(Duration::ZERO))),
            Ok(Ended::Unread) => {
                let _ = self.stream.shutdown(Shutdown::Write);
                reader.drain();
            }
            Ok(Ended::Open | Ended::Close) | Err(_) => {}
        }
        add(&self.shared.counters.read, reader.read);
        // The socket is closed when its last owner, this thread, drops it.
        lock(&self.shared.open).streams.remove(&self.number);
    }

    fn serve(&self, reader: &mut Reader<&TcpStream>) -> io::Result<Ended> {
        for request in 0.. {
            let head = match reader.head()? {
                Next::Head(head) => head,
                Next::End => return Ok(Ended::Close),
                Next::Malformed => {
                    add(&self.shared.counters.malformed, 1);
                    return Ok(Ended::Reset);
                }
            };
            let behaviour = (self.script)(&Turn { connection: self.number, request, head: &head });
            match &behaviour {
                Behaviour::Answer(answer) if answer.is_early() => {
                    self.answer(answer, &head)?;
                    return Ok(Ended::Unread);
                }
                _ => {}
            }
            let Some(body) = reader.body(head.content_length, KEPT_BODY)? else { return Ok(Ended::Close) };
            add(&self.shared.counters.requests, 1);
            let close = head.close;
            let ended = self.perform(&behaviour, &head)?;
            self.shared.keep(Heard { head: head.text, body });
            if close || !matches!(ended, Ended::Open) {
                return Ok(ended);
            }
        }
        Ok(Ended::Close)
    }

    fn perform(&self, behaviour: &Behaviour, head: &Head) -> io::Result<Ended> {
        match behaviour {
            Behaviour::Answer(answer) => self.answer(answer, head),
            Behaviour::Raw(bytes, end) => {
                let mut pieces = Pieces::raw(bytes);
                self.write(&mut pieces, u64::MAX)?;
                Ok((*end).into())
            }
            Behaviour::End(end) => Ok((*end).into()),
            Behaviour::Silence => {
                self.shared.pause_for_ever();
                Ok(Ended::Close)
            }
        }
    }

    fn answer(&self, answer: &Answer, head: &Head) -> io::Result<Ended> {
        if !answer.delay().is_zero() && !self.shared.pause(answer.delay()) {
            return Ok(Ended::Close);
        }
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
            self.write(&mut pieces, step)?;
            left -= step;
        }
        add(&self.shared.counters.answers, u64::from(limit >= whole));
        Ok(end.into())
    }

    /// Writes at most so many bytes, and counts them as what they are.
    fn write(&self, pieces: &mut Pieces, limit: u64) -> io::Result<()> {
        let counters = &self.shared.counters;
        let mut left = limit.min(pieces.left());
        while left > 0 {
            let written = (&*self.stream).write_vectored(&pieces.slices(left))?;
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
