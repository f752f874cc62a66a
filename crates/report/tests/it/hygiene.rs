//! Whether instances shared the load, agree with the generator, and had a machine fit for measuring.

use report::condition::Condition;
use report::document::{Conditions, Document, Front, Generator, Run, Usage};
use report::share::Cause;
use report::summary::Summary;
use report::warning::{self, Warning};

use crate::sample::{SECOND, run, watched};

fn warnings(run: &Run) -> Vec<Warning> {
    let document = Document::Run(Box::new(run.clone()));
    warning::of(&document, &Summary::of(&document))
}

/// Instances that took so many connections and answered so many requests.
fn shared(parts: &[(u64, u64)]) -> Run {
    let mut run = run("good");
    let model = run.instances[0].clone();
    let instance = |(&(accepted, answered), number): (&(u64, u64), u64)| {
        let (accepted, answered) = (Some(accepted), Some(answered));
        report::document::Instance { number, accepted, answered, ..model.clone() }
    };
    run.instances = parts.iter().zip(1..).map(instance).collect();
    run
}

fn uneven(run: &Run) -> Option<(u64, Cause)> {
    warnings(run).into_iter().find_map(|warning| match warning {
        Warning::Uneven(uneven) => Some((uneven.number, uneven.cause)),
        _ => None,
    })
}

#[test]
fn unevenness_is_held_against_what_hashing_gives() {
    // Of 100 connections over four, an instance has 25 +- 4.33; four deviations are 17.3.
    let hundred = |most: u64| {
        let rest = 100 - most;
        let others = [rest / 3, rest / 3, rest - 2 * (rest / 3)];
        let parts: Vec<_> = std::iter::once(most).chain(others).map(|n| (n, n * 300)).collect();
        uneven(&shared(&parts))
    };
    assert_eq!(hundred(42), None, "chance");
    assert_eq!(hundred(43), Some((1, Cause::Connections)));
    // Of 10,000 it has 2,500 +- 43.3.
    let many =
        |most: u64| uneven(&shared(&[(most, most), (5000 - most, 5000 - most), (2500, 2500), (2500, 2500)]));
    assert_eq!((many(2670), many(2680)), (None, Some((1, Cause::Connections))));
    // With eight connections hardly anything is remarkable.
    assert_eq!(uneven(&shared(&[(6, 600), (1, 100), (1, 100)])), None);
}

#[test]
fn a_slow_instance_is_told_from_one_with_few_connections() {
    let run = shared(&[(26, 1_000), (24, 9_000), (25, 9_500), (25, 9_500)]);
    assert_eq!(uneven(&run), Some((1, Cause::Speed)));
    let lines: Vec<_> = warnings(&run).iter().map(Warning::line).collect();
    let expected = "instance 1 answered 3.45% of the requests, where each of 4 has 25%, over 26 of 100 connections, which is not \
                    unusual (25 +- 4.3 by chance): its answers took another time than those of others: compare the CPU and the \
                    times of the instances";
    assert!(lines.iter().any(|line| line == expected), "{lines:#?}");
}

#[test]
fn an_instance_without_connections_is_named_even_if_that_is_chance() {
    let run = shared(&[(3, 300), (0, 0), (3, 300), (2, 200)]);
    assert_eq!(uneven(&run), Some((2, Cause::LeftOut)));
    let lines: Vec<_> = warnings(&run).iter().map(Warning::line).collect();
    // 4 * (3/4)^8
    let expected = "instance 2 got none of 8 connections: the kernel hashes them over 4 instances, and leaves one out in about \
                    40.05% of such runs: use more connections than a few for each instance";
    assert!(lines.iter().any(|line| line == expected), "{lines:#?}");
}

#[test]
fn nothing_is_said_of_shares_that_nobody_knows() {
    let parts = [(90, 9_000), (10, 1_000)];
    assert_eq!(uneven(&shared(&parts)), Some((1, Cause::Connections)));
    assert_eq!(uneven(&shared(&parts[..1])), None, "one instance has all");
    let mut died = shared(&parts);
    died.instances[1].ended = "died during the run: killed by signal 9".into();
    assert_eq!(uneven(&died), None, "the others had the rest");
    let mut silent = shared(&parts);
    silent.instances[1].accepted = None;
    assert_eq!(uneven(&silent), None);
    assert_eq!(uneven(&shared(&[(0, 0), (0, 0)])), None);
    let mut dealt_out = shared(&parts);
    dealt_out.config.insert("target.sockets".into(), "unix".into());
    assert_eq!(uneven(&dealt_out), None, "nothing is hashed");
}

