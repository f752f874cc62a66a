//! What is typed that only the command line knows: a list of percentiles, a tag.

use std::str::FromStr;

use report::compare::Metric;
use report::histogram::Percentile;

/// More are not looked at by anybody.
const MOST_PERCENTILES: usize = 50;
/// Longer ones are no words to know a run by.
const LONGEST_TAG: usize = 200;

/// Percentiles in ascending order, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Percentiles(pub(super) Vec<Percentile>);

/// Why a text is no list of percentiles.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PercentilesError {
    #[error(
        "`{0}` is not a percentile: they lie above 0 and below 100, with up to four decimals, such as 50,90,99.9"
    )]
    Percentile(String),
    #[error("that is more than {MOST_PERCENTILES} percentiles")]
    TooMany,
}

impl FromStr for Percentiles {
    type Err = PercentilesError;

    fn from_str(text: &str) -> Result<Self, PercentilesError> {
        let one = |word: &str| percentile(word).ok_or_else(|| PercentilesError::Percentile(word.to_owned()));
        let mut list = text.split(',').map(one).collect::<Result<Vec<_>, _>>()?;
        list.sort_unstable();
        list.dedup();
        if list.len() > MOST_PERCENTILES { Err(PercentilesError::TooMany) } else { Ok(Self(list)) }
    }
}

/// `99.9` or `p99.9`. Five decimals would be another percentile than the one that is shown.
fn percentile(word: &str) -> Option<Percentile> {
    let word = word.trim();
    let digits = word.strip_prefix('p').unwrap_or(word);
    let decimals = digits.split_once('.').map_or("", |(_, decimals)| decimals);
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    Percentile::from_percent(digits.parse().ok().filter(|_| is_plain && decimals.len() <= 4)?)
}

/// `key=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) key: String,
    pub(super) value: String,
}

/// Why a text is no tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TagError {
    #[error("`{}` is not a tag: write it like version=1.4", report::units::one_line(.0))]
    Form(String),
    #[error("a tag has at most {LONGEST_TAG} characters, on one line")]
    Length,
}

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        if text.chars().count() > LONGEST_TAG || text.chars().any(char::is_control) {
            return Err(TagError::Length);
        }
        match text.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() && !value.trim().is_empty() => {
                Ok(Self { key: key.trim().to_owned(), value: value.trim().to_owned() })
            }
            _ => Err(TagError::Form(text.to_owned())),
        }
    }
}

/// The change of a metric that counts: `p99=15%` or `p99=0.15`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tolerance {
    pub(super) metric: Metric,
    /// As a share.
    pub(super) change: f64,
}

/// More than tenfold is no tolerance.
const MOST_TOLERANCE: f64 = 10.0;

impl FromStr for Tolerance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || "a tolerance has the form METRIC=SHARE, such as p99=15%".to_owned();
        let (metric, change) = text.split_once('=').ok_or_else(form)?;
        let metric = metric.parse::<Metric>().map_err(|error| error.to_string())?;
        if metric.is_count() {
            return Err(format!("{metric} has no tolerance: errors may rise by 0.1 percentage points"));
        }
        let change = match change.strip_suffix('%') {
            Some(percent) => percent.parse::<f64>().map(|percent| percent / 100.0),
            None => change.parse(),
        };
        let change = change.ok().filter(|&change| change > 0.0 && change <= MOST_TOLERANCE);
        Ok(Self { metric, change: change.ok_or_else(form)? })
    }
}

/// What a machine costs: `web-1=4.51`.
#[derive(Debug, Clone)]
pub(super) struct Price {
    pub(super) machine: String,
    pub(super) per_month: f64,
}

impl FromStr for Price {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || "a price has the form MACHINE=PRICE, for a month, such as web-1=4.51".to_owned();
        let (machine, price) = text.rsplit_once('=').ok_or_else(form)?;
        let price = price.parse::<f64>().ok().filter(|price| price.is_finite() && *price > 0.0);
        match price {
            Some(per_month) if !machine.is_empty() => Ok(Self { machine: machine.to_owned(), per_month }),
            _ => Err(form()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_a_list_in_order() {
        let list = |text: &str| {
            let list = text.parse::<Percentiles>().map_err(|error| error.to_string())?;
            Ok::<_, String>(list.0.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(list("99.9, 50,p90,50.0"), Ok("p50 p90 p99.9".to_owned()));
        assert_eq!(list("99.9999"), Ok("p99.9999".to_owned()));
        for bad in ["", ",", "50,", "0", "100", "101", "-5", "nan", "1e1", "99.99999", "50;90", "half", "p"] {
            assert!(list(bad).is_err(), "{bad}");
        }
        let many: Vec<_> = (1..=51).map(|n| n.to_string()).collect();
        assert!(list(&many.join(",")).unwrap_err().contains("50"));
    }

    #[test]
    fn a_tag_has_a_key_and_a_value() {
        let tag = |text: &str| text.parse::<Tag>().map(|tag| (tag.key, tag.value));
        assert_eq!(tag("version=1.4=x"), Ok(("version".to_owned(), "1.4=x".to_owned())));
        for bad in ["", "version", "=1", "version=", "a=b\nc"] {
            assert!(tag(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_price_is_of_a_machine() {
        let price = |text: &str| text.parse::<Price>().map(|it| (it.machine, it.per_month));
        assert_eq!(price("web-1=4.51"), Ok(("web-1".into(), 4.51)));
        for bad in ["", "web-1", "web-1=", "=4", "web-1=-4", "web-1=0", "web-1=nan", "web-1=$4"] {
            assert!(price(bad).unwrap_err().contains("MACHINE=PRICE"), "{bad}");
        }
    }

    #[test]
    fn a_tolerance_is_a_share_of_a_metric() {
        let tolerance =
            |text: &str| text.parse::<Tolerance>().map(|it| format!("{} {:.3}", it.metric, it.change));
        assert_eq!(tolerance("p99=15%"), Ok("p99 0.150".into()));
        assert_eq!(tolerance("rps=0.05"), Ok("rps 0.050".into()));
        for (bad, word) in [
            ("p99", "METRIC=SHARE"),
            ("p99=", "METRIC=SHARE"),
            ("p99=-5%", "METRIC=SHARE"),
            ("p99=0", "METRIC=SHARE"),
            ("p99=nan", "METRIC=SHARE"),
            ("p99=2000%", "METRIC=SHARE"),
            ("bogus=5%", "`bogus`"),
            ("errors=5%", "0.1 percentage points"),
        ] {
            let sentence = tolerance(bad).unwrap_err();
            assert!(sentence.contains(word), "{bad}: {sentence}");
        }
    }
}
