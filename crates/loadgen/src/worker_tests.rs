//! The loop in virtual time: minutes of load in milliseconds, with exact numbers.

use report::document::FailureKind;
use report::histogram::Percentile;

use super::*;
use crate::arrival::{self, Arrival, Stage};
use crate::clock::VirtualTimer;
use crate::collector::Collector;
use crate::engine::fake::{Behaviour, Fake, Script};
use crate::schedule::{Release, closed};
use crate::source::Entry;

const MS: Nanos = 1_000_000;

/// What workers are told that take what is due as it comes.
pub(crate) fn orders(schedule: Schedule, end: Option<Nanos>, timeout: Option<Nanos>, drain: Nanos) -> Orders {
    let request = Request::new("GET", "http://fake/".parse().unwrap(), [], bytes::Bytes::new());
    Orders {
        schedule: Arc::new(schedule),
        source: Arc::new(Source::one(request)),
        watch: Arc::default(),
        zero: 0,
        timeout,
        end,
        drain,
        redirects: 10,
        model: Model::Closed { tick: None },
        rows: None,
    }
}

/// Runs one worker with `slots` connections in virtual time. `stop_at`: when it is told to stop early.
fn simulate(orders: &Orders, slots: usize, script: Script, stop_at: Option<Nanos>) -> Collector {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let (messages, inbox) = mpsc::channel();
    let (emptied, back) = mpsc::channel();
    let (phase, phases) = watch::channel(Phase::Running);
    let link = Link { worker: 0, intervals: messages, emptied: back, phase: phases };
    let orders = orders.clone();
    tokio::task::LocalSet::new().block_on(&runtime, async move {
        let timer = VirtualTimer::start();
        let engine = Rc::new(Fake::new(script));
        let opened = match orders.model {
            Model::Closed { .. } => unopened(slots),
            Model::Open => open(timer, Rc::clone(&engine), &orders.source, slots).await,
        };
        let worker = tokio::task::spawn_local(run((timer, timer), engine, orders, link, opened));
        if let Some(stop_at) = stop_at {
            timer.until(stop_at).await;
            phase.send(Phase::Stopping).unwrap();
        }
        // The phase may change to Closing at once: the worker looks for it only after its report.
        tokio::task::spawn_local(async move {
            timer.until(10_000 * SECOND).await;
            let _ = phase.send(Phase::Closing);
        });
        worker.await.unwrap();
    });
    let mut collector = Collector::new(vec![emptied]);
    for message in inbox {
        collector.take(message);
    }
    assert!(collector.is_done());
    check_account(&collector);
    collector
}

/// What must hold of every run whatever happened in it.
fn check_account(collector: &Collector) {
    let counts = &collector.total.counts;
    let sent: u64 = collector.workers[0].slots.iter().map(|slot| slot.sent).sum();
    let answered: u64 = collector.workers[0].slots.iter().map(|slot| slot.answered).sum();
    assert_eq!(sent, counts.answered() + counts.unanswered());
    assert_eq!(answered, counts.answered());
    let series = collector.series();
    assert_eq!(series.answered.iter().sum::<u64>(), counts.answered());
    assert_eq!(series.unanswered.iter().sum::<u64>(), counts.unanswered());
    assert_eq!(collector.total.latencies.answered.count(), counts.answered());
    assert_eq!(collector.total.latencies.censored.count(), counts.timeout + counts.aborted);
    assert_eq!(collector.total.latencies.failed.count(), counts.failed);
}

/// Tokio's timers have a resolution of a millisecond, in virtual time too.
fn near(nanos: Option<u64>, expected: Nanos) -> bool {
    nanos.is_some_and(|nanos| (expected..expected + 2 * MS).contains(&nanos))
}

#[test]
fn a_number_of_requests_is_sent_exactly_whatever_the_remainder() {
    for slots in [1, 3, 7, 100] {
        let orders = orders(Schedule::new(closed().take(1003), None), None, None, 0);
        let collector = simulate(&orders, slots, |_, _| Behaviour::Answer(200, 10 * MS), None);
        assert_eq!(collector.total.counts.ok, 1003);
        assert_eq!(collector.total.counts.answered_in_window, 1003);
        assert_eq!(collector.total.counts.opened, slots as u64);
        assert_eq!(collector.total.counts.reused, 1003 - slots as u64);
        assert!(near(collector.total.latencies.answered.max(), 10 * MS));
    }
}

