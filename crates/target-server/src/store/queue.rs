//! What waits for a thread that writes.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

use super::{KeepError, Kept, Row};

/// A row, and who waits for it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) row: Row,
    /// When it was queued.
    pub(super) since: Instant,
    pub(super) reply: oneshot::Sender<Result<Kept, KeepError>>,
}

/// First in, first out.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    /// How many may wait. Rows stay when their clients leave, so without a limit the queue grows for as long as rows come
    /// faster than they are written, however few clients are connected at a time.
    limit: usize,
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<Job>,
    longest: usize,
    /// Threads that nobody has woken yet. To wake nobody costs a system call all the same.
    asleep: usize,
    closed: bool,
}

impl Queue {
    /// At most `limit` may wait; 0 is no limit.
    pub(super) fn new(limit: usize) -> Self {
        let limit = if limit == 0 { usize::MAX } else { limit };
        Self { state: Mutex::default(), changed: Condvar::new(), limit }
    }

    /// Wakes nobody: whoever queues calls [`Queue::wake`] afterwards.
    pub(super) fn push(&self, job: Job) -> Result<(), KeepError> {
        let mut state = lock(&self.state);
        if state.closed {
            return Err(KeepError::Closed);
        }
        if state.jobs.len() >= self.limit {
            return Err(KeepError::Full(self.limit));
        }
        state.jobs.push_back(job);
        state.longest = state.longest.max(state.jobs.len());
        Ok(())
    }

    /// Wakes as many threads as there is work for, when each takes up `most`, if so many sleep.
    pub(super) fn wake(&self, most: usize) {
        let mut state = lock(&self.state);
        let count = state.jobs.len().div_ceil(most.max(1)).min(state.asleep);
        state.asleep -= count;
        drop(state);
        (0..count).for_each(|_| self.changed.notify_one());
    }

    /// Waits for a job and moves it and those behind it, `most` in all, to `batch`. False when the queue is closed and
    /// empty.
    pub(super) fn take(&self, most: usize, batch: &mut Vec<Job>) -> bool {
        let mut state = lock(&self.state);
        while state.jobs.is_empty() && !state.closed {
            state.asleep += 1;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let count = state.jobs.len().min(most);
        batch.extend(state.jobs.drain(..count));
        count > 0
    }

    pub(super) fn close(&self) {
        lock(&self.state).closed = true;
        self.changed.notify_all();
    }

    /// Closes it and takes all that waits.
    pub(super) fn abandon(&self) -> VecDeque<Job> {
        self.close();
        std::mem::take(&mut lock(&self.state).jobs)
    }

    pub(super) fn is_closed(&self) -> bool {
        lock(&self.state).closed
    }

    /// From now on the most that waited is counted anew.
    pub(super) fn forget_longest(&self) {
        let mut state = lock(&self.state);
        state.longest = state.jobs.len();
    }

    /// How many wait now, and how many waited at most.
    pub(super) fn lengths(&self) -> (usize, usize) {
        let state = lock(&self.state);
        (state.jobs.len(), state.longest)
    }
}

/// Nothing that holds these locks can leave them half changed, so a panic elsewhere does not matter.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn job() -> Job {
        let (method, uri) = (http::Method::GET, http::Uri::from_static("/"));
        let row = Row { method, uri, content_length: 0, remote_addr: None };
        Job { row, since: clock::now(), reply: oneshot::channel().0 }
    }

    /// Looks often, some seconds at most.
    fn comes(is_so: impl Fn() -> bool) -> bool {
        let since = clock::now();
        while !is_so() {
            if since.elapsed().as_secs() >= 10 {
                return false;
            }
            std::thread::yield_now();
        }
        true
    }

    /// How many of four threads sleep on after one wake for `jobs` jobs, and how many jobs each takes up.
    fn woken(jobs: usize, most: usize) -> (usize, Vec<usize>) {
        let queue = Queue::new(0);
        let take = || {
            let mut batch = Vec::new();
            queue.take(most, &mut batch);
            batch.len()
        };
        let (asleep, mut taken) = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            let asleep = |count| lock(&queue.state).asleep == count;
            let slept = comes(|| asleep(4));
            (0..jobs).for_each(|_| queue.push(job()).unwrap());
            let kept_asleep = asleep(4);
            queue.wake(most);
            let left = lock(&queue.state).asleep;
            let took = comes(|| queue.lengths().0 == 0);
            // Those who sleep on take nothing when all is taken.
            queue.close();
            assert!(slept && kept_asleep && took);
            (left, threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>())
        });
        taken.sort_unstable();
        (asleep, taken)
    }

    #[test]
    fn as_many_are_woken_as_there_is_work_for() {
        assert_eq!(woken(3, 1), (1, vec![0, 1, 1, 1]));
        assert_eq!(woken(4, 1), (0, vec![1, 1, 1, 1]));
        assert_eq!(woken(5, 1024), (3, vec![0, 0, 0, 5]));
        assert_eq!(woken(5, 3), (2, vec![0, 0, 2, 3]));
    }
}
