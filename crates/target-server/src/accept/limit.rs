//! How many connections are let in, and what becomes of the others?

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Service;
use super::farewell::{Words, say};
use super::incoming::Incoming;
use crate::config::connections::Overload;
use crate::listener::{Peer, Stream};
use crate::stats::Closed;

/// How many of those turned away are told so at the same time. Further ones find the connection closed.
const MOST_FAREWELLS: usize = 1024;

/// When those turned away may try again, in seconds.
const RETRY_AFTER: u32 = 1;

/// For how long nobody must have come, with room left, until the limit counts as left behind.
const CALM: Duration = Duration::from_secs(1);

/// Something that an operator wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// As many connections are open as may be.
    LimitReached {
        /// How many that are.
        limit: usize,
        /// What becomes of further ones.
        overload: Overload,
    },
    /// There is room again.
    LimitLeft {
        /// How many may be open.
        limit: usize,
        /// How many were turned away meanwhile; none when they wait in the kernel's queue.
        turned_away: u64,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LimitReached { limit, overload } => {
                let others = match overload {
                    Overload::Queue => "wait in the kernel's queue and are not accepted",
                    Overload::Reject => "are answered 503",
                    Overload::Close => "are closed at once",
                };
                write!(f, "the limit of {limit} connections is reached: further ones {others}")
            }
            Self::LimitLeft { limit, turned_away: 0 } => {
                write!(f, "the limit of {limit} connections is no longer reached")
            }
            Self::LimitLeft { limit, turned_away } => {
                write!(
                    f,
                    "the limit of {limit} connections is no longer reached; {turned_away} were turned away"
                )
            }
        }
    }
}

/// The place of one connection under the limit.
pub(super) type Place = OwnedSemaphorePermit;

/// Lets in as many as there is room for.
#[derive(Debug)]
pub(super) struct Door {
    room: Arc<Semaphore>,
    limit: usize,
    overload: Overload,
    service: Service,
    farewells: Arc<Semaphore>,
    /// While the limit is reached: how many were turned away.
    crowd: Option<u64>,
}

impl Door {
    pub(super) fn new(service: &Service) -> Self {
        let limit = match service.max_connections {
            0 => Semaphore::MAX_PERMITS,
            limit => limit.min(Semaphore::MAX_PERMITS),
        };
        Self {
            room: Arc::new(Semaphore::new(limit)),
            limit,
            overload: service.overload,
            service: service.clone(),
            farewells: Arc::new(Semaphore::new(MOST_FAREWELLS)),
            crowd: None,
        }
    }

    /// The next connection that is let in. May be dropped while it waits.
    pub(super) async fn next(&mut self, incoming: &mut Incoming) -> (Stream, Peer, Option<Place>) {
        match self.overload {
            Overload::Queue => {
                let mut place = self.place();
                if place.is_none() {
                    self.crowded();
                    // Never closed, so there is one in the end.
                    place = Arc::clone(&self.room).acquire_owned().await.ok();
                }
                let (stream, peer) = self.arrival(incoming).await;
                (stream, peer, place)
            }
            Overload::Reject | Overload::Close => loop {
                let (stream, peer) = self.arrival(incoming).await;
                match self.place() {
                    Some(place) => return (stream, peer, Some(place)),
                    None => self.turn_away(stream),
                }
            },
        }
    }

    /// Room for one more, if there is.
    pub(super) fn place(&self) -> Option<Place> {
        Arc::clone(&self.room).try_acquire_owned().ok()
    }

    /// The next connection, let in or not. Notices when the crowd is gone.
    async fn arrival(&mut self, incoming: &mut Incoming) -> (Stream, Peer) {
        while self.crowd.is_some() {
            match tokio::time::timeout(CALM, incoming.next()).await {
                Ok(arrival) => {
                    // Some come, but there is plenty of room.
                    if self.room.available_permits() > self.limit / 10 + 1 {
                        self.calm();
                    }
                    return arrival;
                }
                Err(_) if self.room.available_permits() > 0 || self.overload == Overload::Queue => {
                    self.calm();
                }
                // All are still in, but nobody else wants to be.
                Err(_) => {}
            }
        }
        incoming.next().await
    }

    fn crowded(&mut self) {
        if self.crowd.is_none() {
            self.crowd = Some(0);
            let notice = Notice::LimitReached { limit: self.limit, overload: self.overload };
            self.service.notices.tell(notice);
        }
    }

    fn calm(&mut self) {
        if let Some(turned_away) = self.crowd.take() {
            self.service.notices.tell(Notice::LimitLeft { limit: self.limit, turned_away });
        }
    }

    fn turn_away(&mut self, stream: Stream) {
        self.crowded();
        self.crowd = self.crowd.map(|turned_away| turned_away + 1);
        self.service.stats.closed(Closed::Limit);
        let hears = Arc::clone(&self.farewells).try_acquire_owned();
        if let (Overload::Reject, Ok(hears)) = (self.overload, hears) {
            let (limit, dress) = (self.limit, self.service.dress.clone());
            tokio::spawn(async move {
                let sentence = format!("this server takes no more than {limit} connections at a time");
                let status = StatusCode::SERVICE_UNAVAILABLE;
                say(Words { status, sentence: &sentence, retry_after: Some(RETRY_AFTER) }, &dress, stream)
                    .await;
                drop(hears);
            });
        }
    }
}
