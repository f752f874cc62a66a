use std::path::Path;

use report::compare::{Comparison, Metric};
use report::document::{Document, Ended, Run};
use report::histogram::Percentile;
use report::store;
use report::table::Page;

use crate::sample::{MS, SECOND, of, run};

fn published() -> Vec<Document> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../results/reference");
    let found = store::find(&[folder]).unwrap();
    found.documents.iter().map(|path| store::open(path).unwrap()).collect()
}

fn stored(run: Run) -> Document {
    Document::Run(Box::new(run))
}

/// Repeat `number` of a fixture under another name and label, with its own rate.
fn repeat(fixture: &str, name: &str, number: u64, answered_in_window: u64) -> Run {
    let mut run = run(fixture);
    run.name = name.into();
    run.id = format!("{name}-{number}");
    run.plan_key = format!("key-{name}");
    run.account.answered_in_window = answered_in_window;
    run.config.insert("seed".into(), number.to_string());
    run
}

fn on(mut run: Run, label: &str, cpus: u64) -> Document {
    run.machine.label = label.into();
    run.machine.cpus_allowed = cpus;
    stored(run)
}

/// As the repository has it: published figures beside two machines.
fn everything() -> Vec<Document> {
    let mut documents = published();
    for (number, answered) in [(1, 31_441), (2, 30_000), (3, 31_500)] {
        documents.push(on(repeat("good", "4-instances", number, answered), "local-2cpu-4gb", 2));
        documents.push(on(repeat("good", "8-instances", number, answered), "cloud-16cpu-32gb", 16));
        documents.push(on(repeat("timeouts", "1-instance", number, 67_611 - number), "local-2cpu-4gb", 2));
    }
    documents.push(on(repeat("good", "no-database", 1, 31_000), "local-2cpu-4gb", 2));
    documents.push(on(repeat("interrupted", "quick", 1, 360), "local-2cpu-4gb", 2));
    documents
}

#[test]
fn sizes_side_by_side() {
    let comparison = Comparison::of(everything());
    let text = comparison.text(Page::default());
    insta::assert_snapshot!("compare-text", text);
    insta::assert_snapshot!("compare-markdown", comparison.markdown());
}

#[test]
fn the_order_of_documents_does_not_matter() {
    let mut documents = everything();
    let text = Comparison::of(documents.clone()).text(Page::default());
    documents.reverse();
    let reversed = Comparison::of(documents).text(Page::default());
    let table = |text: &str| text.split("\n\n").next().map(ToOwned::to_owned);
    assert_eq!(table(&reversed), table(&text));
}

fn whole(value: f64) -> String {
    format!("{value:.0}")
}

#[test]
fn repeats_are_one_row_of_medians() {
    let rates = [(1, 30_000), (2, 10_000), (3, 20_000)];
    let runs = rates.map(|(number, answered)| stored(repeat("good", "x", number, answered)));
    let comparison = Comparison::of(runs.into());
    let [row] = comparison.rows.as_slice() else { panic!("{comparison:?}") };
    let rps = row.rps().unwrap();
    assert_eq!((row.runs.len(), whole(rps.value), whole(rps.largest)), (3, "2000".into(), "3000".into()));
    assert!(row.differences.is_empty(), "the seed differs between repeats, not between plans: {row:?}");

    let two = rates[..2].iter().map(|&(number, answered)| stored(repeat("good", "x", number, answered)));
    let rps = Comparison::of(two.collect()).rows[0].rps().unwrap();
    assert_eq!(whole(rps.value), "2000", "of two, the mean");
}

#[test]
fn errors_of_one_bad_repeat_are_not_hidden_by_the_median() {
    let bad = repeat("timeouts", "x", 3, 67_000);
    let mut good = repeat("timeouts", "x", 1, 67_000);
    good.account.sent -= 12;
    good.account.scheduled -= 12;
    good.account.timeout = 0;
    good.latencies.censored = of([]);
    good.series.unanswered.fill(0);
    good.workers[0].sent -= 12;
    let mut again = good.clone();
    again.id += "-again";
    let text = Comparison::of([good, again, bad].map(stored).into()).text(Page::default());
    assert!(text.contains("0 (max 12)"), "{text}");
}

#[test]
fn a_run_counts_once_however_often_its_document_is_there() {
    let comparison = Comparison::of(vec![stored(run("good")), stored(run("good"))]);
    assert_eq!(comparison.rows[0].runs.len(), 1);
    assert_eq!(comparison.notes[0], "1 repeated document left out: the run is there already");
}

