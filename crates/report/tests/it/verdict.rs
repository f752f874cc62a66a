use report::document::{Document, FailureKind, FailureRecord, Generator, Run, Usage, Worker};
use report::histogram::Distribution;
use report::summary::Summary;
use report::verdict::{Finding, Verdict};
use report::warning::{self, Warning};

use crate::sample::{MS, SECOND, of, run};

fn warnings(run: &Run) -> Vec<Warning> {
    let document = Document::Run(Box::new(run.clone()));
    warning::of(&document, &Summary::of(&document))
}

/// One for each request.
fn all(value: u64) -> Distribution {
    of(std::iter::repeat_n(value, 31_541))
}

fn findings(run: &Run) -> Vec<(Finding, Verdict)> {
    let reasons = warnings(run).into_iter().filter_map(|warning| match warning {
        Warning::Generator(reason) => Some((reason.finding, reason.verdict)),
        _ => None,
    });
    reasons.collect()
}

/// A run of ten seconds against another machine, in which nothing speaks against the generator.
fn closed() -> Run {
    let mut run = run("good");
    run.window.wall_ns = 10 * SECOND;
    run.config.insert("load.url".into(), "http://192.0.2.1/".into());
    run.latencies.answered = all(100 * SECOND / 3154);
    run.generator = Some(Generator {
        watched_ns: 10 * SECOND,
        sent_late: 0,
        cpus_milli: 2000,
        cpus: Some("1".into()),
        cpu_ns: Some(2 * SECOND),
        throttled_ns: Some(0),
        stolen_ns: Some(0),
        machine_cpu_ns: None,
        pressure_ns: Some(5 * SECOND),
        hiccup: of([MS; 1000]),
        hiccup_queue_ns: Some(10 * MS),
    });
    run
}

/// The same at a fixed rate.
fn open() -> Run {
    let mut run = closed();
    run.config.insert("load.rate".into(), "3154".into());
    run.latencies.lag = all(MS / 10);
    run.latencies.queue = all(0);
    run
}

fn generator(run: &mut Run) -> &mut Generator {
    run.generator.as_mut().unwrap()
}

fn worker(run: &mut Run) -> &mut Worker {
    &mut run.workers[0]
}

/// One signal: what changes it, and the values just at a limit and just beyond it.
struct Signal {
    name: &'static str,
    base: fn() -> Run,
    set: fn(&mut Run, u64),
    /// The last value that is ok, and the first that is suspect.
    suspect: (u64, u64),
    /// The last that is suspect, and the first that is client-limited; none for what never is.
    limited: Option<(u64, u64)>,
    is: fn(&Finding) -> bool,
    /// Whether a target on the same machine may explain it.
    is_shared: bool,
}

