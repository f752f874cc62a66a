//! The end of one wait: at a given moment, or from outside.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::time::Sleep;

use super::Timer;

/// How a wait under a [`TimeLimit`] ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Waited<O> {
    /// The work was done in time.
    Done(O),
    /// The limit came first.
    Limit,
    /// [`GiveUp::raise`] came first.
    GivenUp,
}

/// Ends one wait from outside, whatever its limit.
#[derive(Debug, Default)]
pub struct GiveUp {
    raised: Cell<bool>,
    waiter: RefCell<Option<Waker>>,
}

impl GiveUp {
    /// Ends the wait now, and every later one at once.
    pub fn raise(&self) {
        self.raised.set(true);
        if let Some(waiter) = self.waiter.take() {
            waiter.wake();
        }
    }

    fn is_raised(&self, context: &Context<'_>) -> bool {
        let mut waiter = self.waiter.borrow_mut();
        if !waiter.as_ref().is_some_and(|waiter| waiter.will_wake(context.waker())) {
            *waiter = Some(context.waker().clone());
        }
        self.raised.get()
    }
}

/// Ends a wait at a given moment. Made once per connection and reused for every request.
///
/// Registering a timer per request and cancelling it microseconds later would cost more than recording the
/// request does. So the timer stays where it was set for an earlier request, and only when it fires is it moved
/// to the limit that holds by then.
#[derive(Debug)]
pub struct TimeLimit {
    sleep: Pin<Box<Sleep>>,
}

impl TimeLimit {
    /// A limit that was never set. Call it inside a runtime.
    pub fn new<T: Timer>(timer: &T) -> Self {
        Self { sleep: Box::pin(timer.until(0)) }
    }

    /// Waits for `work`, until `limit` where there is one, or until it is told to give up.
    pub async fn run<F: Future>(
        &mut self,
        limit: Option<tokio::time::Instant>,
        give_up: &GiveUp,
        work: F,
    ) -> Waited<F::Output> {
        let mut work = std::pin::pin!(work);
        if let Some(limit) = limit.filter(|limit| self.sleep.deadline() > *limit) {
            self.sleep.as_mut().reset(limit);
        }
        std::future::poll_fn(|context| {
            if let Poll::Ready(output) = work.as_mut().poll(context) {
                return Poll::Ready(Waited::Done(output));
            }
            if give_up.is_raised(context) {
                return Poll::Ready(Waited::GivenUp);
            }
            let Some(limit) = limit else { return Poll::Pending };
            // At most two rounds: a fired timer is moved to the limit, and then it either waits or has passed it.
            loop {
                match self.sleep.as_mut().poll(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(()) if self.sleep.deadline() < limit => self.sleep.as_mut().reset(limit),
                    Poll::Ready(()) => return Poll::Ready(Waited::Limit),
                }
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{SECOND, VirtualTimer};

    #[tokio::test(start_paused = true)]
    async fn a_reused_limit_ends_each_wait_at_its_own_moment() {
        let timer = VirtualTimer::start();
        let (mut limit, give_up) = (TimeLimit::new(&timer), GiveUp::default());
        let at = |seconds| Some(timer.instant(seconds * SECOND));
        // A quick one first, so that the timer is left where the first limit set it.
        assert_eq!(limit.run(at(5), &give_up, timer.until(SECOND)).await, Waited::Done(()));
        assert_eq!(limit.run(at(8), &give_up, timer.until(100 * SECOND)).await, Waited::Limit);
        assert_eq!(timer.now() / 10_000_000, 8 * 100);
        // A limit earlier than the one before.
        assert_eq!(limit.run(at(20), &give_up, timer.until(9 * SECOND)).await, Waited::Done(()));
        assert_eq!(limit.run(at(10), &give_up, timer.until(100 * SECOND)).await, Waited::Limit);
        assert_eq!(timer.now() / 10_000_000, 10 * 100);
        assert_eq!(limit.run(None, &give_up, timer.until(50 * SECOND)).await, Waited::Done(()));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_told_gives_up_at_once() {
        let timer = VirtualTimer::start();
        let (mut limit, give_up) = (TimeLimit::new(&timer), GiveUp::default());
        let raise = async {
            timer.until(3 * SECOND).await;
            give_up.raise();
        };
        let (waited, ()) = tokio::join!(limit.run(None, &give_up, std::future::pending::<()>()), raise);
        assert_eq!((waited, timer.now() / 10_000_000), (Waited::GivenUp, 3 * 100));
        assert_eq!(limit.run(None, &give_up, std::future::pending::<()>()).await, Waited::GivenUp);
    }
}
