//! The published figures in the repository.

use std::fs;
use std::path::{Path, PathBuf};

use report::compare::{Comparison, Metric};
use report::document::Document;
use report::histogram::Percentile;
use report::store;
use report::summary::Summary;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../results/reference")
}

#[test]
fn all_open_and_are_laid_out_as_written() {
    let found = store::find(&[folder()]).unwrap();
    assert_eq!((found.documents.len(), found.skipped.len()), (8, 0));
    for path in found.documents {
        let document = store::open(&path).unwrap();
        assert!(matches!(document, Document::Figures(_)));
        assert_eq!(path.file_stem().unwrap().to_str().unwrap(), document.name());
        assert_eq!(store::to_json(&document), fs::read_to_string(&path).unwrap(), "{}", path.display());
    }
}

#[test]
fn what_the_source_printed_comes_out_again() {
    let of = |name: &str| Summary::of(&store::open(&folder().join(name)).unwrap());
    let one = of("1-instance.json");
    assert_eq!(
        (one.sent, one.answered, one.errors, one.timeouts),
        (Some(67_623), Some(67_611), Some(12), Some(12))
    );
    let four = of("4-instances.json");
    assert_eq!(
        (four.sent, four.errors, four.timeouts),
        (Some(378_851), Some(0), Some(0)),
        "rate x time = answers"
    );
    let eight = of("8-instances.json");
    assert_eq!((eight.rate(), eight.rps_qualifier.as_deref()), (Some(4_600.0), Some("about")));
    assert_eq!((eight.errors, eight.latency.quantiles.len(), eight.connections), (None, 0, Some(200)));
    let none = of("no-database.json");
    assert_eq!(
        (none.rate(), none.rps_qualifier.as_deref(), none.instances),
        (Some(20_000.0), Some("more than"), None)
    );
}

#[test]
fn what_a_source_rounded_is_told_beside_bare_numbers() {
    let names = ["1-instance", "8-instances", "no-database"];
    let documents = names.map(|name| store::open(&folder().join(format!("{name}.json"))).unwrap());
    let metrics = [Metric::Rps, Metric::RpsPerCpu, Metric::Cost, Metric::Latency(Percentile::P99)];
    let mut comparison = Comparison::with(Vec::new(), documents.into(), &metrics);
    comparison.set_prices(&[("published-2vcpu".into(), 4.0)]).unwrap();
    let csv = comparison.csv();
    let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let titles = lines.next().unwrap();
    let place = |title: &str| titles.iter().position(|it| *it == title).unwrap();
    let [scenario, metric, median, qualifier] = ["scenario", "metric", "median", "qualifier"].map(place);
    let found: Vec<_> = lines
        .map(|cells| {
            assert!(cells[median].is_empty() || cells[median].parse::<f64>().is_ok(), "{cells:?}");
            (cells[scenario], cells[metric], cells[qualifier])
        })
        .filter(|(.., qualifier)| !qualifier.is_empty())
        .collect();
    let expected = [
        ("8-instances", "rps", "about"),
        ("8-instances", "rps_per_cpu", "about"),
        ("8-instances", "cost", "about"),
        ("no-database", "rps", "more than"),
        ("no-database", "rps_per_cpu", "more than"),
        ("no-database", "cost", "less than"),
    ];
    assert_eq!(found, expected, "{csv}");
}

#[test]
fn two_tables_of_different_workloads_say_so() {
    // The published table of the second server has the median of its main site, that of the first one the median of its
    // web application.
    let of = |name: &str| store::open(&folder().join(format!("pythonanywhere-{name}.json"))).unwrap();
    let median = |document: &Document| Summary::of(document).latency.quantiles[0].value_ns / 1_000_000;
    assert_eq!(median(&of("main-site-nginx-uwsgi")), 580);
    assert_eq!(median(&of("web-app-apache")), 921);
    for (table, lone) in
        [("main-site-nginx-uwsgi", "main-site-apache"), ("web-app-apache", "web-app-nginx-uwsgi")]
    {
        let known = [table, lone].map(|name| Summary::of(&of(name)).latency.quantiles.len());
        assert_eq!(known, [8, 1], "{table}");
        let Document::Figures(figures) = of(table) else { panic!("no figures") };
        assert!(
            figures.notes.iter().any(|note| note.contains("their ratio means nothing")),
            "{:?}",
            figures.notes
        );
    }
}