const SIGNALS: [Signal; 11] = [
    Signal {
        name: "starved",
        base: closed,
        set: |run, ms| worker(run).run_queue_ns = Some(ms * MS),
        suspect: (200, 201),
        limited: Some((500, 501)),
        is: |finding| matches!(finding, Finding::Starved { worker: 1, .. }),
        is_shared: true,
    },
    Signal {
        name: "contended",
        base: closed,
        set: |run, ms| {
            worker(run).cpu_ns = Some(100 * MS);
            worker(run).run_queue_ns = Some((ms * MS).min(200 * MS));
        },
        // A fifth of 125.
        suspect: (25, 26),
        limited: None,
        is: |finding| matches!(finding, Finding::Contended { worker: 1, .. }),
        is_shared: true,
    },
    Signal {
        name: "busy",
        base: closed,
        set: |run, ms| worker(run).cpu_ns = Some(ms * MS),
        suspect: (8_000, 8_001),
        limited: Some((9_500, 9_501)),
        is: |finding| matches!(finding, Finding::Busy { worker: 1, .. }),
        is_shared: true,
    },
    Signal {
        name: "process",
        base: closed,
        set: |run, ms| generator(run).cpu_ns = Some(ms * MS),
        suspect: (14_000, 14_001),
        limited: Some((17_000, 17_001)),
        is: |finding| matches!(finding, Finding::Process { cpus_milli: 2000, .. }),
        is_shared: true,
    },
    Signal {
        name: "throttled",
        base: closed,
        set: |run, ms| generator(run).throttled_ns = Some(ms * MS),
        suspect: (10, 11),
        limited: Some((100, 101)),
        is: |finding| matches!(finding, Finding::Throttled { .. }),
        is_shared: true,
    },
    Signal {
        name: "stolen",
        base: closed,
        set: |run, ms| generator(run).stolen_ns = Some(ms * MS),
        suspect: (100, 101),
        limited: Some((500, 501)),
        is: |finding| matches!(finding, Finding::Stolen { .. }),
        is_shared: false,
    },
    Signal {
        name: "pressed",
        base: closed,
        set: |run, ms| {
            worker(run).run_queue_ns = None;
            generator(run).pressure_ns = Some(ms * MS);
        },
        suspect: (1_000, 1_001),
        limited: None,
        is: |finding| matches!(finding, Finding::Pressed { .. }),
        is_shared: true,
    },
    Signal {
        name: "hiccups",
        base: closed,
        set: |run, us| generator(run).hiccup = of([us * 1000; 1000]),
        suspect: (2_000, 2_010),
        limited: None,
        is: |finding| matches!(finding, Finding::Hiccups { .. }),
        is_shared: true,
    },
    Signal {
        name: "idle",
        base: closed,
        // What is left of the connections' time, a thousandth each.
        set: |run, left| {
            let taken = 1000 * SECOND - left * SECOND;
            run.latencies.answered = all(taken / 31_541);
        },
        suspect: (19, 21),
        limited: Some((99, 101)),
        is: |finding| matches!(finding, Finding::Idle { .. }),
        is_shared: true,
    },
    Signal {
        name: "behind",
        base: open,
        set: |run, late| {
            generator(run).sent_late = late;
            run.latencies.lag = all(1 + MS / 10);
        },
        suspect: (157, 158),
        limited: Some((315, 316)),
        is: |finding| matches!(finding, Finding::Behind { .. }),
        is_shared: true,
    },
    Signal {
        name: "lag",
        base: open,
        // Responses take 31.7 ms here: the median's twentieth is 1.59 ms, the tail's tenth 3.17 ms.
        set: |run, us| run.latencies.lag = all(us * 1000),
        suspect: (1_580, 1_590),
        limited: Some((3_160, 3_180)),
        is: |finding| matches!(finding, Finding::Lag { .. }),
        is_shared: true,
    },
];

#[test]
fn a_quiet_generator_is_ok() {
    for run in [closed(), open()] {
        assert_eq!(findings(&run), []);
        assert_eq!(warning::verdict(&warnings(&run)), Verdict::Ok);
    }
}

#[test]
fn each_signal_has_its_limits() {
    for signal in SIGNALS {
        let verdict = |value| {
            let mut run = (signal.base)();
            (signal.set)(&mut run, value);
            let found = findings(&run);
            assert!(found.iter().all(|(finding, _)| (signal.is)(finding)), "{}: {found:?}", signal.name);
            found.first().map_or(Verdict::Ok, |&(_, verdict)| verdict)
        };
        let (last, first) = signal.suspect;
        assert_eq!((verdict(last), verdict(first)), (Verdict::Ok, Verdict::Suspect), "{}", signal.name);
        match signal.limited {
            Some((last, first)) => {
                let both = (verdict(last), verdict(first));
                assert_eq!(both, (Verdict::Suspect, Verdict::ClientLimited), "{}", signal.name);
            }
            None => assert_eq!(verdict(20 * first), Verdict::Suspect, "{}", signal.name),
        }
    }
}

#[test]
fn what_a_target_on_the_same_machine_explains_is_suspect_at_most() {
    for url in ["http://127.0.0.1:8080/", "http://localhost/", "http://[::1]:1/"] {
        for signal in SIGNALS {
            let mut run = (signal.base)();
            run.config.insert("load.url".into(), url.into());
            (signal.set)(&mut run, signal.limited.unwrap_or(signal.suspect).1);
            let worst = if signal.is_shared { Verdict::Suspect } else { Verdict::ClientLimited };
            assert_eq!(warning::verdict(&warnings(&run)), worst, "{} {url}", signal.name);
            let text = warnings(&run).iter().map(Warning::line).find(|line| line.contains(worst.name()));
            let names_sharing = text.unwrap().contains("the target ran here too");
            assert_eq!(names_sharing, signal.is_shared, "{}", signal.name);
        }
    }
}

/// The same machine, and CPUs of the instances.
fn on_cpus(mut run: Run, of_instances: [Option<&str>; 4]) -> Run {
    run.same_machine = Some(true);
    for (instance, cpus) in run.instances.iter_mut().zip(of_instances) {
        instance.usage = Some(Box::new(Usage { cpus: cpus.map(str::to_owned), ..Usage::default() }));
    }
    run
}

