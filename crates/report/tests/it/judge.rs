//! Rows held against each other: what is claimed, and above all what is not.

use report::compare::{Comparison, Difference, Judgement, Metric};
use report::document::{Account, Arm, Block, Document, Ended, Run, Series};
use report::store;
use report::table::Page;

use crate::sample::{MS, SECOND, of, run};

pub(crate) const QUIET: [f64; 5] = [1.0, 1.003, 0.997, 1.002, 0.998];
pub(crate) const LOUD: [f64; 5] = [1.0, 1.3, 0.75, 1.15, 0.85];
const METRICS: [Metric; 2] = [Metric::Rps, Metric::Errors];

/// When repeats are run: one after the other, or in turn with the other arm.
#[derive(Clone, Copy)]
pub(crate) enum Order {
    Base,
    After,
    InTurn,
}

/// Runs of one arm, with a rate of so many thousand by each of the factors.
pub(crate) fn arm(arm: &str, order: Order, thousands: f64, factors: &[f64]) -> Vec<Run> {
    let runs = factors.iter().enumerate().map(|(place, factor)| {
        let mut run = run("good");
        run.name = "x".into();
        run.id = format!("{arm}-{place}");
        run.plan_key = format!("key-{arm}");
        run.config.insert("target.store".into(), arm.into());
        let second = match order {
            Order::Base => 2 * place,
            Order::InTurn => 2 * place + 1,
            Order::After => 40 + place,
        };
        run.started_at = format!("2026-02-14T12:00:{second:02}Z");
        (run.series, run.workers) = (Series::default(), Vec::new());
        run.account.answered_in_window = 30_000;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive duration")]
        let measured_ns = (30_000.0 * 1e9 / (thousands * 1_000.0 * factor)).round() as u64;
        run.window.measured_ns = measured_ns;
        run
    });
    runs.collect()
}

pub(crate) fn stored(runs: Vec<Run>) -> Vec<Document> {
    runs.into_iter().map(|run| Document::Run(Box::new(run))).collect()
}

fn compared(base: Vec<Run>, candidate: Vec<Run>) -> Vec<Difference> {
    let differences = Comparison::with(stored(base), stored(candidate), &METRICS).differences();
    assert!(differences.iter().all(|it| it.judgement.is_some() || it.why.is_some()), "{differences:?}");
    differences
}

fn rps(differences: &[Difference]) -> &Difference {
    differences.iter().find(|it| it.metric == Metric::Rps).unwrap()
}

#[test]
fn rates_are_judged() {
    for (candidate, factors, expected) in [
        (0.9, QUIET, Judgement::Regressed),
        (0.98, QUIET, Judgement::Worse),
        (1.1, QUIET, Judgement::Improved),
        (1.0, [1.001, 0.997, 1.002, 1.0, 0.999], Judgement::Equivalent),
        (0.9, LOUD, Judgement::Inconclusive),
        (1.0, LOUD, Judgement::Inconclusive),
    ] {
        let differences =
            compared(arm("a", Order::Base, 3.0, &QUIET), arm("b", Order::After, 3.0 * candidate, &factors));
        let rps = rps(&differences);
        assert_eq!(rps.judgement, Some(expected), "{candidate}: {rps:?}");
        assert!((rps.ratio.unwrap() - candidate).abs() < 0.03, "{rps:?}");
        assert!(rps.effect.unwrap().detectable() > 0.0);
    }
}

#[test]
fn a_tolerance_of_ones_own_moves_the_line() {
    let documents = || (arm("a", Order::Base, 3.0, &QUIET), arm("b", Order::After, 2.7, &QUIET));
    let (base, candidate) = documents();
    let mut comparison = Comparison::with(stored(base), stored(candidate), &METRICS);
    comparison.tolerances.insert(Metric::Rps, 0.2);
    assert_eq!(rps(&comparison.differences()).judgement, Some(Judgement::Worse));
}

