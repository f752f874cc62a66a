//! How many connections are let in, and what becomes of the others?

use std::sync::Arc;

use http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::farewell::{Words, say};
use super::incoming::Incoming;
use super::{Service, Stage};
use crate::config::connections::Overload;
use crate::listener::{Peer, Stream};
use crate::stats::{Cause, Closed, Trouble};
use crate::words::counted;

/// How many of those turned away are told so at the same time. Further ones find the connection closed.
const MOST_FAREWELLS: usize = 1024;

/// When those turned away may try again, in seconds.
const RETRY_AFTER: u32 = 1;

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
    /// How far the end has come, for which those who are told so wait too.
    stage: watch::Sender<Stage>,
}

impl Door {
    pub(super) fn new(service: &Service, stage: &watch::Sender<Stage>) -> Self {
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
            stage: stage.clone(),
        }
    }

    /// The next connection that is let in. May be dropped while it waits.
    pub(super) async fn next(&self, incoming: &mut Incoming) -> (Stream, Peer, Option<Place>) {
        match self.overload {
            Overload::Queue => {
                let mut place = self.place();
                if place.is_none() {
                    self.crowded(0);
                    // Never closed, so there is one in the end.
                    place = Arc::clone(&self.room).acquire_owned().await.ok();
                }
                let (stream, peer) = incoming.next().await;
                (stream, peer, place)
            }
            Overload::Reject | Overload::Close => loop {
                let (stream, peer) = incoming.next().await;
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

    /// As many are open as may be, and so many more were turned away.
    fn crowded(&self, turned_away: u64) {
        let cause = || {
            let others = match self.overload {
                Overload::Queue => "wait in the kernel's queue and are not accepted",
                Overload::Reject => "are answered 503",
                Overload::Close => "are closed at once",
            };
            let limit = counted(self.limit, "connection", "connections");
            Cause::new(format!("the limit of {limit} is reached: further ones {others}"))
                .with("limit", self.limit)
        };
        self.service.stats.troubles.hit(Trouble::LimitReached, turned_away, cause);
    }

    fn turn_away(&self, stream: Stream) {
        self.crowded(1);
        self.service.stats.closed(Closed::Limit);
        let hears = Arc::clone(&self.farewells).try_acquire_owned();
        if let (Overload::Reject, Ok(hears)) = (self.overload, hears) {
            let (limit, dress) = (self.limit, self.service.dress.clone());
            let present = self.stage.subscribe();
            tokio::spawn(async move {
                let limit = counted(limit, "connection", "connections");
                let sentence = format!("this server takes no more than {limit} at a time");
                let status = StatusCode::SERVICE_UNAVAILABLE;
                say(Words { status, sentence: &sentence, retry_after: Some(RETRY_AFTER) }, &dress, stream)
                    .await;
                // Held until here: the drain waits for it.
                drop((hears, present));
            });
        }
    }
}