#[test]
fn a_target_with_cpus_of_its_own_explains_nothing() {
    for signal in SIGNALS {
        for (cpus, is_apart) in [
            ([Some("0"); 4], true),
            ([Some("0"), Some("2-3"), Some("0"), Some("0,2")], true),
            ([Some("0"), Some("0"), Some("0"), Some("0-1")], false),
            ([Some("0"), Some("0"), None, Some("0")], false),
        ] {
            let mut run = on_cpus((signal.base)(), cpus);
            (signal.set)(&mut run, signal.limited.unwrap_or(signal.suspect).1);
            let is_worst = is_apart || !signal.is_shared;
            // What is suspect at most is so wherever the target runs.
            let can_limit = signal.limited.is_some();
            let worst = if is_worst && can_limit { Verdict::ClientLimited } else { Verdict::Suspect };
            assert_eq!(warning::verdict(&warnings(&run)), worst, "{} {cpus:?}", signal.name);
            let lines: Vec<String> = warnings(&run).iter().map(Warning::line).collect();
            let names_sharing = lines.iter().any(|line| line.contains("the target ran here too"));
            assert_eq!(names_sharing, !is_worst, "{} {cpus:?}", signal.name);
        }
    }
    let mut unknown = on_cpus(closed(), [Some("0"); 4]);
    generator(&mut unknown).cpus = None;
    worker(&mut unknown).run_queue_ns = Some(SECOND);
    assert_eq!(warning::verdict(&warnings(&unknown)), Verdict::Suspect, "nobody knows where it ran");
}

#[test]
fn nothing_is_said_of_what_nobody_measured() {
    for signal in SIGNALS {
        let mut run = (signal.base)();
        (signal.set)(&mut run, signal.limited.unwrap_or(signal.suspect).1);
        run.generator = None;
        run.workers.iter_mut().for_each(|worker| (worker.cpu_ns, worker.run_queue_ns) = (None, None));
        let found = findings(&run);
        assert!(found.iter().all(|(finding, _)| matches!(finding, Finding::Lag { .. })), "{found:?}");
    }
}

#[test]
fn the_worst_worker_counts_and_not_their_sum() {
    let mut run = closed();
    let mut other = run.workers[0].clone();
    (run.workers[0].sent, run.workers[0].answered) = (0, 0);
    run.workers[0].run_queue_ns = Some(80 * MS);
    other.run_queue_ns = Some(80 * MS);
    run.workers.push(other);
    assert_eq!(findings(&run), [], "0.16 s of 20 s");
    run.workers[1].run_queue_ns = Some(600 * MS);
    let found = findings(&run);
    assert!(matches!(found[..], [(Finding::Starved { worker: 2, .. }, Verdict::ClientLimited)]), "{found:?}");
}

#[test]
fn a_moment_is_nothing_in_a_short_run() {
    let mut run = closed();
    run.window.wall_ns = SECOND / 10;
    worker(&mut run).run_queue_ns = Some(25 * MS);
    worker(&mut run).cpu_ns = Some(100 * MS);
    assert_eq!(findings(&run), []);
    worker(&mut run).run_queue_ns = Some(26 * MS);
    assert_eq!(findings(&run).len(), 1);
}

#[test]
fn waiting_that_is_little_of_the_work_is_nothing() {
    let mut run = closed();
    worker(&mut run).run_queue_ns = Some(100 * MS);
    worker(&mut run).cpu_ns = Some(400 * MS);
    assert_eq!(findings(&run), [], "a fifth");
    worker(&mut run).cpu_ns = Some(390 * MS);
    assert!(matches!(findings(&run)[..], [(Finding::Contended { worker: 1, .. }, Verdict::Suspect)]));
}

#[test]
fn a_pause_is_limiting_unless_others_had_the_cpu() {
    let paused = |longest, queued, url: &str| {
        let mut run = closed();
        run.config.insert("load.url".into(), url.into());
        generator(&mut run).hiccup = of((0..990).map(|_| MS).chain(std::iter::repeat_n(longest, 10)));
        generator(&mut run).hiccup_queue_ns = Some(queued);
        findings(&run).first().map(|&(finding, verdict)| {
            assert_eq!(finding, Finding::Paused { longest_ns: longest });
            verdict
        })
    };
    let (here, there) = ("http://127.0.0.1/", "http://192.0.2.1/");
    assert_eq!(paused(100 * MS, 0, there), None);
    assert_eq!(paused(101 * MS, 0, there), Some(Verdict::ClientLimited));
    assert_eq!(paused(101 * MS, 0, here), Some(Verdict::ClientLimited), "no target explains it");
    assert_eq!(paused(101 * MS, 90 * MS, here), Some(Verdict::Suspect), "the target may have had the CPU");
    assert_eq!(paused(101 * MS, 90 * MS, there), Some(Verdict::ClientLimited));
}