#[test]
fn runs_in_turn_are_pairs_and_what_the_machine_does_meanwhile_cancels() {
    let base = || arm("a", Order::Base, 3.0, &LOUD);
    let quietly = [0.9 * 1.001, 0.9 * 0.999, 0.9, 0.9 * 1.002, 0.9 * 0.998];
    let factors: Vec<f64> = LOUD.iter().zip(quietly).map(|(loud, quiet)| loud * quiet).collect();
    let in_turn = compared(base(), arm("b", Order::InTurn, 3.0, &factors));
    assert_eq!(rps(&in_turn).judgement, Some(Judgement::Regressed), "{in_turn:?}");
    let after = compared(base(), arm("b", Order::After, 3.0, &factors));
    assert_eq!(rps(&after).judgement, Some(Judgement::Inconclusive), "{after:?}");
}

#[test]
fn what_every_run_says_alike_is_equivalent() {
    let differences = compared(arm("a", Order::Base, 3.0, &[1.0; 3]), arm("b", Order::After, 3.0, &[1.0; 3]));
    assert_eq!(rps(&differences).judgement, Some(Judgement::Equivalent), "{differences:?}");
    let one = compared(arm("a", Order::Base, 3.0, &[1.0]), arm("b", Order::After, 3.0, &[1.0; 3]));
    assert_eq!(rps(&one).judgement, Some(Judgement::Inconclusive), "{one:?}");
}

type Change = fn(&mut Run);

#[test]
fn what_must_not_be_judged_is_not() {
    let cases: [(&str, Change, Option<Judgement>, &str); 6] = [
        ("another machine", |run| run.machine.fingerprint = "ffff".into(), None, "another machine"),
        (
            "another load",
            |run| {
                run.config.insert("load.connections".into(), "200".into());
            },
            None,
            "another load: load.connections",
        ),
        ("broken off", |run| run.ended = Ended::Sigterm, None, "not every run is whole and valid"),
        (
            "closed beside open",
            |run| {
                run.config.insert("load.rate".into(), "100".into());
            },
            Some(Judgement::Inconclusive),
            "closed beside open model",
        ),
        (
            "no requests",
            |run| run.account.answered_in_window = 0,
            Some(Judgement::Inconclusive),
            "a run without any",
        ),
        (
            "all the same",
            |run| run.window.measured_ns = 12 * SECOND,
            Some(Judgement::Inconclusive),
            "no spread to judge by",
        ),
    ];
    for (name, change, judgement, why) in cases {
        let mut base = arm("a", Order::Base, 3.0, &QUIET);
        let mut candidate = arm("b", Order::After, 2.0, &QUIET);
        if name == "all the same" {
            for run in &mut base {
                run.window.measured_ns = 10 * SECOND;
            }
        }
        candidate.iter_mut().for_each(change);
        let differences = compared(base, candidate);
        let rps = rps(&differences);
        assert_eq!(rps.judgement, judgement, "{name}: {rps:?}");
        assert!(rps.why.as_ref().unwrap().contains(why), "{name}: {rps:?}");
    }
}

#[test]
fn one_run_claims_nothing() {
    let differences = compared(arm("a", Order::Base, 3.0, &[1.0]), arm("b", Order::After, 1.0, &QUIET));
    assert!(differences.iter().all(|it| it.judgement == Some(Judgement::Inconclusive)), "{differences:?}");
    assert!(rps(&differences).why.as_ref().unwrap().contains("one run"), "{differences:?}");
}

