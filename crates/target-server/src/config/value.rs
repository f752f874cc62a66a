//! How are numbers, times, sizes and file modes typed?

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// Reads whole numbers of this range.
pub(super) fn whole<T>(range: RangeInclusive<T>) -> impl Fn(&str) -> Result<T, String> + Clone
where
    T: FromStr + PartialOrd + fmt::Display + Clone,
{
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| format!("not a whole number from {} to {}", range.start(), range.end()))
    }
}

/// A time like `500ms`, `10s` or `2m`, one hour at most: more is beyond patience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Duration);

/// The longest time that can be given.
pub const MAX_TIME: Duration = Duration::from_secs(3600);

impl FromStr for Time {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, unit) = split(text);
        let micros = match unit {
            "us" => Some(1),
            "ms" => Some(1000),
            "s" => Some(1_000_000),
            "m" => Some(60_000_000),
            "" if number.parse() == Ok(0) => Some(0),
            _ => None,
        };
        let time = number.parse::<u64>().ok().zip(micros).and_then(|(number, unit)| number.checked_mul(unit));
        let time = time.map(Duration::from_micros).filter(|time| *time <= MAX_TIME);
        time.map(Self).ok_or("not a time like 500ms, 10s or 2m, one hour at most")
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_micros() {
            0 => f.write_str("0"),
            micros if micros.is_multiple_of(60_000_000) => write!(f, "{}m", micros / 60_000_000),
            micros if micros.is_multiple_of(1_000_000) => write!(f, "{}s", micros / 1_000_000),
            micros if micros.is_multiple_of(1000) => write!(f, "{}ms", micros / 1000),
            micros => write!(f, "{micros}us"),
        }
    }
}

/// A number of bytes like `512`, `64KiB`, `16MiB` or `1GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

/// The units of [`Size`], the largest first.
const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

impl Size {
    /// As a length in memory; what is larger than any is the largest.
    pub(crate) fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, unit) = split(text);
        let bytes = match unit {
            "" | "B" => Some(1),
            unit => UNITS.iter().find(|(name, _)| *name == unit).map(|(_, bytes)| *bytes),
        };
        let size = number.parse::<u64>().ok().zip(bytes).and_then(|(number, unit)| number.checked_mul(unit));
        size.map(Self).ok_or("not a size like 512, 64KiB, 16MiB or 1GiB")
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, bytes)| self.0 != 0 && self.0.is_multiple_of(*bytes)) {
            Some((name, bytes)) => write!(f, "{}{name}", self.0 / bytes),
            None => write!(f, "{}", self.0),
        }
    }
}

/// Permissions of a file, in octal digits as `chmod` takes them: `777` at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub u32);

impl FromStr for Mode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777 && !text.starts_with('+'));
        mode.map(Self).ok_or("not an octal file mode like 600 or 660")
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03o}", self.0)
    }
}

/// The digits at the front, and the rest.
fn split(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_whole_and_within_their_range() {
        let number = whole(1..=256_u16);
        assert_eq!(["1", "4", "256"].map(&number), [Ok(1), Ok(4), Ok(256)]);
        for wrong in ["", "four", "4.0", "1e2", "-1", "0", "257", "99999999999999999999"] {
            assert_eq!(number(wrong).unwrap_err(), "not a whole number from 1 to 256", "{wrong}");
        }
    }

    #[test]
    fn times_have_a_unit_and_an_end() {
        for (text, micros) in
            [("250us", 250), ("500ms", 500_000), ("10s", 10_000_000), ("60m", 3_600_000_000)]
        {
            assert_eq!(text.parse(), Ok(Time(Duration::from_micros(micros))));
        }
        assert_eq!("0".parse(), Ok(Time(Duration::ZERO)));
        for wrong in ["", "10", "s", "1.5s", "-1s", "61m", "10 s", "99999999999999999999s"] {
            assert!(wrong.parse::<Time>().is_err(), "{wrong}");
        }
        for text in ["0", "250us", "1500ms", "90s", "60m"] {
            assert_eq!(text.parse::<Time>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn sizes_have_binary_units() {
        for (text, bytes) in [("0", 0), ("512", 512), ("64KiB", 65536), ("16MiB", 1 << 24), ("3GiB", 3 << 30)]
        {
            assert_eq!(text.parse(), Ok(Size(bytes)));
            assert_eq!(Size(bytes).to_string(), text);
        }
        for wrong in ["", "MiB", "1MB", "1.5MiB", "-1", "99999999999GiB"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn modes_are_octal() {
        for (text, mode) in [("600", 0o600), ("000", 0), ("777", 0o777)] {
            assert_eq!(text.parse(), Ok(Mode(mode)));
            assert_eq!(Mode(mode).to_string(), text);
        }
        for wrong in ["", "+600", "-1", "8", "1777", "0o600", "u=rw"] {
            assert!(wrong.parse::<Mode>().is_err(), "{wrong}");
        }
    }
}