/// A machine that answers less than is said, costs more for each answer.
#[test]
fn a_cost_is_bounded_from_the_other_side_than_its_rate() {
    for (of_rate, of_cost) in [("more than", "less than"), ("less than", "more than"), ("about", "about")] {
        let mut document = published().into_iter().find(|it| it.name() == "no-database").unwrap();
        let Document::Figures(figures) = &mut document else { panic!("{document:?}") };
        figures.rps_qualifier = Some(of_rate.into());
        let machine = document.machine_label().to_owned();
        let mut comparison = Comparison::with(Vec::new(), vec![document], &[Metric::Rps, Metric::Cost]);
        comparison.set_prices(&[(machine, 20.0)]).unwrap();
        let row = &comparison.rows[0];
        let is_bound = |metric| row.median(metric).unwrap().is_lower_bound;
        assert_eq!(
            (is_bound(Metric::Rps), is_bound(Metric::Cost)),
            (of_rate == "more than", of_cost == "more than")
        );
        let sign = |words| match words {
            "more than" => "> ",
            "less than" => "< ",
            _ => "~ ",
        };
        for (metric, words) in [(Metric::Rps, of_rate), (Metric::Cost, of_cost)] {
            assert!(row.cell(metric).starts_with(sign(words)), "{of_rate}: {}", row.cell(metric));
            let line = format!(",{words},");
            let csv = comparison.csv();
            let told = csv.lines().find(|line| line.contains(&format!(",{metric},"))).unwrap();
            assert!(told.contains(&line), "{told}");
        }
    }
}

type Change = fn(&mut Run);

#[test]
fn what_is_no_repeat_is_a_row_of_its_own_and_says_why() {
    let cases: [(&str, Change, [&str; 2]); 8] = [
        (
            "another number of workers, which is no part of the plan's key",
            |run| {
                run.config.insert("load.workers".into(), "1".into());
            },
            ["load.workers=1", "no load.workers"],
        ),
        (
            "another plan",
            |run| {
                run.plan_key = "longer".into();
                run.config.insert("load.duration".into(), "60s".into());
            },
            ["load.duration=10s", "load.duration=60s"],
        ),
        (
            "another plan with one key more",
            |run| {
                run.plan_key = "rate".into();
                run.config.insert("load.rate".into(), "100".into());
            },
            ["load.rate=100", "no load.rate"],
        ),
        (
            "another plan that shows no difference",
            |run| run.plan_key = "0123456789".into(),
            ["plan 01234567", "plan key-x"],
        ),
        (
            "another version",
            |run| {
                run.versions.insert("loadgen".into(), "0.2.0".into());
            },
            ["loadgen=0.1.0", "loadgen=0.2.0"],
        ),
        (
            "another machine under the same label",
            |run| run.machine.fingerprint = "ffff".into(),
            ["fingerprint 0f1e2d3c", "fingerprint ffff"],
        ),
        ("broken off", |run| run.ended = Ended::Sigterm, ["", "interrupted"]),
        ("not valid", |run| run.account.scheduled += 1, ["", "not valid"]),
    ];
    for (name, change, expected) in cases {
        let mut other = repeat("good", "x", 2, 30_000);
        change(&mut other);
        let comparison = Comparison::of(vec![stored(repeat("good", "x", 1, 31_000)), stored(other)]);
        let differences: Vec<_> = comparison.rows.iter().map(|row| row.differences.join(", ")).collect();
        assert_eq!(differences, expected, "{name}");
        assert!(comparison.rows.iter().all(|row| row.runs.len() == 1), "{name}");
    }
}

#[test]
fn many_differences_are_counted() {
    let mut other = repeat("good", "x", 2, 30_000);
    other.plan_key = "other".into();
    for key in ["a", "b", "c", "d", "e"] {
        other.config.insert(key.into(), "1".into());
    }
    let comparison = Comparison::of(vec![stored(repeat("good", "x", 1, 31_000)), stored(other)]);
    assert_eq!(comparison.rows[0].label(), "x (a=1, b=1, c=1, 2 more)");
}

#[test]
fn what_varies_between_repeats_is_no_difference_between_plans() {
    let with = |name: &str, number: u64, plan: &str| {
        let mut run = repeat("good", name, number, 30_000);
        run.plan_key = plan.into();
        run.config.insert("attempt".into(), number.to_string());
        run.config.insert("load.url".into(), format!("http://127.0.0.1:{}/", 40_000 + number));
        run.config.insert("load.duration".into(), plan.into());
        stored(run)
    };
    let documents = vec![with("x", 1, "10s"), with("x", 2, "10s"), with("x", 3, "20s")];
    let comparison = Comparison::of(documents);
    let differences: Vec<_> = comparison.rows.iter().map(|row| row.differences.join(", ")).collect();
    assert_eq!(differences, ["load.duration=10s", "load.duration=20s"]);
}

#[test]
fn lower_bounds_and_thin_percentiles_are_told() {
    let mut bound = repeat("good", "bound", 1, 31_000);
    bound.latencies.answered = of((1..=700).map(|i| i * MS));
    bound.latencies.censored = of([20 * SECOND; 300]);
    let mut thin = repeat("good", "thin", 1, 31_000);
    thin.latencies.answered = of([MS; 999]);
    let comparison = Comparison::of(vec![stored(bound), stored(thin)]);
    let [bound, thin] = comparison.rows.as_slice() else { panic!("two rows") };
    assert!(bound.latency(Percentile::P99).unwrap().is_lower_bound);
    assert!(!bound.latency(Percentile::P50).unwrap().is_lower_bound);
    assert!(thin.latency(Percentile::P50).is_some() && thin.latency(Percentile::P99).is_none());
    let text = comparison.text(Page::default());
    let row = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(row("bound").contains(" 500.2 ms >= 20 s "), "{text}");
    assert!(row("thin").contains(" 1 ms - "), "{text}");
}