#[test]
fn errors_come_first() {
    let failing = |mut runs: Vec<Run>, errors: u64| {
        for run in &mut runs {
            run.account.ok -= errors;
            run.account.http_error = errors;
            run.status = [(200, run.account.ok), (503, errors)].into();
        }
        runs
    };
    let base = || arm("a", Order::Base, 3.0, &QUIET);
    let faster = || arm("b", Order::After, 3.3, &QUIET);
    // Of 31,541 requests a run: 3% more, and 0.02% more.
    let many = compared(base(), failing(faster(), 1_000));
    assert_eq!((rps(&many).judgement, many[1].judgement), (None, Some(Judgement::Regressed)), "{many:?}");
    assert!(rps(&many).why.as_ref().unwrap().contains("fast failures look like speed"));
    let few = compared(base(), failing(faster(), 6));
    assert_eq!((rps(&few).judgement, few[1].judgement), (Some(Judgement::Improved), Some(Judgement::Worse)));
    let fewer = compared(failing(base(), 1_000), faster());
    assert_eq!(fewer[1].judgement, Some(Judgement::Improved));
    assert_eq!(compared(base(), faster())[1].judgement, Some(Judgement::Equivalent));
}

#[test]
fn a_lower_bound_has_no_ratio() {
    let bound = |mut runs: Vec<Run>| {
        for run in &mut runs {
            run.account = Account {
                scheduled: 1_000,
                sent: 1_000,
                ok: 700,
                timeout: 300,
                answered_in_window: 700,
                ..Account::default()
            };
            run.status = [(200, 700)].into();
            run.latencies.answered = of((1..=700).map(|i| i * MS));
            run.latencies.censored = of([20 * SECOND; 300]);
        }
        runs
    };
    let p99: Metric = "p99".parse().unwrap();
    let (base, candidate) = (arm("a", Order::Base, 3.0, &QUIET), arm("b", Order::After, 3.0, &QUIET));
    let differences = Comparison::with(stored(bound(base)), stored(bound(candidate)), &[p99]).differences();
    assert_eq!((differences[0].ratio, differences[0].judgement), (None, Some(Judgement::Inconclusive)));
    assert!(differences[0].why.as_ref().unwrap().contains("lower bound"));
}

#[test]
fn the_base_is_the_first_of_a_scenario_or_the_baseline() {
    let documents = || {
        let runs = [arm("a", Order::Base, 3.0, &QUIET), arm("b", Order::After, 2.7, &QUIET)];
        stored(runs.concat())
    };
    let comparison = Comparison::of(documents());
    let first = comparison.differences();
    assert!(first.iter().all(|it| (it.base, it.row) == (0, 1)), "{first:?}");
    assert_eq!(rps(&first).judgement, Some(Judgement::Regressed));

    let mut other = arm("c", Order::InTurn, 3.0, &QUIET);
    for run in &mut other {
        run.name = "y".into();
    }
    let comparison = Comparison::with(
        stored(arm("b", Order::After, 2.7, &QUIET)),
        [documents(), stored(other)].concat(),
        &METRICS,
    );
    let differences = comparison.differences();
    let base = |it: &Difference| comparison.rows[it.base].is_baseline;
    assert!(!differences.is_empty() && differences.iter().all(base), "{differences:?}");
    assert_eq!(rps(&differences).judgement, Some(Judgement::Improved));
    assert!(comparison.notes.iter().any(|note| note == "the baseline has no run of y: held against nothing"));
}

/// The same runs as those of blocks with these numbers.
fn in_blocks(runs: Vec<Run>, arm: Arm, numbers: &[u64]) -> Vec<Run> {
    let block = |number: u64| Some(Block { batch: "one".into(), number, arm });
    runs.into_iter().zip(numbers).map(|(run, &number)| Run { block: block(number), ..run }).collect()
}