#[test]
fn two_starved_connections_of_a_hundred_time_out_twelve_times() {
    // The published run: 120 s, timeout 20 s, two connections that the server never accepts.
    let end = Some(120 * SECOND);
    let orders = orders(Schedule::new(closed(), end), end, Some(20 * SECOND), 20 * SECOND);
    let script: Script = |connection, _| match connection {
        0..98 => Behaviour::Answer(200, 170 * MS),
        _ => Behaviour::Silence,
    };
    let collector = simulate(&orders, 100, script, None);
    assert_eq!(collector.total.counts.timeout, 12);
    assert_eq!(collector.workers[0].slots.iter().filter(|slot| slot.answered == 0).count(), 2);
    assert!(near(collector.total.latencies.censored.min(), 20 * SECOND));
    assert!(near(collector.total.latencies.answered.max(), 170 * MS), "a timeout is no answer");
}

#[test]
fn every_kind_of_end_has_its_place() {
    let orders = orders(Schedule::new(closed().take(40), None), None, Some(SECOND), 0);
    let script: Script = |_, request| match request % 4 {
        0 => Behaviour::Answer(200, MS),
        1 => Behaviour::Answer(503, MS),
        2 => Behaviour::Fail(Failure::new(FailureKind::Reset, "reset by peer"), MS),
        _ => Behaviour::Silence,
    };
    let collector = simulate(&orders, 1, script, None);
    // A failure ends the connection, so the script starts over and never reaches silence.
    let counts = &collector.total.counts;
    assert_eq!((counts.ok, counts.http_error, counts.failed, counts.timeout), (14, 13, 13, 0));
    assert_eq!(counts.opened, 14);
    assert_eq!(collector.total.failures[&FailureKind::Reset].count, 13);
}

#[test]
fn what_is_unfinished_when_the_drain_ends_is_aborted() {
    let end = Some(2 * SECOND);
    let orders = orders(Schedule::new(closed(), end), end, None, SECOND);
    let script: Script = |connection, _| match connection {
        0 => Behaviour::Answer(200, 700 * MS),
        _ => Behaviour::Silence,
    };
    let collector = simulate(&orders, 3, script, None);
    // 0.7, 1.4, 2.1 s: the third answer came in the drain and does not count for the rate.
    assert_eq!((collector.total.counts.ok, collector.total.counts.answered_in_window), (3, 2));
    assert_eq!(collector.total.counts.aborted, 2);
    assert_eq!(collector.total.counts.opened, 3, "what is known of an aborted request is kept");
    assert!(near(collector.total.latencies.censored.max(), 3 * SECOND));
}

#[test]
fn an_interrupted_run_ends_soon_and_keeps_what_it_has() {
    let end = Some(120 * SECOND);
    let orders = orders(Schedule::new(closed(), end), end, Some(20 * SECOND), 20 * SECOND);
    let script: Script = |connection, _| match connection {
        0 => Behaviour::Answer(200, 300 * MS),
        _ => Behaviour::Silence,
    };
    let collector = simulate(&orders, 2, script, Some(10 * SECOND));
    let counts = &collector.total.counts;
    assert_eq!(counts.aborted, 1, "the silent one waits no longer than the grace");
    assert!(near(collector.total.latencies.censored.max(), 11 * SECOND));
    assert!(counts.ok > counts.answered_in_window, "the answer under way at the stop came after the window");
    assert!(collector.workers[0].last_end < 11 * SECOND + 5 * MS);
}

/// So many requests a second, evenly, for so many seconds.
fn open_orders(rate: f64, seconds: u64, drain: Nanos) -> Orders {
    let stages = [Stage { length: seconds * SECOND, rate }];
    let schedule = Schedule::new(arrival::releases(&stages, Arrival::Uniform, 0), None);
    Orders { model: Model::Open, ..orders(schedule, Some(seconds * SECOND), None, drain) }
}

