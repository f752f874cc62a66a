use super::*;
use crate::engine::fake::{Behaviour, Fake};
use crate::schedule::{Schedule, closed};
use crate::worker::tests::orders;

fn crew(workers: usize, connections: usize) -> Crew {
    Crew { workers: NonZeroUsize::new(workers).unwrap(), connections, streams: 1 }
}

#[test]
fn slots_are_shared_out_with_their_remainder() {
    let workers = NonZeroUsize::new(6).unwrap();
    let shares: Vec<_> = (0..6).map(|worker| share(64, workers, worker)).collect();
    assert_eq!(shares, [11, 11, 11, 11, 10, 10]);
}

#[test]
fn several_workers_send_exactly_the_number_between_them() {
    let orders = orders(Schedule::new(closed().take(1001), None), None, None, 0);
    let engine = || Fake::new(|_, _| Behaviour::Answer(200, 100_000));
    let mut seconds = 0;
    let outcome = run(&orders, crew(3, 10), engine, &Roster::default(), |counts, _| {
        seconds += counts.len();
        Attention::Continue
    })
    .unwrap();
    assert_eq!(outcome.collector.total.counts.ok, 1001);
    assert_eq!(
        outcome.collector.workers.iter().map(|worker| worker.slots.len()).collect::<Vec<_>>(),
        [4, 3, 3]
    );
    assert_eq!(orders.schedule.taken(), 1001);
    assert_eq!(seconds, outcome.collector.series().answered.len());
    assert_eq!(outcome.stopped_at, None);
}

#[test]
fn a_run_without_end_stops_when_told() {
    let orders = orders(Schedule::new(closed(), None), None, None, 0);
    let engine = || Fake::new(|_, _| Behaviour::Answer(200, 1_000_000));
    let outcome = run(&orders, crew(2, 4), engine, &Roster::default(), |_, _| Attention::Stop).unwrap();
    let counts = &outcome.collector.total.counts;
    assert!(outcome.stopped_at.is_some());
    assert_eq!(counts.answered() + counts.unanswered(), orders.schedule.taken());
}