#[test]
fn blocks_are_pairs_whatever_the_order_of_their_starts() {
    let slower = LOUD.iter().zip(QUIET).map(|(loud, quiet)| loud * quiet * 0.9);
    let backwards: Vec<f64> = slower.rev().collect();
    let (base, candidate) = (arm("a", Order::Base, 3.0, &LOUD), arm("b", Order::After, 3.0, &backwards));
    let unpaired = rps(&compared(base.clone(), candidate.clone())).clone();
    assert_eq!(unpaired.judgement, Some(Judgement::Inconclusive), "without blocks noise hides it");
    let base = in_blocks(base, Arm::A, &[1, 2, 3, 4, 5]);
    let paired = compared(base.clone(), in_blocks(candidate.clone(), Arm::B, &[5, 4, 3, 2, 1]));
    assert_eq!(rps(&paired).judgement, Some(Judgement::Regressed), "{paired:?}");
    assert!((rps(&paired).ratio.unwrap() - 0.9).abs() < 0.01, "{paired:?}");

    // The second block has lost its half, and the runs of another comparison are no halves of this one's.
    let fewer = in_blocks(candidate.clone(), Arm::B, &[5, 4, 3, 9, 1]);
    let paired = compared(base.clone(), fewer.clone());
    assert_eq!(rps(&paired).judgement, Some(Judgement::Regressed), "{paired:?}");
    let foreign = |mut run: Run| {
        run.block.as_mut().unwrap().batch = "two".into();
        run
    };
    let differences = compared(base, fewer.into_iter().map(foreign).collect());
    assert_eq!(rps(&differences).judgement, Some(Judgement::Inconclusive), "{differences:?}");
}

/// Two stores on one and two instances, beside published figures.
fn matrix() -> Comparison {
    let mut documents = Vec::new();
    for (instances, rate) in [("1", 3.0), ("2", 4.5)] {
        for (store, order, by) in [("group", Order::Base, 1.0), ("pool", Order::InTurn, 0.8)] {
            let wobble = if store == "pool" { [1.001, 1.0, 0.998, 1.004, 0.997] } else { QUIET };
            let mut runs = arm(store, order, rate * by, &wobble);
            for run in &mut runs {
                run.name = "4-instances".into();
                run.plan_key = format!("{store}-{instances}");
                run.id += instances;
                run.config.insert("target.instances".into(), instances.into());
                if store == "pool" {
                    run.config.insert("target.threads".into(), "4".into());
                }
            }
            documents.extend(stored(runs));
        }
    }
    let reference =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../results/reference/4-instances.json");
    documents.push(store::open(&reference).unwrap());
    Comparison::with(Vec::new(), documents, &["rps".parse().unwrap(), "p99".parse().unwrap()])
}

#[test]
fn rows_and_columns_by_any_key() {
    let mut comparison = matrix();
    let labels: Vec<String> = comparison.rows[1..].iter().map(report::compare::Row::label).collect();
    assert_eq!(
        labels[0], "4-instances (target.instances=1, target.store=group)",
        "threads go without saying"
    );
    let mut turn = |rows: &str, columns: &[&str]| {
        comparison.turn(&[rows.to_owned()], &columns.iter().map(|&key| key.to_owned()).collect::<Vec<_>>())
    };
    let sentence = turn("target.bogus", &["machine"]).unwrap_err().to_string();
    assert!(sentence.contains("`target.bogus`") && sentence.contains("target.store"), "{sentence}");
    turn("target.instances", &["target.store", "machine"]).unwrap();
    insta::assert_snapshot!("compare-pivot", comparison.text(Page { width: Some(120), colour: false }));
    insta::assert_snapshot!("compare-pivot-markdown", comparison.markdown());
}