#[test]
fn an_open_schedule_is_measured_from_the_due_time() {
    // The stall oracle: 1,000 requests a second for 20 s, answers in a millisecond, but none between 5 s and 7 s.
    // Whoever was due in the stall waited for its end. With service s, stall S and load rho = 0.01 the closed form is
    // R_q = s + S - (1 - rho)(1 - q) T and mean = s + S^2 / (2 (1 - rho) T); a closed model would never know.
    let orders = open_orders(1000.0, 20, 5 * SECOND);
    let collector = simulate(&orders, 100, |_, _| Behaviour::Freeze(5 * SECOND..7 * SECOND), None);
    let latencies = &collector.total.latencies;
    assert_eq!(collector.total.counts.ok, 20_000);
    let at = |percent| latencies.answered.value_at(Percentile::from_percent(percent).unwrap()).unwrap() / MS;
    // Timers are up to a millisecond late, buckets 0.1% wide.
    assert!((1800..=1809).contains(&at(99.0)), "{}", at(99.0));
    assert!((1979..=1988).contains(&at(99.9)), "{}", at(99.9));
    assert!((1009..=1018).contains(&at(95.0)), "{}", at(95.0));
    assert!((101.0..106.0).contains(&(latencies.answered.mean().unwrap() / 1e6)));
    // Only a hundred were under way in the stall; the others waited for a connection, and that is told apart.
    assert_eq!(latencies.service.count_up_to(10 * MS), 20_000 - 100);
    assert_eq!(latencies.queue.count(), 20_000);
    assert!(latencies.queue.max().unwrap() / MS >= 1890);
    assert!(latencies.lag.max().unwrap() < 2 * MS, "the generator itself was in time");
}

#[test]
fn the_same_stall_in_the_closed_model_touches_one_request_per_connection() {
    let end = Some(20 * SECOND);
    let orders = orders(Schedule::new(closed(), end), end, None, 5 * SECOND);
    let collector = simulate(&orders, 10, |_, _| Behaviour::Freeze(5 * SECOND..7 * SECOND), None);
    let latencies = &collector.total.latencies;
    assert!(latencies.answered.value_at(Percentile::P99).unwrap() < 5 * MS);
    assert!(near(latencies.answered.max(), 2 * SECOND));
}

#[test]
fn a_stall_beyond_the_end_is_waited_for_or_told() {
    let script: Script = |_, _| Behaviour::Freeze(18 * SECOND..20 * SECOND + 500 * MS);
    let drained = simulate(&open_orders(1000.0, 20, 5 * SECOND), 100, script, None);
    let p99 = drained.total.latencies.answered.value_at(Percentile::P99).unwrap() / MS;
    assert_eq!(drained.total.counts.ok, 20_000);
    assert!((2298..=2310).contains(&p99), "{p99}");
    // Without a drain a hundred are aborted and the rest was never sent.
    let orders = open_orders(1000.0, 20, 0);
    let cut = simulate(&orders, 100, script, None);
    assert_eq!(cut.total.counts.aborted, 100);
    let left = orders.schedule.rest(20 * SECOND).count();
    assert_eq!(cut.total.counts.ok + 100 + left as u64, 20_000);
    assert!((1899..=1901).contains(&left), "{left}");
}

#[test]
fn open_connections_are_there_before_time_zero() {
    let collector = simulate(&open_orders(10.0, 1, SECOND), 7, |_, _| Behaviour::Answer(200, MS), None);
    let counts = &collector.total.counts;
    assert_eq!((counts.ok, counts.opened, counts.reused), (10, 7, 3));
}

#[test]
fn what_was_not_due_when_the_run_was_stopped_is_not_counted() {
    let orders = open_orders(10.0, 60, SECOND);
    simulate(&orders, 5, |_, _| Behaviour::Answer(200, MS), Some(2 * SECOND));
    assert_eq!(orders.schedule.taken(), 20);
    assert_eq!(orders.schedule.rest(2 * SECOND).count(), 0);
}

