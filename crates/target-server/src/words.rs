//! How are things counted in words?

use std::fmt::Display;

/// So many of something: `1 row was`, `2 rows were`.
pub(crate) fn counted(count: impl TryInto<u64> + Display + Copy, one: &str, many: &str) -> String {
    let is_one = count.try_into().is_ok_and(|count| count == 1);
    format!("{count} {}", if is_one { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_told_apart() {
        assert_eq!([0_u64, 1, 2].map(|count| counted(count, "row", "rows")), ["0 rows", "1 row", "2 rows"]);
    }
}
