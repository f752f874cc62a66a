//! How are quantities written for a person?

use std::time::Duration;

/// A count with separators: `67,611`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with the thing counted: `1 request`, `2,000 requests`.
pub fn counted(n: u64, thing: &str) -> String {
    format!("{} {thing}{}", count(n), if n == 1 { "" } else { "s" })
}

/// A rate with one decimal below 10,000, and without above: `563.2`, `3,154.1`, `20,000`.
pub fn rate(per_second: f64) -> String {
    let tenths = (per_second * 10.0).round();
    if !tenths.is_finite() || tenths < 0.0 {
        return "-".into();
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "finite, not negative, rounded"
    )]
    let (whole, tenths) = ((tenths / 10.0) as u64, (tenths % 10.0) as u64);
    if whole >= 10_000 || tenths == 0 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
        return count(per_second.round() as u64);
    }
    format!("{}.{tenths}", count(whole))
}

/// A mean of durations as a duration, cut to whole nanoseconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "durations are not negative")]
pub fn whole(ns: f64) -> u64 {
    ns as u64
}

/// A duration in the unit that suits it, with up to four digits: `250 ns`, `13.4 us`, `162.6 ms`, `20 s`, `3,600 s`.
pub fn nanos(ns: u64) -> String {
    const UNITS: [(&str, f64); 3] = [("us", 1e3), ("ms", 1e6), ("s", 1e9)];
    if ns < 1_000 {
        return format!("{ns} ns");
    }
    let ns = ns as f64;
    for (unit, size) in UNITS {
        let value = ns / size;
        // What four digits would round up to 1000 belongs to the next unit.
        if value < 999.95 || unit == "s" {
            return format!("{} {unit}", four_digits(value));
        }
    }
    unreachable!("seconds take every value")
}

/// As [`nanos`].
pub fn duration(duration: Duration) -> String {
    nanos(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

/// An amount of memory: `3.8 GiB`, `512 MiB`.
pub fn memory(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    let (value, unit) = if mib < 1_000.0 { (mib, "MiB") } else { (mib / 1_024.0, "GiB") };
    format!("{} {unit}", trimmed(&format!("{value:.1}")))
}

/// A share as a percentage: `0.02%`, `10%`.
pub fn share(part: f64) -> String {
    let text = format!("{:.2}", part * 100.0);
    format!("{}%", trimmed(&text))
}

/// One line of a text that others wrote: control characters would break the layout around it.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}

/// A text that others wrote, over several lines, so that it does nothing to a terminal: control characters but line
/// feeds are written as escapes, and so are those that turn the direction of writing.
pub fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.replace("\r\n", "\n").chars() {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if (c.is_control() && c != '\n') || turns {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

fn four_digits(value: f64) -> String {
    if value >= 1_000.0 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and rounded")]
        return count(value.round() as u64);
    }
    let decimals = if value >= 99.995 {
        1
    } else if value >= 9.9995 {
        2
    } else {
        3
    };
    let text = format!("{value:.decimals$}");
    trimmed(&text).to_owned()
}

fn trimmed(decimal: &str) -> &str {
    if decimal.contains('.') { decimal.trim_end_matches('0').trim_end_matches('.') } else { decimal }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_does_nothing_to_a_terminal() {
        assert_eq!(
            printable("a\r\nb\tc\u{1b}[2J\u{0}\u{202e}\u{85}ü"),
            "a\nb\\tc\\u{1b}[2J\\u{0}\\u{202e}\\u{85}ü"
        );
    }

    #[test]
    fn counts_have_separators() {
        let cases = [(0, "0"), (999, "999"), (1_000, "1,000"), (67_611, "67,611"), (1_234_567, "1,234,567")];
        for (n, text) in cases {
            assert_eq!(count(n), text);
        }
        assert_eq!(counted(1, "request"), "1 request");
        assert_eq!(counted(0, "request"), "0 requests");
    }

    #[test]
    fn rates_keep_a_decimal_where_it_says_something() {
        let cases = [
            (563.2331, "563.2"),
            (3154.1115, "3,154.1"),
            (4600.0, "4,600"),
            (9_999.96, "10,000"),
            (23_456.7, "23,457"),
            (0.04, "0"),
            (0.96, "1"),
            (f64::NAN, "-"),
        ];
        for (per_second, text) in cases {
            assert_eq!(rate(per_second), text, "{per_second}");
        }
    }

    #[test]
    fn durations_have_up_to_four_digits() {
        let cases = [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1 us"),
            (13_400, "13.4 us"),
            (999_940, "999.9 us"),
            (999_960, "1 ms"),
            (162_600_000, "162.6 ms"),
            (1_353_300_000, "1.353 s"),
            (20_000_300_000, "20 s"),
            (120_062_200_000, "120.1 s"),
            (3_600_000_000_000, "3,600 s"),
        ];
        for (ns, text) in cases {
            assert_eq!(nanos(ns), text, "{ns}");
        }
        assert_eq!(duration(Duration::from_millis(26)), "26 ms");
    }

    #[test]
    fn shares_are_percentages() {
        for (part, text) in
            [(0.1, "10%"), (0.000_177, "0.02%"), (1.0, "100%"), (0.0, "0%"), (0.123_4, "12.34%")]
        {
            assert_eq!(share(part), text);
        }
    }

    #[test]
    fn memory_is_in_powers_of_two() {
        for (bytes, text) in [(4 << 30, "4 GiB"), (512 << 20, "512 MiB"), (4_080_218_112, "3.8 GiB")] {
            assert_eq!(memory(bytes), text);
        }
    }

    #[test]
    fn what_others_wrote_stays_on_its_line() {
        assert_eq!(one_line(" a\n[200]\tb\u{1b} "), "a [200] b");
    }
}