#[test]
fn a_paced_connection_keeps_its_ticks_and_loses_those_it_misses() {
    let end = Some(10 * SECOND);
    let paced = |script| {
        let closed = orders(Schedule::new(closed(), end), end, None, SECOND);
        let orders = Orders { model: Model::Closed { tick: Some(SECOND) }, ..closed };
        simulate(&orders, 2, script, None).total.counts.ok
    };
    // The first after one tick, none at the end itself: 9 each.
    assert_eq!(paced(|_, _| Behaviour::Answer(200, MS)), 18);
    // Answers of 2.5 s: at 1 s, then one tick is waiting each time: 3.5, 6, 8.5 s.
    assert_eq!(paced(|_, _| Behaviour::Answer(200, 2500 * MS)), 8);
}

#[test]
fn every_second_is_handed_over_even_when_nothing_happens() {
    let end = Some(10 * SECOND);
    let orders = orders(Schedule::new(closed(), end), end, Some(20 * SECOND), 20 * SECOND);
    let collector = simulate(&orders, 1, |_, _| Behaviour::Answer(200, 4 * SECOND), None);
    assert_eq!(collector.series().answered, [0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1]);
    assert_eq!(collector.total.counts.answered_in_window, 2);
}

/// The same orders after a warm-up of so long; their end is still counted from time zero.
fn after_warmup(orders: Orders, zero: Nanos) -> Orders {
    let end = orders.end.map(|end| end + zero);
    let (warmup, run): (Box<dyn Iterator<Item = Release> + Send>, Box<dyn Iterator<Item = Release> + Send>) =
        match orders.model {
            Model::Closed { .. } => (Box::new(closed()), Box::new(closed())),
            Model::Open => {
                let ten =
                    |begin: Nanos, count: u64| (0..count).map(move |i| Release::At(begin + i * 100 * MS));
                (Box::new(ten(0, zero / (100 * MS))), Box::new(ten(zero, 100)))
            }
        };
    let schedule = Arc::new(Schedule::new(run, end).after(warmup, zero));
    Orders { schedule, zero, end, ..orders }
}

#[test]
fn a_warm_up_leaves_nothing_but_open_connections() {
    let end = Some(10 * SECOND);
    let orders = after_warmup(orders(Schedule::new(closed(), end), end, None, SECOND), 5 * SECOND);
    // Slow until time zero, and with failures in it; what begins before ends within the window now and then.
    let script: Script = |_, request| match request {
        0..3 => Behaviour::Answer(503, 1_500 * MS),
        _ => Behaviour::Answer(200, 95 * MS),
    };
    let collector = simulate(&orders, 1, script, None);
    let counts = &collector.total.counts;
    let (warm, warm_ok) = collector.tally.warmup;
    assert_eq!(warm, warm_ok + 3, "only the warm-up met the errors");
    assert!((5..=6).contains(&warm_ok), "{warm_ok}");
    assert_eq!((counts.http_error, counts.opened, counts.reused), (0, 1, counts.ok));
    // From the end of the last request of the warm-up, 96 ms each: the window is ten seconds long, not fifteen.
    assert!((103..=106).contains(&counts.ok), "{}", counts.ok);
    assert!(counts.ok - counts.answered_in_window <= 1);
    assert_eq!(collector.series().answered.len(), 11, "seconds are counted from time zero");
    assert!(collector.series().answered[0] >= 9);
    assert!(collector.workers[0].last_end > 9_900 * MS && collector.workers[0].last_end < 10_100 * MS);
    assert_eq!(orders.schedule.taken(), counts.ok);
}

#[test]
fn failures_are_placed_from_time_zero_after_a_warm_up() {
    let end = Some(2 * SECOND);
    let orders = after_warmup(orders(Schedule::new(closed(), end), end, None, 0), 30 * SECOND);
    let fail: Script = |_, _| Behaviour::Fail(Failure::new(FailureKind::Reset, "reset"), 500 * MS);
    let collector = simulate(&orders, 1, fail, None);
    let record = &collector.total.failures[&FailureKind::Reset];
    assert!(record.first_ns < SECOND && record.last_ns <= 2 * SECOND + 100 * MS, "{record:?}");
    assert_eq!(collector.tally.warmup.1, 0);
}

