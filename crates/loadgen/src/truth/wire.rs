//! The bytes of a connection, as they are or within TLS. One thread reads and writes them.

use std::cell::RefCell;
use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection, Stream};

pub(super) struct Wire<'a> {
    stream: &'a TcpStream,
    session: Option<RefCell<ServerConnection>>,
}

impl<'a> Wire<'a> {
    pub(super) fn new(stream: &'a TcpStream, tls: Option<&Arc<ServerConfig>>) -> io::Result<Self> {
        // Without it, an answer in several writes would wait for the client's acknowledgement.
        stream.set_nodelay(true)?;
        let session = tls.map(|config| ServerConnection::new(Arc::clone(config))).transpose();
        let session = session.map_err(io::Error::other)?.map(RefCell::new);
        Ok(Self { stream, session })
    }

    /// Within TLS an end is announced, so that it is told apart from one that somebody else made.
    pub(super) fn announce_end(&self) {
        if let Some(session) = &self.session {
            let mut session = session.borrow_mut();
            session.send_close_notify();
            // Who has gone already needs no announcement.
            while session.wants_write() && session.write_tls(&mut &*self.stream).is_ok_and(|bytes| bytes > 0)
            {
            }
        }
    }
}

impl Read for &Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.session {
            None => (&*self.stream).read(buffer),
            Some(session) => Stream::new(&mut *session.borrow_mut(), &mut &*self.stream).read(buffer),
        }
    }
}

impl Write for &Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match &self.session {
            None => (&*self.stream).write_vectored(slices),
            Some(session) => {
                Stream::new(&mut *session.borrow_mut(), &mut &*self.stream).write_vectored(slices)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