#[test]
fn published_figures_are_marked_and_never_pooled() {
    let mut documents = published();
    documents.extend(published());
    let comparison = Comparison::of(documents);
    assert_eq!((comparison.rows.len(), comparison.sources.len()), (16, 2));
    assert!(comparison.rows.iter().all(|row| row.source.is_some() && row.runs.len() == 1));
    assert!(comparison.notes.is_empty(), "nothing was measured, so nothing is thin: {:?}", comparison.notes);
    assert_eq!(comparison.sources[0].notes.len(), 2, "each note once");
}

#[test]
fn what_is_known_of_a_machine_is_gathered() {
    let comparison = Comparison::of(everything());
    let machines: Vec<_> =
        comparison.machines.iter().map(|(label, facts)| format!("{label}: {facts}")).collect();
    assert_eq!(
        machines,
        [
            "cloud-16cpu-32gb: 16 CPUs, 4 GiB, A Processor, Linux 6.12",
            "local-2cpu-4gb: 2 CPUs, 4 GiB, A Processor, Linux 6.12",
            "published-16vcpu: 16 CPUs, 32 GiB, about $20 a month",
            "published-2vcpu: 2 CPUs, 4 GiB, about $4 a month",
            "published-apache: ",
            "published-nginx-uwsgi: ",
        ]
    );
    let text = comparison.text(Page::default());
    assert!(text.contains("\npublished-2vcpu: ") && !text.contains("\npublished-apache"), "{text}");
}

#[test]
fn footnotes_are_numbered_as_a_reader_meets_them() {
    let mut documents = published();
    // The source of the rows that come last is read first.
    documents.sort_by_key(|document| !document.name().starts_with("pythonanywhere"));
    let comparison = Comparison::of(documents);
    assert_eq!(comparison.rows.first().unwrap().source, Some(1));
    assert_eq!(comparison.rows.last().unwrap().source, Some(2));
    assert!(comparison.sources[1].title.contains("PythonAnywhere"), "{:?}", comparison.sources);
    let text = comparison.text(Page::default());
    let place = |words: &str| text.find(words).unwrap();
    assert!(place("\n(1) published") < place("\n(2) published"), "{text}");
    assert!(text.contains("\n(2) pythonanywhere-web-app-apache: Medians in ms: connect 365"), "{text}");
}

#[test]
fn tails_of_different_workloads_are_held_against_their_own_medians() {
    let comparison = Comparison::of(everything());
    let text = comparison.tails().unwrap().text();
    let rows: Vec<Vec<&str>> = text.lines().skip(2).map(|line| line.split_whitespace().collect()).collect();
    // 712, 1151 and 2473 by 580; 3853, 11979 and 17177 by 921. Two more were published with their medians alone.
    assert_eq!(
        rows,
        [
            ["pythonanywhere-main-site-nginx-uwsgi", "(2)", "1.23", "1.98", "4.26"],
            ["pythonanywhere-web-app-apache", "(2)", "4.18", "13.01", "18.65"]
        ]
    );
}

#[test]
fn a_page_is_not_wider_than_it_may_be() {
    let comparison = Comparison::of(everything());
    let lines = |width| comparison.text(Page { width, colour: false });
    for width in [80, 100, 120, 200] {
        let text = lines(Some(width));
        let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= width, "{widest} of {width}\n{text}");
        assert!(text.contains("563.2"), "{text}");
        assert_eq!(text.contains("no room for "), width < 200, "{width}\n{text}");
    }
    assert!(lines(None).lines().any(|line| line.len() > 200), "notes are not folded where nobody folds");
}

#[test]
fn nothing_is_an_empty_table() {
    let comparison = Comparison::of(Vec::new());
    assert_eq!(comparison.text(Page::default()).lines().count(), 2);
    assert_eq!(comparison.markdown().lines().count(), 2);
}

#[test]
fn what_limits_the_target_stands_beside_what_it_carries() {
    let names = ["thread_wait", "lock_wait", "commit", "rows_per_commit", "target_cpus", "cpu_pressure"];
    let figures = |run| {
        let metrics = names.map(|name| name.parse().unwrap());
        let comparison = Comparison::with(Vec::new(), vec![stored(run)], &metrics);
        let json: serde_json::Value = serde_json::from_str(&comparison.json()).unwrap();
        let medians = names.map(|name| json["rows"][0]["metrics"][name]["median"].as_f64());
        medians.map(|median| median.map(|median| (median * 1000.0).round() / 1000.0))
    };
    assert_eq!(figures(run("told")), [Some(20e6), Some(5e6), Some(9e5), Some(1.0), None, None]);
    let mut watched = run("watched");
    let generator = watched.generator.as_mut().unwrap();
    generator.pressure_ns = Some(generator.watched_ns / 4);
    assert_eq!(figures(watched), [None, None, None, None, Some(1.399), Some(0.25)]);
}
