//! In which order do names stand that have numbers in them?

use std::cmp::Ordering;

/// By name, with numbers in it by value: `4-instances` before `16-instances`.
pub(super) fn natural(left: &str, right: &str) -> Ordering {
    let parts = |text: &str| {
        let mut parts: Vec<(bool, String)> = Vec::new();
        for c in text.chars() {
            match parts.last_mut() {
                Some((digits, part)) if *digits == c.is_ascii_digit() => part.push(c),
                _ => parts.push((c.is_ascii_digit(), c.to_string())),
            }
        }
        parts
    };
    let number = |part: &str| part.trim_start_matches('0').to_owned();
    for ((left_is_number, left), (right_is_number, right)) in parts(left).iter().zip(&parts(right)) {
        let order = if *left_is_number && *right_is_number {
            let (left, right) = (number(left), number(right));
            left.len().cmp(&right.len()).then_with(|| left.cmp(&right))
        } else {
            left.cmp(right)
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_the_numbers_in_them() {
        let mut names = [
            "quick",
            "16-instances",
            "no-database",
            "4-instances",
            "v2-b",
            "v10-a",
            "1-instance",
            "quick2",
            "",
        ];
        names.sort_by(|left, right| natural(left, right));
        assert_eq!(
            names,
            [
                "",
                "1-instance",
                "4-instances",
                "16-instances",
                "no-database",
                "quick",
                "quick2",
                "v2-b",
                "v10-a"
            ]
        );
    }
}