#[test]
fn a_line_tells_its_scenario_where_a_cell_would_hold_two() {
    let told = |names: [&str; 2], instances: [&str; 2]| {
        let arms = names.into_iter().zip(instances).map(|(name, instances)| {
            let mut runs = arm(name, Order::Base, 3.0, &QUIET);
            for run in &mut runs {
                run.name = name.into();
                match instances {
                    "" => run.config.remove("target.instances"),
                    _ => run.config.insert("target.instances".into(), instances.into()),
                };
            }
            stored(runs)
        });
        let mut comparison = Comparison::of(arms.flatten().collect());
        comparison.turn(&["target.instances".to_owned()], &["machine".to_owned()]).unwrap();
        let text = comparison.markdown();
        let lines = text
            .lines()
            .filter(|line| line.contains("| 3,000"))
            .map(|line| line.trim_start_matches("| ").split(" |").next().unwrap_or_default().to_owned());
        lines.collect::<Vec<String>>()
    };
    assert_eq!(told(["a", "b"], ["1", "4"]), ["1", "4"]);
    assert_eq!(told(["a", "b"], ["4", "4"]), ["4 (a)", "4 (b)"]);
    assert_eq!(told(["a", "b"], ["4", ""]), ["- (b)", "4"]);
}

#[test]
fn a_million_answers_cost_what_the_machine_costs_meanwhile() {
    let mut comparison = matrix();
    comparison.metrics = vec![Metric::Cost];
    let costs = |comparison: &Comparison| {
        let cost = |row: &report::compare::Row| row.median(Metric::Cost).map(|median| median.value);
        comparison.rows.iter().map(cost).collect::<Vec<_>>()
    };
    let published = 4.0 / (365.25 / 12.0 * 86_400.0) / 3154.1115 * 1e6;
    let before = costs(&comparison);
    assert!((before[0].unwrap() - published).abs() < 1e-12, "about $4 a month: {before:?}");
    assert!(before[1..].iter().all(Option::is_none), "{before:?}");
    assert_eq!(comparison.set_prices(&[("nowhere".into(), 1.0)]), Err("nowhere"));
    comparison.set_prices(&[("test-2cpu-4gb".into(), 2.63)]).unwrap();
    let after = costs(&comparison)[1].unwrap();
    assert!((after - 2.63 / 2_629_800.0 / 3_000.0 * 1e6).abs() < 1e-9, "{after}");
    assert!(comparison.text(Page::default()).contains("cost per million"));
}

#[test]
fn ratios_of_several_rows_have_a_geometric_mean() {
    let arms = |name: &str, by: f64| {
        let mut runs =
            [arm("a", Order::Base, 3.0, &QUIET), arm("b", Order::After, 3.0 * by, &QUIET)].concat();
        for run in &mut runs {
            run.name = name.into();
            run.id += name;
        }
        runs
    };
    let comparison = |runs: Vec<Run>| Comparison::with(Vec::new(), stored(runs), &METRICS);
    let means = |runs: Vec<Run>| comparison(runs).geometric_means();
    assert!(means(arms("x", 0.8)).is_empty(), "one row is its own mean");
    let [(metric, mean, rows)] = means([arms("x", 0.8), arms("y", 1.25)].concat()).try_into().unwrap();
    assert!(metric == Metric::Rps && rows == 2 && (mean - 1.0).abs() < 1e-6, "{metric} {mean} {rows}");
    let both = comparison([arms("x", 0.8), arms("y", 1.25)].concat());
    assert!(both.markdown().contains("| geometric mean of 2 rows |"), "{}", both.markdown());
    let json: serde_json::Value = serde_json::from_str(&both.json()).unwrap();
    assert_eq!(json["geometric_means"]["rps"]["rows"], 2);
    let mut elsewhere = arms("y", 1.25);
    elsewhere[5..].iter_mut().for_each(|run| run.machine.fingerprint = "ffff".into());
    assert!(means([arms("x", 0.8), elsewhere].concat()).is_empty(), "what is not judged has no part in it");
}

