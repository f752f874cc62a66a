//! A strict reader of Prometheus' text form: what it does not refuse, Prometheus reads.

use std::collections::{BTreeMap, BTreeSet};

/// What was read: values by name and labels, exactly as they were written.
#[derive(Debug)]
pub(crate) struct Metrics {
    values: BTreeMap<(String, String), f64>,
}

#[derive(Debug)]
struct Family {
    name: String,
    kind: String,
}

impl Metrics {
    pub(crate) fn value(&self, name: &str, labels: &str) -> Option<f64> {
        self.values.get(&(name.to_owned(), labels.to_owned())).copied()
    }

    /// Panics with the line that breaks a rule.
    pub(crate) fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line has no end");
        let mut values = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut helped: Option<String> = None;
        let mut family: Option<Family> = None;
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap_or_else(|| panic!("no help: {line}"));
                assert!(is_name(name) && !help.trim().is_empty(), "{line}");
                assert!(seen.insert(name.to_owned()), "a family twice: {line}");
                helped = Some(name.to_owned());
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap_or_else(|| panic!("no type: {line}"));
                assert_eq!(helped.take().as_deref(), Some(name), "TYPE follows its HELP: {line}");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert_eq!(
                    kind == "counter",
                    name.ends_with("_total"),
                    "counters, and only they, end in _total: {line}"
                );
                family = Some(Family { name: name.to_owned(), kind: kind.to_owned() });
            } else {
                let family = family.as_ref().unwrap_or_else(|| panic!("a sample without a family: {line}"));
                let (key, value) = sample(line, family);
                assert!(values.insert(key, value).is_none(), "a sample twice: {line}");
            }
        }
        let metrics = Self { values };
        metrics.check_histograms();
        metrics
    }

    /// Buckets ascend to the count, and each histogram has a sum.
    fn check_histograms(&self) {
        let counts = self.values.iter().filter(|((name, _), _)| name.ends_with("_seconds_count"));
        let mut checked = 0;
        for ((name, _), count) in counts {
            let base = name.strip_suffix("_count").unwrap();
            assert!(self.value(&format!("{base}_sum"), "").is_some(), "{base} has no sum");
            let bucket = format!("{base}_bucket");
            let mut buckets: Vec<(f64, f64)> = self
                .values
                .iter()
                .filter(|((name, _), _)| *name == bucket)
                .map(|((_, labels), value)| (bound(labels), *value))
                .collect();
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert!(buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{base}: {buckets:?}");
            assert_eq!(buckets.last(), Some(&(f64::INFINITY, *count)), "{base}");
            checked += 1;
        }
        assert_eq!(checked, 5, "histograms of times");
    }
}

fn bound(labels: &str) -> f64 {
    let text = labels.strip_prefix("le=\"").and_then(|rest| rest.strip_suffix('"')).unwrap();
    if text == "+Inf" { f64::INFINITY } else { text.parse().unwrap() }
}

fn sample(line: &str, family: &Family) -> ((String, String), f64) {
    let (left, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
    let (name, labels) = match left.split_once('{') {
        Some((name, rest)) => {
            (name, rest.strip_suffix('}').unwrap_or_else(|| panic!("no end of labels: {line}")))
        }
        None => (left, ""),
    };
    let suffix =
        name.strip_prefix(&family.name).unwrap_or_else(|| panic!("{line} is not of {}", family.name));
    let suffixes: &[&str] = if family.kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
    assert!(suffixes.contains(&suffix), "{line}");
    assert_eq!(suffix == "_bucket", labels.starts_with("le="), "{line}");
    for label in labels.split(',').filter(|label| !label.is_empty()) {
        let (name, value) = label.split_once('=').unwrap_or_else(|| panic!("{line}"));
        assert!(is_name(name) && !name.contains(':'), "{line}");
        let value = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        assert!(value.is_some_and(|value| !value.contains(['"', '\\'])), "{line}");
    }
    let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
    assert!(value >= 0.0 && value.is_finite(), "{line}");
    ((name.to_owned(), labels.to_owned()), value)
}

fn is_name(text: &str) -> bool {
    let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    first && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:".contains(&byte))
}