#[test]
fn an_open_warm_up_has_its_own_due_times() {
    let open = open_orders(10.0, 10, SECOND);
    let orders = after_warmup(open, 5 * SECOND);
    let collector = simulate(&orders, 3, |_, _| Behaviour::Answer(200, 10 * MS), None);
    let counts = &collector.total.counts;
    assert_eq!((collector.tally.warmup, counts.ok, counts.answered_in_window), ((50, 50), 100, 100));
    assert!(near(collector.total.latencies.answered.max(), 10 * MS), "due times are those of time zero");
    assert_eq!(orders.schedule.rest(Nanos::MAX).count(), 0);
}

#[test]
fn stopped_in_its_warm_up_a_run_has_measured_nothing() {
    let end = Some(10 * SECOND);
    let orders = after_warmup(orders(Schedule::new(closed(), end), end, None, SECOND), 5 * SECOND);
    let collector = simulate(&orders, 2, |_, _| Behaviour::Answer(200, 100 * MS), Some(2 * SECOND));
    let counts = &collector.total.counts;
    assert_eq!((counts.ok, counts.unanswered(), orders.schedule.taken()), (0, 0, 0));
    assert!(collector.tally.warmup.0 >= 38);
}

#[test]
fn requests_are_told_apart_by_their_place_in_a_mix() {
    let request = |path: &str| {
        Request::new("GET", format!("http://fake{path}").parse().unwrap(), [], bytes::Bytes::new())
    };
    let entry = |path, weight, name| Entry { request: request(path), weight, name };
    let names = vec!["often".to_owned(), "seldom".to_owned()];
    let source = Source::many(vec![entry("/a", 3, 0), entry("/b", 1, 1)], names, 1);
    let plain = orders(Schedule::new(closed().take(400), None), None, Some(SECOND), 0);
    let orders = Orders { source: Arc::new(source), ..plain };
    let script: Script = |connection, request| match (connection, request) {
        (0, 5) => Behaviour::Silence,
        (1, 5) => Behaviour::Answer(404, MS),
        _ => Behaviour::Answer(200, MS),
    };
    let collector = simulate(&orders, 4, script, None);
    let named = collector.tally.requests(orders.source.names());
    let sent: Vec<(&str, u64)> = named.iter().map(|named| (named.name.as_str(), named.sent)).collect();
    assert_eq!(sent, [("often", 300), ("seldom", 100)]);
    assert_eq!(named.iter().map(|named| named.timeout).sum::<u64>(), 1);
    assert_eq!(named.iter().map(|named| named.http_error).sum::<u64>(), 1);
    assert_eq!(named.iter().map(|named| named.answered.count).sum::<u64>(), 399);
    assert_eq!(named.iter().map(|named| named.censored.count).sum::<u64>(), 1);
}

#[test]
fn what_falls_due_while_the_worker_oversleeps_is_its_own_lateness() {
    let awake = Overslept::default();
    assert_eq!(awake.lag(5 * MS), 0, "nothing was overslept yet");
    let late = awake.wake(10 * MS, 2010 * MS);
    assert_eq!((late.lag(9 * MS), late.lag(10 * MS), late.lag(1500 * MS)), (0, 2000 * MS, 510 * MS));
    assert_eq!((late.lag(2010 * MS), late.lag(3000 * MS)), (0, 0), "due after it woke");
    let more = late.wake(20 * MS, 2011 * MS);
    assert_eq!((more.lag(10 * MS), more.lag(2010 * MS)), (2001 * MS, MS), "one stretch");
    let next = more.wake(2500 * MS, 2501 * MS);
    assert_eq!((next.lag(10 * MS), next.lag(2500 * MS)), (0, MS), "a stretch of its own");
}

#[test]
fn what_is_begun_after_the_window_is_counted_as_late() {
    // One connection and answers of 30 ms: of 100 requests in a second, 34 are begun in it, or within the allowance.
    let slow = simulate(&open_orders(100.0, 1, 10 * SECOND), 1, |_, _| Behaviour::Answer(200, 30 * MS), None);
    let slot = slow.workers[0].slots[0];
    assert_eq!(slot.sent, 100);
    assert!((64..=67).contains(&slot.late), "{slot:?}");
    let fast = simulate(&open_orders(100.0, 1, 10 * SECOND), 1, |_, _| Behaviour::Answer(200, MS), None);
    assert_eq!(fast.workers[0].slots[0].late, 0);
}
