//! Where in its life is this instance?

use tokio::sync::watch;

/// Where in its life an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It opens its database.
    Starting,
    /// It takes requests.
    Serving,
    /// It finishes what is in flight.
    Draining,
}

impl Phase {
    /// As it is told.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Draining => "draining",
        }
    }
}

/// The phase of one instance, for all who want to know.
#[derive(Debug)]
pub struct Phases(watch::Sender<Phase>);

impl Default for Phases {
    fn default() -> Self {
        Self(watch::Sender::new(Phase::Starting))
    }
}

impl Phases {
    /// The present one.
    pub fn now(&self) -> Phase {
        *self.0.borrow()
    }

    /// The next one begins.
    pub fn enter(&self, phase: Phase) {
        self.0.send_replace(phase);
    }

    /// Waits until it drains.
    pub(crate) async fn drains(&self) {
        // The sender is here, so there is always an answer.
        let _ = self.0.subscribe().wait_for(|phase| *phase == Phase::Draining).await;
    }
}