#[test]
fn more_instances_have_a_speed_up_and_an_efficiency() {
    let changed = |factors: &[f64], change: Change| {
        let sizes = [("1", 2.0), ("4", 6.0)].map(|(instances, thousands)| {
            let mut runs = arm("pool", Order::Base, thousands, factors);
            for run in &mut runs {
                run.plan_key = instances.into();
                run.id += instances;
                run.config.insert("target.instances".into(), instances.into());
                change(run);
            }
            runs
        });
        let comparison = Comparison::of(stored(sizes.concat()));
        let table = comparison.speed_ups().map(|table| table.markdown());
        let all = comparison.markdown();
        assert!(table.iter().all(|table| all.contains(table) && all.contains("- efficiency: ")), "{all}");
        table
    };
    let table = |factors: &[f64]| changed(factors, |_| {});
    let loud = table(&LOUD).unwrap();
    assert!(loud.contains("| x on test-2cpu-4gb | 1 to 4 | x3.00 [") && loud.contains("| 75% ["), "{loud}");
    let lone = table(&[1.0]).unwrap();
    assert!(lone.contains("| 1 to 4 | x3.00 | 75% |"), "{lone}");
    assert_eq!(changed(&[1.0], |run| run.ended = Ended::Sigterm), None, "what was cut short");
    let limited: Change = |run| {
        run.workers = crate::sample::run("good").workers;
        run.workers[0].run_queue_ns = Some(5 * SECOND);
    };
    assert_eq!(changed(&[1.0], limited), None, "a generator at its limit");
    let one = Comparison::of(stored(arm("pool", Order::Base, 3.0, &QUIET)));
    assert!(one.speed_ups().is_none());
}

#[test]
fn other_programs_read_it() {
    let comparison = matrix();
    let json: serde_json::Value = serde_json::from_str(&comparison.json()).unwrap();
    assert_eq!(json["schema"], report::compare::COMPARISON_SCHEMA);
    assert_eq!(json["rows"].as_array().unwrap().len(), 5);
    assert_eq!(json["rows"][0]["metrics"]["rps"]["median"], 3154.1115);
    let difference = &json["differences"][0];
    assert_eq!(difference["verdict"], "regressed");
    assert_eq!(difference["design"], "paired");
    assert!(difference["ratio_low"].as_f64().unwrap() < difference["ratio"].as_f64().unwrap());
    let csv = comparison.csv();
    let columns: Vec<usize> = csv.lines().map(|line| line.split(',').count()).collect();
    assert_eq!(csv.lines().count(), 1 + 5 * 2, "{csv}");
    assert_eq!(columns[0], 23);
    assert!(csv.contains("\"target.instances=1, target.store=pool\",test-2cpu-4gb,false,"), "{csv}");
    assert!(csv.contains(",regressed,"), "{csv}");
}

#[test]
fn verdicts_are_coloured_where_that_is_welcome() {
    let comparison = matrix();
    let text = |colour| comparison.text(Page { width: None, colour });
    assert!(text(true).contains("\u{1b}[31mregressed") && !text(false).contains('\u{1b}'), "{}", text(true));
}

#[test]
fn scaling_is_a_law_where_there_are_runs_enough() {
    let series = |sizes: &[u32], factors: &[f64]| {
        let mut documents = Vec::new();
        for &size in sizes {
            let instances = f64::from(size);
            let thousands =
                2.0 * instances / (1.0 + 0.05 * (instances - 1.0) + 0.02 * instances * (instances - 1.0));
            let mut runs = arm("pool", Order::Base, thousands, factors);
            for run in &mut runs {
                run.plan_key = format!("{size}");
                run.id = format!("{}-{size}", run.id);
                run.config.insert("target.instances".into(), size.to_string());
            }
            documents.extend(stored(runs));
        }
        Comparison::of(documents).scaling()
    };
    let [law] = series(&[1, 2, 4, 8], &QUIET).try_into().unwrap();
    assert!(law.starts_with("x on test-2cpu-4gb, over the number of instances: one carries 2,0"), "{law}");
    assert!(law.contains("at 7 instances"), "{law}");
    let [refused] = series(&[1, 2, 4, 8], &[1.0, 1.01]).try_into().unwrap();
    assert!(refused.contains("3 runs of each size"), "{refused}");
    assert_eq!(series(&[1, 2, 4], &QUIET), Vec::<String>::new());
}
