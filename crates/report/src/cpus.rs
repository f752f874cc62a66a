//! Which CPUs? A set of them, as the kernel writes it: `0-3,6`.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// No kernel has been built for more CPUs.
const MOST_CPUS: u32 = 8192;

/// A set of CPUs, never empty.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Cpus(BTreeSet<u32>);

/// Why a text is no set of CPUs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no set of CPUs: write their numbers, from 0 on, like 0 or 0-1,3", crate::units::one_line(.0))]
pub struct CpusError(String);

impl FromStr for Cpus {
    type Err = CpusError;

    fn from_str(text: &str) -> Result<Self, CpusError> {
        let number = |text: &str| {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u32>().ok().filter(|&cpu| is_number && cpu < MOST_CPUS)
        };
        let range = |part: &str| match part.split_once('-') {
            Some((first, last)) => Some(number(first.trim())?..=number(last.trim())?),
            None => number(part).map(|cpu| cpu..=cpu),
        };
        let ranges: Option<Vec<_>> = text.split(',').map(|part| range(part.trim())).collect();
        let ranges = ranges.filter(|ranges| ranges.iter().all(|range| !range.is_empty()));
        ranges
            .map(|ranges| Self(ranges.into_iter().flatten().collect()))
            .ok_or_else(|| CpusError(text.to_owned()))
    }
}

impl TryFrom<String> for Cpus {
    type Error = CpusError;

    fn try_from(text: String) -> Result<Self, CpusError> {
        text.parse()
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.iter().copied().peekable();
        let mut comma = "";
        while let Some(first) = rest.next() {
            let mut last = first;
            while let Some(next) = rest.next_if_eq(&(last + 1)) {
                last = next;
            }
            write!(f, "{comma}{first}")?;
            if last > first {
                write!(f, "-{last}")?;
            }
            comma = ",";
        }
        Ok(())
    }
}

impl Cpus {
    /// Of these numbers. `None`: there are none.
    pub fn of(numbers: impl IntoIterator<Item = u32>) -> Option<Self> {
        let numbers: BTreeSet<u32> = numbers.into_iter().collect();
        (!numbers.is_empty()).then_some(Self(numbers))
    }

    /// Those that are in both. `None`: none is.
    pub fn shared_with(&self, other: &Self) -> Option<Self> {
        Self::of(self.0.intersection(&other.0).copied())
    }

    /// The lowest of these that is not in the other.
    pub fn first_missing_in(&self, other: &Self) -> Option<u32> {
        self.0.difference(&other.0).next().copied()
    }

    /// The numbers, ascending.
    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        self.0.iter().copied()
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpus(text: &str) -> Cpus {
        text.parse().unwrap()
    }

    #[test]
    fn sets_are_read_and_written_as_the_kernel_does() {
        for (text, written, count) in
            [("0", "0", 1), ("0-3,6", "0-3,6", 5), (" 3, 1 ,2,0-0", "0-3", 4), ("5-5,7,9-10", "5,7,9-10", 4)]
        {
            assert_eq!((cpus(text).to_string().as_str(), cpus(text).count()), (written, count), "{text}");
        }
    }

    #[test]
    fn what_is_no_set_is_refused_in_one_sentence() {
        for text in ["", "a", "1-", "-1", "3-1", "0,,1", "0;1", "+1", "0-8192", "1.5", "99999999999", "0-1-2"]
        {
            let error = text.parse::<Cpus>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{text}` is no set of CPUs: ")), "{error}");
        }
    }

    #[test]
    fn what_two_sets_share_is_told() {
        assert_eq!(cpus("0-3").shared_with(&cpus("2-5")), Some(cpus("2-3")));
        assert_eq!(cpus("0").shared_with(&cpus("1")), None);
        assert_eq!(cpus("0-1,5,7").first_missing_in(&cpus("0-3")), Some(5));
        assert_eq!(cpus("1").first_missing_in(&cpus("0-3")), None);
    }
}