#[test]
fn lateness_that_the_responses_dwarf_is_nothing() {
    let mut run = open();
    run.latencies.answered = all(SECOND);
    run.latencies.lag = all(40 * MS);
    generator(&mut run).hiccup = of([40 * MS; 1000]);
    assert_eq!(findings(&run), []);
    run.latencies.answered = all(SECOND / 2);
    assert_eq!(findings(&run).len(), 2);
}

#[test]
fn lag_like_that_of_any_timer_is_nothing() {
    let mut run = open();
    run.latencies.answered = all(MS);
    run.latencies.lag = all(MS);
    assert_eq!(findings(&run), []);
    run.latencies.lag = all(MS + 2000);
    assert_eq!(findings(&run).len(), 1);
}

#[test]
fn littles_law_is_asked_only_where_it_holds() {
    let idle = |change: fn(&mut Run)| {
        let mut run = closed();
        run.latencies.answered = all(MS);
        change(&mut run);
        findings(&run).len()
    };
    assert_eq!(idle(|_| ()), 1);
    let paced = |run: &mut Run| drop(run.config.insert("load.rate_per_connection".into(), "5".into()));
    assert_eq!(idle(paced), 0, "-q");
    assert_eq!(idle(|run| run.window.planned_ns = None), 0, "-n");
    assert_eq!(idle(|run| run.window.measured_ns = SECOND - 1), 0, "short");
    let waited = |run: &mut Run| run.latencies.censored = of([10 * SECOND; 97]);
    assert_eq!(idle(waited), 0, "requests that were never answered took the time");
}

#[test]
fn a_rate_missed_for_want_of_connections_is_not_the_generators_fault() {
    let mut run = open();
    run.latencies.queue = all(MS);
    generator(&mut run).sent_late = 158;
    assert_eq!(findings(&run), []);
    let texts: Vec<_> = warnings(&run).iter().map(Warning::line).collect();
    let missed = "the rate was not reached: 31,383 of 31,541 requests that fell due were sent in time: lower the rate, \
                  or give more connections";
    assert_eq!(texts, [missed]);
}

#[test]
fn a_strict_reader_objects_to_a_limited_generator_and_to_a_rate_not_met() {
    let objection = |run: &Run| {
        let document = Document::Run(Box::new(run.clone()));
        warning::objection(run, &Summary::of(&document), &warnings(run))
    };
    let mut late = open();
    late.latencies.queue = all(MS);
    generator(&mut late).sent_late = 315;
    assert_eq!(objection(&late), None, "99.0%");
    generator(&mut late).sent_late = 316;
    let expected = "the rate was not reached: 31,225 of 31,541 requests that fell due were sent in time";
    assert_eq!(objection(&late).as_deref(), Some(expected));
    let mut limited = closed();
    worker(&mut limited).run_queue_ns = Some(SECOND);
    assert!(objection(&limited).unwrap().starts_with("client-limited: the generator's worker 1 waited 10%"));
    worker(&mut limited).run_queue_ns = Some(SECOND / 4);
    assert_eq!(objection(&limited), None, "suspect");
}

#[test]
fn running_out_of_ports_is_the_generators_fault() {
    let mut run = closed();
    worker(&mut run).run_queue_ns = Some(250 * MS);
    assert_eq!(warning::verdict(&warnings(&run)), Verdict::Suspect);
    run.failures.insert(FailureKind::ClientPorts, FailureRecord { count: 1, ..FailureRecord::default() });
    assert_eq!(warning::verdict(&warnings(&run)), Verdict::ClientLimited, "the graver one wins");
}

#[test]
fn a_worker_is_starved_in_a_short_run_too() {
    let mut run = closed();
    (run.window.wall_ns, generator(&mut run).watched_ns) = (SECOND, SECOND);
    generator(&mut run).cpu_ns = Some(SECOND / 2);
    for (waited_ms, expected) in
        [(25, None), (26, Some(Verdict::Suspect)), (80, Some(Verdict::ClientLimited))]
    {
        (worker(&mut run).run_queue_ns, worker(&mut run).cpu_ns) = (Some(waited_ms * MS), Some(SECOND / 2));
        let found = findings(&run);
        let starved = found.iter().find(|(finding, _)| matches!(finding, Finding::Starved { .. }));
        assert_eq!(starved.map(|(_, verdict)| *verdict), expected, "{waited_ms} ms: {found:?}");
    }
}