fn disagrees(run: &Run) -> bool {
    warnings(run).iter().any(|warning| matches!(warning, Warning::Disagreement { .. }))
}

#[test]
fn what_the_instances_answered_and_what_came_must_agree() {
    let mut embedded = run("good");
    embedded.config.insert("target.kind".into(), "embedded".into());
    assert!(!disagrees(&embedded));
    let answered = |run: &mut Run, by: i64| {
        let answered = run.instances[0].answered.as_mut().unwrap();
        *answered = answered.checked_add_signed(by).unwrap();
    };
    for by in [-1, 1] {
        let mut run = embedded.clone();
        answered(&mut run, by);
        assert!(disagrees(&run), "{by}");
        run.config.insert("target.kind".into(), "command".into());
        assert!(!disagrees(&run), "others count in their own way, and are probed");
    }
    let mut lost = embedded.clone();
    answered(&mut lost, 5);
    (lost.account.sent, lost.account.timeout) = (lost.account.sent + 5, 5);
    assert!(!disagrees(&lost), "answered when nobody waited any more");
    answered(&mut lost, 1);
    let lines: Vec<_> = warnings(&lost).iter().map(Warning::line).collect();
    let expected = "the instances say they answered 31,547 requests, and the generator sent 31,546 and got 31,541 good answers: \
                    see whether others load it too, or whether something between them answers";
    assert!(lines.iter().any(|line| line == expected), "{lines:#?}");
}

#[test]
fn rows_that_instances_committed_must_be_in_the_database() {
    let mut run = run("good");
    let verification = run.verification.as_mut().unwrap();
    verification.committed = Some(31_541);
    assert!(verification.holds());
    verification.committed = Some(31_542);
    assert!(!verification.holds());
    let lines: Vec<_> = warnings(&run).iter().map(Warning::line).collect();
    let expected =
        "verification failed: 31,541 rows in the database, and the instances say they committed 31,542";
    assert!(lines.iter().any(|line| line == expected), "{lines:#?}");
}

/// What is said of the machine.
fn conditions(run: &Run) -> Vec<Condition> {
    let said = warnings(run).into_iter().filter_map(|warning| match warning {
        Warning::Machine(condition) => Some(condition),
        _ => None,
    });
    said.collect()
}

fn under(conditions: Conditions) -> Run {
    let mut run = run("good");
    run.conditions = Some(conditions);
    run
}

fn line(condition: &Condition) -> String {
    Warning::Machine(condition.clone()).line()
}

#[test]
fn a_machine_that_is_fit_or_unknown_is_nothing_to_be_said() {
    assert_eq!(conditions(&run("good")), []);
    assert_eq!(conditions(&under(Conditions::default())), []);
    let fit = Conditions {
        governors: vec!["performance".into()],
        turbo: Some(false),
        load_milli: Some(1000),
        swap_used_bytes: Some(1 << 20),
        swapped_bytes: Some(0),
        hot: Some(0),
    };
    assert_eq!(conditions(&under(fit)), []);
}

#[test]
fn what_makes_figures_vary_is_said_with_what_to_do() {
    let cases = [
        (
            Conditions { governors: vec!["performance".into(), "powersave".into()], ..Conditions::default() },
            "the clock of the CPUs is not fixed: the governor is powersave: compare only with runs made alike; ",
        ),
        (
            Conditions { turbo: Some(true), ..Conditions::default() },
            "the clock of the CPUs is not fixed: turbo is on: compare only with runs made alike; ",
        ),
        (
            Conditions {
                swapped_bytes: Some(1 << 20),
                swap_used_bytes: Some(3 << 20),
                ..Conditions::default()
            },
            "1 MiB went to or came from swap during the run; 3 MiB of it was in use before: end what takes the memory, ",
        ),
        (
            Conditions { hot: Some(1), ..Conditions::default() },
            "CPUs were too hot and slowed down 1 time during the run: let it cool down, ",
        ),
        (
            Conditions { load_milli: Some(1001), ..Conditions::default() },
            "the load average was 1.00 before the run, on 2 CPUs: wait until the machine is idle; ",
        ),
    ];
    for (found, begin) in cases {
        let said: Vec<_> = conditions(&under(found)).iter().map(line).collect();
        assert!(said.len() == 1 && said[0].starts_with(begin), "{begin}: {said:?}");
    }
}

#[test]
fn what_others_computed_is_what_neither_generator_nor_target_did() {
    // In ten seconds of two CPUs the target used 14.08 s and the generator 3 s.
    let with = |machine_s: u64| {
        let mut run = watched();
        run.conditions = Some(Conditions { load_milli: Some(9_000), ..Conditions::default() });
        let generator = run.generator.as_mut().unwrap();
        (generator.watched_ns, generator.machine_cpu_ns) = (10 * SECOND, Some(machine_s * SECOND));
        run
    };
    assert_eq!(conditions(&with(19)), [], "two seconds of twenty; the load average was that of runs before");
    let [other] = &conditions(&with(20))[..] else { panic!("{:?}", conditions(&with(20))) };
    assert_eq!(
        line(other),
        "other programs kept 0.29 of the machine's 2 CPUs busy: end other programs, or repeat the run"
    );
    let mut unwatched = with(20);
    unwatched.instances[0].usage = None;
    assert!(matches!(conditions(&unwatched)[..], [Condition::Load { milli: 9_000, cpus: 2 }]));
    let mut elsewhere = with(20);
    (elsewhere.instances, elsewhere.same_machine) = (Vec::new(), Some(false));
    assert!(matches!(conditions(&elsewhere)[..], [Condition::Others { milli: 1700, cpus: 2 }]));
    let mut beside = with(20);
    (beside.instances, beside.same_machine) = (Vec::new(), Some(true));
    assert!(matches!(conditions(&beside)[..], [Condition::Load { .. }]), "nobody watched the target");
    let mut short = with(1);
    short.instances.clear();
    (short.same_machine, short.generator) = (
        Some(false),
        Some(Generator {
            watched_ns: SECOND / 10,
            cpu_ns: Some(0),
            machine_cpu_ns: Some(SECOND / 10),
            ..Generator::default()
        }),
    );
    assert_eq!(conditions(&short), [], "so little is how a system is");
}

#[test]
fn behind_a_front_only_what_is_known_is_said() {
    let front = || Some(Front { ended: "stopped".into(), ..Front::default() });
    let mut uneven_run = shared(&[(90, 9_000), (10, 1_000)]);
    uneven_run.front = front();
    assert_eq!(uneven(&uneven_run), None, "it deals connections out in its own way");
    let mut probed = run("good");
    probed.config.insert("target.kind".into(), "embedded".into());
    *probed.instances[0].answered.as_mut().unwrap() += 1;
    assert!(disagrees(&probed));
    probed.front = front();
    assert!(!disagrees(&probed), "the probe before the load was one");
    let mut busy = watched();
    let generator = busy.generator.as_mut().unwrap();
    (generator.watched_ns, generator.machine_cpu_ns) = (10 * SECOND, Some(20 * SECOND));
    assert_eq!(conditions(&busy).len(), 1);
    busy.front = front();
    assert_eq!(conditions(&busy), [], "what it computed, nobody watched");
}

#[test]
fn what_is_in_front_is_told_apart_and_no_other_program() {
    let mut run = watched();
    let generator = run.generator.as_mut().unwrap();
    (generator.watched_ns, generator.machine_cpu_ns) = (10 * SECOND, Some(20 * SECOND));
    for instance in &mut run.instances {
        instance.usage.as_mut().unwrap().cpus = Some("0,1".into());
    }
    let alone = Summary::of(&Document::Run(Box::new(run.clone()))).usage.unwrap();
    assert!(matches!(conditions(&run)[..], [Condition::Others { .. }]));
    let usage = Usage {
        watched_ns: 10 * SECOND,
        cpu_user_ms: vec![1000, 500],
        cpu_system_ms: vec![900, 100],
        rss_kib: vec![5000, 5000],
        cpus: Some("5".into()),
        ..Usage::default()
    };
    run.front = Some(Front { ended: "stopped".into(), usage: Some(Box::new(usage)), ..Front::default() });
    assert_eq!(conditions(&run), [], "2.5 of the 2.9 seconds were its");
    let used = Summary::of(&Document::Run(Box::new(run.clone()))).usage.unwrap();
    assert_eq!(used.front_cpus, Some(0.25));
    assert_eq!((used.cpus, used.rss_bytes), (alone.cpus, alone.rss_bytes), "told apart");
    assert_eq!(used.cpu_us_per_request, alone.cpu_us_per_request);
    assert_eq!(used.target_set.unwrap().to_string(), "0-1,5", "it may be in the generator's way, too");
}
